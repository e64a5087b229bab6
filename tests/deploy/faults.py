"""Faults put into the manifests: for each check, what is changed in what kubectl rendered, and what the check says."""

from copy import deepcopy
from typing import Any

from tests.support.manifests import Document, every
from tests.support.running import replaced

HA, SINGLE, MESHED = "postgres-ha", "sqlite-single", "postgres-ha, with components"
GONE = object()
WORK = "Deployment/invoice-gateway/spec"
FILE = "StatefulSet/invoice-gateway/spec"
POD = f"{WORK}/template/spec"
SOURCES = f"{POD}/volumes/0/projected/sources"
SPREAD = f"{POD}/topologySpreadConstraints"
BUDGET = "PodDisruptionBudget/invoice-gateway/spec"
GATEWAY = f"{POD}/containers/0"
TOML = "ConfigMap/invoice-gateway/data/gateway.toml"
POLICY = "NetworkPolicy/invoice-gateway/spec"
SCALER = "HorizontalPodAutoscaler/invoice-gateway/spec"
MESH = "VirtualService/invoice-gateway"
MONITOR = "PodMonitor/invoice-gateway/spec"
SPACE = "Namespace/invoice-gateway/metadata"
STAND_IN = 'split = { chargeover-us = 1, exsited-sydney = 1 }\nfallback = ["exsited-sydney"]'
CALLS = f"{MESH}/spec/http/0/retries"

Fault = tuple[str, str, Any, str]
"""The variant, the place, what is put there, and words of the complaint."""

FAULTS: dict[str, list[Fault]] = {
    "restricted": [
        (HA, f"{SPACE}/labels/pod-security.kubernetes.io~1enforce", "baseline", "does not enforce"),
        (HA, f"{POD}/hostNetwork", True, "hostNetwork is shared"),
        (HA, f"{POD}/hostPID", True, "hostPID is shared"),
        (HA, f"{POD}/hostIPC", True, "hostIPC is shared"),
        (HA, f"{POD}/volumes/-", {"name": "own", "hostPath": {"path": "/"}}, "a volume is a hostPath"),
        (HA, f"{POD}/securityContext/seccompProfile", GONE, "no seccomp profile"),
        (HA, f"{POD}/securityContext/runAsNonRoot", GONE, "may be root"),
        (HA, f"{POD}/securityContext/sysctls", [], "sysctls in the pod's"),
        (HA, f"{GATEWAY}/securityContext/runAsUser", 0, "may be root"),
        (HA, f"{GATEWAY}/securityContext/allowPrivilegeEscalation", GONE, "may gain privileges"),
        (HA, f"{GATEWAY}/securityContext/capabilities/add", ["NET_ADMIN"], "has capabilities"),
        (HA, f"{GATEWAY}/securityContext/capabilities/drop", [], "has capabilities"),
        (HA, f"{GATEWAY}/securityContext/privileged", True, "privileged in a container's"),
        (HA, f"{GATEWAY}/ports/0/hostPort", 80, "hostPort 80"),
        (HA, f"{POD}/initContainers", [{"ports": [], "securityContext": {}}], "has capabilities"),
    ],
    "hardened": [
        (HA, f"{POD}/securityContext/runAsUser", 1000, "runAsUser is not 65532"),
        (HA, f"{GATEWAY}/securityContext/readOnlyRootFilesystem", False, "can be written to"),
        (HA, f"{POD}/automountServiceAccountToken", True, "a token for"),
        (HA, "ServiceAccount/invoice-gateway/automountServiceAccountToken", GONE, "a token for"),
        (HA, f"{POD}/enableServiceLinks", GONE, "names other Services"),
        (HA, f"{GATEWAY}/env", [{"name": "TOKEN", "value": "x"}], "by the environment"),
        (HA, f"{POD}/volumes/1/emptyDir", {}, "not in memory, or not bounded"),
    ],
    "probed": [
        (HA, f"{GATEWAY}/ports/1/containerPort", 9090, "the port ops is not 0.0.0.0:8081"),
        (HA, TOML, replaced('listen = "0.0.0.0:8080"', 'listen = "0.0.0.0:80"'), "the port api is not 0.0.0.0:80"),
        (HA, f"{GATEWAY}/startupProbe/failureThreshold", 3, "every second for a minute"),
        (HA, f"{GATEWAY}/livenessProbe/httpGet/path", "/readyz", "the livenessProbe does not ask /livez"),
        (HA, f"{GATEWAY}/readinessProbe/httpGet/port", "api", "the readinessProbe does not ask /readyz"),
        (HA, f"{GATEWAY}/readinessProbe", GONE, "the readinessProbe does not ask /readyz"),
        (HA, "Service/invoice-gateway/spec/ports/0/targetPort", "http", "no port http"),
        (MESHED, f"{MONITOR}/podMetricsEndpoints/0/path", "/prometheus", "no metrics at /prometheus"),
    ],
    "graceful": [
        (HA, f"{POD}/terminationGracePeriodSeconds", GONE, "killed after 30 s, and may need 55 s"),
        (HA, TOML, replaced('timeout = "30s"', 'timeout = "60s"'), "may need 85 s"),
        (HA, TOML, replaced('to = "chargeover-us"', STAND_IN), "may need 85 s"),
        (HA, TOML, replaced('drain_delay = "5s"', 'drain_delay = "1m"'), "may need 110 s"),
        (HA, TOML, replaced('drain_delay = "5s"', 'drain_delay = "1s"'), "while callers are still sent to it"),
    ],
    "mounted": [
        (HA, f"{SOURCES}/1/secret/items/0", GONE, "secrets/billing-token is named and not mounted"),
        (HA, TOML, replaced("secrets/desk-token", "secrets/billing-token"), "desk-token is mounted and not named"),
        (HA, TOML, replaced("customers.csv", "people.csv"), "people.csv is named and not mounted"),
        (HA, f"{SOURCES}/3", GONE, "journal-url is named and not mounted"),
        (HA, f"{GATEWAY}/volumeMounts/0/mountPath", "/config", "the configuration is not at"),
        (HA, f"{GATEWAY}/volumeMounts/1", GONE, "the volume tmp is mounted nowhere"),
        (SINGLE, f"{FILE}/template/spec/containers/0/volumeMounts/2/mountPath", "/var/lib", "no volume"),
    ],
    "sized": [
        (HA, f"{GATEWAY}/image", "registry.example/invoice-gateway:latest", "not the release"),
        (HA, f"{GATEWAY}/image", "invoice-gateway", "not the release"),
        (HA, f"{WORK}/template/metadata/labels/app.kubernetes.io~1version", "0.0.1", "the label"),
        (HA, f"{GATEWAY}/resources/limits/cpu", "1", "the resources are not"),
    ],
    "selected": [
        (HA, "Service/invoice-gateway/spec/selector", {"app": "gateway"}, "Service invoice-gateway selects no pod"),
        (HA, f"{BUDGET}/selector", {}, "PodDisruptionBudget invoice-gateway selects no pod"),
        (HA, f"{POLICY}/podSelector/matchLabels", {"app": "x"}, "NetworkPolicy invoice-gateway selects no pod"),
        (HA, f"{SPREAD}/1/labelSelector/matchLabels", {"app": "x"}, "kubernetes.io/hostname selects"),
        (HA, f"{POD}/serviceAccountName", "default", "there is no ServiceAccount default"),
        (HA, f"{SCALER}/scaleTargetRef/kind", "StatefulSet", "there is no StatefulSet"),
        (SINGLE, f"{FILE}/serviceName", "journal", "there is no Service journal"),
        (HA, "Service/invoice-gateway/metadata/labels/app.kubernetes.io~1part-of", GONE, "no label app"),
        (HA, "Service/invoice-gateway/metadata/namespace", "default", "in another namespace"),
        (MESHED, f"{MONITOR}/selector/matchLabels", {"app": "x"}, "PodMonitor invoice-gateway selects"),
    ],
    "guarded": [
        (HA, "NetworkPolicy/default-deny/spec/policyTypes", ["Ingress"], "not everything is denied"),
        (HA, f"{POLICY}/ingress/0/from", GONE, "the port api is open to []"),
        (HA, f"{POLICY}/ingress/1/from/0/namespaceSelector", {}, "the port ops is open"),
        (HA, f"{POLICY}/ingress/0/ports", GONE, "the port None is open"),
        (HA, f"{POLICY}/egress/1/to/0/ipBlock/except/3", GONE, "169.254.169.254 is reached at the port 443"),
        (HA, f"{POLICY}/egress/1/to/0/ipBlock/except/4", "172.0.0.0/8", "172.15.0.1 is out of reach"),
        (HA, f"{POLICY}/egress/1/to/1", GONE, "2620:fe::fe is out of reach"),
        (HA, f"{POLICY}/egress/1/ports/0/port", 80, "at the port 80"),
        (HA, f"{POLICY}/egress/0/to/0", {}, "a peer at the port 53 is anybody"),
        (HA, "NetworkPolicy/invoice-gateway-journal/spec/egress", [], "the journal are out of reach"),
        (SINGLE, f"{POLICY}/egress/0", GONE, "names are out of reach"),
    ],
    "scaled": [
        (HA, f"{WORK}/strategy/rollingUpdate/maxUnavailable", 1, "replaced before"),
        (HA, f"{WORK}/minReadySeconds", GONE, "replaced before"),
        (HA, f"{WORK}/replicas", 3, "the autoscaler alone says"),
        (HA, f"{SCALER}/maxReplicas", 100, "3 to 12"),
        (HA, f"{SCALER}/metrics/0/resource/target/averageUtilization", 95, "at 60 %"),
        (HA, f"{BUDGET}/unhealthyPodEvictionPolicy", GONE, "hang at a sick one"),
        (HA, f"{SPREAD}/0", GONE, "not spread"),
        (HA, f"{SOURCES}/3", GONE, "the journal's URL is no secret"),
        (SINGLE, f"{FILE}/replicas", 2, "more than one pod may write"),
        (SINGLE, f"{FILE}/volumeClaimTemplates/0/spec/accessModes", ["ReadWriteOnce"], "may mount"),
        (SINGLE, "ConfigMap/invoice-gateway/data/journal-url", "postgresql://x", "the journal is no file"),
    ],
    "meshed": [
        (MESHED, f"{MESH}-chargeover-us/spec/http/0/retries/attempts", 2, "is repeated otherwise"),
        (MESHED, f"{MESH}-chargeover-us/spec/http/0/retries", GONE, "is repeated otherwise"),
        (MESHED, f"{CALLS}/retryOn", "5xx", "is repeated otherwise"),
        (MESHED, "ServiceEntry/invoice-gateway-upstreams/spec/hosts/0", GONE, "other upstreams"),
        (MESHED, TOML, replaced("api.exsited.example", "api2.exsited.example"), "other upstreams"),
        (MESHED, f"{MESH}-exsited-sydney/spec/tls/0/route/0/destination/host", "x", "goes to"),
    ],
}  # fmt: skip


def changed(documents: list[Document], path: str, value: Any) -> list[Document]:
    """A copy with a fault at `Kind/name/and/so/on`: another value, a function of the old one, or nothing any more."""
    copy = deepcopy(documents)
    kind, name, *tokens = path.split("/")
    fitting = [each for each in every(copy, kind) if each["metadata"]["name"].startswith(name)]
    place: Any = min(fitting, key=lambda each: len(each["metadata"]["name"]))
    *way, last = [token.replace("~1", "/") for token in tokens]
    for token in way:
        place = place[int(token) if isinstance(place, list) else token]
    if last == "-":
        place.append(value)
    elif value is GONE:
        place.pop(int(last) if isinstance(place, list) else last)
    else:
        key: Any = int(last) if isinstance(place, list) else last
        place[key] = value(place[key]) if callable(value) else value
    return copy
