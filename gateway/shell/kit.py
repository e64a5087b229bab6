"""`invoice-gateway new-dialect NAME`: the skeleton of a sixth API, whose tests fail where there is work to be done."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from gateway.shell.commands import complain, say

TEMPLATES = Path(__file__).parent.parent / "kit"
NAME = re.compile(r"[a-z][a-z0-9]{1,19}")
INVOICE = Path(__file__).parent.parent / "demo" / "invoice.json"


def new_dialect(name: str, root: Path) -> int:
    """`new-dialect NAME` in the checkout at `root`: exit 2 if that is none, or has the dialect already."""
    if NAME.fullmatch(name) is None:
        complain(f"{name}: a dialect is named by 2 to 20 small letters and digits, as its module")
        return 2
    found = dict(_files(name))
    if missing := [
        folder for folder in ("mappings", "gateway/sandbox", "tests/mappings") if not (root / folder).is_dir()
    ]:
        complain(f"there is no folder {missing[0]} here: run it in a checkout of the gateway")
        return 2
    if there := [path for path in found if (root / path).exists()]:
        complain(f"{there[0]} exists already")
        return 2
    for path, text in found.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text)
        say(f"wrote {path}")
    say(_NEXT.format(name=name))
    return 0


_NEXT = """
Now see what fails, do what it says, and again until nothing does:

  pytest -q --tb=line tests/mappings -k {name}

Write invoices and replies by hand; `--update` fills in the requests and what came of them, to be read line by line."""


def _files(name: str) -> Iterator[tuple[str, str]]:
    for path, template in ((f"mappings/{name}.py", "mapping"), (f"gateway/sandbox/{name}.py", "sandbox")):
        yield path, (TEMPLATES / f"{template}.py.txt").read_text().replace("acme", name)
    yield f"tests/mappings/invoices/{name}.json", INVOICE.read_text()
    for file, found in _fixtures(name).items():
        yield f"tests/mappings/{name}/{file}.json", json.dumps(found, indent=1) + "\n"


def _fixtures(name: str) -> dict[str, object]:
    """The facts that people write; what the mapping makes of them is filled in by `--update`."""
    conversations = {
        "created": ("the API creates it", {}, {"status": 201, "body": {"id": "1"}}),
        "rejected": ("the API refuses it", {}, {"status": 422, "body": {"message": "to do: the words of the API"}}),
        "unknown": ("the API breaks down", {}, {"status": 500, "body": ""}),
        "untranslatable": (
            "what was paid before is more than the claim",
            {"/totals/prepaid_total": "500.00", "/totals/amount_due": None},
            None,
        ),
    }
    return {
        "upstream": {"settings": {}, "crosswalk": {}, "base": {"invoice": name, "changes": {"/totals": None}}},
        "fields": {"source": "the vendor's page", "request": ["to do: every request field of the vendor's page"]},
    } | {
        file: {"about": about, "invoice": name}
        | ({"changes": changes} if changes else {})
        | {"turns": [{"request": {}, "reply": reply}] if reply else []}
        for file, (about, changes, reply) in conversations.items()
    }
