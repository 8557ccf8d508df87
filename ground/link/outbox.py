"""QoS 1 messages on their way to the broker: the window in flight, and what happens to it when a connection ends.

Pure bookkeeping, no I/O: :class:`~ground.link.mqtt.Client` moves the octets.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from mqtt5 import PubAckPacket, PublishPacket, QoS

from ground.errors import LinkError
from ground.link.packets import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_DUP: Final = 0x08
_NO_MATCHING_SUBSCRIBERS: Final = 0x10
_WAITING: Final = 32768
_WAITING_OCTETS: Final = 64 << 20


class Outgoing(NamedTuple):
    """A message to publish. ``properties``: MQTT user properties."""

    topic: str
    payload: bytes
    properties: Sequence[tuple[str, str]] = ()
    retain: bool = False


@dataclass(slots=True)
class Receipt:
    """Tells when all messages that were added with it are acknowledged, and which of them the broker refused."""

    expected: int = 0
    refused: list[str] = field(default_factory=list)
    _all: asyncio.Event = field(default_factory=asyncio.Event)

    def arrived(self, refusal: str | None) -> None:
        """One message is acknowledged, or refused for the reason given."""
        self.expected -= 1
        if refusal:
            self.refused.append(refusal)
        if not self.expected:
            self._all.set()

    async def complete(self) -> None:
        """Wait for the last one. Raises :class:`~ground.errors.LinkError` where the broker refused any."""
        while self.expected:
            self._all.clear()
            await self._all.wait()
        if self.refused:
            raise LinkError(f"the broker refused {len(self.refused)} messages, first {self.refused[0]}")


@dataclass(slots=True)
class _Letter:
    packet_id: int
    topic: str
    octets: bytes
    receipt: Receipt


class Outbox:
    """Messages to be sent (in order), and sent ones that wait for their PUBACK.

    ``window``: how many may wait for a PUBACK at a time, the broker's Receive Maximum (MQTT 5, 4.9).
    """

    def __init__(self, max_packet: int) -> None:
        self.window = 1
        self.max_packet = max_packet
        self._unsent: deque[_Letter] = deque()
        self._in_flight: dict[int, _Letter] = {}
        self._used: set[int] = set()
        self._last_id = 0
        self._octets = 0

    def __len__(self) -> int:
        return len(self._unsent) + len(self._in_flight)

    @property
    def has_room(self) -> bool:
        """Whether another message may be added: bounded in number and in octets."""
        return len(self) < min(2 * self.window, _WAITING) and self._octets < _WAITING_OCTETS

    def add(self, message: Outgoing, receipt: Receipt) -> None:
        """Put a message at the end. Raises :class:`~ground.errors.LinkError` for one that MQTT cannot carry."""
        packet_id = self._last_id % 65535 + 1
        while packet_id in self._used:
            packet_id = packet_id % 65535 + 1
        octets = encode(message, packet_id, self.max_packet)
        self._last_id = packet_id
        self._used.add(packet_id)
        receipt.expected += 1
        self._octets += len(octets)
        self._unsent.append(_Letter(packet_id, message.topic, octets, receipt))

    def take(self, at_most: int) -> bytes:
        """The next packets to write, about ``at_most`` octets, as far as the window allows; b"" if none."""
        parts = []
        size = 0
        while self._unsent and len(self._in_flight) < self.window and size < at_most:
            letter = self._unsent.popleft()
            self._in_flight[letter.packet_id] = letter
            parts.append(letter.octets)
            size += len(letter.octets)
        return b"".join(parts)

    def acknowledged(self, packets: Iterable[PubAckPacket]) -> int:
        """The broker has these messages, or has refused them. An unknown packet identifier is ignored.

        Returns how many of them nobody is subscribed to.
        """
        unheard = 0
        for packet in packets:
            letter = self._in_flight.pop(packet.packet_id, None)
            if letter:
                self._used.discard(packet.packet_id)
                self._octets -= len(letter.octets)
                reason = packet.reason_code.value
                unheard += reason == _NO_MATCHING_SUBSCRIBERS
                bad = reason >= 0x80
                letter.receipt.arrived(f"{letter.topic}: {words(packet.reason_code.name)}" if bad else None)
        return unheard

    def connection_lost(self) -> None:
        """What waits for a PUBACK is sent again, in its order, marked as duplicate (MQTT 5, 4.4 and 3.3.1.1)."""
        for letter in self._in_flight.values():
            letter.octets = bytes([letter.octets[0] | _DUP]) + letter.octets[1:]
        self._unsent.extendleft(reversed(self._in_flight.values()))
        self._in_flight.clear()


def encode(message: Outgoing, packet_id: int | None, max_packet: int) -> bytes:
    """The PUBLISH packet: QoS 1 with a packet identifier, QoS 0 without.

    Raises :class:`~ground.errors.LinkError` for what MQTT cannot carry or what is longer than ``max_packet`` octets.
    """
    try:
        # Before the codec sees it: it panics at what the protocol cannot express.
        octets = (
            b""
            if len(message.payload) > max_packet
            else PublishPacket(
                message.topic,
                message.payload,
                qos=QoS.AT_LEAST_ONCE if packet_id else QoS.AT_MOST_ONCE,
                retain=message.retain,
                packet_id=packet_id,
                user_properties=list(message.properties),
            ).write()
        )
    except ValueError as error:
        raise LinkError(f"{message.topic!r}: cannot be published ({error})") from error
    if not 0 < len(octets) <= max_packet:
        raise LinkError(f"{message.topic}: {len(message.payload):,} octets; the broker takes up to {max_packet:,}")
    return octets
