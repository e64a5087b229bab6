"""The counter of losses: an invoice has dozens, so that they are only gathered, and added up when somebody asks.

To count each at once would cost about as much as to find them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from gateway.core.losses import pattern
from gateway.core.result import Disposition, Loss

LABELS = ("upstream", "pointer", "disposition")
MOST_GATHERED = 4096
"""Different losses of an upstream; those of hostile invoices have no end."""


class Lost(Collector):
    """Counts losses by upstream, pointer (with `*` for indices and keys) and disposition."""

    def __init__(self, name: str, words: str, registry: CollectorRegistry) -> None:
        self._name = name
        self._words = words
        self._gathered: dict[str, Counter[Loss]] = {}
        self._counts: Counter[tuple[str, str, Disposition]] = Counter()
        registry.register(self)

    def prepare(self, upstream: str, pointer: str, disposition: Disposition) -> None:
        """Have a count of 0 from the start."""
        self._counts[upstream, pointer, disposition] += 0

    def count(self, upstream: str, losses: Iterable[Loss]) -> None:
        """Count an invoice's losses."""
        gathered = self._gathered.setdefault(upstream, Counter())
        gathered.update(losses)
        if len(gathered) > MOST_GATHERED:
            self._add_up()

    def _add_up(self) -> None:
        for upstream, gathered in self._gathered.items():
            for loss, times in gathered.items():
                self._counts[upstream, pattern(loss.pointer), loss.disposition] += times
            gathered.clear()

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        self._add_up()
        family = CounterMetricFamily(self._name, self._words, labels=LABELS)
        for labels, count in self._counts.items():
            family.add_metric(labels, count)
        yield family
