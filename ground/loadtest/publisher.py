"""One MQTT connection that only publishes prepared packets: PUBACKs are counted, nothing else is looked at."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import mqtt5
import numpy as np

from ground.errors import LinkError

if TYPE_CHECKING:
    from ground.blocks import Octets
    from ground.link.address import Address

_CONNECT_SECONDS: Final = 10
_KEEP_ALIVE: Final = 600


class Publisher(asyncio.Protocol):
    """A connection that was signed in. ``sent`` and ``acknowledged``: messages so far, QoS 1, by the broker."""

    def __init__(self) -> None:
        self.sent = 0
        self.acknowledged = 0
        self._window = 0
        self._rest = b""
        self._room = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._signed_in: asyncio.Future[mqtt5.ConnAckPacket] = asyncio.get_running_loop().create_future()
        self._ended: str | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def connect(cls, address: Address, client_id: str) -> Publisher:
        """Connect and sign in. Raises :class:`~ground.errors.LinkError`."""
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                _, publisher = await asyncio.get_running_loop().create_connection(
                    cls, address.host, address.port, ssl=address.tls
                )
                connect = mqtt5.ConnectPacket(
                    client_id, username=address.username, password=address.password, keep_alive=_KEEP_ALIVE
                )
                publisher._write(connect.write())
                connack = await publisher._signed_in
        except (OSError, TimeoutError) as error:
            raise LinkError(f"{address}: {str(error) or 'no answer'}") from error
        if connack.reason_code.value:
            raise LinkError(f"{address}: refused by the broker: {connack.reason_code.name}")
        publisher._window = connack.receive_max
        return publisher

    async def send(self, packets: Octets) -> None:
        """Write PUBLISH packets, uint8 (n, octets), as the broker's Receive Maximum allows (MQTT 5, 4.9).

        Raises :class:`~ground.errors.LinkError` where the connection has ended.
        """
        start = 0
        while start < len(packets):
            self._room.clear()
            n = min(self._window - (self.sent - self.acknowledged), len(packets) - start)
            if self._ended is not None:
                raise LinkError(f"a publisher's connection has ended: {self._ended}")
            if n <= 0:
                await self._room.wait()
                continue
            await self._writable.wait()
            self._write(packets[start : start + n].tobytes())
            self.sent += n
            start += n

    def packet_ids(self, n: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Packet identifiers of the next ``n`` messages, int64 (n,): 1 to 65535 in turn."""
        return np.arange(self.sent, self.sent + n, dtype=np.int64) % 65535 + 1

    def close(self) -> None:
        """DISCONNECT."""
        if self._transport and self._ended is None:
            self._write(mqtt5.DisconnectPacket().write())
            self._transport.close()

    def _write(self, octets: bytes) -> None:
        if self._transport:
            self._transport.write(octets)

    # Called by asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The network connection is open."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """The network connection has ended."""
        self._end(str(exc or "closed by the broker"))

    def pause_writing(self) -> None:
        """The broker takes less than is written."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The broker has caught up."""
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        """PUBACKs, after the CONNACK."""
        data = self._rest + data
        at = 0
        if len(data) % 4 == 0 and (np.frombuffer(data, ">u4") >> 16 == 0x4002).all():
            # MQTT 5, 3.4.2.1: a PUBACK of success may end after its packet identifier, and nearly always does.
            self.acknowledged += len(data) // 4
            at = len(data)
        # Everything that a broker sends a client without subscriptions is shorter than 128 octets.
        while len(data) - at >= 2 and len(data) - at >= 2 + data[at + 1]:
            packet = data[at : at + 2 + data[at + 1]]
            at += len(packet)
            if packet[0] == 0x40:
                self.acknowledged += 1
            elif packet[0] == 0x20:
                read, _ = mqtt5.read(memoryview(packet))
                assert isinstance(read, mqtt5.ConnAckPacket)
                self._signed_in.set_result(read)
            elif packet[0] == 0xE0:
                self._end(f"disconnected by the broker, reason 0x{packet[2:3].hex() or '00'}")
        self._rest = data[at:]
        self._room.set()

    def _end(self, reason: str) -> None:
        self._ended = self._ended or reason
        if not self._signed_in.done():
            self._signed_in.set_exception(OSError(reason))
        self._room.set()
        self._writable.set()
