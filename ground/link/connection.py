"""One network connection to a broker: octets in, packets out, and back-pressure both ways."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import termios
from array import array
from typing import TYPE_CHECKING, Final, TypeVar

from mqtt5 import (
    ConnAckPacket,
    ConnectPacket,
    DisconnectPacket,
    PingReqPacket,
    PingRespPacket,
    PubAckPacket,
    PublishPacket,
    QoS,
    RetainHandling,
    SubAckPacket,
    SubscribePacket,
    TopicFilter,
)

from ground.errors import LinkError
from ground.link.alike import AlikePackets
from ground.link.packets import ProtocolError, read_packets, words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from mqtt5 import Packet

    class Receiver(Protocol):
        """Who is told of what a connection brings. All calls come from the event loop, in order of receipt."""

        def published(self, connection: Connection, messages: list[PublishPacket | AlikePackets], octets: int) -> None:
            """Messages of one socket read."""

        def acknowledged(self, packets: list[PubAckPacket]) -> None:
            """PUBACKs of one socket read."""

        def writable(self) -> None:
            """The peer takes more again."""


_BUFFER: Final = 256 << 10
_WRITE_LIMIT: Final = 4 << 20
_PROGRESS: Final = 64 << 10
_ANSWER_SECONDS: Final = 10

T = TypeVar("T")


def acknowledge_now(sock: object) -> None:
    """Have TCP acknowledge at once what has come on ``sock``; else it waits 40 ms for something to send along.

    A broker that leaves Nagle's algorithm on (RFC 1122, 4.2.3.4), as the embedded one does, holds each small message
    back until the one before is acknowledged. Linux forgets the option, so this is called after every read.
    """
    if hasattr(sock, "setsockopt") and hasattr(socket, "TCP_QUICKACK"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


class Connection(asyncio.BufferedProtocol):
    """An open connection. ``closed`` is done, with the reason, when it isn't any more.

    ``max_packet``: the longest packet, in octets, that is read; a longer one closes the connection.
    """

    def __init__(self, receiver: Receiver, max_packet: int) -> None:
        loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[LinkError] = loop.create_future()
        self.can_write = True
        self.delivered = 0
        self.acknowledged = 0
        """Deliveries with QoS 1 messages that were handed out, and acknowledged, on this connection."""
        self._receiver = receiver
        self._max_packet = max_packet
        self._buffer = bytearray(_BUFFER)
        self._filled = 0
        self._received = 0
        self._pongs = 0
        self._paused = False
        self._connack: asyncio.Future[ConnAckPacket] = loop.create_future()
        self._suback: asyncio.Future[SubAckPacket] = loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._socket: socket.socket | None = None

    async def sign_in(self, connect: ConnectPacket) -> ConnAckPacket:
        """CONNECT. Raises :class:`~ground.errors.LinkError` where the broker refuses."""
        self.write(connect.write())
        connack = await self._answer(self._connack)
        if connack.reason_code.value:
            raise LinkError(f"refused by the broker: {connack.reason_str or words(connack.reason_code.name)}")
        return connack

    async def subscribe(self, filters: Sequence[tuple[str, int]], *, retained: bool = True) -> None:
        """SUBSCRIBE to (topic filter, maximum QoS), with what the broker retains of them or without.

        Raises :class:`~ground.errors.LinkError` where one is refused.
        """
        handling = RetainHandling.SEND_ALWAYS if retained else RetainHandling.SEND_NEVER
        # Not as published: then RETAIN on a message says that it was kept, not that it is to be (MQTT 5, 3.3.1.3).
        wanted = [
            TopicFilter(pattern, max_qos=QoS(qos), retain_as_published=False, retain_handling=handling)
            for pattern, qos in filters
        ]
        self.write(SubscribePacket(1, wanted).write())
        suback = await self._answer(self._suback)
        for (pattern, _), code in zip(filters, suback.reason_codes, strict=False):
            if code.value >= 0x80:
                raise LinkError(f"the broker refuses the subscription {pattern}: {words(code.name)}")

    async def keep_alive(self, interval: float) -> LinkError:
        """Ping every ``interval`` seconds until the connection is closed; returns the reason.

        A broker that answers no ping within another interval is gone, unless a long packet is visibly on its way, or
        nothing is read because the consumer is behind.
        """
        while True:
            pongs, received, paused = self._pongs, self._received, self._paused
            self.write(PingReqPacket().write())
            await asyncio.wait((self.closed,), timeout=interval)
            if self.closed.done():
                return self.closed.result()
            answered = self._pongs > pongs or self._received - received > _PROGRESS
            if not (answered or paused or self._paused):
                self.close(LinkError(f"no answer to a ping in {interval:g} s"))

    def write(self, octets: bytes) -> None:
        """Hand ``octets`` to the kernel, or queue them; nothing happens on a closed connection."""
        if self._transport and not self.closed.done():
            self._transport.write(octets)

    def disconnect(self) -> None:
        """End in good order: what was written goes out, then DISCONNECT."""
        self.write(DisconnectPacket().write())
        if self._transport and not self.closed.done():
            self.closed.set_result(LinkError("disconnected"))
            self._transport.close()

    def close(self, reason: LinkError) -> None:
        """End at once."""
        if self._transport and not self.closed.done():
            self.closed.set_result(reason)
            self._transport.abort()

    @property
    def unread(self) -> int:
        """Octets that have come and that the kernel still holds (tcp(7), ``FIONREAD``)."""
        if self._socket is None or self.closed.done():
            return 0
        count = array("i", [0])
        fcntl.ioctl(self._socket, termios.FIONREAD, count)
        return count[0]

    def pause(self) -> None:
        """Stop reading; TCP makes the broker wait."""
        if self._transport and not self._paused and not self.closed.done():
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport and self._paused and not self.closed.done():
            self._paused = False
            self._transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The network connection is open (called by asyncio, as all that follow)."""
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=_WRITE_LIMIT)
        self._transport = transport
        self._socket = transport.get_extra_info("socket")

    def connection_lost(self, exc: Exception | None) -> None:
        """The network connection has ended."""
        if not self.closed.done():
            self.closed.set_result(LinkError(f"connection lost: {exc}" if exc else "the broker closed the connection"))

    def pause_writing(self) -> None:
        """The peer takes less than is written."""
        self.can_write = False

    def resume_writing(self) -> None:
        """The peer has caught up."""
        self.can_write = True
        self._receiver.writable()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next octets go."""
        if self._filled == len(self._buffer):
            # A packet that doesn't fit yet. It grows with what really comes, not with what a length field announces.
            self._buffer = self._buffer + bytearray(len(self._buffer))
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Octets have come: take the whole packets out of them."""
        acknowledge_now(self._socket)
        self._filled += nbytes
        self._received += nbytes
        packets: list[Packet | AlikePackets] = []
        octets = memoryview(self._buffer)[: self._filled]
        try:
            try:
                used = read_packets(octets, packets, self._max_packet)
            finally:
                self._dispatch(packets, nbytes)
        except LinkError as error:
            self.close(error)
            return
        rest = self._filled - used
        if used and len(self._buffer) > _BUFFER and rest < _BUFFER:
            self._buffer = bytearray(octets[used:]) + bytearray(_BUFFER - rest)
        elif used and rest:
            self._buffer[:rest] = bytes(octets[used:])
        self._filled = rest

    def _dispatch(self, packets: list[Packet | AlikePackets], octets: int) -> None:
        published = [packet for packet in packets if isinstance(packet, PublishPacket | AlikePackets)]
        if published:
            examples = (one.first if isinstance(one, AlikePackets) else one for one in published)
            if any(one.qos == QoS.EXACTLY_ONCE or not one.topic for one in examples):
                raise ProtocolError("a message of QoS 2 or with a topic alias, neither of which was allowed")
            self._receiver.published(self, published, octets)
            if len(published) == len(packets):
                return
        acknowledged = [packet for packet in packets if type(packet) is PubAckPacket]
        if acknowledged:
            self._receiver.acknowledged(acknowledged)
        for packet in packets:
            match packet:
                case PublishPacket() | AlikePackets() | PubAckPacket():
                    pass
                case PingRespPacket():
                    self._pongs += 1
                case ConnAckPacket() if not self._connack.done():
                    self._connack.set_result(packet)
                case SubAckPacket() if not self._suback.done():
                    self._suback.set_result(packet)
                case DisconnectPacket():
                    reason = packet.reason_str or words(packet.reason_code.name)
                    raise LinkError(f"disconnected by the broker: {reason}")
                case _:
                    raise ProtocolError(f"an unexpected {type(packet).__name__}")

    async def _answer(self, answer: asyncio.Future[T]) -> T:
        await asyncio.wait((answer, self.closed), timeout=_ANSWER_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        raise self.closed.result() if self.closed.done() else LinkError(f"no answer in {_ANSWER_SECONDS} s")
