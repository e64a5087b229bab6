"""The manifests hold what they promise, and each check of that notices when they do not."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.core.config import UpstreamConfig
from gateway.shell.metrics import Metrics
from gateway.shell.trial_commands import check as check_configuration
from tests.deploy.conftest import OVERLAYS, VARIANTS
from tests.deploy.faults import FAULTS, GATEWAY, GONE, HA, POD, Fault, changed
from tests.support import cluster, pods
from tests.support.manifests import Document, configuration, every, lay_out, one, pod, tool
from tests.support.readme import README

CHECKS = {
    each.__name__: each
    for each in (
        *(pods.restricted, pods.hardened, pods.probed, pods.graceful, pods.mounted, pods.sized),
        *(cluster.selected, cluster.guarded, cluster.scaled, cluster.meshed),
    )
}
VERSIONS = ("1.30", "1.37")
WITHOUT_SCHEMA = {"PodMonitor", "PrometheusRule", "ServiceEntry", "VirtualService"}
"""Kinds that an operator brings into the cluster; kubernetes-validate knows none of them."""


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("check", [name for name in CHECKS if name != "meshed"])
def test_the_manifests_are_good(variants: dict[str, list[Document]], variant: str, check: str) -> None:
    """Each overlay, with and without its components, passes each check."""
    assert list(CHECKS[check](variants[variant])) == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_mesh_repeats_nothing(variants: dict[str, list[Document]], overlay: str) -> None:
    """With the component for Istio, no retry is made that the gateway does not know of."""
    assert list(cluster.meshed(variants[f"{overlay}, with components"])) == []


@pytest.mark.parametrize(
    ("check", "fault"),
    [(check, fault) for check, faults in FAULTS.items() for fault in faults],
    ids=[f"{check}-{number}" for check, faults in FAULTS.items() for number, _ in enumerate(faults)],
)
def test_a_fault_is_noticed(variants: dict[str, list[Document]], check: str, fault: Fault) -> None:
    """One thing changed in what kubectl rendered, and the check for it says so."""
    variant, path, value, words = fault
    found = list(CHECKS[check](changed(variants[variant], path, value)))
    assert any(words in each for each in found), found


def test_no_check_is_left_without_a_fault() -> None:
    """Each has been seen to fail."""
    assert FAULTS.keys() == CHECKS.keys()


def validated(documents: list[Document], folder: Path) -> tuple[int, list[str]]:
    """The exit code and the complaints of kubernetes-validate."""
    path = folder / "manifests.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    versions = [part for version in VERSIONS for part in ("-k", version)]
    command = [tool("kubernetes-validate"), "--strict", "--quiet", *versions, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - our own
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_schemas_know_every_field(variants: dict[str, list[Document]], variant: str, tmp_path: Path) -> None:
    """Strictly, in the oldest and the newest version of Kubernetes that is meant; only foreign kinds have no schema."""
    code, complaints = validated(variants[variant], tmp_path)
    foreign = [each for each in variants[variant] if each["kind"] in WITHOUT_SCHEMA]
    assert code == 0, complaints
    assert len(complaints) == len(foreign) * len(VERSIONS)
    assert all("Couldn't find schema for kind" in complaint for complaint in complaints)


@pytest.mark.parametrize(
    ("path", "value"),
    [(f"{GATEWAY}/readinesProbe", {}), (f"{POD}/terminationGracePeriodSeconds", "75s"), (f"{GATEWAY}/name", GONE)],
)
def test_the_schemas_notice_a_wrong_field(
    variants: dict[str, list[Document]], path: str, value: Any, tmp_path: Path
) -> None:
    """A name that is misspelt, a value of the wrong type, a field that is missing."""
    code, complaints = validated(changed(variants[HA], path, value), tmp_path)
    assert code == 1
    assert [complaint for complaint in complaints if complaint.startswith("ERROR")]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_gateway_finds_its_configuration_good(
    variants: dict[str, list[Document]], overlay: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`invoice-gateway check`, on the folder that the pod sees, has no fault and no warning."""
    assert check_configuration(lay_out(variants[overlay], tmp_path, "a-secret")) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_another_configuration_rolls_the_pods(variants: dict[str, list[Document]], overlay: str) -> None:
    """The name of the ConfigMap, which the pod names, ends in a hash of its content."""
    [config] = every(variants[overlay], "ConfigMap")
    assert config["metadata"]["name"].removeprefix("invoice-gateway-").isalnum()
    sources = pod(variants[overlay])["volumes"][0]["projected"]["sources"]
    assert [each["configMap"]["name"] for each in sources if "configMap" in each] == [config["metadata"]["name"]]


def test_the_autoscaler_of_the_component_asks_a_metric_that_there_is(variants: dict[str, list[Document]]) -> None:
    """The gateway has it, and it can rise above what a pod is meant to have."""
    [_, asked] = one(variants[f"{HA}, with components"], "HorizontalPodAutoscaler")["spec"]["metrics"]
    assert f"{asked['pods']['metric']['name']}" in Metrics().registry._names_to_collectors  # noqa: SLF001
    upstreams = configuration(variants[HA])["upstreams"].values()
    most = sum(UpstreamConfig(**upstream).max_in_flight for upstream in upstreams)
    assert int(asked["pods"]["target"]["averageValue"]) < most


def test_the_readme_creates_the_secrets_that_are_mounted(variants: dict[str, list[Document]]) -> None:
    """Each by its name, with each of its keys."""
    commands = re.findall(r"create secret generic ([\w-]+)((?:.*\\\n)*.*)", README.read_text())
    told = {name: set(re.findall(r"--from-\w+=([\w-]+)", rest)) for name, rest in commands}
    sources = [
        source["secret"] for source in pod(variants[HA])["volumes"][0]["projected"]["sources"] if "secret" in source
    ]
    assert told == {source["name"]: {item["key"] for item in source["items"]} for source in sources}
