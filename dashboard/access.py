"""Who may ask, and what a browser may do with the answer.

A page of another site must not reach the telemetry through the viewer's browser: the Host header has to name this
server (against DNS rebinding), and the
Origin of a WebSocket, and of a request that changes anything, has to be the page that this server gave out.
"""

from __future__ import annotations

import base64
import binascii
import math
import os
import secrets
import socket
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

from dashboard.attempts import Attempts
from ground.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})

# No inline script or style, nothing from elsewhere. (Styles that scripts set through the DOM are not inline styles.)
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "font-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Access:
    """``hosts``: names, without port, by which this server may be called. ``password``: None asks for none."""

    hosts: frozenset[str] = LOOPBACK
    password: str | None = field(default=None, repr=False)

    @classmethod
    def configured(cls, host: str, names: Iterable[str] = (), environ: Mapping[str, str] = os.environ) -> Access:
        """Access for a server bound to ``host`` that is called by these names besides its own and loopback's.

        The password is ``GROUND_DASHBOARD_PASSWORD``, or the first line of the file that
        ``GROUND_DASHBOARD_PASSWORD_FILE`` names. Raises ConfigError where it cannot be read, or is missing and ``host``
        is not this machine's loopback.
        """
        password = environ.get("GROUND_DASHBOARD_PASSWORD")
        file = environ.get("GROUND_DASHBOARD_PASSWORD_FILE")
        if password is None and file is not None:
            try:
                password = Path(file).read_text("utf-8").partition("\n")[0].rstrip("\r")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"GROUND_DASHBOARD_PASSWORD_FILE = {file!r} cannot be read: {error}") from error
        if not password and not is_loopback(host):
            raise ConfigError(
                f"the dashboard would be open to everyone who reaches {host}: set GROUND_DASHBOARD_PASSWORD, or "
                "GROUND_DASHBOARD_PASSWORD_FILE to a file with the password, or bind it to 127.0.0.1"
            )
        own = {_bracketed(host), socket.gethostname()} if not is_loopback(host) else set()
        return cls(LOOPBACK | frozenset(name.lower() for name in own | set(map(_bracketed, names))), password or None)


def _caching(path: str) -> str:
    """The names of built assets change with their contents; browsers ask for the icon with every change of address."""
    if path.startswith("/assets/"):
        return "max-age=31536000, immutable"
    return "max-age=86400" if path.endswith(".svg") else "no-cache"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that is bound to ``host``."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


class Guard:
    """ASGI middleware: refuses who isn't allowed, on HTTP and WebSocket alike, and sets the security headers."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access
        self._attempts = Attempts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification, 3.0."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("cache-control", _caching(scope["path"]) if message["status"] == 200 else "no-cache")
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send_with_headers)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": ""})  # before accept: the answer is 403
        else:
            await refusal(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _name(host) not in self._access.hosts:
            return JSONResponse({"detail": f"this server is not called {host!r}"}, 421)
        changes = scope["type"] == "websocket" or scope.get("method") not in {"GET", "HEAD"}
        if changes and not _same_site(headers.get("origin"), host):
            return JSONResponse({"detail": "pages of another site have no business here"}, 403)
        if self._access.password is None or scope["path"] == "/healthz":
            return None
        return self._ask_password(headers.get("authorization", ""), (scope.get("client") or ("", 0))[0])

    def _ask_password(self, authorization: str, address: str) -> JSONResponse | None:
        password = _password(authorization)
        if password is not None:
            if wait := math.ceil(self._attempts.wait(address)):
                text = f"too many wrong passwords came from {address}: the next one is looked at in {wait} s"
                return JSONResponse({"detail": text}, 429, {"retry-after": str(wait)})
            if secrets.compare_digest(password, (self._access.password or "").encode()):
                return None
            self._attempts.fail(address)
        challenge = {"www-authenticate": 'Basic realm="Perilune Ground", charset="UTF-8"'}
        return JSONResponse({"detail": "a password is needed (the user's name doesn't matter)"}, 401, challenge)


def _password(authorization: str) -> bytes | None:
    """HTTP Basic (RFC 7617); None where there is no password in it."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        _, colon, password = base64.b64decode(credentials, validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return password if colon else None


def _name(host: str) -> str:
    """A Host header without its port."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdecimal() else host.lower()


def _same_site(origin: str | None, host: str) -> bool:
    """Whether a page of ``origin`` came from this server; programs other than browsers send no origin."""
    try:
        return origin is None or urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False
