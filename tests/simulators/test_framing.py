from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ground.mission import Mission, load_mission
from simulators.encoder import primary_header
from simulators.framing import CLCW, Framer
from tests.simulators.receiver import Receiver, apid, sequence

LUNA, TIANWEN = load_mission("luna26"), load_mission("tianwen1")
SMALL = replace(TIANWEN, link=replace(TIANWEN.link, length=40))


def packets_of(lengths: list[int]) -> list[bytes]:
    return [
        primary_header(100 + i % 7, i, length, secondary=False).tobytes() + bytes([i % 256]) * (length - 6)
        for i, length in enumerate(lengths)
    ]


@given(st.lists(st.integers(7, 120), min_size=1, max_size=30), st.integers(0, (1 << 24) - 1))
def test_packets_come_out_as_they_went_in(lengths: list[int], first: int) -> None:
    framer = Framer(SMALL)
    packets = packets_of(lengths)
    n = framer.count(packets)
    assert (n - 1) * framer.zone < sum(lengths) + 7
    receiver = Receiver(SMALL)
    receiver.feed(framer.packet_frames(1, first, packets, 9, np.arange(n) * 10**9 + 1_600_000_000 * 10**9).tobytes())
    found = receiver.packets[1]
    assert found[: len(packets)] == packets
    assert [(apid(packet), sequence(packet)) for packet in found[len(packets) :]] == [(2047, 9)] * (
        sum(lengths) % framer.zone != 0
    )
    assert receiver.counts[1] == [(first + k) % (1 << 24) for k in range(n)]


@pytest.mark.parametrize("mission", [LUNA, TIANWEN], ids=["luna26", "tianwen1"])
def test_a_packet_longer_than_frames_leaves_some_without_a_start(mission: Mission) -> None:
    framer = Framer(mission)
    packets = packets_of([20, 4 * framer.zone, 30])
    n = framer.count(packets)
    frames = framer.packet_frames(1, 0, packets, 0, np.zeros(n, np.int64) + 1_600_000_000 * 10**9)
    start = 6 + mission.link.insert_zone
    pointers = [int.from_bytes(frame[start : start + 2].tobytes(), "big") for frame in frames]
    assert pointers == [0, 0x7FF, 0x7FF, 0x7FF, 20]
    assert Receiver(mission).feed(frames.tobytes()).packets[1][:3] == packets


def test_luna_frames_have_error_control_and_control_field() -> None:
    framer = Framer(LUNA)
    receiver = Receiver(LUNA).feed(framer.idle_frames(63, 7, np.zeros(3, np.int64)).tobytes())
    assert receiver.idle == 3
    assert receiver.ocfs == [CLCW] * 3


def test_tianwen_insert_zone_is_the_real_one() -> None:
    framer = Framer(TIANWEN, insert_tail=b"\x4a\xaa", fill=0xAA)
    # 0150fe9feecc is 2020-08-01T21:01:30.5676 in the real recording
    time = np.array([1_596_315_690_567_600_000, 1_596_315_690_692_600_000])
    frames = framer.idle_frames(3, 0xFFFFFF, time)
    receiver = Receiver(TIANWEN).feed(frames.tobytes())
    assert receiver.insert_zones[0] == bytes.fromhex("0150fe9feecc4aaa")
    assert receiver.insert_zones[1] == (0x0150FE9FEECC + 1250).to_bytes(6, "big") + b"\x4a\xaa"
    assert receiver.counts[3] == [0xFFFFFF, 0]
    assert set(frames[0, 16:].tolist()) == {0xAA}
    assert frames.shape == (2, 220)
