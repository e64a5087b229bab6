"""The manifests of `deploy/kubernetes` as the cluster gets them: rendered by kubectl, and read."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "deploy" / "kubernetes"
Document = dict[str, Any]
WORKLOADS = ("Deployment", "StatefulSet")


def tool(name: str) -> str:
    """The path of a tool that the lock file of development installs."""
    path = Path(sys.prefix) / "bin" / name
    assert path.exists(), (
        f"{name} is missing in {path.parent}: `make .venv/.dev` installs it from requirements-dev.lock"
    )
    return str(path)


def kustomized(folder: Path) -> str:
    """What `kubectl apply -k FOLDER` would apply, as YAML. Asks no cluster."""
    command = [tool("kubectl"), "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - our own
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def rendered(folder: Path) -> list[Document]:
    """The same, read."""
    return [document for document in yaml.safe_load_all(kustomized(folder)) if document]


def every(documents: list[Document], *kinds: str) -> list[Document]:
    """The objects of these kinds."""
    return [document for document in documents if document["kind"] in kinds]


def one(documents: list[Document], *kinds: str, name: str = "invoice-gateway") -> Document:
    """The one object of a kind and name; an empty one if there is none, so that a check can say what it misses."""
    found = [document for document in every(documents, *kinds) if document["metadata"]["name"] == name]
    return found[0] if found else {"kind": "/".join(kinds), "metadata": {"name": name}}


def workload(documents: list[Document]) -> Document:
    """The Deployment or StatefulSet."""
    return one(documents, *WORKLOADS)


def pod(documents: list[Document]) -> Document:
    """The pod's specification."""
    found: Document = workload(documents)["spec"]["template"]["spec"]
    return found


def container(documents: list[Document]) -> Document:
    """The gateway's container."""
    found: Document = pod(documents)["containers"][0]
    return found


def projected(documents: list[Document]) -> dict[str, str | None]:
    """The files in the pod's folder of the configuration; their content, None for those of a secret."""
    files: dict[str, str | None] = {}
    maps = {each["metadata"]["name"]: each["data"] for each in every(documents, "ConfigMap")}
    for volume in pod(documents)["volumes"]:
        for source in volume.get("projected", {}).get("sources", []):
            if "configMap" in source:
                files |= maps.get(source["configMap"]["name"], {})
            else:
                files |= dict.fromkeys(item["path"] for item in source["secret"]["items"])
    return files


def configuration(documents: list[Document]) -> Document:
    """The pod's `gateway.toml`, read."""
    return tomllib.loads(projected(documents).get("gateway.toml") or "")


def named_files(value: object) -> Iterator[str]:
    """Every `{ file = … }` in a configuration."""
    match value:
        case {"file": str(name)}:
            yield name
        case dict():
            for each in value.values():
                yield from named_files(each)
        case list():
            for each in value:
                yield from named_files(each)
        case _:
            pass


def lay_out(documents: list[Document], folder: Path, secret: str) -> Path:
    """The pod's folder of the configuration with this in place of each secret; the path of its `gateway.toml`."""
    for name, content in projected(documents).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(secret if content is None else content)
    return folder / "gateway.toml"
