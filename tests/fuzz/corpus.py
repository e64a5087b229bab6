"""Inputs that once failed, as small files: answers of upstreams, with the conversation in which they were given."""

import json
from collections.abc import Iterator
from pathlib import Path

from gateway.core.exchange import Reply, Request, Seen, advance
from gateway.shell.catalog import dialects
from tests.fuzz.replies import Talk, cases
from tests.support import conversations

FOLDER = Path(__file__).parent / "corpus"


def talks() -> list[Path]:
    """Every conversation that once failed."""
    return sorted((FOLDER / "replies").glob("*.json"))


def played(path: Path) -> Talk:
    """A kept conversation, played again; its last answer is given again to whoever asks on."""
    kept = conversations.read(path)
    case = next(each for each in cases(kept["dialect"]) if each.name == kept["case"])
    answers = [Reply(each["status"], each["body"].encode("latin-1"), each["headers"]) for each in kept["replies"]]
    conversation = conversations.begun(case.dialect, case.translation, case.written)
    step, requests, seen = advance(conversation, None), list[Request](), list[Seen]()
    while isinstance(step, Request):
        requests.append(step)
        seen.append(answers[min(len(seen), len(answers) - 1)])
        step = advance(conversation, conversations.judged(dialects()[kept["dialect"]], seen[-1]))
    return Talk(case, tuple(requests), tuple(seen), step)


def kept(talk: Talk, name: str) -> None:
    """Keep a conversation; its bytes are written as Latin-1."""
    answers = [
        {"status": each.status, "headers": dict(each.headers), "body": each.body.decode("latin-1")}
        for each in _replies(talk)
    ]
    found = {"dialect": talk.case.dialect.name, "case": talk.case.name, "replies": answers}
    (FOLDER / "replies" / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")


def _replies(talk: Talk) -> Iterator[Reply]:
    return (each for each in talk.replies if isinstance(each, Reply))
