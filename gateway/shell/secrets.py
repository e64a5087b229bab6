"""Secrets by reference: plain text, an environment variable or a file. Values leave only to be used."""

import os
from collections.abc import Iterator
from pathlib import Path

from gateway.core.config import Auth, Client, Config, Secret, SecretRef
from gateway.core.errors import Fault


def resolve(secret: Secret, folder: Path) -> str:
    """The secret's value; files are relative to `folder`, a newline at their end does not count.

    Raises:
        ValueError: it cannot be had; the message says why, and never the value.
    """
    value = secret if isinstance(secret, str) else _referred(secret, folder)
    if not value:
        raise ValueError("the secret is empty")
    if not value.isprintable():
        raise ValueError("the secret holds a line break or another control character")
    return value


def _referred(secret: SecretRef, folder: Path) -> str:
    if (secret.env is None) is (secret.file is None):
        raise ValueError("needs env or file, and not both")
    value = os.environ.get(secret.env, "") if secret.env is not None else _read(folder / (secret.file or ""))
    if not value:
        raise ValueError(
            f"the environment variable {secret.env} is not set" if secret.file is None else f"{secret.file} is empty"
        )
    return value


def _read(path: Path) -> str:
    try:
        return path.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise ValueError(f"{path} cannot be read: {reason}") from None


def references(auth: Auth) -> Iterator[tuple[str, Secret]]:
    """Every secret of an upstream's credentials, with its pointer below `auth`."""
    if auth.basic is not None:
        yield "/basic/username", auth.basic.username
        yield "/basic/password", auth.basic.password
    if auth.header is not None:
        yield "/header/value", auth.header.value
    if auth.bearer is not None:
        yield "/bearer", auth.bearer
    if auth.oauth is not None:
        yield "/oauth/client_id", auth.oauth.client_id
        yield "/oauth/client_secret", auth.oauth.client_secret


def tokens(client: Client) -> list[Secret]:
    """The tokens of a client that are not hashed yet."""
    token = client.token
    return [] if token is None else token if isinstance(token, list) else [token]


def headers(config: Config) -> dict[str, Secret]:
    """The headers that spans are sent with."""
    return {} if config.tracing is None else config.tracing.headers


def files(config: Config) -> Iterator[str]:
    """The files that secrets of a configuration are in."""
    found = [config.journal.url]
    found += [secret for upstream in config.upstreams.values() for _, secret in references(upstream.auth)]
    found += headers(config).values()
    found += [secret for client in config.clients.values() for secret in tokens(client)]
    yield from (secret.file for secret in found if isinstance(secret, SecretRef) and secret.file is not None)


def secret_faults(place: str, secret: Secret, folder: Path) -> Iterator[Fault]:
    """Why the secret cannot be had."""
    try:
        resolve(secret, folder)
    except ValueError as error:
        yield Fault(place, "secret", str(error))


def is_plain(secret: Secret) -> bool:
    """Whether the secret stands in the configuration itself."""
    return not isinstance(secret, SecretRef)
