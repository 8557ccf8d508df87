from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ground.mission import Mission, load_mission
from simulators.encoder import primary_header
from simulators.framing import CLCW, Framer
from simulators.sampling import Packets
from tests.simulators.receiver import Receiver, apid, sequence

LUNA, TIANWEN = load_mission("luna26"), load_mission("tianwen1")
SMALL = replace(TIANWEN, link=replace(TIANWEN.link, length=40))


def packets_of(lengths: list[int]) -> list[bytes]:
    return [
        primary_header(100 + i % 7, i, length, secondary=False).tobytes() + bytes([i % 256]) * (length - 6)
        for i, length in enumerate(lengths)
    ]


def framed(framer: Framer, packets: list[bytes], cuts: list[int], first: int = 0, idle: int = 9) -> bytes:
    edges = np.cumsum([0, *map(len, packets)])
    block = Packets(np.frombuffer(b"".join(packets), np.uint8), edges)
    zones, pointer, _ = framer.filled(block, np.array(cuts), idle)
    assert len(zones) == framer.count(np.diff(edges[cuts])).sum()
    return framer.frames(1, first, np.arange(len(zones)) * 10**9 + 1_600_000_000 * 10**9, zones, pointer).tobytes()


@given(
    st.lists(st.integers(7, 120), min_size=1, max_size=30), st.sets(st.integers(1, 29)), st.integers(0, (1 << 24) - 1)
)
def test_packets_come_out_as_they_went_in(lengths: list[int], inner: set[int], first: int) -> None:
    framer = Framer(SMALL)
    packets = packets_of(lengths)
    cuts = sorted({0, len(packets)} | {cut for cut in inner if cut < len(packets)})
    receiver = Receiver(SMALL).feed(framed(framer, packets, cuts, first))
    found = receiver.packets[1]
    assert [packet for packet in found if apid(packet) != 2047] == packets
    parts = [sum(lengths[a:b]) for a, b in pairwise(cuts)]
    idle = [sequence(packet) for packet in found if apid(packet) == 2047]
    assert idle == [9 + k for k in range(sum(part % framer.zone != 0 for part in parts))]
    n = len(receiver.counts[1])
    assert receiver.counts[1] == [(first + k) % (1 << 24) for k in range(n)]
    assert n * framer.zone < sum(lengths) + len(parts) * (framer.zone + 7)


@pytest.mark.parametrize("mission", [LUNA, TIANWEN], ids=["luna26", "tianwen1"])
def test_a_packet_longer_than_frames_leaves_some_without_a_start(mission: Mission) -> None:
    framer = Framer(mission)
    packets = packets_of([20, 4 * framer.zone, 30])
    frames = framed(framer, packets, [0, 3])
    start = 6 + mission.link.insert_zone
    pointers = [
        int.from_bytes(frames[at + start : at + start + 2], "big") for at in range(0, len(frames), mission.link.length)
    ]
    assert pointers == [0, 0x7FF, 0x7FF, 0x7FF, 20]
    assert Receiver(mission).feed(frames).packets[1][:3] == packets


def test_luna_frames_have_error_control_and_control_field() -> None:
    framer = Framer(LUNA)
    receiver = Receiver(LUNA).feed(framer.frames(63, 7, np.zeros(3, np.int64)).tobytes())
    assert receiver.idle == 3
    assert receiver.ocfs == [CLCW] * 3


def test_tianwen_insert_zone_is_the_real_one() -> None:
    framer = Framer(TIANWEN, insert_tail=b"\x4a\xaa", fill=0xAA)
    # 0150fe9feecc is 2020-08-01T21:01:30.5676 in the real recording
    time = np.array([1_596_315_690_567_600_000, 1_596_315_690_692_600_000])
    frames = framer.frames(3, 0xFFFFFF, time)
    receiver = Receiver(TIANWEN).feed(frames.tobytes())
    assert receiver.insert_zones[0] == bytes.fromhex("0150fe9feecc4aaa")
    assert receiver.insert_zones[1] == (0x0150FE9FEECC + 1250).to_bytes(6, "big") + b"\x4a\xaa"
    assert receiver.counts[3] == [0xFFFFFF, 0]
    assert set(frames[0, 16:].tolist()) == {0xAA}
    assert frames.shape == (2, 220)
