"""Invoice Gateway: one canonical invoice in, many invoicing APIs out."""

__version__ = "0.1.0"
