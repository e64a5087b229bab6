"""The dashboard can be imported anywhere, and says of each panel what it shows."""

import re

from tests.support.grafana import DASHBOARD, dashboard, panels, queries

SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def test_it_is_the_same_dashboard_wherever_it_is_imported() -> None:
    """A stable uid, the schema of a current Grafana, and no id of one Grafana's own: the data source is a variable."""
    found = dashboard()
    assert found["uid"] == "invoice-gateway"
    assert found["schemaVersion"] >= 41
    uids = set(re.findall(r'"uid": "([^"]*)"', DASHBOARD.read_text()))
    assert uids == {"invoice-gateway", "${datasource}", "-- Grafana --"}, "the last is every Grafana's own"
    assert "id" not in found
    assert {"gnetId", "iteration"}.isdisjoint(found)
    variables = {each["name"]: each for each in found["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    assert variables["upstream"]["datasource"] == SOURCE
    assert variables["upstream"]["includeAll"]
    for panel in panels():
        assert panel["datasource"] == SOURCE, panel["title"]
        assert all(target["datasource"] == SOURCE for target in panel["targets"]), panel["title"]


def test_each_panel_says_what_it_shows_in_which_unit_and_when_it_is_bad() -> None:
    """A title of its own, a description, a unit, thresholds, at least one query."""
    titles = [panel["title"] for panel in panels()]
    assert len(titles) == len(set(titles)) > 30
    for panel in panels():
        defaults = panel["fieldConfig"]["defaults"]
        assert len(panel["description"].split()) > 3, panel["title"]
        assert defaults["unit"], panel["title"]
        assert defaults["thresholds"]["steps"][0]["value"] is None, panel["title"]
        values = [step["value"] for step in defaults["thresholds"]["steps"][1:]]
        assert values == sorted(values), panel["title"]
        assert panel["targets"], panel["title"]


def test_rates_are_over_the_interval_that_grafana_chooses() -> None:
    """`$__rate_interval` or `$__range`, so that a graph is right at any zoom; an hour only where the panel says so."""
    for panel in panels():
        for target in panel["targets"]:
            windows = set(re.findall(r"\[([^\]]+)\]", target["expr"]))
            allowed = {"$__rate_interval", "$__range"} | ({"1h"} if "last hour" in panel["description"] else set())
            assert windows <= allowed, panel["title"]


def test_the_upstream_variable_reaches_every_query_that_has_upstreams() -> None:
    """Whoever picks an upstream sees that one alone."""
    for name, expr in queries().items():
        if re.search(r"by \([^)]*upstream", expr):
            assert 'upstream=~".*"' in expr, name


def test_the_first_row_is_about_money_in_doubt() -> None:
    """How many, how long, where, and what upstreams reported otherwise: on one screen, above everything else."""
    first, second = [panel["gridPos"]["y"] for panel in dashboard()["panels"] if panel["type"] == "row"][:2]
    text = " ".join(t["expr"] for panel in panels() if first < panel["gridPos"]["y"] < second for t in panel["targets"])
    for metric in (
        "unresolved_invoices",
        "unresolved_oldest_age_seconds",
        "discrepancies_total",
        "journal_errors_total",
    ):
        assert metric in text
    assert first == 0
    assert second <= 12


def test_no_panel_lies_upon_another() -> None:
    """Every place of the grid belongs to one panel at most, and none is outside."""
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        for place in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            assert place not in taken, (panel["title"], taken.get(place))
            taken[place] = panel["title"]
    numbers = [panel["id"] for panel in dashboard()["panels"]]
    assert len(numbers) == len(set(numbers))
