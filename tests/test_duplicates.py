from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ground.duplicates import WINDOW, RecentFrames, RunningNumbers

MESSAGES = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 3)), max_size=40)


@given(MESSAGES, st.lists(st.integers(0, 40), max_size=4))
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
    edges = sorted({0, len(messages), *(cut % (len(messages) + 1) for cut in cuts)})
    for a, b in itertools.pairwise(edges):
        part = np.array(messages[a:b], np.int64).reshape(-1, 2)
        got += numbers.take(part[:, 0], part[:, 1]).tolist()
        numbers = RunningNumbers(numbers.spans, numbers.given_up)
    assert got == expected
    assert {n for a, b in numbers.spans for n in range(a, b)} == seen
    assert numbers.missing == (max(seen) - min(seen) + 1 - len(seen) if seen else 0)


def test_too_many_holes_are_given_up_and_stay_counted() -> None:
    numbers = RunningNumbers()
    numbers.take(np.arange(0, 400, 2, dtype=np.int64), np.ones(200, np.int64))
    assert len(numbers.spans) <= 64
    assert numbers.missing == 199


@given(st.lists(st.integers(0, 12), max_size=60), st.lists(st.integers(0, 60), max_size=4))
def test_recent_frames_find_equal_frames_however_they_are_cut(values: list[int], cuts: list[int]) -> None:
    raw = np.array([[v, v, 7] for v in values], np.uint8).reshape(-1, 3)
    recent, got = RecentFrames(), []
    edges = sorted({0, len(values), *(cut % (len(values) + 1) for cut in cuts)})
    for a, b in itertools.pairwise(edges):
        got += recent.take(raw[a:b], raw[a:b, 0].astype(np.int64)).tolist()
        recent = RecentFrames(recent.keys)
    assert got == [v not in values[:i] for i, v in enumerate(values)]


def test_a_frame_older_than_the_window_is_new_again() -> None:
    count = np.arange(WINDOW + 1, dtype=np.int64)
    raw = count.astype("<u4").view(np.uint8).reshape(-1, 4)
    recent = RecentFrames()
    assert recent.take(raw, count).all()
    assert recent.take(raw[:1], count[:1]).tolist() == [True]
    assert recent.take(raw[-1:], count[-1:]).tolist() == [False]
