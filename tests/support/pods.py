"""What must hold of the pod, whatever else a cluster makes of it. Each check yields its faults in words."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from prometheus_client import CollectorRegistry

from gateway import __version__
from gateway.core.config import Server, UpstreamConfig, seconds
from gateway.shell.health import Health
from tests.support.manifests import (
    Document,
    configuration,
    container,
    every,
    named_files,
    one,
    pod,
    projected,
    workload,
)

CONFIG = "/etc/invoice-gateway/gateway.toml"
"""Where the image looks for its configuration."""
USER = 65532
MARGIN = 10.0
"""Seconds that a pod needs to end beyond what it waits for: to write outcomes, to close the journal."""
NOTICED = 5.0
"""Seconds until every node has heard that the pod goes."""
VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip


def restricted(documents: list[Document]) -> Iterator[str]:
    """Every field of the Pod Security Standard `restricted`, which the namespace enforces."""
    spec = pod(documents)
    labels = one(documents, "Namespace")["metadata"].get("labels", {})
    if labels.get("pod-security.kubernetes.io/enforce") != "restricted":
        yield "the namespace does not enforce the profile"
    yield from (f"{field} is shared" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field))
    for volume in spec["volumes"]:
        yield from (f"a volume is a {kind}" for kind in volume if kind not in VOLUMES | {"name"})
    if spec["securityContext"].get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "no seccomp profile"
    for each in spec["containers"] + spec.get("initContainers", []):
        own = each["securityContext"]
        context = spec["securityContext"] | own
        yield from (f"hostPort {port['hostPort']}" for port in each["ports"] if "hostPort" in port)
        if context.get("runAsNonRoot") is not True or context.get("runAsUser") == 0:
            yield "may be root"
        if own.get("allowPrivilegeEscalation") is not False:
            yield "may gain privileges"
        if own.get("capabilities") != {"drop": ["ALL"]}:
            yield "has capabilities"
        allowed = {"allowPrivilegeEscalation", "capabilities", "readOnlyRootFilesystem"}
        yield from (f"{field} in a container's securityContext" for field in own.keys() - allowed)
    allowed = {"runAsNonRoot", "runAsUser", "runAsGroup", "fsGroup", "fsGroupChangePolicy", "seccompProfile"}
    yield from (f"{field} in the pod's securityContext" for field in spec["securityContext"].keys() - allowed)


def hardened(documents: list[Document]) -> Iterator[str]:
    """What is asked beyond the profile: one user, nothing to write to, no token, no foreign environment."""
    spec, gateway = pod(documents), container(documents)
    for field in ("runAsUser", "runAsGroup", "fsGroup"):
        if spec["securityContext"].get(field) != USER:
            yield f"{field} is not {USER}"
    if gateway["securityContext"].get("readOnlyRootFilesystem") is not True:
        yield "the root file system can be written to"
    for place in (spec, one(documents, "ServiceAccount")):
        if place.get("automountServiceAccountToken") is not False:
            yield "a token for the cluster's API is mounted"
    if spec.get("enableServiceLinks") is not False:
        yield "the environment names other Services"
    if "env" in gateway or "envFrom" in gateway:
        yield "something comes by the environment; secrets are files"
    scratch = [volume["emptyDir"] for volume in spec["volumes"] if "emptyDir" in volume]
    if not all(each.get("medium") == "Memory" and "sizeLimit" in each for each in scratch):
        yield "a scratch folder is not in memory, or not bounded"


def probed(documents: list[Document]) -> Iterator[str]:
    """The probes ask paths that the operations port has; ports are those that the gateway listens on."""
    gateway, server = container(documents), Server(**configuration(documents)["server"])
    ports = {port["name"]: port["containerPort"] for port in gateway["ports"]}
    for name, listener in (("api", server.listen), ("ops", server.ops_listen)):
        if listener != f"0.0.0.0:{ports.get(name)}":
            yield f"the port {name} is not {listener}"
    routes = Health().application(CollectorRegistry()).router.resources()
    paths = {route.canonical for route in routes}
    asked = {"startupProbe": "/readyz", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    for name, path in asked.items():
        probe = gateway.get(name, {}).get("httpGet", {})
        if probe.get("port") != "ops" or probe.get("path") != path or path not in paths:
            yield f"the {name} does not ask {path} of the port ops"
    startup = gateway.get("startupProbe", {})
    if (startup.get("periodSeconds"), startup.get("failureThreshold")) != (1, 60):
        yield "the startupProbe does not ask every second for a minute"
    for each in every(documents, "Service"):
        yield from (
            f"no port {port['targetPort']}" for port in each["spec"]["ports"] if port["targetPort"] not in ports
        )
    for each in every(documents, "PodMonitor"):
        for point in each["spec"]["podMetricsEndpoints"]:
            if point["port"] != "ops" or point["path"] not in paths:
                yield f"there are no metrics at {point['path']} of the port {point['port']}"


def graceful(documents: list[Document]) -> Iterator[str]:
    """It ends when no caller is sent to it any more, and has time for a body, the slowest route, and what follows."""
    config = configuration(documents)
    upstreams = {name: UpstreamConfig(**each) for name, each in config["upstreams"].items()}
    waits = {name: seconds(each.timeout) for name, each in upstreams.items()}
    routes = [(route.get("split", [route.get("to")]), route.get("fallback", [])) for route in config["routes"]]
    # A stand-in has its whole time anew.
    slowest = max(max(waits[name] for name in first) + sum(waits[name] for name in then) for first, then in routes)
    server = Server(**config["server"])
    if seconds(server.drain_delay) < NOTICED:
        yield "the gateway ends while callers are still sent to it"
    needed = seconds(server.drain_delay) + seconds(server.body_timeout) + slowest + MARGIN
    given = pod(documents).get("terminationGracePeriodSeconds", 30)
    if given < needed:
        yield f"the pod is killed after {given} s, and may need {needed:g} s"


def mounted(documents: list[Document]) -> Iterator[str]:
    """Every file that gateway.toml names is mounted, and every file that is mounted is named by it."""
    there = set(projected(documents)) - {"gateway.toml"}
    named = set(named_files(configuration(documents)))
    yield from (f"{name} is named and not mounted" for name in sorted(named - there))
    yield from (f"{name} is mounted and not named" for name in sorted(there - named))
    claims = workload(documents)["spec"].get("volumeClaimTemplates", [])
    volumes = {each["name"] for each in pod(documents)["volumes"]} | {each["metadata"]["name"] for each in claims}
    mounts = {each["name"]: each["mountPath"] for each in container(documents)["volumeMounts"]}
    yield from (f"the volume {name} is mounted nowhere, or is none" for name in sorted(volumes ^ mounts.keys()))
    if mounts.get("config") != str(PurePosixPath(CONFIG).parent):
        yield f"the configuration is not at {CONFIG}"
    if mounts.get("tmp") != "/tmp":  # noqa: S108 - the pod's own
        yield "there is no /tmp"
    url = projected(documents).get("journal-url")
    if url and PurePosixPath(url.removeprefix("sqlite://")).parent != PurePosixPath(mounts.get("journal", "")):
        yield "the journal is on no volume"


def sized(documents: list[Document]) -> Iterator[str]:
    """The image is a release by its number, no tag that moves; the pod asks for what it needs."""
    name, _, tag = container(documents)["image"].rpartition(":")
    if not name or tag != __version__:
        yield f"the image is {name}:{tag}, not the release {__version__}"
    labels = workload(documents)["spec"]["template"]["metadata"]["labels"]
    if labels.get("app.kubernetes.io/version") != __version__:
        yield f"the label of the version is not {__version__}"
    wanted = {"requests": {"cpu": "250m", "memory": "192Mi"}, "limits": {"memory": "384Mi"}}
    if container(documents).get("resources") != wanted:
        yield f"the resources are not {wanted}"
