"""The rules of `deploy/prometheus/rules.yaml` in the form that the Prometheus Operator reads."""

from textwrap import indent

from tests.support.manifests import FOLDER, ROOT

RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"
OPERATOR = FOLDER / "components" / "prometheus-operator" / "prometheus-rule.yaml"
HEAD = """\
# Written by `pytest tests/deploy/test_rules.py --update` from deploy/prometheus/rules.yaml; change that file.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: invoice-gateway
spec:
"""


def of_prometheus() -> str:
    """The rules file; no rules, where there is none."""
    return RULES.read_text() if RULES.exists() else "groups: []\n"


def wrapped(text: str) -> str:
    """A rules file of Prometheus as a PrometheusRule: the same text, comments and all, further in."""
    return HEAD + indent(text, "  ")
