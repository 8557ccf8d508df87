from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ground.ccsds.digest import row_digests
from ground.ccsds.frames import ONLY_IDLE_DATA, count_modulus, read_frames
from ground.ccsds.packets import ChannelState, read_packets
from ground.duplicates import PLAUSIBLE, WINDOW, RecentFrames, RunningNumbers, checksums
from ground.mission import load_mission
from tests.real_data import ROOT, requires_real_data

if TYPE_CHECKING:
    from collections.abc import Iterator

MESSAGES = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 3)), max_size=40)
CUTS = st.lists(st.integers(0, 60), max_size=4)
FAR = st.sampled_from([0, PLAUSIBLE, 3 * PLAUSIBLE, 1 << 40, (1 << 63) - 1000])


def blocks(n: int, cuts: list[int]) -> Iterator[tuple[int, int]]:
    return itertools.pairwise(sorted({0, n, *(cut % (n + 1) for cut in cuts)}))


def again(numbers: RunningNumbers) -> RunningNumbers:
    """The same after a restart."""
    return RunningNumbers.restored(json.loads(json.dumps(numbers.state())))


def take(numbers: RunningNumbers, *messages: tuple[int, int, int]) -> tuple[list[bool], int, int]:
    """First number, frames, checksum: which are new, how many implausible, how often it began again."""
    first, frames, checksum = np.array(messages, np.int64).reshape(-1, 3).T
    taken = numbers.take(first, frames, checksum.astype(np.uint32))
    return taken.new.tolist(), int(taken.implausible.sum()), taken.restarts


@given(MESSAGES, CUTS)
def test_running_numbers_agree_with_a_set_however_they_are_cut(
    messages: list[tuple[int, int]], cuts: list[int]
) -> None:
    seen: set[int] = set()
    expected = []
    for first, frames in messages:
        expected.append(first not in seen)
        if first not in seen:
            seen.update(range(first, first + frames))
    numbers, got = RunningNumbers(), []
    for a, b in blocks(len(messages), cuts):
        new, implausible, restarts = take(numbers, *((first, frames, first) for first, frames in messages[a:b]))
        assert (implausible, restarts) == (0, 0)
        got += new
        numbers = again(numbers)
    assert got == expected
    assert {n for a, b in numbers.spans for n in range(a, b)} == seen
    assert numbers.missing == (max(seen) - min(seen) + 1 - len(seen) if seen else 0)


@given(st.lists(st.tuples(st.integers(0, 12), FAR, st.integers(1, 3), st.integers(0, 1)), max_size=40), CUTS)
def test_garbled_numbers_and_restarts_do_not_depend_on_the_cuts(
    given_: list[tuple[int, int, int, int]], cuts: list[int]
) -> None:
    messages = [(first + far, frames, checksum) for first, far, frames, checksum in given_]
    outcomes = []
    for cut in ([], cuts):
        numbers = RunningNumbers()
        new: list[bool] = []
        total = np.zeros(2, int)
        for a, b in blocks(len(messages), cut):
            taken, *others = take(numbers, *messages[a:b])
            new, total, numbers = new + taken, total + others, again(numbers)
        outcomes.append((new, total.tolist(), numbers.state(), numbers.missing))
    assert outcomes[0] == outcomes[1]


def test_too_many_holes_are_given_up_and_stay_counted() -> None:
    numbers = RunningNumbers()
    take(numbers, *((first, 1, 0) for first in range(0, 400, 2)))
    assert len(numbers.spans) <= 64
    assert numbers.missing == 199


@pytest.mark.parametrize("garbled", [(1 << 62) + 5, (1 << 63) - 1, PLAUSIBLE + 12, 1 << 40])
def test_one_garbled_number_is_not_believed_and_nothing_is_missing(garbled: int) -> None:
    numbers = RunningNumbers()
    assert take(numbers, (5, 3, 1), (garbled, 3, 2), (11, 3, 3)) == ([True] * 3, 1, 0)
    assert numbers.missing == 3
    assert numbers.spans == [(5, 8), (11, 14)]


def test_a_garbled_first_number_costs_no_message_and_nothing_is_missing() -> None:
    numbers = RunningNumbers()
    got = take(numbers, (1 << 60, 2, 0), (0, 2, 1), (2, 2, 2), (4, 2, 3), (2, 2, 2))
    assert got == ([True, True, True, True, False], 1, 1)
    assert (numbers.spans, numbers.missing) == ([(0, 6)], 0)


def test_a_jump_is_believed_when_the_next_message_goes_on_from_there() -> None:
    numbers = RunningNumbers()
    far = 2 * PLAUSIBLE
    assert take(numbers, (0, 1, 0), (far, 1, 1), (far + 1, 1, 2)) == ([True] * 3, 1, 0)
    assert numbers.missing == far - 1
    assert take(numbers, (far, 1, 1)) == ([False], 0, 0)
    # Too far for a loss: the publisher counts anew.
    assert take(numbers, (1 << 50, 1, 1), ((1 << 50) + 1, 1, 2)) == ([True] * 2, 1, 1)
    assert numbers.missing == far - 1


def test_garbled_numbers_with_good_ones_between_are_never_believed() -> None:
    numbers = RunningNumbers()
    assert take(numbers, (0, 1, 0), (1 << 50, 1, 1), (1, 1, 2), ((1 << 50) + 1, 1, 3)) == ([True] * 4, 2, 0)
    assert (numbers.spans, numbers.missing) == ([(0, 2)], 0)


def test_a_message_with_an_implausible_number_that_comes_twice_is_a_duplicate() -> None:
    numbers = RunningNumbers()
    assert take(numbers, (0, 1, 0), (1 << 50, 1, 1), (1 << 50, 1, 1)) == ([True, True, False], 1, 0)


@pytest.mark.parametrize("messages", [1, 70, 2000, 5000])
@pytest.mark.parametrize("restored", [False, True])
def test_a_publisher_that_counts_from_the_start_again_loses_nothing(messages: int, restored: bool) -> None:
    numbers = RunningNumbers()
    assert take(numbers, *((n, 1, n) for n in range(messages))) == ([True] * messages, 0, 0)
    numbers = again(numbers) if restored else numbers
    assert take(numbers, *((n, 1, n + 10**6) for n in range(messages))) == ([True] * messages, 0, 1)
    assert (numbers.spans, numbers.missing) == ([(0, messages)], 0)


def test_one_that_begins_again_somewhere_else_is_noticed_within_what_is_remembered() -> None:
    numbers = RunningNumbers()
    take(numbers, (0, 10, 1), (10, 10, 2), (30, 10, 3))
    assert take(numbers, (10, 10, 7), (20, 10, 8)) == ([True, True], 0, 1)
    assert (numbers.spans, numbers.missing) == ([(10, 30)], 10)


@pytest.mark.parametrize("restored", [False, True])
def test_what_the_broker_sends_twice_is_a_duplicate_even_when_it_is_forgotten(restored: bool) -> None:
    numbers = RunningNumbers()
    sent = [(n, 1, n) for n in range(3000)]
    take(numbers, *sent)
    numbers = again(numbers) if restored else numbers
    assert take(numbers, *sent) == ([False] * 3000, 0, 0)
    assert len(json.dumps(numbers.state())) < 7000


def test_checksums_are_those_of_the_payloads() -> None:
    data = np.frombuffer(b"xx123456789yy", np.uint8)
    assert checksums(data, np.array([2, 0]), np.array([9, 0])).tolist() == [0xCBF43926, 0]


def frames_of(values: list[int]) -> np.ndarray:
    return np.array([[v, v, 7] for v in values], np.uint8).reshape(-1, 3)


def new_ones(values: list[int], cuts: list[int], modulus: int = 256, idle: bool = False) -> list[bool]:
    """Frames that are equal when their counts are, in blocks, with a restart after each."""
    recent, got = RecentFrames(), []
    for a, b in blocks(len(values), cuts):
        count = np.array(values[a:b], np.int64)
        got += recent.take(frames_of(values[a:b]), count, modulus, np.full(b - a, idle)).tolist()
        recent = RecentFrames.restored(json.loads(json.dumps(recent.state())))
    return got


@given(st.lists(st.integers(0, 12), max_size=60), CUTS)
def test_recent_frames_find_equal_frames_however_they_are_cut(values: list[int], cuts: list[int]) -> None:
    kept: list[int] = []
    expected = []
    for value in values:
        expected.append(value not in kept or value == kept[-1] + 1)
        kept += [value] if expected[-1] else []
    assert new_ones(values, cuts) == expected


@given(st.lists(st.integers(0, 5), max_size=60), CUTS, st.booleans())
def test_recent_frames_do_not_depend_on_the_cuts(values: list[int], cuts: list[int], idle: bool) -> None:
    assert new_ones(values, cuts, 6, idle) == new_ones(values, [], 6, idle)


def test_equal_frames_whose_counts_go_on_are_no_repeats() -> None:
    values = [n % 256 for n in range(1000)]
    assert all(new_ones(values, []))
    # One of them comes three times; the frames after it are as good as before.
    values[700:700] = [values[699]] * 2
    got = new_ones(values, [600, 701])
    assert [i for i, new in enumerate(got) if not new] == [700, 701]


def test_an_idle_frame_after_a_gap_is_no_repeat() -> None:
    values = [n % 256 for n in range(600)]
    del values[500:503]
    assert all(new_ones(values, [], idle=True))
    # Back by 10 rather than on by 246.
    assert new_ones(values + values[-10:], [], idle=True) == [True] * 597 + [False] * 10


@pytest.mark.parametrize("block", [1, 100, 1000, 1024, 3000])
def test_no_more_than_the_window_is_remembered_however_frames_come(block: int) -> None:
    count = np.arange(5000, dtype=np.int64)
    raw = count.astype("<u4").view(np.uint8).reshape(-1, 4)
    recent = RecentFrames()
    for at in range(0, 5000, block):
        part = slice(at, at + block)
        assert recent.take(raw[part], count[part], 1 << 24, count[part] < 0).all()
    assert recent.keys.tolist() == row_digests(raw[-WINDOW:]).tolist()


def test_a_frame_older_than_the_window_is_new_again() -> None:
    count = np.arange(WINDOW + 1, dtype=np.int64)
    raw = count.astype("<u4").view(np.uint8).reshape(-1, 4)
    idle = np.zeros(WINDOW + 1, np.bool_)
    recent = RecentFrames()
    assert recent.take(raw, count, 1 << 24, idle).all()
    assert recent.take(raw[:1], count[:1], 1 << 24, idle[:1]).tolist() == [True]
    assert recent.take(raw[-1:], count[-1:], 1 << 24, idle[:1]).tolist() == [False]


@requires_real_data
@pytest.mark.parametrize(("name", "packets"), [("hera", 6), ("change5", None)])
@pytest.mark.parametrize("at_a_time", [1, 2, 3])
def test_a_real_frame_that_comes_three_times_is_no_gap_and_no_loss(
    name: str, packets: int | None, at_a_time: int
) -> None:
    mission = load_mission(name)
    if name == "change5":  # another spacecraft of that mission, whose frames are the same
        mission = replace(mission, link=replace(mission.link, spacecraft_id=108))
    octets = np.fromfile(ROOT / "cases" / f"{name}-one-frame-three-times.u8", np.uint8)
    raw = octets.reshape(-1, mission.link.length)
    assert len(raw) == 3
    recent, state, found = RecentFrames(), ChannelState(), np.zeros(4, int)
    for at in range(0, 3, at_a_time):
        block = raw[at : at + at_a_time]
        frames, _ = read_frames(mission, block, np.zeros(len(block), np.int64))
        idle = frames.pointer == ONLY_IDLE_DATA
        frames = frames.select(recent.take(frames.raw, frames.vcfc, count_modulus(mission.link), idle))
        got, seen, state = read_packets(mission, frames, state)
        found += [seen.frames, seen.gaps, seen.lost, len(got)]
    assert found[:3].tolist() == [1, 0, 0]
    assert packets is None or found[3] == packets
