"""Messages taken apart together are what the codec reads one by one."""

from __future__ import annotations

from typing import Any

import mqtt5
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt5 import PublishPacket, QoS

from ground.link.alike import FEWEST, AlikePackets, one_by_one
from ground.link.delivery import without_retained
from ground.link.packets import ProtocolError, read_packets

LIMIT = 1 << 20


def publish(number: int, *, topic: str = "tm/m/s/0", qos: QoS = QoS.AT_LEAST_ONCE, **changed: Any) -> bytes:
    values: dict[str, Any] = {
        "payload": b"%04d" % number,
        "packet_id": number % 65535 + 1 if qos == QoS.AT_LEAST_ONCE else None,
        "user_properties": [("run", "ab"), ("seq", f"{number:06d}")],
        **changed,
    }
    return PublishPacket(topic, qos=qos, **values).write()


def read(packets: list[bytes]) -> list[Any]:
    found: list[Any] = []
    octets = b"".join(packets)
    assert read_packets(memoryview(octets), found, LIMIT) == len(octets)
    return found


def codec(packets: list[bytes]) -> list[str]:
    return [repr(mqtt5.read(memoryview(packet))[0]) for packet in packets]


@pytest.mark.parametrize("qos", [QoS.AT_MOST_ONCE, QoS.AT_LEAST_ONCE])
def test_a_stretch_is_taken_apart_once(qos: QoS) -> None:
    sent = [publish(number, qos=qos) for number in range(50)]
    (alike,) = read(sent)
    assert isinstance(alike, AlikePackets)
    assert len(alike) == 50
    assert alike.topic == "tm/m/s/0"
    assert [row.tobytes() for row in alike.payload] == [b"%04d" % number for number in range(50)]
    assert alike.packet_ids.tolist() == (list(range(1, 51)) if qos == QoS.AT_LEAST_ONCE else [])
    values = {name: [row.tobytes() for row in text] for name, text in alike.user_properties}
    assert values == {"run": [b"ab"] * 50, "seq": [b"%06d" % number for number in range(50)]}
    assert [repr(packet) for packet in one_by_one([alike])] == codec(sent)


@given(
    st.lists(
        st.tuples(
            st.integers(1, 30),
            st.sampled_from(["t", "u", "tt"]),
            st.sampled_from([b"", b"x", b"x" * 200]),
            st.sampled_from(["1", "µ", "2"]),
            st.booleans(),
        ),
        max_size=8,
    )
)
def test_whatever_comes_together_is_what_the_codec_reads(runs: list[tuple[int, str, bytes, str, bool]]) -> None:
    sent = [
        publish(number, topic=topic, payload=payload, user_properties=[("seq", seq)], retain=retain)
        for length, topic, payload, seq, retain in runs
        for number in range(length)
    ]
    found = read(sent)
    assert [repr(packet) for packet in one_by_one(found)] == codec(sent)
    assert all(len(part) >= FEWEST for part in found if isinstance(part, AlikePackets))


def test_a_bad_string_in_the_middle_of_a_stretch_is_refused_as_anywhere() -> None:
    sent = [publish(number) for number in range(40)]
    sent[20] = sent[20].replace(b"000020", b"00\xff020")
    found: list[Any] = []
    with pytest.raises(ProtocolError, match="not UTF-8"):
        read_packets(memoryview(b"".join(sent)), found, LIMIT)
    assert len(one_by_one(found)) == 20


def test_other_properties_are_left_to_the_codec() -> None:
    sent = [publish(number, content_type="a") for number in range(20)]
    assert [type(packet) for packet in read(sent)] == [PublishPacket] * 20


def test_retained_ones_are_left_out_with_their_times_alike_or_not() -> None:
    parts = read([publish(n, retain=10 <= n < 30 or n == 50) for n in range(51)])
    assert [isinstance(part, AlikePackets) for part in parts] == [True, True, True, False]
    kept, received = without_retained(parts, np.arange(51))
    assert received.tolist() == [*range(10), *range(30, 50)]
    assert [packet.payload for packet in one_by_one(kept)] == [b"%04d" % n for n in received]
    assert not any(packet.retain for packet in one_by_one(kept))
