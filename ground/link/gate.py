"""Where stations reach the embedded broker: nobody gets to it before someone records."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from ground.errors import ConfigError
from ground.link.broker import HOST
from ground.link.connection import acknowledge_now

if TYPE_CHECKING:
    from types import TracebackType

    from ground.link.broker import EmbeddedBroker

_OCTETS: Final = 256 << 10


class Gate:
    """Listeners of our own in front of those of ``broker``, an async context manager.

    The embedded broker forgets its sessions when it ends, listens from its first moment on, acknowledges what a station
    publishes and drops it where nobody is subscribed. So stations come here: connections are accepted, and led to the
    broker once the gate is :meth:`open`. ``port``: of MQTT 5; ``port_v4``: of MQTT 3.1.1; 0 takes a free one, and the
    attributes tell which. Entering raises :class:`~ground.errors.ConfigError` where a port is taken.
    """

    def __init__(self, broker: EmbeddedBroker, port: int = 0, port_v4: int = 0) -> None:
        self.port = port
        self.port_v4 = port_v4
        self._broker = broker
        self._opened = asyncio.Event()
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """For clients that speak MQTT 5."""
        return f"mqtt://{HOST}:{self.port}"

    def open(self) -> None:
        """Let connections through, those that wait as well."""
        self._opened.set()

    def shut(self) -> None:
        """Have new connections wait. Those that are through stay as long as the broker keeps them."""
        self._opened.clear()

    async def __aenter__(self) -> Gate:
        try:
            self.port = await self._listen(self.port, "port")
            self.port_v4 = await self._listen(self.port_v4, "port_v4")
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self, port: int, of_broker: str) -> int:
        try:
            server = await asyncio.start_server(partial(self._accept, of_broker), HOST, port, limit=_OCTETS)
        except OSError as error:
            # asyncio puts the address before the operating system's words.
            reason = (error.strerror or str(error)).rpartition(": ")[2]
            raise ConfigError(f"the embedded broker cannot listen on {HOST}:{port}: {reason}") from error
        self._servers.append(server)
        taken: int = server.sockets[0].getsockname()[1]
        return taken

    def _accept(self, of_broker: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._lead(of_broker, reader, writer), name="gate")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _lead(self, of_broker: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its beginning to its end on either side."""
        try:
            await self._opened.wait()
            with suppress(OSError):
                port: int = getattr(self._broker, of_broker)
                broker_reader, broker_writer = await asyncio.open_connection(HOST, port, limit=_OCTETS)
                ways = [
                    asyncio.ensure_future(_copy(reader, writer.get_extra_info("socket"), broker_writer)),
                    asyncio.ensure_future(_copy(broker_reader, broker_writer.get_extra_info("socket"), writer)),
                ]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    broker_writer.close()
        finally:
            writer.close()


async def _copy(reader: asyncio.StreamReader, source: object, writer: asyncio.StreamWriter) -> None:
    """Until the end of ``reader``, whose socket is ``source``; a peer that takes nothing makes the other one wait."""
    with suppress(OSError):
        while octets := await reader.read(_OCTETS):
            acknowledge_now(source)
            writer.write(octets)
            await writer.drain()
