"""The dialects are what the folder holds; nothing else has to be told of one."""

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import mappings
from gateway.shell import catalog

FOLDER = Path(mappings.__path__[0])


def test_every_module_of_the_folder_is_a_dialect() -> None:
    """By its own name."""
    assert set(catalog.dialects()) == {path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__"}
    assert all(name == dialect.name for name, dialect in catalog.dialects().items())


def test_the_extensions_are_those_of_the_dialects() -> None:
    """For the document and for a line, None where there is none."""
    found = catalog.extension_types()
    assert set(found) == set(catalog.dialects())
    for name, (document, line) in found.items():
        dialect = catalog.dialects()[name]
        assert (document, line) == (dialect.extension, dialect.line_extension)
        assert all(kind is None or issubclass(kind, msgspec.Struct) for kind in (document, line))


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is scanned beside the real one."""
    catalog.dialects()  # imported before they cannot be found any more
    monkeypatch.setattr(mappings, "__path__", [str(tmp_path)])
    catalog.dialects.cache_clear()
    yield tmp_path
    catalog.dialects.cache_clear()
    for name in [name for name in sys.modules if name.startswith("mappings.odd")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "DIALECT = 'odd'\n",
        "from gateway.core.dialect import Dialect\nDIALECT = Dialect\n",
        "from mappings.katsupay import DIALECT  # whose name is another\n",
        "DIALECT = None\n",
    ],
)
def test_a_module_that_is_no_dialect_is_refused(content: str, elsewhere: Path) -> None:
    """By the name of its file, when the gateway starts."""
    name = f"odd_{len(content)}"
    (elsewhere / f"{name}.py").write_text(content)
    with pytest.raises(TypeError, match=rf"mappings/{name}\.py"):
        catalog.dialects()


def test_a_new_module_is_a_new_dialect(elsewhere: Path) -> None:
    """Adding one touches one file."""
    (elsewhere / "odd_new.py").write_text(
        "import msgspec\n"
        "from mappings.katsupay import DIALECT as KNOWN\n"
        "DIALECT = msgspec.structs.replace(KNOWN, name='odd_new')\n"
    )
    assert set(catalog.dialects()) == {"odd_new"}
