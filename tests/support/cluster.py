"""What must hold of the manifests around the pod. Each check yields its faults in words."""

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from tests.support.manifests import WORKLOADS, Document, configuration, every, one, pod, projected, workload

NAMED = "app.kubernetes.io/"
RECOMMENDED = ("name", "version", "component", "part-of", "managed-by")
PRIVATE = (
    "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.31.0.1", "192.168.0.1", "::1", "fd00:ec2::254",
    "fe80::1",
)  # fmt: skip
PUBLIC = ("9.9.9.9", "172.15.0.1", "172.32.0.1", "2620:fe::fe")
CALLERS = [{"namespaceSelector": {"matchLabels": {"invoice-gateway-client": "true"}}}]
MONITORING = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
PURPOSES = {53: "names", 443: "upstreams", 5432: "the journal", 15012: "the mesh"}


def _selectors(documents: list[Document]) -> Iterator[tuple[str, dict[str, str]]]:
    for document in documents:
        spec = document.get("spec", {})
        selector = spec.get("podSelector", spec.get("selector", {}))
        found = selector if document["kind"] == "Service" else selector.get("matchLabels", {})
        wanted = document["kind"] in ("Service", "PodDisruptionBudget", "PodMonitor", "NetworkPolicy", *WORKLOADS)
        if wanted and document["metadata"]["name"] != "default-deny":
            yield f"{document['kind']} {document['metadata']['name']}", found
    for spread in pod(documents).get("topologySpreadConstraints", []):
        yield f"the spread over {spread['topologyKey']}", spread["labelSelector"]["matchLabels"]


def selected(documents: list[Document]) -> Iterator[str]:
    """Whatever selects the pods selects them, and what is named exists."""
    labels = workload(documents)["spec"]["template"]["metadata"]["labels"]
    for place, selector in _selectors(documents):
        if not selector or not selector.items() <= labels.items():
            yield f"{place} selects no pod of the gateway"
    names = {(each["kind"], each["metadata"]["name"]) for each in documents}
    wanted = [("ServiceAccount", pod(documents).get("serviceAccountName"))]
    targets = [each["spec"]["scaleTargetRef"] for each in every(documents, "HorizontalPodAutoscaler")]
    wanted += [(target["kind"], target["name"]) for target in targets]
    wanted += [("Service", each["spec"]["serviceName"]) for each in every(documents, "StatefulSet")]
    yield from (f"there is no {kind} {name}" for kind, name in wanted if (kind, name) not in names)
    for each in documents:
        missing = [name for name in RECOMMENDED if f"{NAMED}{name}" not in each["metadata"].get("labels", {})]
        yield from (f"{each['kind']} {each['metadata']['name']} has no label {NAMED}{name}" for name in missing)
        if each["kind"] != "Namespace" and each["metadata"].get("namespace") != "invoice-gateway":
            yield f"{each['kind']} {each['metadata']['name']} is in another namespace"


def _rules(documents: list[Document], way: str) -> Iterator[tuple[object, list[Document]]]:
    """Port and peers of each rule of the policies; None and no peers for one that is left out, which means any."""
    for policy in every(documents, "NetworkPolicy"):
        for rule in policy["spec"].get(way, []):
            for port in rule.get("ports", [{}]):
                yield port.get("port"), rule.get("from" if way == "ingress" else "to", [])


def _reaches(peers: list[Document], address: str) -> bool:
    own = ip_address(address)
    blocks = [peer["ipBlock"] for peer in peers if "ipBlock" in peer]
    return any(
        own in ip_network(block["cidr"]) and not any(own in ip_network(hole) for hole in block.get("except", []))
        for block in blocks
    )


def guarded(documents: list[Document]) -> Iterator[str]:
    """Nothing is open but what is meant: callers, monitoring; names, upstreams outside, the journal."""
    shut = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    if one(documents, "NetworkPolicy", name="default-deny").get("spec") != shut:
        yield "not everything is denied at first"
    for port, peers in _rules(documents, "ingress"):
        if (port, peers) not in [("api", CALLERS), ("ops", MONITORING)]:
            yield f"the port {port} is open to {peers}"
    ways = list(_rules(documents, "egress"))
    for port, peers in ways:
        if port not in PURPOSES or not peers:
            yield f"goes out to {peers} at the port {port}"
        if any(not peer or not all(peer.values()) for peer in peers):
            yield f"a peer at the port {port} is anybody"
        yield from (f"{each} is reached at the port {port}" for each in PRIVATE if _reaches(peers, each))
    outside = [peers for port, peers in ways if port == 443]
    yield from (f"{each} is out of reach" for each in PUBLIC if not any(_reaches(peers, each) for peers in outside))
    needed = {53, 443} if projected(documents).get("journal-url") else {53, 443, 5432}
    yield from (f"{PURPOSES[port]} are out of reach" for port in sorted(needed - {port for port, _ in ways}))


def scaled(documents: list[Document]) -> Iterator[str]:
    """One gateway over a file that nobody else may mount, or several over PostgreSQL, rolled one by one."""
    if every(documents, "StatefulSet"):
        yield from _single(documents)
    else:
        yield from _several(documents)


def _single(documents: list[Document]) -> Iterator[str]:
    spec = workload(documents)["spec"]
    if spec.get("replicas") != 1 or every(documents, "HorizontalPodAutoscaler"):
        yield "more than one pod may write the file"
    if any(each["spec"]["accessModes"] != ["ReadWriteOncePod"] for each in spec["volumeClaimTemplates"]):
        yield "more than one pod may mount the file"
    if every(documents, "PodDisruptionBudget"):
        yield "a budget of one pod can only block a drain"
    if not (projected(documents).get("journal-url") or "").startswith("sqlite:///"):
        yield "the journal is no file"


def _several(documents: list[Document]) -> Iterator[str]:
    spec = workload(documents)["spec"]
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    if spec.get("strategy") != rolling or spec.get("minReadySeconds") != 10:
        yield "pods are replaced before others are ready"
    bounds = one(documents, "HorizontalPodAutoscaler").get("spec", {})
    if "replicas" in spec or (bounds.get("minReplicas"), bounds.get("maxReplicas")) != (3, 12):
        yield "the autoscaler alone says how many pods there are, 3 to 12"
    processor = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}
    if {"type": "Resource", "resource": processor} not in bounds.get("metrics", []):
        yield "the autoscaler does not keep the CPU at 60 %"
    budget = one(documents, "PodDisruptionBudget").get("spec", {})
    if (budget.get("maxUnavailable"), budget.get("unhealthyPodEvictionPolicy")) != (1, "AlwaysAllow"):
        yield "a drain of nodes may take several pods at once, or hang at a sick one"
    spread = {each["topologyKey"] for each in pod(documents).get("topologySpreadConstraints", [])}
    if spread != {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}:
        yield "the pods are not spread over zones and hosts"
    if projected(documents).get("journal-url", "") is not None:
        yield "the journal's URL is no secret"


def meshed(documents: list[Document]) -> Iterator[str]:
    """In a mesh: no request to an upstream is repeated; one to the gateway only if no connection came about."""
    upstreams = {urlsplit(each["base_url"]).hostname for each in configuration(documents)["upstreams"].values()}
    known = {host for each in every(documents, "ServiceEntry") for host in each["spec"]["hosts"]}
    routes = {host: each["spec"] for each in every(documents, "VirtualService") for host in each["spec"]["hosts"]}
    if known != upstreams or routes.keys() != upstreams | {"invoice-gateway"}:
        yield "the mesh knows other upstreams than gateway.toml"
    for host, spec in routes.items():
        allowed = {"attempts": 2, "retryOn": "connect-failure"} if host == "invoice-gateway" else {"attempts": 0}
        if any(way.get("retries") != allowed for way in spec["http"]):
            yield f"what is sent to {host} is repeated otherwise than by {allowed}"
        ends = {
            way["destination"]["host"]
            for kind in ("http", "tls")
            for each in spec.get(kind, [])
            for way in each["route"]
        }
        if ends != {host}:
            yield f"what is sent to {host} goes to {ends}"
