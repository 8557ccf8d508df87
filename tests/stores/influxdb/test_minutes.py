from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ground.stores.influxdb.minutes import EVERY, MINUTE, Minutes, among, both, minus, touched, union

intervals = st.lists(st.tuples(st.integers(-20, 20), st.integers(1, 6)).map(lambda pair: (pair[0], sum(pair))))
sets = intervals.map(union)


def members(minutes: Minutes) -> set[int]:
    return {minute for first, end in minutes for minute in range(first, end)}


def assert_well_formed(minutes: Minutes) -> None:
    edges = [edge for interval in minutes for edge in interval]
    assert all(one < other for one, other in pairwise(edges))


@given(one=sets, other=sets)
def test_they_are_sets(one: Minutes, other: Minutes) -> None:
    made = {
        union([*one, *other]): members(one) | members(other),
        minus(one, other): members(one) - members(other),
        both(one, other): members(one) & members(other),
    }
    for minutes, expected in made.items():
        assert members(minutes) == expected
        assert_well_formed(minutes)
    numbers = np.arange(-30, 30)
    assert set(numbers[among(numbers, one)].tolist()) == members(one)


@given(times=st.lists(st.integers(-(2**63), 2**63 - 1)), few=st.lists(st.integers(-5 * MINUTE, 5 * MINUTE)))
def test_the_minutes_of_times(times: list[int], few: list[int]) -> None:
    for some in (times, few):
        minutes = touched(np.array(some, np.int64))
        assert members(minutes) == {time // MINUTE for time in some}
        assert_well_formed(minutes)
        assert minus(minutes, EVERY) == ()


@given(minutes=sets, most=st.integers(1, 4))
def test_too_many_intervals_are_joined_over_their_shortest_gaps(minutes: Minutes, most: int) -> None:
    joined = union(minutes, most)
    assert len(joined) == min(most, len(minutes))
    assert_well_formed(joined)
    assert minus(minutes, joined) == ()
    closed = [end - first for first, end in minus(joined, minutes)]
    left = [end - first for first, end in minus(((-50, 50),), joined)][1:-1]
    assert max(closed, default=0) <= min(left, default=100)
