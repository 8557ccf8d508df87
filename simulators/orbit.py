"""Trajectories: a spacecraft's equations of motion, integrated arc by arc from a state vector.

The arcs lie on a fixed grid of mission time and start from the end of the one before, so the path does not depend on
where a simulation was stopped and started again: a saved arc start gives the same octets.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from scipy.integrate import DOP853, OdeSolution

from simulators.ephemeris import SECOND, mars_rotation, motion, tdb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from simulators.dynamics import Dynamics
    from simulators.ephemeris import Floats

_TURN_BACK = 600 * SECOND  # after a burn the attitude still tells of it
CODE_EPOCH = 1_451_577_600 * SECOND
"""Epoch of Tianwen-1's onboard clock, 2015-12-31T16:00 UTC, in ns since 1970 UTC; it counts 100 us."""


@dataclass(frozen=True)
class Event:
    """Something that sets the motion: a known state ``vector`` (6,) km and km/s, or a burn's ``delta_v`` (3,) km/s.

    A burn's thrust is constant over ``duration`` ns from ``time`` on; without one it is an impulse. ``name``: what
    people call the event.
    """

    time: int
    vector: tuple[float, ...] | None = None
    delta_v: tuple[float, ...] | None = None
    duration: int = 0
    name: str = ""

    @property
    def end(self) -> int:
        """When it is over, ns since 1970 UTC."""
        return self.time + self.duration

    @property
    def thrust(self) -> Floats:
        """Acceleration (3,) km/s2 while a burn with a duration lasts."""
        assert self.delta_v is not None, "only burns have a thrust"
        return np.array(self.delta_v) / (self.duration / SECOND)


Keeping: TypeAlias = "Callable[[int, Floats], Event | None]"
"""What an operator does at the end of an arc: the next burn, if one is due, from time and state vector (6,)."""


class Trajectory:
    """The path of a spacecraft from its newest state vector before ``start`` on: position and velocity later.

    ``start``: ns since 1970 UTC, the first vector if None. ``saved``: resume there (see :meth:`saved`). ``keeping``:
    asked at each point of the grid where no burn is under way.
    """

    def __init__(
        self,
        dynamics: Dynamics,
        events: Iterable[Event],
        start: int | None = None,
        saved: dict[str, Any] | None = None,
        keeping: Keeping | None = None,
    ) -> None:
        self.dynamics = dynamics
        self.centre = dynamics.centre
        self._keeping = keeping
        ordered = sorted(events, key=lambda event: event.time)
        vectors = [event for event in ordered if event.vector is not None]
        first = max((one for one in vectors if start is not None and one.time <= start), default=vectors[0], key=_time)
        assert first.vector is not None, "chosen among the vectors"
        self.begin = first.time
        self._vectors = {event.time: event.vector for event in vectors if event.vector and event.time > first.time}
        self._burns = [event for event in ordered if event.delta_v is not None]
        self._arcs: list[tuple[int, int, Callable[[Any], Floats], Floats]] = []
        if saved is None:
            self._end, self._vector = first.time, np.array(first.vector)
        else:
            self._end, self._vector = int(saved["time"]), np.array([float(value) for value in saved["vector"]])
            self._burns += [
                Event(int(time), delta_v=tuple(map(float, delta_v)), duration=int(duration))
                for time, delta_v, duration in saved["planned"]
            ]
        self._planned = {burn.time for burn in self._burns} - {event.time for event in ordered}

    def at(self, time: ArrayLike) -> tuple[Floats, Floats]:
        """Position (3, n) km and velocity (3, n) km/s relative to the centre, ICRF, at ``time`` (n,) ns since 1970 UTC.

        Raises ``ValueError`` before the first arc that is still held.
        """
        times = np.atleast_1d(np.asarray(time, dtype=np.int64))
        while not self._arcs or self._end <= times.max():  # at an edge, what comes after it counts
            self._extend()
        if times.min() < self._arcs[0][0]:
            raise ValueError(f"the trajectory is held from {self._arcs[0][0]} ns on, {times.min()} was asked for")
        result = np.empty((6, len(times)))
        for begin, end, path, _ in self._arcs:
            rows: NDArray[np.bool_] = (times >= begin) & (times < end)
            if rows.any():
                result[:, rows] = path(tdb(times[rows]))
        return result[:3], result[3:]

    def thrust(self, time: ArrayLike) -> Floats:
        """Acceleration (3, n) km/s2 by the engines at ``time`` (n,) ns since 1970 UTC, ICRF; impulses don't show."""
        times = np.atleast_1d(np.asarray(time, dtype=np.int64))
        self.at(times)
        total = np.zeros((3, len(times)))
        for burn in self._burns:
            if burn.duration:
                total += np.where((times >= burn.time) & (times < burn.end), burn.thrust[:, None], 0)
        return total

    @property
    def burns(self) -> Sequence[Event]:
        """The burns that are known so far: what the mission's file holds, and what station-keeping has asked for."""
        return self._burns

    def saved(self, time: int) -> dict[str, Any]:
        """The start of the arc that holds ``time``, for a state file; earlier arcs are forgotten."""
        self.at(time)
        self._arcs = [arc for arc in self._arcs if arc[1] > time]
        begin, _, _, vector = self._arcs[0]
        planned = [
            [str(burn.time), [float(value) for value in burn.delta_v or ()], str(burn.duration)]
            for burn in self._burns
            if burn.time in self._planned and burn.end + _TURN_BACK > begin
        ]
        return {"time": str(begin), "vector": [float(value) for value in vector], "planned": planned}

    def _extend(self) -> None:
        """Integrate one more arc: to the next point of the grid or to what comes before, a burn's edge or a vector."""
        begin = self._end
        grid = (begin // self.dynamics.arc + 1) * self.dynamics.arc
        edges = [edge for burn in self._burns for edge in (burn.time, burn.end)] + list(self._vectors)
        stop = min([edge for edge in edges if begin < edge < grid], default=grid)
        thrust = [burn.thrust for burn in self._burns if burn.time <= begin < burn.end]
        path, after = self._integrate(begin, stop, self._vector, sum(thrust, np.zeros(3)))
        self._arcs.append((begin, stop, path, self._vector))
        self._end, self._vector = stop, after
        if stop in self._vectors:
            self._vector = np.array(self._vectors[stop])
        for burn in self._burns:
            if burn.time == stop and not burn.duration:
                self._vector = self._vector + np.concatenate([np.zeros(3), np.array(burn.delta_v)])
        if stop == grid and self._keeping is not None and all(burn.end <= stop for burn in self._burns):
            due = self._keeping(stop, self._vector)
            if due is not None:
                self._planned.add(due.time)
                self._burns.append(due)

    def _integrate(
        self, begin: int, stop: int, vector: Floats, thrust: Floats
    ) -> tuple[Callable[[Any], Floats], Floats]:
        t0, t1 = float(tdb(begin)), float(tdb(stop))
        acceleration = self.dynamics.field(t0, t1)

        def slope(seconds: float, y: Floats) -> Floats:
            return np.concatenate([y[3:], acceleration(seconds, y[:3]) + thrust])

        solver = DOP853(slope, t0, vector, t1, rtol=self.dynamics.tolerance, atol=1e-9)
        knots, pieces = [t0], []
        while solver.status == "running":
            solver.step()
            pieces.append(solver.dense_output())
            knots.append(solver.t)
        return OdeSolution(knots, pieces), np.array(solver.y)


def _time(event: Event) -> int:
    return event.time


def read_events(path: Path) -> list[Event]:
    """The state vectors and burns of a mission's ``trajectory.toml``.

    ``[[vector]]``: ``time`` (ISO 8601, UTC) or ``time_code`` (hexadecimal count of 100 us since 2015-12-31T16:00 UTC),
    ``position`` km and ``velocity`` km/s, ICRF; with ``centre = "mars"`` as Tianwen-1 sends it near Mars, and given
    back Sun-centred. ``[[burn]]``: ``time``, ``delta_v`` m/s ICRF, ``duration`` s. Both may have a ``name``.
    """
    tables = tomllib.loads(path.read_text("utf-8"))
    events = []
    for entry in tables["vector"]:
        time = code_time(int(entry["time_code"], 16)) if "time_code" in entry else instant(entry["time"])
        vector = np.array([*entry["position"], *entry["velocity"]], dtype=np.float64)
        if entry.get("centre") == "mars":
            vector = from_mars(time, vector)
        events.append(Event(time, vector=tuple(map(float, vector)), name=entry.get("name", "")))
    burns = [
        Event(
            instant(entry["time"]),
            delta_v=tuple(value / 1000 for value in entry["delta_v"]),
            duration=round(entry.get("duration", 0) * SECOND),
            name=entry.get("name", ""),
        )
        for entry in tables.get("burn", [])
    ]
    return events + burns


def read_waypoints(path: Path) -> list[Event]:
    """State vectors that were computed beforehand, so that a start late in a mission needn't integrate all that way.

    Lines of ns since 1970 UTC, position km and velocity km/s, written by :func:`waypoints`.
    """
    if not path.is_file():
        return []
    rows = [line.split(",") for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    return [Event(int(time), vector=tuple(map(float, vector))) for time, *vector in rows]


def waypoints(trajectory: Trajectory, until: int, spacing: int) -> Iterator[str]:
    """Lines for :func:`read_waypoints`: points of the grid about ``spacing`` ns apart, where no burn is under way."""
    due = trajectory.begin + spacing
    while due < until:
        saved = trajectory.saved(due)
        if not saved["planned"] and int(saved["time"]) % trajectory.dynamics.arc == 0:
            yield ",".join([saved["time"], *map(repr, saved["vector"])])
            due += spacing
        else:
            due += trajectory.dynamics.arc


def from_mars(time: int, vector: Floats) -> Floats:
    """A Mars-centred ``vector`` (6,) km and km/s in Mars's mean equator of date as a Sun-centred one, ICRF."""
    seconds = float(tdb(time))
    rotation = mars_rotation(seconds)
    apart = np.concatenate(motion("mars", seconds)) - np.concatenate(motion("sun", seconds))
    return np.asarray(np.concatenate([vector[:3] @ rotation, vector[3:] @ rotation]) + apart)


def to_mars(time: NDArray[np.int64], r: Floats, v: Floats) -> tuple[Floats, Floats]:
    """The reverse of :func:`from_mars` for many instants: ``time`` (n,), position and velocity (3, n)."""
    seconds = tdb(time)
    rotation = mars_rotation(float(seconds[0]))  # the pole moves by a millimetre a minute as seen from here
    mars, sun = motion("mars", seconds), motion("sun", seconds)
    return tuple(np.einsum("ij,jn->in", rotation, one) for one in (r - mars[0] + sun[0], v - mars[1] + sun[1]))


def instant(text: str) -> int:
    """Nanoseconds since 1970 UTC of an ISO 8601 date and time (UTC where it names no zone); raises ``ValueError``."""
    moment = datetime.fromisoformat(text)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds * 1000


def code_time(code: int) -> int:
    """Nanoseconds since 1970 UTC of Tianwen-1's 48-bit time ``code``."""
    return CODE_EPOCH + code * 100_000
