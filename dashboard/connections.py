"""How many connections there may be, and how long one may say nothing: each costs a file descriptor of the process,
which in ``ground up`` needs them for the recording, and takes no password to open.
"""

from __future__ import annotations

import logging
import resource
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

MOST: Final = 200
"""HTTP and WebSocket together; a browser holds six and a WebSocket."""

BACKLOG: Final = 64
"""Connections that the event loop accepts in one go, before the first of them is seen here."""

PATIENCE_SECONDS: Final = 10.0
"""In which the headers of a request have to come, counted from the connection or from their first octet."""

_FILES: Final = 65_536

_log = logging.getLogger(__name__)


def raise_file_limit() -> None:
    """Allow this process as many open files as it may allow itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # forbidden: then it stays as it is
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class BoundedProtocol(H11Protocol):
    """HTTP with a place taken. Where there are :data:`MOST`, the connection that has waited longest without a request
    makes room for the new one; where all are in use, as WebSockets are, the new one is closed.
    """

    _deadline: asyncio.TimerHandle | None = None
    _since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See :class:`asyncio.Protocol`."""
        full = len(self.connections) >= MOST and not self._make_room()
        super().connection_made(transport)
        if full:
            _log.warning("%d connections are in use: one more, from %s, is closed", MOST, self.client)
            transport.abort()
            return
        self._since = self.loop.time()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """See :class:`asyncio.Protocol`."""
        self._unwatch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See :class:`asyncio.Protocol`."""
        super().data_received(data)
        if self not in self.connections or not self._idle:  # a WebSocket now, or at work
            self._unwatch()
        elif self._deadline is None:
            self._watch()

    def on_response_complete(self) -> None:
        """The next request may begin, and has the keep-alive time to do so."""
        self._since = self.loop.time()
        super().on_response_complete()

    @property
    def _idle(self) -> bool:
        cycle: Any = self.cycle  # None before the first request
        return cycle is None or bool(cycle.response_complete)

    def _make_room(self) -> bool:
        idle = [one for one in self.connections if isinstance(one, BoundedProtocol) and one._idle]
        oldest: Any = min(idle, key=lambda one: one._since, default=None)
        if oldest is None:
            return False
        self.connections.discard(oldest)  # its connection_lost comes later, and the next connection before it
        oldest.transport.abort()
        return True

    def _watch(self) -> None:
        self._deadline = self.loop.call_later(PATIENCE_SECONDS, self.transport.abort)

    def _unwatch(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
