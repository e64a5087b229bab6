"""The counter of losses: every loss is counted, by its pattern, however many different ones there are."""

from prometheus_client import CollectorRegistry

from gateway.core.losses import MOST_REMEMBERED
from gateway.core.result import Loss
from gateway.shell.lost import MOST_GATHERED, Lost


def value(registry: CollectorRegistry, upstream: str, pointer: str, disposition: str = "dropped") -> float | None:
    """What Prometheus reads."""
    labels = {"upstream": upstream, "pointer": pointer, "disposition": disposition}
    return registry.get_sample_value("lost_total", labels)


def test_losses_are_counted_by_their_patterns() -> None:
    """Indices and keys are no labels; each upstream and disposition has a count of its own, also between two looks."""
    registry = CollectorRegistry()
    lost = Lost("lost", "what was lost", registry)
    lost.prepare("eu", "/note", "dropped")
    assert value(registry, "eu", "/note") == 0
    for _ in range(2):
        lost.count("eu", (Loss("/note", "dropped", None, ""), Loss("/lines/0/id", "dropped", None, "")))
        lost.count("eu", (Loss("/lines/7/id", "dropped", None, ""), Loss("/metadata/own", "folded", None, "")))
    lost.count("us", (Loss("/note", "derived", None, "otherwise"),))
    assert value(registry, "eu", "/note") == 2
    lost.count("eu", (Loss("/note", "dropped", None, "for another reason"),))
    assert [value(registry, "eu", each) for each in ("/note", "/lines/*/id", "/lines/0/id")] == [3, 4, None]
    assert value(registry, "eu", "/metadata/*", "folded") == 2
    assert (value(registry, "us", "/note", "derived"), value(registry, "us", "/note")) == (1, None)


def test_hostile_losses_are_added_up_before_they_are_too_many() -> None:
    """Every key of the caller's own is another loss."""
    registry = CollectorRegistry()
    lost = Lost("lost", "what was lost", registry)
    for number in range(3 * MOST_GATHERED):
        lost.count("eu", (Loss(f"/metadata/{number}", "dropped", None, ""),))
        assert sum(len(each) for each in lost._gathered.values()) <= MOST_GATHERED  # noqa: SLF001 - its very bound
    assert value(registry, "eu", "/metadata/*") == 3 * MOST_GATHERED


def test_very_many_losses_are_counted_and_not_held() -> None:
    """A hostile invoice has a hundred thousand, and the next one others."""
    registry = CollectorRegistry()
    lost = Lost("lost", "what was lost", registry)
    for many in (MOST_REMEMBERED, MOST_REMEMBERED + 1):
        lost.count("eu", tuple(Loss(f"/metadata/{many}-{each}", "dropped", None, "") for each in range(many)))
    held = [len(losses) for each in lost._gathered.values() for losses in each]  # noqa: SLF001 - its very bound
    assert held == [MOST_REMEMBERED]
    assert value(registry, "eu", "/metadata/*") == 2 * MOST_REMEMBERED + 1
