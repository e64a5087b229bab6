"""The thin shell: everything that touches the world."""

import sys

# structlog loads rich wherever it is installed, for tracebacks on a terminal, which nothing here prints: a gateway
# would pay for it in time to start and in memory. The commands that do use rich find it as ever.
_rich = sys.modules.get("rich")
sys.modules["rich"] = None  # type: ignore[assignment]  # that is how an import is refused
try:
    import structlog as structlog
finally:
    del sys.modules["rich"]
    if _rich is not None:
        sys.modules["rich"] = _rich
