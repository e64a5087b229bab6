"""What the journal tells of invoices, each client of its own; and an operator's word on those in doubt."""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct, structs

from gateway.core.answer import Resolution, Result, moment
from gateway.core.codes import CONTROL
from gateway.core.errors import AlreadyConcluded, Fault, Forbidden, InProgress, InvalidRequest, NotFound
from gateway.core.events import Event, Resolved
from gateway.core.invoice import Id, Text
from gateway.core.journal import PENDING, Entry, stepped
from gateway.core.plan import Caller
from gateway.core.results import kept, resolved, stored
from gateway.core.wording import quoted
from gateway.shell.gateway import about
from gateway.shell.journal import IdTaken, Query
from gateway.shell.journal.journal import Journal


class Verdict(Struct, frozen=True, forbid_unknown_fields=True):
    """An operator's word on a doubt; `upstream_id` is what the upstream calls the invoice, if it was created."""

    outcome: Literal["created", "not_sent"]
    reason: Text
    upstream_id: Id | None = None


class Records:
    """Reads the journal for callers, and resolves for operators."""

    def __init__(self, journal: Journal, tell: Callable[[Event], None]) -> None:
        self._journal = journal
        self._tell = tell

    async def read(self, entry_id: str, caller: Caller) -> Entry:
        """An entry of the caller's; any, if it is an operator.

        Raises:
            NotFound: there is none that it may see.
            JournalUnavailable: the journal cannot be read.
        """
        entry = None if CONTROL.search(entry_id) else await self._journal.get(entry_id)
        if entry is None or not (caller.operator or entry.client == caller.name):
            raise NotFound(f"there is no invoice {quoted(entry_id)}")
        return entry

    async def page(self, query: Query, caller: Caller) -> list[Entry]:
        """The caller's entries, newest first; an operator's are everybody's.

        Raises:
            JournalUnavailable: the journal cannot be read.
        """
        client = query.client if caller.operator else caller.name
        return await self._journal.page(structs.replace(query, client=client))

    async def resolve(self, entry_id: str, verdict: Verdict, caller: Caller) -> Result:
        """Take an operator's word on an invoice in doubt; saying the same again changes nothing.

        Raises:
            Problem: nothing was changed; says why.
        """
        if not caller.operator:
            raise Forbidden("only an operator may resolve a doubt")
        entry = await self.read(entry_id, caller)
        before = stored(entry)
        said = (before.outcome, entry.upstream_id)
        if before.resolution is not None and said == (verdict.outcome, verdict.upstream_id):
            return before
        if entry.state in PENDING:
            raise about(InProgress("it is still being delivered"), entry)
        if entry.state != "unknown":
            raise about(AlreadyConcluded(f"its outcome is {entry.state}"), entry)
        now = self._journal.now()
        word = Resolution(caller.name, verdict.reason, moment(now))
        result = resolved(entry, verdict.outcome, verdict.upstream_id, word)
        text = kept(result)
        decided = stepped(entry, verdict.outcome, now, upstream_id=verdict.upstream_id, result=text)
        try:
            changed = await self._journal.change(entry, decided)
        except IdTaken:
            detail = f"{entry.upstream} has given the id {quoted(str(verdict.upstream_id))} to another invoice"
            raise InvalidRequest(detail, (Fault("/upstream_id", "taken", detail),)) from None
        if not changed:
            raise about(InProgress("it changed while you decided; read it again"), entry)
        self._tell(Resolved(entry.id, entry.upstream, verdict.outcome, caller.name))
        return result
