"""What is in the dashboard: its panels and queries, as Prometheus would get them."""

import json
from pathlib import Path
from typing import Any

DASHBOARD = Path(__file__).parent.parent.parent / "deploy" / "grafana" / "dashboard.json"
VALUES = {"$__rate_interval": "20s", "$__range": "5m", "$upstream": ".*"}
"""What Grafana puts in the place of its variables."""


def dashboard() -> dict[str, Any]:
    """The dashboard."""
    found: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return found


def panels() -> list[dict[str, Any]]:
    """The panels that show something: all but the titles of rows."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def queries() -> dict[str, str]:
    """Every query by its panel's title and letter, the variables filled in."""
    return {
        f"{panel['title']} {target['refId']}": filled(target["expr"])
        for panel in panels()
        for target in panel["targets"]
    } | {each["name"]: filled(each["expr"]) for each in dashboard()["annotations"]["list"] if "expr" in each}


def filled(expr: str) -> str:
    """A query with values in the place of Grafana's variables."""
    for variable, value in VALUES.items():
        expr = expr.replace(variable, value)
    return expr
