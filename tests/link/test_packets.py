from __future__ import annotations

from typing import Any

import mqtt5
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mqtt5 import PubAckPacket, PublishPacket, QoS

from ground.link.packets import ProtocolError, pubacks, read_packets

LIMIT = 100_000


def publish(payload: bytes = b"payload", packet_id: int = 7) -> bytes:
    packet = PublishPacket(
        "tm/m/s/1", payload, qos=QoS.AT_LEAST_ONCE, packet_id=packet_id, user_properties=[("run", "abcdefgh")]
    )
    return packet.write()


def read_all(octets: bytes, limit: int = LIMIT) -> tuple[list[mqtt5.Packet], int, str | None]:
    packets: list[Any] = []
    try:
        return packets, read_packets(memoryview(octets), packets, limit), None
    except ProtocolError as error:
        return packets, -1, str(error)


@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(0, 400))
def test_whole_packets_are_read_and_the_rest_is_left(payloads: list[bytes], cut: int) -> None:
    stream = b"".join(map(publish, payloads))
    whole = stream[: max(len(stream) - cut, 0)]
    packets, used, error = read_all(whole)
    assert error is None
    got = [packet.payload for packet in packets if isinstance(packet, PublishPacket)]
    assert got == payloads[: len(got)]
    assert used == sum(len(publish(payload)) for payload in got)
    if len(got) < len(payloads):
        assert len(whole) - used < len(publish(payloads[len(got)]))


@given(st.binary(max_size=200))
@example(b"\x30\xff\xff\xff\xff\x00")
@example(b"\x30\x80")
@example(b"\x40\x00")
def test_random_octets_give_packets_or_a_protocol_error(octets: bytes) -> None:
    _, used, error = read_all(octets)
    assert error or 0 <= used <= len(octets)


@given(st.data())
def test_a_damaged_packet_leaves_the_ones_before_it(data: st.DataObject) -> None:
    good = publish(b"good")
    damaged = bytearray(publish(b"x" * 20))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    packets, _, _ = read_all(good + damaged)
    assert isinstance(packets[0], PublishPacket)
    assert packets[0].payload == b"good"


def test_a_hostile_length_is_refused_before_its_octets_come() -> None:
    for octets in (b"\x30\xff\xff\xff\x7f", b"\x30\xa1\x8d\x06"):
        assert "limit" in (read_all(octets)[2] or "")
    assert "more than four octets" in (read_all(b"\x30\xff\xff\xff\xff")[2] or "")
    assert read_all(b"\x30\xff\xff\xff")[1:] == (0, None)


def test_the_longest_packet_passes() -> None:
    octets = publish(b"x" * 99_000)
    assert len(read_all(octets, len(octets))[0]) == 1
    assert read_all(octets, len(octets) - 1)[2]


@pytest.mark.parametrize("place", [b"tm/m/s/1", b"run", b"abcdefgh"])
def test_text_that_is_not_utf_8_is_a_protocol_error(place: bytes) -> None:
    octets = publish().replace(place, b"\xff" * len(place))
    assert read_all(octets)[2] == "a string that is not UTF-8"


def test_text_in_any_packet_and_behind_any_property() -> None:
    for packet in (
        mqtt5.PubAckPacket(200, reason_str="reason"),
        mqtt5.ConnAckPacket(session_expiry_interval=2**32 - 1, reason_str="reason"),
        mqtt5.SubAckPacket(200, [mqtt5.SubAckReasonCode.NOT_AUTHORIZED], reason_str="reason"),
        mqtt5.DisconnectPacket(reason_str="reason"),
        PublishPacket(
            "tmé",
            b"\xff",
            message_expiry_interval=2**32 - 1,
            correlation_data=b"\xff\xfe",
            subscription_ids=[200_000],
            user_properties=[("n" * 200, "reason"), ("é", "")],
        ),
    ):
        octets = packet.write()
        assert len(read_all(octets)[0]) == 1
        assert read_all(octets.replace(b"reason", b"reas\xff\xff"))[2] == "a string that is not UTF-8"


@given(st.lists(st.integers(1, 65535), max_size=50))
def test_pubacks_are_what_the_codec_reads(ids: list[int]) -> None:
    packets, _, error = read_all(pubacks(np.array(ids, np.int64)))
    assert error is None
    assert [packet.packet_id for packet in packets if isinstance(packet, PubAckPacket)] == ids
