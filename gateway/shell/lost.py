"""The counter of losses: an invoice has dozens, so that they are only gathered, and added up when somebody asks.

To count each at once would cost about as much as to find them; most invoices of a caller lose the same.
"""

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from gateway.core.losses import MOST_REMEMBERED, pattern
from gateway.core.result import Disposition, Loss

LABELS = ("upstream", "pointer", "disposition")
MOST_GATHERED = 128
"""Different sets of losses of an upstream, each of which is held; those of hostile invoices have no end."""


class Lost(Collector):
    """Counts losses by upstream, pointer (with `*` for indices and keys) and disposition."""

    def __init__(self, name: str, words: str, registry: CollectorRegistry) -> None:
        self._name = name
        self._words = words
        self._gathered: dict[str, Counter[tuple[Loss, ...]]] = {}
        self._counts: Counter[tuple[str, str, Disposition]] = Counter()
        registry.register(self)

    def prepare(self, upstream: str, pointer: str, disposition: Disposition) -> None:
        """Have a count of 0 from the start."""
        self._counts[upstream, pointer, disposition] += 0

    def count(self, upstream: str, losses: tuple[Loss, ...]) -> None:
        """Count an invoice's losses; very many of them at once, so that none has to be held."""
        if len(losses) > MOST_REMEMBERED:
            self._add(upstream, losses, 1)
            return
        gathered = self._gathered.get(upstream)
        if gathered is None:
            gathered = self._gathered[upstream] = Counter()
        gathered[losses] += 1
        if len(gathered) > MOST_GATHERED:
            self._add_up()

    def _add_up(self) -> None:
        for upstream, gathered in self._gathered.items():
            for losses, times in gathered.items():
                self._add(upstream, losses, times)
            gathered.clear()

    def _add(self, upstream: str, losses: tuple[Loss, ...], times: int) -> None:
        for loss in losses:
            self._counts[upstream, pattern(loss.pointer), loss.disposition] += times

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        self._add_up()
        family = CounterMetricFamily(self._name, self._words, labels=LABELS)
        for labels, count in self._counts.items():
            family.add_metric(labels, count)
        yield family
