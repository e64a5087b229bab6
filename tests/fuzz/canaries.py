"""Canaries: secrets and parties that are unmistakable, so that one look into a log tells whether they got there."""

import json
from base64 import b64encode
from collections.abc import Iterable

from tests.support.running import Edit, World, added

CLIENT_TOKEN = "canary-client-token-5d1f7c"
OTHER_TOKEN = "canary-other-token-88ab30"
CREDENTIALS = ("sandbox-private", "sandbox-key", "sandbox-token", "sandbox-secret", "canary-secret", "sandbox:sandbox")
"""What the sandbox's upstreams want to see, and what those that are made up do."""
SECRETS = (
    *(CLIENT_TOKEN, OTHER_TOKEN, *CREDENTIALS),
    *(b64encode(pair.encode()).decode() for pair in ("sandbox:sandbox", "sandbox-public:sandbox-private")),
)
PARTIES = ("Quillfeather Zzyzx", "canary.person@leak.example", "77 Canary Row", "Zzyzxville", "ZZ-TAX-4711")
"""A name, an address of each kind and a tax id; for answers only where the upstream's own words repeat them."""
PARTY = {
    "id": "acct-88",
    "name": PARTIES[0],
    "email": PARTIES[1],
    "tax_id": PARTIES[4],
    "billing_address": {"line1": PARTIES[2], "city": PARTIES[3], "country": "US"},
}


def clients() -> Edit:
    """Two clients, of which one is an operator."""
    return added(
        f'[clients.canary]\ntoken = "{CLIENT_TOKEN}"\noperator = true\n'
        f'[clients.other]\ntoken = "{OTHER_TOKEN}"\nupstreams = ["chargeover-us"]\n'
    )


def planted(body: bytes) -> bytes:
    """An invoice for a party that must not be told of."""
    document = json.loads(body)
    return json.dumps({**document, "customer": PARTY}, separators=(",", ":")).encode()


def leaked(text: str, canaries: Iterable[str]) -> list[str]:
    """Which of the canaries a text holds, as they are or as JSON writes them."""
    return [each for each in canaries if each in text or json.dumps(each)[1:-1] in text]


async def found_in(world: World, more: Iterable[str] = ()) -> list[str]:
    """Secrets and parties in the log and in the metrics."""
    places = {"log": "\n".join(map(str, world.logged())), "metrics": await world.metrics()}
    every = (*SECRETS, *PARTIES, *more)
    return [f"{each!r} is in the {place}" for place, text in places.items() for each in leaked(text, every)]
