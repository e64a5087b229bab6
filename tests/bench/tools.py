"""What the benchmark needs and the project does not: fetched into a folder beside the environment, nothing installed.

Debian's packages are unpacked there and not installed, so that no service is started and root is not needed.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

PEERS = Path(__file__).parent / "peers"
FOLDER = Path(__file__).parents[2] / ".venv" / "bench"
DEBIAN = FOLDER / "debian"
PACKAGES = (
    "wrk nginx libnginx-mod-http-ndk libnginx-mod-http-lua libnginx-mod-http-js lua-resty-core lua-resty-lrucache"
    " lua-cjson libluajit2-5.1-2 libpcre3"
)
PLACES = {"wrk": "usr/bin/wrk", "nginx": "usr/sbin/nginx"}
PATIENCE_SECONDS = 300
LAST_WORDS = 200


class Missing(Exception):  # noqa: N818 - it is what the tool is
    """Something could not be had; the text says why."""


def debian() -> None:
    """Debian's wrk and nginx with Lua and njs, unpacked.

    Raises:
        Missing: they cannot be had.
    """

    def unpack() -> None:
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            raise Missing("wrk and nginx are taken from Debian's packages, and this is not Debian")
        _run("apt-get", "download", "-q", *PACKAGES.split(), into=DEBIAN)
        for package in sorted(DEBIAN.glob("*.deb")):
            _run("dpkg-deb", "-x", package.name, ".", into=DEBIAN)
            package.unlink()

    _once(DEBIAN, PACKAGES.encode(), unpack)


@cache
def program(name: str) -> str:
    """`wrk` or `nginx`: Debian's, or else what the machine has.

    Raises:
        Missing: it has none either.
    """
    try:
        debian()
    except Missing:
        if (found := shutil.which(name)) is None:
            raise
        return found
    return str(DEBIAN / PLACES[name])


def fastapi() -> Path:
    """A Python with FastAPI and its clients, from their own lock file.

    Raises:
        Missing: it cannot be had.
    """
    folder, lock = FOLDER / "fastapi", PEERS / "fastapi" / "requirements.lock"

    def install() -> None:
        _run(sys.executable, "-m", "venv", ".", into=folder)
        pip = (str(folder / "bin" / "python"), *"-m pip install -q --disable-pip-version-check".split())
        _run(*pip, "--no-deps", "--require-hashes", "-r", str(lock), into=folder)

    _once(folder, lock.read_bytes(), install)
    return folder / "bin" / "python"


def node() -> Path:
    """A folder with fastify, undici and the peer that uses them, from their own lock file.

    Raises:
        Missing: it cannot be had.
    """
    folder, source = FOLDER / "node", PEERS / "node"

    def install() -> None:
        if shutil.which("npm") is None:
            raise Missing("Node and npm are not installed")
        for file in source.iterdir():
            shutil.copy(file, folder)
        _run(*"npm ci --ignore-scripts --no-audit --no-fund --silent".split(), into=folder)

    _once(folder, b"".join(file.read_bytes() for file in sorted(source.iterdir())), install)
    return folder


def environment() -> dict[str, str]:
    """The variables of a program that was unpacked, so that it finds its libraries."""
    libraries = [str(path) for path in (DEBIAN / "usr/lib", DEBIAN / "lib") for path in path.glob("*-linux-gnu")]
    return {"LD_LIBRARY_PATH": os.pathsep.join(libraries), "PATH": os.environ.get("PATH", os.defpath)}


def _once(folder: Path, version: bytes, make: Callable[[], None]) -> None:
    """Make what a folder holds, unless it was made of the same before."""
    mark, wanted = folder / ".made", hashlib.sha256(version).hexdigest()
    if mark.exists() and mark.read_text() == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    make()
    mark.write_text(wanted)


def _run(*command: str, into: Path) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - our own
            command, cwd=into, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{command[0]}: {error}") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-LAST_WORDS:]
        raise Missing(f"{Path(command[0]).name} ended with {done.returncode}: {said}")
