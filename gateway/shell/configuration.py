"""Reads the configuration file and what it refers to, and names every fault by file, line and place."""

import csv
import tomllib
from collections.abc import Iterable, Iterator
from hashlib import sha256
from importlib import import_module
from io import StringIO
from operator import attrgetter
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from gateway.core import schema, wording
from gateway.core.config import Config, Table, TaxRow, UpstreamConfig, seconds
from gateway.core.config_faults import config_faults, config_warnings
from gateway.core.crosswalk import Crosswalk, Entry
from gateway.core.dialect import Dialect, Upstream
from gateway.core.errors import Fault
from gateway.core.money import Amount, decode_amount, is_decimal_text
from gateway.core.routing import Rule, compile_rules
from gateway.shell import secrets
from gateway.shell.catalog import dialects
from gateway.shell.lines import Complaint, place_of


class Loaded(Struct, frozen=True):
    """A configuration that can be used: rules compiled, settings typed, crosswalks read."""

    config: Config
    folder: Path
    revision: str
    rules: tuple[Rule, ...]
    upstreams: dict[str, Upstream]
    warnings: tuple[str, ...]
    files: tuple[Path, ...]
    """All that it was read from: itself, crosswalks, secrets."""


class ConfigurationError(Exception):
    """The configuration cannot be used; one message a fault, with file and line; `files` are all that it names."""

    def __init__(self, path: Path, complaints: Iterable[Complaint], files: Iterable[Path] = ()) -> None:
        self.complaints = tuple(complaints)
        self.messages = tuple(one.text(path) for one in self.complaints)
        self.files = tuple(files)
        super().__init__("\n".join(self.messages))


def _unreadable(path: Path, code: str, words: str) -> ConfigurationError:
    return ConfigurationError(path, [Complaint(None, "", code, words)])


def load(path: Path, *, with_secrets: bool = True) -> Loaded:
    """The configuration at `path`, with every crosswalk file that it names; secrets only have to be there if asked.

    Raises:
        ConfigurationError: with every fault at once.
    """
    text = _read(path)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _unreadable(path, "not-toml", f"not TOML: {error}") from None
    except RecursionError:
        raise _unreadable(path, "not-toml", "nested too deep") from None
    known = dialects()
    faults, repaired = schema.examine(document, Config)
    places = tuple(fault.pointer for fault in faults)
    config = msgspec.convert(repaired, Config, dec_hook=decode_amount)
    folder = path.parent
    files = _Files(folder)
    upstreams: dict[str, Upstream] = {}
    later = list(config_faults(config, known))
    for name, upstream in config.upstreams.items():
        if (dialect := known.get(upstream.dialect)) is not None:
            upstreams[name] = _upstream(name, upstream, dialect, files, later)
    if with_secrets:
        later += _secret_faults(config, folder)
        later += _extra_faults(config)
    faults += [fault for fault in later if not any(_follows(fault.pointer, place) for place in places)]
    read = (path, *(folder / name for name in (*files.names, *secrets.files(config))))
    if faults:
        raise ConfigurationError(path, _complaints(text, document, faults), read)
    digests = b"".join(sha256(content).digest() for content in (text.encode(), *files.contents))
    revision = sha256(digests).hexdigest()[:12]
    warnings = (*config_warnings(config, known), *_warnings(config))
    return Loaded(config, folder, f"sha256:{revision}", compile_rules(config.routes), upstreams, warnings, read)


def _follows(pointer: str, place: str) -> bool:
    """Whether a fault may only be there because of one at `place`, whose value was left out or replaced."""
    return f"{pointer}/".startswith(f"{place}/") or f"{place}/".startswith(f"{pointer}/")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise _unreadable(path, "file", f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _unreadable(path, "file", "not UTF-8") from None


class _Files:
    """The crosswalk files; remembers what it read, for the revision."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: list[str] = []
        self.contents: list[bytes] = []

    def rows(self, name: str) -> list[tuple[int, dict[str, str]]]:
        """The rows of a CSV file, each with the line that it ends on.

        Raises:
            ValueError: it cannot be read, or lacks a column.
        """
        self.names.append(name)
        try:
            content = (self.folder / name).read_bytes()
            text = content.decode("utf-8-sig")
        except OSError as error:
            raise ValueError(f"{name} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError(f"{name} is not UTF-8") from None
        self.contents.append(content)
        reader = csv.DictReader(StringIO(text, newline=""))
        try:
            if missing := {"id", "upstream_id"} - set(reader.fieldnames or ()):
                raise ValueError(f"{name} lacks the column {' and '.join(sorted(missing))}")
            return [(reader.line_num, {key: value or "" for key, value in row.items() if key}) for row in reader]
        except csv.Error as error:
            raise ValueError(f"{name} cannot be read: {error}") from None


def _upstream(name: str, upstream: UpstreamConfig, dialect: Dialect, files: _Files, faults: list[Fault]) -> Upstream:
    place = f"/upstreams/{wording.escape(name)}"
    found, repaired = schema.examine(upstream.settings, dialect.settings, f"{place}/settings")
    settings: object = None
    try:
        settings = msgspec.convert(repaired, dialect.settings, dec_hook=decode_amount)
    except msgspec.ValidationError as error:
        if not found:  # a rule of the settings' own, such as a language that is on no list
            found.append(Fault(f"{place}/settings", "invalid", str(error).removesuffix(" - at `$`")))
    faults += found
    tables: dict[str, dict[str, Entry]] = {}
    same = set()
    for kind, table in upstream.crosswalk.items():
        where = f"{place}/crosswalk/{wording.escape(kind)}"
        if table == "same":
            same.add(kind)
        else:
            tables[kind] = dict(_entries(where, table, files, faults))
    settle = dialect.settle if upstream.settle is None else seconds(upstream.settle)
    return Upstream(name, dialect, settings, Crosswalk(tables, frozenset(same)), settle)


def _entries(place: str, table: Table, files: _Files, faults: list[Fault]) -> Iterator[tuple[str, Entry]]:
    if isinstance(table, str):
        faults.append(
            Fault(place, "type", f'must be "same", a table, or {{ file = "….csv" }}, not {wording.quoted(table)}')
        )
        return
    name = table.get("file")
    if list(table) == ["file"] and isinstance(name, str):
        yield from _csv_entries(place, name, files, faults)
        return
    for key, value in table.items():
        yield key, Entry(value.id, value.rate) if isinstance(value, TaxRow) else Entry(value)


def _csv_entries(place: str, name: str, files: _Files, faults: list[Fault]) -> Iterator[tuple[str, Entry]]:
    try:
        rows = files.rows(name)
    except ValueError as error:
        faults.append(Fault(f"{place}/file", "file", str(error)))
        return
    seen: set[str] = set()
    for number, row in rows:
        key, own, rate = row["id"], row["upstream_id"], row.get("rate", "")
        wrong = (
            "id and upstream_id must not be empty" if not key or not own
            else f"another row has the id {wording.quoted(key)}" if key in seen
            else f"{wording.quoted(rate)} is not a decimal" if rate and not is_decimal_text(rate)
            else None
        )  # fmt: skip
        seen.add(key)
        if wrong is not None:
            faults.append(Fault(f"{place}/file", "file", f"{name}:{number}: {wrong}"))
        else:
            yield key, Entry(own, Amount(rate) if rate else None)


def _secret_faults(config: Config, folder: Path) -> Iterator[Fault]:
    yield from secrets.secret_faults("/journal/url", config.journal.url, folder)
    for name, upstream in config.upstreams.items():
        for pointer, secret in secrets.references(upstream.auth):
            yield from secrets.secret_faults(f"/upstreams/{wording.escape(name)}/auth{pointer}", secret, folder)
    for name, secret in secrets.headers(config).items():
        yield from secrets.secret_faults(f"/tracing/headers/{name}", secret, folder)
    for name, client in config.clients.items():
        for secret in secrets.tokens(client):
            yield from secrets.secret_faults(f"/clients/{wording.escape(name)}/token", secret, folder)


def _extra_faults(config: Config) -> Iterator[Fault]:
    if config.tracing is not None:
        try:
            import_module("gateway.shell.spans")
        except ImportError:
            detail = "needs OpenTelemetry, which is not installed: pip install 'invoice-gateway[otel]'"
            yield Fault("/tracing", "extra", detail)


def _warnings(config: Config) -> Iterator[str]:
    if isinstance(config.journal.url, str) and _has_password(config.journal.url):
        yield "[journal] url has a password in plain text; use { env = … } or { file = … }"
    for name, upstream in config.upstreams.items():
        for pointer, secret in secrets.references(upstream.auth):
            if secrets.is_plain(secret) and not upstream.base_url.startswith("http://127.0.0.1"):
                yield f"[upstreams.{name}] auth{pointer.replace('/', '.')} is a secret in plain text"
    for name, secret in secrets.headers(config).items():
        if secrets.is_plain(secret):
            yield f"[tracing] headers.{name} is a secret in plain text"
    for name, client in config.clients.items():
        if any(secrets.is_plain(secret) for secret in secrets.tokens(client)):
            yield f"[clients.{name}] token is a secret in plain text"


def _has_password(url: str) -> bool:
    try:
        return bool(urlsplit(url).password)
    except ValueError:  # whoever opens the journal says what is wrong with it
        return False


def _complaints(text: str, document: object, faults: list[Fault]) -> list[Complaint]:
    found = []
    for fault in faults:
        line, place = place_of(text, fault.pointer, document)
        found.append(Complaint(line, place, fault.code, fault.detail))
    return sorted(found, key=attrgetter("line"))
