"""Rules and alerts: what they name exists, each fires when it has to, and a real Prometheus answers every query."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from gateway.__main__ import parser
from tests.support import grafana
from tests.support.prometheus import (
    CASES,
    CONFIG,
    DEPLOY,
    RULES,
    Rule,
    alerts,
    cases,
    promtool,
    rules,
    scraping,
    shortened,
)
from tests.support.readme import README
from tests.support.running import running, timeout
from tests.support.traffic import CLIENTS, TRACE, every_outcome, everything_else

ANCHORS = {
    re.sub(r"[^\w -]", "", title).lower().replace(" ", "-")
    for title in re.findall(r"(?m)^#+ (.*)$", README.read_text())
}
RUNBOOK = README.read_text().partition("\n### Runbook\n")[2].partition("\n## ")[0]
COMMANDS = sorted({" ".join(each.split()) for each in re.findall(r"`invoice-gateway ([^`]+)`", RUNBOOK)})
OWN = r"(?<![\w:])(?:invoice_gateway|process|python)_\w+"
BESIDE = {"job", "instance", "le"}
"""Labels that Prometheus itself adds."""


def expressions() -> dict[str, str]:
    """Every expression of the rules and of the dashboard, by its name."""
    return {each.name: each.expr for each in rules()} | grafana.queries()


def without_threshold(expr: str) -> str:
    """An expression that gives its samples whether or not they are beyond a threshold."""
    return re.sub(r"> [\d.]+( \* [\d.]+)?|(?<=\}) == 0", ">= 0", expr)


def test_promtool_finds_configuration_and_rules_good() -> None:
    """`promtool check config` and `check rules`, every lint of theirs an error."""
    assert promtool("check", "config", str(CONFIG))[0] == 0
    code, said = promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))
    assert code == 0, said


def test_each_alert_fires_and_is_silent_as_its_cases_say() -> None:
    """`promtool test rules`."""
    code, said = promtool("test", "rules", str(CASES))
    assert code == 0, said


def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_is_silent() -> None:
    """And there is no case of an alert that does not exist."""
    asked = set(cases())
    assert asked == {(alert.name, fires) for alert in alerts() for fires in (True, False)}


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert.name)
def test_each_alert_says_what_to_do(alert: Rule) -> None:
    """Severity, summary, description, and a section of the README that its runbook link leads to."""
    assert alert.severity in ("page", "ticket")
    assert alert.annotations.keys() == {"summary", "description", "runbook_url"}
    page, _, anchor = alert.annotations["runbook_url"].partition("#")
    assert page == "README.md"
    assert anchor in ANCHORS
    assert alert.name.lower().startswith(anchor), "the section has the alert's name"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_of_the_runbook_can_be_given(command: str) -> None:
    """The command line knows it, with these options."""
    parser().parse_args(shlex.split(command))


def test_the_runbook_names_panels_that_the_dashboard_has() -> None:
    """In italics."""
    named = set(re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", RUNBOOK))
    assert named
    assert named <= {panel["title"] for panel in grafana.panels()}


def test_the_alerts_know_the_gateway_by_its_job_however_it_is_scraped() -> None:
    """The job of the shipped scrape, and of the PodMonitor, which takes it from a label of the pods."""
    (job,) = {name for rule in rules() for name in re.findall(r'job="([^"]*)"', rule.expr)}
    assert [each["job_name"] for each in yaml.safe_load(CONFIG.read_text())["scrape_configs"]] == [job]
    monitor = yaml.safe_load((DEPLOY / "kubernetes/components/prometheus-operator/pod-monitor.yaml").read_text())[
        "spec"
    ]
    assert monitor["selector"]["matchLabels"][monitor["jobLabel"]] == job


def test_recorded_names_say_level_metric_and_operation() -> None:
    """`level:metric:operations`, the level being the labels that are left."""
    recorded = [each for each in rules() if not each.annotations]
    assert len(recorded) > 5
    for each in recorded:
        level, metric, operation = each.name.split(":")
        left = set(level.replace("job_", "job ").split())
        for kept in re.findall(r"by \(([^)]*)\)", each.expr):
            assert set(kept.split(", ")) - {"le"} == left, each.name
        assert metric.startswith("invoice_gateway_")
        assert re.fullmatch(r"max|ratio_rate\w+|p\d+_rate\w+", operation)


@pytest.mark.parametrize(
    ("rule", "short"),
    [
        ("expr: sum(rate(a_total[5m])) > 0", "expr: sum(rate(a_total[5000ms])) > 0"),
        ("record: job:a:ratio_rate1h", "record: job:a:ratio_rate1h"),
        ("expr: job:a:ratio_rate3d > 0.001", "expr: job:a:ratio_rate3d > 0.001"),
        ("expr: rate(a_total[3d])", "expr: rate(a_total[4320000ms])"),
        ("for: 2m", "for: 2000ms"),
        ("expr: job_upstream:a_age_seconds:max > 900", "expr: job_upstream:a_age_seconds:max > 15"),
        ('summary: "For 2m, for 15 minutes, for 5m"', 'summary: "For 2m, for 15 minutes, for 5m"'),
    ],
)
def test_shortened_rules_are_shorter_in_their_times_alone(rule: str, short: str) -> None:
    """Ranges, `for` and ages; not what is a name, a share or said to people."""
    assert shortened(rule, 60) == short


def test_every_time_of_the_rules_is_shortened(tmp_path: Path) -> None:
    """Nothing is left but milliseconds, and what `promtool` thinks good."""
    path = tmp_path / "rules.yaml"
    path.write_text(shortened(RULES.read_text(), 60))
    assert promtool("check", "rules", str(path))[0] == 0
    judged = [each for group in yaml.safe_load(path.read_text())["groups"] for each in group["rules"]]
    times = re.findall(r"(?<!\w)\d+[a-z]+", " ".join(f"{each['expr']} {each.get('for', '')}" for each in judged))
    assert len(times) > len(judged)
    assert all(time.endswith("ms") for time in times), times
    ages = re.findall(r"_seconds:max > ([\d.]+)", path.read_text())
    assert ages == ["15"]


async def test_all_that_rules_and_dashboard_name_is_in_a_scrape(tmp_path: Path) -> None:
    """Metrics, labels and the values they are compared with; and `promtool check metrics` has nothing to say of it."""
    async with running(tmp_path, timeout("5s"), CLIENTS) as world:
        await every_outcome(world)
        await everything_else(world)
        text = await world.metrics()
    assert promtool("check", "metrics", given=text) == (0, "")
    known: dict[str, dict[str, set[str]]] = {}
    for one in (one for family in text_string_to_metric_families(text) for one in family.samples):
        for label, value in {"": "", **one.labels}.items():
            known.setdefault(one.name, {}).setdefault(label, set()).add(value)
    for name, expr in expressions().items():
        metrics = set(re.findall(OWN, expr))
        assert metrics <= known.keys(), name
        labels = BESIDE.union(*(known[metric] for metric in metrics))
        kept = {word for by in re.findall(r"(?:by|on|group_left) \(([^)]*)\)", expr) for word in by.split(", ")}
        assert not metrics or kept <= labels, name
        for metric, selectors in re.findall(rf"({OWN}){{([^}}]*)}}", expr):
            for label, sign, value in re.findall(r'(\w+)(!?=~?)"([^"]*)"', selectors):
                wanted = value.split("|") if "~" in sign else [value]
                have = known[metric][label]
                assert all(any(re.fullmatch(one, each) for each in have) for one in wanted), (name, label, value)


async def test_a_real_prometheus_answers_every_query_of_rules_and_dashboard(tmp_path: Path) -> None:
    """It scrapes a gateway that has traffic of every outcome; no query is an error, and none is without samples."""
    async with running(tmp_path, timeout("5s"), CLIENTS) as world:
        target = world.service.ops_url.removeprefix("http://")
        async with scraping(tmp_path, target) as prometheus:
            await prometheus.until('sum(up{job="invoice-gateway"}) == 1')
            await every_outcome(world)
            await everything_else(world)
            await prometheus.until("sum(increase(invoice_gateway_discrepancies_total[1m])) > 0")
            await prometheus.until('count(ALERTS{alertstate="firing"}) >= 5')
            for name, expr in expressions().items():
                assert await prometheus.query(without_threshold(expr)), (name, expr)
                await prometheus.query(expr)
            loaded = await prometheus.ask("rules")
            judged = [each for group in loaded["groups"] for each in group["rules"]]
            assert {each["name"] for each in judged} == {each.name for each in rules()}
            assert [each for each in judged if each["health"] != "ok"] == []
            firing = {each["name"] for each in judged if each.get("state") == "firing"}
            assert firing == {f"InvoiceGatewayErrorBudgetBurn{window}" for window in ("1h", "6h", "1d", "3d")} | {
                "InvoiceGatewayDiscrepancies"
            }
            exemplars = await prometheus.ask(
                "query_exemplars",
                query="invoice_gateway_upstream_duration_seconds_bucket",
                start="0",
                end="99999999999",
            )
            assert {one["labels"]["trace_id"] for each in exemplars for one in each["exemplars"]} == {TRACE}
