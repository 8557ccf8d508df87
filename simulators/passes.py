"""When each station hears the spacecraft: found on a grid of a minute, then to the second.

Searching goes by onboard time; what comes out is earth receive time. Changes that last less than a minute are
overlooked.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

import numpy as np

from simulators.ephemeris import SECOND
from simulators.geometry import light_time, views
from simulators.station import BELOW, IN_VIEW, reasons

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from ground.mission import Station
    from simulators.orbit import Trajectory
    from simulators.spacecraft import Spacecraft

_COARSE = 60
_BLOCK = 6 * 3600
_LOOK_AHEAD = 36 * 3600


@dataclass(frozen=True)
class Spell:
    """Earth receive time from ``begin`` to ``end``, ns since 1970 UTC, with the same ``reason`` for silence."""

    begin: int
    end: int
    reason: str


@dataclass(frozen=True)
class Pass:
    """From the first moment a station hears the spacecraft until it sets for good, in earth receive time.

    ``culmination``: when it is highest, ``elevation`` degrees. ``interruptions``: silence in between.
    """

    station: str
    aos: int
    los: int
    culmination: int
    elevation: float
    interruptions: tuple[Spell, ...]


@dataclass(frozen=True)
class _Change:
    """At onboard ``time``, heard at ``received``, the station's ``reason`` begins."""

    time: int
    received: int
    reason: str


def find(
    craft: Spacecraft,
    trajectory: Trajectory,
    stations: Mapping[str, Station],
    begin: int,
    end: int,
    progress: Callable[[float], None] = lambda _: None,
) -> list[Pass]:
    """All passes that are heard between ``begin`` and ``end``, ns since 1970 UTC of earth receive time, by their AOS.

    What lies across one of these is cut there. ``progress`` is told the share that is done.
    """
    first, last = (edge - round(float(light_time(trajectory, edge)[0]) * SECOND) for edge in (begin, end))
    changes: dict[str, list[_Change]] = {name: [] for name in stations}
    highest: dict[str, list[tuple[int, float]]] = {name: [] for name in stations}
    for start, grid in _blocks(first, last):
        for name, found in _changes(craft, trajectory, stations, grid, first=start == first).items():
            changes[name] += found
        for name, view in views(trajectory, stations.values(), grid).items():
            highest[name] += zip((grid + _ns(view.light_time)).tolist(), view.elevation.tolist(), strict=True)
        progress((start + _BLOCK * SECOND - first) / max(last - first, 1))
    passes = []
    for name in stations:
        spells = [
            Spell(one.received, other.received, one.reason)
            for one, other in pairwise([*changes[name], _Change(last, end, "")])
        ]
        for risen, group in groupby(spells, key=lambda spell: spell.reason not in BELOW):
            silence = list(group)
            heard = [spell for spell in silence if spell.reason == IN_VIEW]
            if not risen or not heard:
                continue
            aos, los = heard[0].begin, heard[-1].end
            time, elevation = max((one for one in highest[name] if aos <= one[0] <= los), key=lambda one: one[1])
            between = tuple(one for one in silence if one.reason != IN_VIEW and aos < one.begin < los)
            passes.append(Pass(name, aos, los, time, elevation, between))
    return sorted(passes, key=lambda one: (one.aos, one.station))


def _blocks(begin: int, end: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    for start in range(begin, end, _BLOCK * SECOND):
        stop = min(start + _BLOCK * SECOND, end)
        yield start, np.append(np.arange(start, stop, _COARSE * SECOND), stop)


def _ns(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.rint(seconds * SECOND).astype(np.int64)


def _changes(
    craft: Spacecraft,
    trajectory: Trajectory,
    stations: Mapping[str, Station],
    grid: NDArray[np.int64],
    *,
    first: bool,
) -> dict[str, list[_Change]]:
    """Where each station's reason changes along ``grid`` (n,); how it begins counts too if this is the ``first``."""
    result: dict[str, list[_Change]] = {}
    for name, view in views(trajectory, stations.values(), grid).items():
        coarse = reasons(craft, stations[name], view)
        start = _Change(int(grid[0]), int(grid[0] + _ns(view.light_time[:1])[0]), str(coarse[0]))
        result[name] = [start] if first else []
        rows = np.flatnonzero(coarse[1:] != coarse[:-1])
        if not len(rows):
            continue
        fine = (grid[rows, None] + np.arange(_COARSE + 1) * SECOND).clip(max=grid[-1])
        near = views(trajectory, [stations[name]], fine.ravel())[name]
        words = reasons(craft, stations[name], near).reshape(fine.shape)
        received = (fine.ravel() + _ns(near.light_time)).reshape(fine.shape)
        for i in range(len(rows)):
            # Between two minutes there may be more than one change: below the mask, behind the Moon.
            for k in np.flatnonzero(words[i, 1:] != words[i, :-1]) + 1:
                result[name].append(_Change(int(fine[i, k]), int(received[i, k]), str(words[i, k])))
    return result


class Upcoming:
    """The next acquisition or loss of each station; looked for again only when it has passed."""

    def __init__(self, craft: Spacecraft, trajectory: Trajectory, stations: Mapping[str, Station]) -> None:
        self._craft, self._trajectory, self._stations = craft, trajectory, stations
        self._next: dict[str, tuple[int, str, int]] = {}
        self._searched = 0

    def next(self, station: str, time: int) -> tuple[str, int] | None:
        """("AOS" or "LOS", earth receive time) of the first change after onboard ``time``; None where none is near."""
        known = self._next.get(station)
        if (known is not None and known[0] <= time) or (known is None and time >= self._searched):
            self._search(time)
            known = self._next.get(station)
        return None if known is None else known[1:]

    def _search(self, time: int) -> None:
        self._searched = time + _LOOK_AHEAD * SECOND // 2
        self._next = {}
        missing = dict(self._stations)
        heard: dict[str, bool] = {}
        for start, grid in _blocks(time, time + _LOOK_AHEAD * SECOND):
            found = _changes(self._craft, self._trajectory, missing, grid, first=start == time)
            for name, changes in found.items():
                for change in changes:
                    now = change.reason == IN_VIEW
                    if name in heard and now != heard[name]:
                        self._next[name] = (change.time, "AOS" if now else "LOS", change.received)
                        del missing[name]
                        break
                    heard[name] = now
            if not missing:
                break
