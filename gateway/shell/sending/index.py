"""What is known of the invoices of a file: results of earlier runs, and which `external_id` stands on which line.

Kept in a database of SQLite that is deleted when it is closed, so that a million lines need no memory.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from gateway.core.result import Discrepancy

OF_CONTENT = frozenset(
    ("malformed-json", "invalid-invoice", "totals-mismatch", "too-large", "external-id-reused", "rejected")
)
"""The problems that the same content meets again, so that it is not sent again."""


class _Totals(Struct, frozen=True):
    amount_due: str | None = None


class _Made(Struct, frozen=True):
    currency: str | None = None
    totals: _Totals = _Totals()


class Record(Struct, frozen=True):
    """What a line of the results file says, as far as it matters here; `invoice` is an id in a problem."""

    line: int
    content: str
    gateway: str
    external_id: str | None = None
    outcome: str | None = None
    type: str = ""
    detail: str = ""
    invoice: _Made | str | None = None
    discrepancies: tuple[Discrepancy, ...] = ()

    @property
    def word(self) -> str:
        """The outcome, or the problem's name where nothing was sent."""
        return self.outcome or self.type.rpartition("/")[2] or "no answer"

    @property
    def is_final(self) -> bool:
        """Whether to send the same content again would come to the same."""
        return self.outcome == "created" or self.type.rpartition("/")[2] in OF_CONTENT

    @property
    def amount(self) -> tuple[str, str] | None:
        """Currency and amount due of a created invoice, where the upstream said them."""
        made = self.invoice
        if self.outcome != "created" or not isinstance(made, _Made):
            return None
        return (made.currency or "without a currency", made.totals.amount_due) if made.totals.amount_due else None


DECODE = msgspec.json.Decoder(Record).decode


class ResultsError(Exception):
    """The results file, or what is known by it, cannot be used; says why, for a person."""


class Index:
    """Final records by their invoices, and lines by their `external_id`."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)  # a temporary file
        self._db.executescript(
            """
            PRAGMA journal_mode = OFF;
            PRAGMA synchronous = OFF;
            BEGIN;
            CREATE TABLE known (external_id, content, record, PRIMARY KEY (external_id, content)) WITHOUT ROWID;
            CREATE TABLE seen (external_id PRIMARY KEY, content, line) WITHOUT ROWID;
            """
        )

    def close(self) -> None:
        """Forget everything."""
        self._db.close()

    def keep(self, record: Record) -> None:
        """Remember a record if it is final."""
        if not record.is_final:
            return
        row = (record.external_id or "", record.content, msgspec.json.encode(record))
        self._run("INSERT OR REPLACE INTO known VALUES (?, ?, ?)", row)

    def known(self, external_id: str, content: str) -> Record | None:
        """The final record of an invoice with that content."""
        wanted = (external_id, content)
        row = self._run("SELECT record FROM known WHERE external_id = ? AND content = ?", wanted)
        return DECODE(row[0]) if row else None

    def earlier(self, external_id: str, content: str, line: int) -> tuple[int, bool] | None:
        """The line that had the `external_id` before, and whether its content is the same; None for the first."""
        row = self._run("SELECT line, content FROM seen WHERE external_id = ?", (external_id,))
        if row:
            return row[0], row[1] == content
        self._run("INSERT INTO seen VALUES (?, ?, ?)", (external_id, content, line))
        return None

    def _run(self, statement: str, values: Sequence[str | int | bytes]) -> tuple[Any, ...] | None:
        """The first row of what a statement finds.

        Raises:
            ResultsError: the temporary file cannot be used, as when its disk is full.
        """
        try:
            found: tuple[Any, ...] | None = self._db.execute(statement, values).fetchone()
        except sqlite3.Error as error:
            raise ResultsError(f"the temporary file of what is known: {error}") from None
        return found
