"""Where the broker is and how to sign in: ``mqtt://user@host:port`` or, with TLS, ``mqtts://``."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ground.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Address:
    """A broker. ``tls`` is None for a connection in the clear."""

    host: str
    port: int
    username: str | None = None
    password: bytes | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"


def parse_broker_url(url: str, environ: Mapping[str, str] = os.environ) -> Address:
    """Read ``mqtt://[user@]host[:port]`` (port 1883) or ``mqtts://`` (TLS, port 8883).

    The password comes from the environment: ``GROUND_MQTT_PASSWORD``, or the file that ``GROUND_MQTT_PASSWORD_FILE``
    names; a URL ends up in process lists and logs. ``GROUND_MQTT_CA`` names a file of certificate authorities to trust
    instead of the system's. Raises :class:`~ground.errors.ConfigError`.
    """
    example = "should look like mqtt://host:1883 or mqtts://user@host:8883"
    try:
        parts = urlsplit(url)
        port = parts.port
        if port == 0:
            raise ValueError("port 0")  # noqa: TRY301 - as urlsplit says it of ports above 65535
        (parts.hostname or "").encode("idna")
    except ValueError as error:
        raise ConfigError(f"broker URL {url!r} {example} ({error})") from error
    if parts.password is not None:
        raise ConfigError(f"the broker URL of {parts.hostname} has a password in it; set GROUND_MQTT_PASSWORD instead")
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ConfigError(f"broker URL {url!r} {example}")
    tls = _tls(environ.get("GROUND_MQTT_CA")) if parts.scheme == "mqtts" else None
    return Address(
        host=parts.hostname,
        port=port or (8883 if tls else 1883),
        username=unquote(parts.username) if parts.username else None,
        password=_password(environ) if parts.username else None,
        tls=tls,
    )


def _tls(authorities: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authorities)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"GROUND_MQTT_CA = {authorities!r} cannot be used: {error}") from error


def _password(environ: Mapping[str, str]) -> bytes | None:
    if (password := environ.get("GROUND_MQTT_PASSWORD")) is not None:
        return password.encode()
    if (file := environ.get("GROUND_MQTT_PASSWORD_FILE")) is None:
        return None
    try:
        return Path(file).read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise ConfigError(f"GROUND_MQTT_PASSWORD_FILE = {file!r} cannot be read: {error.strerror}") from error
