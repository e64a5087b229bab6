"""What came of a file's invoices so far: how many of which outcome, how much money, how fast; and how that reads."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from gateway.core.money import exact, plain
from gateway.shell.report import table
from gateway.shell.sending.index import Record

MOST_SHOWN = 10
REPEATED = "repeated"
"""The word for a line that says the same as one before it."""
GOOD = ("created", REPEATED)


class Tally:
    """Counts lines; a line of an earlier run is counted, too, but takes no time."""

    def __init__(self, total: int | None = None) -> None:
        self.total = total
        self.now = Counter[str]()
        self.before = Counter[str]()
        self.amounts: dict[str, Decimal] = {}
        self.shown: list[Record] = []
        self._silent = 0
        self._different = 0
        self._times = Counter[int]()

    def add(self, record: Record, *, before: bool = False) -> None:
        """Count a line by what became of it."""
        (self.before if before else self.now)[record.word] += 1
        if record.word == "created":
            self._pay(record)
            self._different += bool(record.discrepancies)
        elif len(self.shown) < MOST_SHOWN:
            self.shown.append(record)

    def repeat(self) -> None:
        """Count a line that says the same as one before it."""
        self.now[REPEATED] += 1

    def took(self, seconds: float) -> None:
        """Remember how long an answer took, at two digits."""
        milliseconds = round(seconds * 1000)
        self._times[int(float(f"{milliseconds:.1e}"))] += 1

    def _pay(self, record: Record) -> None:
        if record.amount is None:
            self._silent += 1
            return
        currency, amount = record.amount
        with exact():
            self.amounts[currency] = self.amounts.get(currency, Decimal(0)) + Decimal(amount)

    @property
    def done(self) -> int:
        """How many lines are through."""
        return self.now.total() + self.before.total()

    @property
    def sent(self) -> int:
        """How many lines were answered in this run."""
        return self._times.total()

    @property
    def all_created(self) -> bool:
        """Whether there is no line that was not created, now or before."""
        return all(word in GOOD for word in (*self.now, *self.before))

    def percentile(self, share: float) -> int:
        """Milliseconds within which this share of the answers came."""
        wanted, found = share * self.sent, 0
        for milliseconds, many in sorted(self._times.items()):
            found += many
            if found >= wanted:
                return milliseconds
        return 0

    def counts(self) -> str:
        """How many of which outcome, on one line."""
        both = self.now + self.before
        return ", ".join(f"{word} {many:,}" for word, many in both.most_common())

    def pace(self, seconds: float) -> str:
        """Answers a second, and the time that is left at that rate; `seconds` have passed."""
        rate = self.sent / seconds if seconds > 0 else 0
        if self.total is None or not rate:
            return f"{rate:,.0f}/s"
        return f"{rate:,.0f}/s, {span((self.total - self.done) / rate)} left"

    def summary(self, seconds: float) -> Iterator[str]:
        """What came of it, for people."""
        words = sorted({*self.now, *self.before})
        rows = [("outcome", f"{'now':>9}", f"{'before':>9}")]
        rows += [(word, f"{self.now[word]:>9,}", f"{self.before[word]:>9,}") for word in words]
        if self.total is not None and self.total > self.done:
            rows.append(("left", f"{self.total - self.done:>9,}", ""))
        yield from table(rows, "")
        if self.sent:
            rate, quick, slow = self.sent / seconds, self.percentile(0.5), self.percentile(0.95)
            yield f"{self.sent:,} answers in {span(seconds)}, {rate:,.1f}/s; half in {quick} ms, 95 % in {slow} ms"
        if money := ", ".join(f"{currency} {amount_text(amount)}" for currency, amount in sorted(self.amounts.items())):
            silent = f"; of {self._silent:,} the upstream told no amount" if self._silent else ""
            yield f"amounts due of what was created: {money}{silent}"
        if self._different:
            yield f"the upstream says {self._different:,} otherwise than they were sent: `discrepancies` in the results"
        if self.shown:
            missing = sum(many for word, many in (self.now + self.before).items() if word not in GOOD)
            more = f" (the first {MOST_SHOWN} of {missing:,})" if missing > len(self.shown) else ""
            yield f"not created{more}:"
            yield from table(
                (f"line {one.line}", one.external_id or "-", one.word, one.detail[:200]) for one in self.shown
            )


def amount_text(amount: Decimal) -> str:
    """An amount with its thousands apart."""
    return f"{amount:,f}" if amount else plain(amount)


def span(seconds: float) -> str:
    """Seconds as people say them: 3.2 s, 4 min 10 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
