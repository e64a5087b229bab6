"""Every conversation file is what the mapping makes of it: request by request, outcome, losses, errors."""

import json
from pathlib import Path

import pytest

from gateway.shell.catalog import dialects
from tests.support import conversations

FILES = list(conversations.files())


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_conversation_goes_as_it_is_written(path: Path, request: pytest.FixtureRequest) -> None:
    """Replaying the file gives the file; `--update` rewrites it, to be reviewed as a diff."""
    written = conversations.read(path)
    replayed = conversations.replay(dialects()[path.parent.name], written)
    if request.config.getoption("--update"):
        path.write_text(json.dumps(replayed, indent=1, ensure_ascii=False) + "\n")
    else:
        assert replayed == written


@pytest.mark.parametrize("name", sorted(dialects()))
def test_a_dialect_has_conversations_of_every_outcome(name: str) -> None:
    """Created, rejected and unknown are each shown at least once, and an invoice that cannot be translated."""
    shown = {
        key
        for path in FILES
        if path.parent.name == name
        for key in conversations.read(path).get("outcome", {"errors": 1})
    }
    assert {"Created", "Rejected", "Unknown", "errors"} <= shown
