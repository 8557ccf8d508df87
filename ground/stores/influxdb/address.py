"""Where the bucket is, and the token that opens it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ground.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Address:
    """``influxdb://HOST:PORT/ORG/BUCKET``, or ``influxdbs://`` over TLS; names percent-encoded where they must be."""

    url: str
    org: str
    bucket: str

    @classmethod
    def parse(cls, address: str) -> Address:
        """Raises ConfigError where the address lacks a part."""
        parts = urlsplit(address)
        names = [unquote(name) for name in parts.path.strip("/").split("/")]
        try:
            port = parts.port
        except ValueError:
            port = -1
        if (
            parts.scheme not in ("influxdb", "influxdbs")
            or not parts.hostname
            or len(names) != 2
            or not all(names)
            or port == -1
        ):
            raise ConfigError(f"{address!r} should be influxdb://HOST:PORT/ORG/BUCKET (influxdbs:// over TLS)")
        if parts.username or parts.password:
            raise ConfigError("the token does not belong in the address: set INFLUXDB_TOKEN or INFLUXDB_TOKEN_FILE")
        secure = parts.scheme == "influxdbs"
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return cls(f"{'https' if secure else 'http'}://{host}:{port or (443 if secure else 8086)}", *names)

    def __str__(self) -> str:
        return f"InfluxDB at {self.url}, bucket {self.org}/{self.bucket}"


def token_from(environment: Mapping[str, str]) -> str:
    """The token from INFLUXDB_TOKEN, or from the file that INFLUXDB_TOKEN_FILE names. ConfigError without either."""
    if token := environment.get("INFLUXDB_TOKEN", "").strip():
        return token
    if path := environment.get("INFLUXDB_TOKEN_FILE", ""):
        try:
            token = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"INFLUXDB_TOKEN_FILE={path}: {error}") from error
        if token:
            return token
        raise ConfigError(f"INFLUXDB_TOKEN_FILE={path}: the file is empty")
    raise ConfigError("InfluxDB needs a token: set INFLUXDB_TOKEN, or INFLUXDB_TOKEN_FILE to a file that holds it")
