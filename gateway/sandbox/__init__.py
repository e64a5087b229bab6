"""The other side of the wire: the five upstream APIs, simulated strictly from the vendors' pages.

Nothing here knows a mapping, so that both cannot share one mistake.
"""
