"""Sets of minutes, as the intervals that they form.

A minute is 60 s of a point's own time, counted from 1970 UTC; intervals are half open, disjoint and in order.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ground.stores.influxdb.records import FIRST, LAST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

Minutes: TypeAlias = tuple[tuple[int, int], ...]

MINUTE = 60 * 10**9
"""In ns."""

NONE: Minutes = ()
EVERY: Minutes = ((FIRST // MINUTE, LAST // MINUTE + 1),)
"""Every minute that InfluxDB has a time in."""


def touched(time: NDArray[np.int64]) -> Minutes:
    """The minutes of times (n,) in ns."""
    if not len(time):
        return NONE
    minutes = np.unique(time // MINUTE)
    first = np.flatnonzero(np.append(True, np.diff(minutes) > 1))
    ends = np.append(first[1:], len(minutes)) - 1
    return tuple(zip(minutes[first].tolist(), (minutes[ends] + 1).tolist(), strict=True))


def union(intervals: Iterable[tuple[int, int]], most: int | None = None) -> Minutes:
    """The minutes in any of the intervals; those in the shortest gaps, too, where there would be more than ``most``."""
    merged: list[tuple[int, int]] = []
    for first, end in sorted(intervals):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((first, end))
    if most is None or len(merged) <= most:
        return tuple(merged)
    gaps = sorted(range(1, len(merged)), key=lambda i: merged[i][0] - merged[i - 1][1], reverse=True)
    cuts = [0, *sorted(gaps[: most - 1]), len(merged)]
    return tuple((merged[a][0], merged[b - 1][1]) for a, b in pairwise(cuts))


def minus(minutes: Minutes, others: Minutes) -> Minutes:
    """The minutes without those in ``others``."""
    left: list[tuple[int, int]] = []
    for first, end in minutes:
        for taken, free in others:
            if taken >= end:
                break
            if free > first:
                if taken > first:
                    left.append((first, taken))
                first = free
        if first < end:
            left.append((first, end))
    return tuple(left)


def both(minutes: Minutes, others: Minutes) -> Minutes:
    """The minutes that are in ``others``, too."""
    return minus(minutes, minus(minutes, others))


def among(numbers: NDArray[np.int64], minutes: Minutes) -> NDArray[np.bool_]:
    """Which of the numbers (n,) are in ``minutes``."""
    edges = np.array(minutes, np.int64).reshape(-1)
    inside: NDArray[np.bool_] = np.searchsorted(edges, numbers, side="right") % 2 == 1
    return inside
