"""The overlays as they are, and with every component that they offer."""

import shutil
from pathlib import Path

import pytest

from tests.support.manifests import FOLDER, Document, rendered

COMMENT = "# "
OVERLAYS = sorted(path.parent.name for path in FOLDER.glob("overlays/*/kustomization.yaml"))
VARIANTS = [name for overlay in OVERLAYS for name in (overlay, f"{overlay}, with components")]


def with_components(overlay: str, folder: Path) -> Path:
    """A copy of the overlay in which the list of components is no comment any more."""
    shutil.copytree(FOLDER, folder)
    path = folder / "overlays" / overlay / "kustomization.yaml"
    text = path.read_text()
    listed = [line for line in text.splitlines() if line.startswith("# components:") or "/components/" in line]
    assert len(listed) > 1, "the overlay offers no components"
    for line in listed:
        text = text.replace(line, line.removeprefix(COMMENT))
    path.write_text(text)
    return path.parent


@pytest.fixture(scope="session")
def variants(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Document]]:
    """What kubectl makes of each."""
    found = {}
    for overlay in OVERLAYS:
        found[overlay] = rendered(FOLDER / "overlays" / overlay)
        copy = with_components(overlay, tmp_path_factory.mktemp(overlay) / "kubernetes")
        found[f"{overlay}, with components"] = rendered(copy)
    return found
