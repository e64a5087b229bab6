"""What `check` finds in a configuration beside its faults: where, in words, and the invoice that shows it."""

from typing import Literal

from msgspec import Struct

from gateway.core.config import Sample
from gateway.core.invoice import Invoice

Severity = Literal["fault", "warning"]


class Witness(Struct, frozen=True):
    """An invoice that shows a finding: who sends it, what of it matters, and all of it."""

    client: str
    fields: Sample
    invoice: Invoice


class Finding(Struct, frozen=True):
    """One thing to mend: `place` is a pointer into the document; an upstream that is not used has no witness."""

    severity: Severity
    code: str
    place: str
    words: str
    rule: str | None = None
    witness: Witness | None = None
