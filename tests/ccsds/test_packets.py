"""Reassembly on frames made here, bit by bit, and cut into blocks in every way."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ground.blocks import NO_TIME
from ground.ccsds.frames import read_frames
from ground.ccsds.packets import SILENCE, ChannelState, Continuity, read_bare_packets, read_packets, unfit
from ground.mission import load_mission
from tests.real_data import RECORDINGS, recording, requires_real_data

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ground.blocks import Packets

ZONE = 32
CHANGE5 = load_mission("change5")
MISSION = replace(CHANGE5, link=replace(CHANGE5.link, length=16 + ZONE), channels={}, frame_time=CHANGE5.frame_time)


def packet(apid: int, seq: int, octets: int) -> bytes:
    body = bytes((apid + i) & 0xFF for i in range(octets))
    return apid.to_bytes(2, "big") + (0xC000 | seq).to_bytes(2, "big") + (octets - 1).to_bytes(2, "big") + body


def frames_of(packets: list[bytes], first_count: int = 0) -> NDArray[np.uint8]:
    """AOS frames that carry the packets back to back; the last is filled up with one idle packet."""
    stream = b"".join(packets)
    starts = np.cumsum([0, *map(len, packets)]).tolist()
    fill = -len(stream) % ZONE
    if fill:
        fill += ZONE if fill < 7 else 0
        stream += packet(2047, 0, fill - 6)
    frames = []
    for i in range(len(stream) // ZONE):
        inside = [s - i * ZONE for s in starts if i * ZONE <= s < (i + 1) * ZONE and s < len(stream)]
        pointer = inside[0] if inside else 0x7FF
        count = (first_count + i) & 0xFFFFFF
        header = (1 << 14 | 91 << 6 | 1).to_bytes(2, "big") + count.to_bytes(3, "big") + b"\0"
        insert = b"\0\0\0\0" + i.to_bytes(4, "little")
        frames.append(header + insert + pointer.to_bytes(2, "big") + stream[i * ZONE : (i + 1) * ZONE])
    return np.frombuffer(b"".join(frames), np.uint8).reshape(-1, 16 + ZONE)


def in_blocks(raw: NDArray[np.uint8], cuts: list[int]) -> Iterator[tuple[Packets, NDArray[np.int64], Continuity]]:
    """What each block gives, and which of all frames each packet ended in."""
    state = ChannelState()
    edges = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
    for a, b in itertools.pairwise(edges):
        # The frames of the mission only, as the number of a frame is that among those which were read together.
        frames, _ = read_frames(MISSION, raw[a:b], np.arange(a, b, dtype=np.int64))
        packets, seen, state = read_packets(MISSION, frames, state)
        yield packets, frames.ert[packets.frame], seen


def octets_of(packets: Packets) -> list[bytes]:
    where = zip(packets.start.tolist(), packets.length.tolist(), strict=True)
    return [packets.data[start : start + length].tobytes() for start, length in where]


def reassemble(raw: NDArray[np.uint8], cuts: list[int]) -> tuple[list[bytes], tuple[int, int, int, int]]:
    got, total = [], np.zeros(4, int)
    for packets, _, seen in in_blocks(raw, cuts):
        total += [seen.frames, seen.gaps, seen.lost, seen.dropped]
        assert not seen.unheard
        got += octets_of(packets)
    return got, tuple(total.tolist())


def ends(raw: NDArray[np.uint8], cuts: list[int]) -> list[tuple[bytes, int]]:
    """Each packet and the frame that its last octet was in."""
    return [
        pair
        for packets, frame, _ in in_blocks(raw, cuts)
        for pair in zip(octets_of(packets), frame.tolist(), strict=True)
    ]


SIZES = st.lists(st.integers(1, 100), min_size=1, max_size=40)
CUTS = st.lists(st.integers(0, 1000), max_size=8)


@given(SIZES, CUTS, st.sampled_from([0, 5, 0xFFFFFD]))
def test_every_packet_comes_back_however_the_frames_are_cut(sizes: list[int], cuts: list[int], count: int) -> None:
    sent = [packet(i, i, size) for i, size in enumerate(sizes)]
    raw = frames_of(sent, count)
    got, seen = reassemble(raw, cuts)
    assert [p for p in got if p[:2] != b"\x07\xff"] == sent
    assert seen == (len(raw), 0, 0, 0)


@given(SIZES, CUTS, st.data())
def test_a_gap_costs_the_packets_that_it_touches_and_no_other(
    sizes: list[int], cuts: list[int], data: st.DataObject
) -> None:
    sent = [packet(i, i, size) for i, size in enumerate(sizes)]
    raw = frames_of(sent)
    missing = data.draw(st.sets(st.integers(0, len(raw) - 1), max_size=5))
    kept = [i for i in range(len(raw)) if i not in missing]
    ends = np.cumsum([len(p) for p in sent])
    touched = [set(range((e - len(p)) // ZONE, (e - 1) // ZONE + 1)) for p, e in zip(sent, ends.tolist(), strict=True)]
    expected = [p for p, frames in zip(sent, touched, strict=True) if not frames & missing]
    got, (frames, gaps, lost, _) = reassemble(raw[kept], cuts)
    assert [p for p in got if p[:2] != b"\x07\xff"] == expected
    inner = [i for i in missing if kept and kept[0] < i < kept[-1]]
    assert (frames, lost) == (len(kept), len(inner))
    assert gaps == sum(b - a > 1 for a, b in itertools.pairwise(kept))


@given(SIZES, CUTS, st.sets(st.integers(0, 100), max_size=3))
def test_packets_come_in_the_order_of_the_frames_in_which_they_ended(
    sizes: list[int], cuts: list[int], idle: set[int]
) -> None:
    sent = [packet(i, i, size) for i, size in enumerate(sizes)]
    raw = frames_of(sent)
    # Frames with only idle data among them, which no packet is in.
    at = sorted(i % (len(raw) + 1) for i in idle)
    only_idle = raw[:1].copy()
    only_idle[0, 14:16] = 0x07, 0xFE
    place = np.delete(np.arange(len(raw) + len(at)), np.array([i + n for n, i in enumerate(at)], int))
    raw = np.insert(raw, at, only_idle[0], axis=0) if at else raw.copy()
    raw[:, 2:5] = np.arange(len(raw), dtype=">u4").view(np.uint8).reshape(-1, 4)[:, 1:]
    last = place[(np.cumsum([len(p) for p in sent]) - 1) // ZONE]
    got = [pair for pair in ends(raw, cuts) if pair[0][:2] != b"\x07\xff"]
    assert got == list(zip(sent, last.tolist(), strict=True))


@settings(max_examples=200)
@given(st.binary(min_size=0, max_size=20 * (16 + ZONE)), CUTS, st.booleans())
def test_random_frames_never_raise_and_do_not_depend_on_the_cuts(octets: bytes, cuts: list[int], own: bool) -> None:
    raw = np.frombuffer(octets[: len(octets) // (16 + ZONE) * (16 + ZONE)], np.uint8).reshape(-1, 16 + ZONE).copy()
    if own:  # the mission's own header, so that the random part is pointers and packets
        raw[:, 0], raw[:, 1] = 0x56, 0xC1
        raw[:, 14] &= 0x07 if len(raw) % 2 else 0x00
        raw[:, 2:4], raw[:, 4] = 0, np.cumsum(raw[:, 4] & 1)
    assert reassemble(raw, cuts) == reassemble(raw, [])
    found = ends(raw, cuts)
    assert found == ends(raw, [])
    assert [frame for _, frame in found] == sorted(frame for _, frame in found)


def test_only_idle_data_between_two_halves_of_a_packet_is_skipped() -> None:
    raw = frames_of([packet(7, 1, 50)])
    idle = raw[:1].copy()
    idle[0, 14:16] = 0x07, 0xFE
    joined = np.concatenate((raw[:1], idle, raw[1:]))
    joined[:, 4] = np.arange(len(joined))
    for cuts in ([], [1], [2], [1, 2]):
        got, seen = reassemble(joined, cuts)
        assert got[0] == packet(7, 1, 50)
        assert seen == (len(joined), 0, 0, 0)


def test_a_pointer_that_contradicts_the_length_drops_that_packet_only() -> None:
    sent = [packet(1, 1, 20), packet(2, 2, 30), packet(3, 3, 30)]
    raw = frames_of(sent).copy()
    raw[0, 16 + 26 + 5] += 3  # the length of the second packet now reaches past the next pointer
    got, (_, gaps, _, dropped) = reassemble(raw, [])
    assert got[0] == sent[0]
    assert sent[2] in got
    assert sent[1] not in got
    assert (gaps, dropped) == (0, 1)


def test_packet_times_are_those_of_the_frame_in_which_it_began() -> None:
    raw = frames_of([packet(1, 1, 40), packet(2, 2, 40)])
    state, times, erts = ChannelState(), [], []
    for i in range(len(raw)):
        frames, _ = read_frames(MISSION, raw[i : i + 1], np.array([1000 + i], np.int64))
        packets, _, state = read_packets(MISSION, frames, state)
        times += packets.time.tolist()
        erts += packets.ert.tolist()
    assert CHANGE5.frame_time is not None
    assert times == [CHANGE5.frame_time.epoch, CHANGE5.frame_time.epoch + 10**9, CHANGE5.frame_time.epoch + 2 * 10**9]
    assert erts == [1000, 1001, 1002]


def test_a_count_that_goes_back_is_a_gap_of_unknown_size() -> None:
    raw = np.concatenate((frames_of([packet(1, 1, 26)] * 3, 100), frames_of([packet(1, 2, 26)] * 3, 50)))
    _, (frames, gaps, lost, _) = reassemble(raw, [])
    assert (frames, gaps, lost) == (6, 1, 0)


@pytest.mark.parametrize("cut", [0, 2, 3, 5])
def test_what_was_sent_between_two_passes_is_unheard_and_not_lost(cut: int) -> None:
    sent = frames_of([packet(1, n, 26) for n in range(6)])
    raw = np.concatenate((sent[:2], sent[3:4], sent[5:]))
    ert = np.array([0, 1, 2, 3 + SILENCE], np.int64)
    state, lost, unheard, gaps = ChannelState(), 0, 0, 0
    for rows in (slice(0, cut), slice(cut, None)):
        frames, _ = read_frames(MISSION, raw[rows], ert[rows])
        _, seen, state = read_packets(MISSION, frames, state)
        lost, unheard, gaps = lost + seen.lost, unheard + seen.unheard, gaps + seen.gaps
    assert (lost, unheard, gaps) == (1, 1, 1)


def test_a_time_field_that_is_cut_off_gives_no_time() -> None:
    danuri = load_mission("danuri")
    clock = replace(danuri.packet_times[0], offset=210)
    mission = replace(danuri, packet_times=(clock,))
    raw = np.zeros((1, 220), np.uint8)
    raw[0, :2] = 0x6E, 0xE1
    raw[0, 8:14] = 0x02, 0xA1, 0xC0, 0x00, 0x00, 0xCD
    frames, _ = read_frames(mission, raw, np.zeros(1, np.int64))
    packets, _, _ = read_packets(mission, frames, ChannelState())
    assert packets.time.tolist() == [NO_TIME]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_no_frames_leave_the_state_as_it_is(count: int) -> None:
    frames, _ = read_frames(MISSION, frames_of([packet(1, 1, 200)])[:count], np.zeros(count, np.int64))
    _, _, state = read_packets(MISSION, frames, ChannelState())
    again, seen, after = read_packets(MISSION, frames.select(slice(0, 0)), state)
    assert (after, len(again), seen.frames) == (state, 0, 0)


HEADERS = st.tuples(st.sampled_from([0, 0, 0, 1, 7]), st.booleans(), st.integers(0, 3), st.sampled_from([5, 2047]))


@given(st.lists(HEADERS, max_size=30))
def test_packets_of_another_version_telecommands_and_segments_are_told_apart(
    headers: list[tuple[int, bool, int, int]],
) -> None:
    mission = replace(MISSION, link=replace(MISSION.link, frame="none"), frame_time=None)
    octets, expected = b"", []
    for version, command, flags, apid in headers:
        octets += (version << 13 | command << 12 | apid).to_bytes(2, "big") + (flags << 14).to_bytes(2, "big")
        octets += b"\0\3\1\2\3\4"
        reason = "version" if version else "telecommand" if command else "segment" if flags != 3 else ""
        expected.append("" if apid == 2047 else reason)
    one = np.array([len(octets)], np.int64)
    packets, _, _ = read_bare_packets(mission, np.frombuffer(octets, np.uint8), one * 0, one, one)
    found = [""] * len(packets)
    for reason, mask in unfit(packets).items():
        assert mask.any()
        for i in np.flatnonzero(mask).tolist():
            assert not found[i]
            found[i] = reason
    assert found == expected


@requires_real_data
@pytest.mark.parametrize("name", RECORDINGS)
def test_every_packet_of_the_real_recordings_is_fit(name: str) -> None:
    mission = load_mission(name)
    octets = np.fromfile(recording(name), np.uint8)
    raw = octets[: len(octets) // mission.link.length * mission.link.length].reshape(-1, mission.link.length)
    frames, _ = read_frames(mission, raw, np.arange(len(raw), dtype=np.int64))
    for _, channel in frames.by_channel():
        packets, _, _ = read_packets(mission, channel, ChannelState())
        assert not unfit(packets)
        assert (np.diff(packets.start) > 0).all()
        assert (np.diff(packets.frame) >= 0).all()


@given(SIZES, st.integers(1, 5), st.binary(max_size=6))
def test_a_link_without_frames(sizes: list[int], per_message: int, rest: bytes) -> None:
    mission = replace(MISSION, link=replace(MISSION.link, frame="none"), frame_time=None)
    sent = [packet(i, i, size) for i, size in enumerate(sizes)]
    messages = [b"".join(sent[i : i + per_message]) for i in range(0, len(sent), per_message)]
    messages[-1] += rest
    length = np.array([len(message) for message in messages], np.int64)
    start = np.cumsum(length) - length
    ert = np.arange(len(messages), dtype=np.int64)
    data = np.frombuffer(b"".join(messages), np.uint8)
    packets, count, odd = read_bare_packets(mission, data, start, length, ert)
    ends = (packets.start + packets.length).tolist()
    assert [data[s:e].tobytes() for s, e in zip(packets.start.tolist(), ends, strict=True)] == sent
    assert count.sum() == len(sent)
    assert packets.frame.tolist() == np.repeat(np.arange(len(messages)), count).tolist()
    assert packets.time.tolist() == packets.ert.tolist() == np.repeat(ert, count).tolist()
    assert odd.tolist() == [False] * (len(messages) - 1) + [bool(rest)]
