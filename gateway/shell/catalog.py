"""Finds the dialects by scanning `mappings/`; nothing else knows where they are."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

import mappings
from gateway.core.dialect import Dialect
from gateway.core.parse import ExtensionTypes


@cache
def dialects() -> dict[str, Dialect]:
    """Every dialect by its name: the `DIALECT` of each module in `mappings/`.

    Raises:
        TypeError: a module has none, or one whose name is not the module's.
    """
    found = {}
    for module in iter_modules(mappings.__path__):
        dialect = getattr(import_module(f"mappings.{module.name}"), "DIALECT", None)
        if not isinstance(dialect, Dialect) or dialect.name != module.name:
            raise TypeError(f"mappings/{module.name}.py must define DIALECT, named {module.name!r}")
        found[dialect.name] = dialect
    return found


@cache
def extension_types() -> ExtensionTypes:
    """The extension structs of every dialect, for parsing invoices."""
    return {dialect.name: (dialect.extension, dialect.line_extension) for dialect in dialects().values()}
