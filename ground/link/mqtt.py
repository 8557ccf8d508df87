"""The MQTT 5 client of the hot path: whole socket reads, deliveries in batches, acknowledgement after the disk.

aiomqtt serves where speed doesn't matter; it acknowledges a message before anyone has seen it. Here a QoS 1 message is
acknowledged when :meth:`Client.ack` says so, in the order of receipt (MQTT 5, 4.6).
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Final

import numpy as np
from mqtt5 import ConnectPacket, PubAckPacket, PublishPacket

from ground.errors import LinkError
from ground.link.address import Address, parse_broker_url
from ground.link.alike import AlikePackets
from ground.link.connection import Connection
from ground.link.delivery import Arrivals, Delivery, packet_ids, without_retained
from ground.link.outbox import Outbox, Outgoing, Receipt, encode
from ground.link.packets import ProtocolError, pubacks
from ground.link.state import LinkCounts, LinkState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType


__all__ = ["Address", "Client", "Delivery", "LinkCounts", "LinkState", "Outgoing", "parse_broker_url"]

_CONNECT_SECONDS: Final = 10.0
_BACK_OFF: Final = (0.1, 10.0)
_WRITE_OCTETS: Final = 1 << 20
_MAX_WINDOW: Final = 2000
"""QoS 1 messages in flight to the broker; more gains nothing."""


class Client:
    """A connection to a broker that keeps coming back, an async context manager.

    ``client_id``: names the session; two clients with the same name throw each other out. ``subscriptions``: (topic
    filter, maximum QoS 0 or 1), made anew at each connection. ``session_expiry``: seconds that the broker keeps the
    session, with what was not acknowledged, after the connection ends; 0 begins with a clean one. ``receive_max``: QoS
    1 messages that the broker may send before it needs acknowledgements. ``max_packet``: octets of the longest packet.
    ``retained``: whether messages that the broker has kept are wanted; if not, it is asked for none, and one that comes
    all the same is counted, acknowledged and left out. ``max_waiting``: octets that may wait for :meth:`receive` before
    reading pauses and the broker holds the rest.
    ``on_state`` is called at each change of :attr:`state`.
    """

    def __init__(
        self,
        address: Address,
        client_id: str,
        *,
        subscriptions: Sequence[tuple[str, int]] = (),
        retained: bool = True,
        session_expiry: int = 0,
        receive_max: int = 2000,
        keep_alive: int = 30,
        max_packet: int = 32 << 20,
        max_waiting: int = 32 << 20,
        on_state: Callable[[LinkState], None] | None = None,
    ) -> None:
        self.address = address
        self.client_id = client_id
        self.counts = LinkCounts()
        self.state = LinkState(False, "not connected yet", time.time_ns())
        self._subscriptions = subscriptions
        self._retained = retained
        self._max_packet = max_packet
        self._max_waiting = max_waiting
        self._on_state = on_state
        self._connect = ConnectPacket(
            client_id,
            username=address.username,
            password=address.password,
            clean_start=not session_expiry,
            session_expiry_interval=session_expiry,
            receive_max=receive_max,
            keep_alive=keep_alive,
            max_packet_size=max_packet,
        )
        self._connection: Connection | None = None
        self._outbox = Outbox(max_packet)
        self._room = asyncio.Event()
        self._changed = asyncio.Event()
        self._arrived = asyncio.Event()
        self._arrivals: deque[Arrivals] = deque()
        self._waiting = 0
        self._holding: asyncio.TimerHandle | None = None
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Client:
        await self._tasks.__aenter__()
        self._task = self._tasks.create_task(self._stay_connected(), name=f"mqtt {self.client_id}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        # The group would wrap what the caller raised into an exception group of its own.
        ours = isinstance(error, asyncio.CancelledError)
        await (self._tasks.__aexit__(kind, error, trace) if ours else self._tasks.__aexit__(None, None, None))

    async def connected(self, within: float | None = None) -> None:
        """Wait until the broker is connected and has confirmed the subscriptions.

        Raises :class:`~ground.errors.LinkError`, with the reason, after ``within`` seconds.
        """
        try:
            async with asyncio.timeout(within):
                while not self.state.connected:
                    await self._changed.wait()
        except TimeoutError:
            raise LinkError(f"{self.address}: {self.state.reason}") from None

    async def receive(self) -> Delivery:
        """Everything that has arrived since the last call; waits for the first message."""
        self._read_on()
        while not self._arrivals:
            self._arrived.clear()
            await self._arrived.wait()
        arrivals = self._arrivals.popleft()
        if not self._arrivals:
            self._waiting = 0
            self._read_on()
        times = np.array(arrivals.times, np.int64)
        received, ids = np.repeat(times[:, 0], times[:, 1]), packet_ids(arrivals.messages)
        messages = arrivals.messages
        if not self._retained:
            messages, received = without_retained(messages, received)
            self.counts.retained += int(times[:, 1].sum()) - len(received)
        delivery = Delivery(messages, received, ids, arrivals.connection, None)
        if len(ids):
            delivery._number = arrivals.connection.delivered
            arrivals.connection.delivered += 1
        return delivery

    def hold(self, seconds: float) -> None:
        """Leave what comes with the kernel until the next :meth:`receive`, for ``seconds`` at most."""
        if self._holding:
            self._holding.cancel()
        if self._connection:
            self._connection.pause()
            self._holding = asyncio.get_running_loop().call_later(seconds, self._read_on)

    @property
    def unread(self) -> int:
        """Octets that have come and that the kernel still holds."""
        return self._connection.unread if self._connection else 0

    def ack(self, delivery: Delivery) -> None:
        """Acknowledge a delivery, with one write. Deliveries are acknowledged in the order in which they were received;
        ``ValueError`` otherwise. Where their connection has ended nothing is sent: the broker delivers them again.
        """
        ids = delivery.packet_ids
        connection = delivery._connection
        if connection.closed.done():
            self.counts.stale_acks += len(ids)
            return
        if len(ids):
            if delivery._number != connection.acknowledged:
                raise ValueError("deliveries are acknowledged once and in the order in which they were received")
            connection.acknowledged += 1
            connection.write(pubacks(ids))
            self.counts.acknowledged += len(ids)

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        properties: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Publish one message; with QoS 1 wait until the broker has it, through reconnections.

        QoS 0 never waits: the message is dropped and counted where the broker is not connected or takes less than is
        sent. Raises :class:`~ground.errors.LinkError` for what the broker refuses or MQTT cannot carry.
        """
        message = Outgoing(topic, payload, properties, retain)
        if qos:
            await self.publish_many((message,))
            return
        octets = encode(message, None, self._outbox.max_packet)
        if self.state.connected and self._connection and self._connection.can_write:
            self._connection.write(octets)
            self.counts.published += 1
        else:
            self.counts.dropped += 1

    async def publish_many(self, messages: Iterable[Outgoing]) -> int:
        """Publish with QoS 1, as many at a time as the broker allows; returns how many when it has them all.

        ``messages`` is drawn from as there is room. Raises :class:`~ground.errors.LinkError` as :meth:`publish`.
        """
        receipt = Receipt()
        count = 0
        for message in messages:
            while not self._outbox.has_room:
                self.writable()
                self._room.clear()
                await self._room.wait()
            self._outbox.add(message, receipt)
            count += 1
        self.writable()
        await receipt.complete()
        return count

    def _read_on(self) -> None:
        if self._connection and self._waiting <= self._max_waiting:
            self._connection.resume()

    async def _stay_connected(self) -> None:
        shortest, longest = _BACK_OFF
        wait = shortest
        while True:
            started = time.monotonic()
            try:
                reason = await self._session()
            except LinkError as error:
                reason = error
            except socket.gaierror as error:
                reason = LinkError(f"{self.address.host}: {(error.strerror or str(error)).lower()}")
            except ConnectionError as error:
                reason = LinkError(os.strerror(error.errno).lower() if error.errno else str(error))
            except (OSError, TimeoutError) as error:
                reason = LinkError(str(error) or "no answer")
            self.counts.protocol_errors += isinstance(reason, ProtocolError)
            self._outbox.connection_lost()
            self._connection = None
            self._set_state(False, str(reason))
            if time.monotonic() - started > longest:
                wait = shortest
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))
            wait = min(2 * wait, longest)

    async def _session(self) -> LinkError:
        """One connection from its beginning to its end; returns why it ended, or raises why it never began."""
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(self, self._max_packet), self.address.host, self.address.port, ssl=self.address.tls
            )
        try:
            connack = await connection.sign_in(self._connect)
            self._connection = connection
            self.counts.connections += 1
            self._outbox.window = min(connack.receive_max, _MAX_WINDOW)
            self._outbox.max_packet = min(connack.max_packet_size or self._max_packet, self._max_packet)
            if self._subscriptions:
                await connection.subscribe(self._subscriptions, retained=self._retained)
            self._set_state(True, "connected")
            self._room.set()
            self.writable()
            return await connection.keep_alive(connack.server_keep_alive or self._connect.keep_alive)
        except asyncio.CancelledError:
            connection.disconnect()
            raise
        finally:
            connection.close(LinkError("closed"))

    def _set_state(self, connected: bool, reason: str) -> None:
        self.state = LinkState(connected, reason, time.time_ns())
        self._changed.set()
        self._changed.clear()
        if self._on_state:
            self._on_state(self.state)

    # What the connection tells (ground.link.connection.Receiver).

    def published(self, connection: Connection, messages: list[PublishPacket | AlikePackets], octets: int) -> None:
        """Messages have come with one socket read of ``octets``."""
        if not self._arrivals or self._arrivals[-1].connection is not connection:
            self._arrivals.append(Arrivals(connection))
        arrivals = self._arrivals[-1]
        arrivals.messages += messages
        n = sum(len(part) if isinstance(part, AlikePackets) else 1 for part in messages)
        arrivals.times.append((time.time_ns(), n))
        self.counts.received += n
        self._waiting += octets
        if self._waiting > self._max_waiting:
            connection.pause()
        self._arrived.set()

    def acknowledged(self, packets: list[PubAckPacket]) -> None:
        """The broker has acknowledged messages of ours."""
        self.counts.published += len(packets)
        self.counts.unheard += self._outbox.acknowledged(packets)
        self._room.set()
        self.writable()

    def writable(self) -> None:
        """Write what the window and the peer allow."""
        connection = self._connection
        while connection and self.state.connected and connection.can_write:
            octets = self._outbox.take(_WRITE_OCTETS)
            if not octets:
                return
            connection.write(octets)
