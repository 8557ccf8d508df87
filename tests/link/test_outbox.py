from __future__ import annotations

import asyncio

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from mqtt5 import PubAckPacket, PubAckReasonCode, PublishPacket

from ground.errors import LinkError
from ground.link.outbox import Outbox, Outgoing, Receipt
from ground.link.packets import read_packets


def taken(outbox: Outbox, at_most: int = 1 << 20) -> list[PublishPacket]:
    packets: list[object] = []
    octets = outbox.take(at_most)
    assert read_packets(memoryview(octets), packets, 1 << 20) == len(octets)  # type: ignore[arg-type]
    return [packet for packet in packets if isinstance(packet, PublishPacket)]


class Broker(RuleBasedStateMachine):
    """Whatever happens, the broker gets every message, in order, and never more at a time than it allows."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox(1 << 20)
        self.outbox.window = 3
        self.receipt = Receipt()
        self.added = self.acknowledged = 0
        self.wire: list[PublishPacket] = []
        self.lost = False

    @precondition(lambda self: self.outbox.has_room)
    @rule()
    def add(self) -> None:
        self.outbox.add(Outgoing("t", b"%d" % self.added), self.receipt)
        self.added += 1

    @rule(at_most=st.integers(1, 40))
    def take(self, at_most: int) -> None:
        for packet in taken(self.outbox, at_most):
            expected = self.acknowledged + len(self.wire)
            assert packet.payload == b"%d" % expected
            self.wire.append(packet)
        assert len(self.wire) <= 3
        assert len({packet.packet_id for packet in self.wire}) == len(self.wire)

    @precondition(lambda self: self.wire)
    @rule()
    def acknowledge(self) -> None:
        packet = self.wire.pop(0)
        assert packet.packet_id
        self.outbox.acknowledged([PubAckPacket(packet.packet_id)])
        self.acknowledged += 1

    @precondition(lambda self: self.wire)
    @rule()
    def lose(self) -> None:
        sent = [(packet.payload, packet.packet_id) for packet in self.wire]
        self.outbox.connection_lost()
        self.wire = taken(self.outbox)[: len(sent)]
        assert [(packet.payload, packet.packet_id) for packet in self.wire[: len(sent)]] == sent
        assert all(packet.duplicate for packet in self.wire)
        # What else fitted into the window went out as well.
        self.wire = sorted(self.in_flight(), key=lambda packet: int(packet.payload))

    def in_flight(self) -> list[PublishPacket]:
        self.outbox.connection_lost()
        return taken(self.outbox)

    @invariant()
    def counts(self) -> None:
        assert len(self.outbox) == self.receipt.expected == self.added - self.acknowledged


TestBroker = Broker.TestCase


async def test_a_refused_message_is_named() -> None:
    outbox, receipt = Outbox(1000), Receipt()
    for _ in range(2):
        outbox.add(Outgoing("tm/m/s/1", b""), receipt)
    outbox.window = 2
    first, second = taken(outbox)
    assert first.packet_id
    assert second.packet_id
    waiting = asyncio.create_task(receipt.complete())
    refused = PubAckPacket(first.packet_id, reason_code=PubAckReasonCode.NOT_AUTHORIZED)
    assert outbox.acknowledged([refused]) == 0
    await asyncio.sleep(0)
    assert not waiting.done()
    unheard = PubAckPacket(second.packet_id, reason_code=PubAckReasonCode.NO_MATCHING_SUBSCRIBERS)
    assert outbox.acknowledged([unheard]) == 1
    with pytest.raises(LinkError, match="refused 1 messages, first tm/m/s/1: not authorized"):
        await waiting


def test_packet_identifiers_in_use_are_passed_over() -> None:
    outbox, receipt = Outbox(1000), Receipt()
    outbox.window = 2
    outbox.add(Outgoing("stuck", b""), receipt)
    (stuck,) = taken(outbox)
    seen = set()
    for _ in range(70_000):
        outbox.add(Outgoing("t", b""), receipt)
        (packet,) = taken(outbox)
        assert packet.packet_id
        assert packet.packet_id != stuck.packet_id
        seen.add(packet.packet_id)
        outbox.acknowledged([PubAckPacket(packet.packet_id)])
    assert len(seen) == 65534


def test_room_is_bounded_in_octets() -> None:
    outbox = Outbox(32 << 20)
    outbox.window = 1000
    count = 0
    while outbox.has_room:
        outbox.add(Outgoing("t", bytes(20_000_000)), Receipt())
        count += 1
    assert count == 4
