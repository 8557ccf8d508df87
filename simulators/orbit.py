"""Trajectories: a spacecraft's equations of motion, integrated arc by arc from a state vector.

The arcs lie on a fixed grid of mission time and start from the end of the one before, so the path does not depend on
where a simulation was stopped and started again: a saved arc start gives the same octets.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from scipy.integrate import DOP853, OdeSolution
from scipy.interpolate import CubicHermiteSpline, CubicSpline

from simulators.ephemeris import GM, SECOND, moon_rotation, motion, tdb

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from simulators.ephemeris import Floats

    Field: TypeAlias = Callable[[float, Floats], Floats]

CODE_EPOCH = 1_451_577_600 * SECOND
"""Epoch of Tianwen-1's onboard clock, 2015-12-31T16:00 UTC, in ns since 1970 UTC; it counts 100 us."""

# LP165P (Konopliv et al. 2001, Icarus 150), degree 2: radius km, C20 and C22 unnormalised; S22 is 1e-8.
_MOON_RADIUS, _C20, _C22 = 1738.0, -9.089018e-5 * 5**0.5, 3.4635499e-5 * (10 / 24) ** 0.5
_MOON_SHAPE = np.diag([-_C20 / 2 + 3 * _C22, -_C20 / 2 - 3 * _C22, _C20])


_KNOTS = 33  # of what is interpolated in an arc


class Dynamics(Protocol):
    """What pulls on a spacecraft."""

    @property
    def centre(self) -> str:
        """The body that positions refer to."""
        ...

    @property
    def arc(self) -> int:
        """Length of an arc in ns of mission time: many integration steps, few enough to redo at a restart."""
        ...

    def field(self, begin: float, end: float) -> Field:
        """The acceleration (3,) km/s2 relative to the centre, as a function of TDB seconds in [``begin``, ``end``] and
        the ICRF position (3,) km.
        """
        ...


@dataclass(frozen=True)
class PointMasses:
    """N-body dynamics about ``centre`` with ``others`` as third bodies, all point masses from DE421."""

    centre: str
    others: tuple[str, ...]
    arc: int = 24 * 3600 * SECOND

    def field(self, begin: float, end: float) -> Field:
        """See :class:`Dynamics`. The bodies' places are interpolated in the arc, to better than a centimetre."""
        knots = np.linspace(begin, end, _KNOTS)
        origin, origin_v = motion(self.centre, knots)
        states = [motion(body, knots) for body in self.others]
        offsets = np.array([r - origin for r, _ in states]).transpose(2, 0, 1)
        rates = np.array([v - origin_v for _, v in states]).transpose(2, 0, 1)
        path = CubicHermiteSpline(knots, offsets, rates)
        masses = np.array([GM[body] for body in self.others])

        def acceleration(seconds: float, r: Floats) -> Floats:
            offset = path(seconds)
            reach = offset - r
            # The centre falls towards the third bodies too: what counts is the difference.
            pull = reach / _cubed(reach) - offset / _cubed(offset)
            return np.asarray(masses @ pull - GM[self.centre] * r / _cubed(r))

        return acceleration


@dataclass(frozen=True)
class LunarOrbit:
    """Dynamics near the Moon: its gravity to degree 2 (flattening and the bulge towards the Earth), Earth and Sun."""

    centre: str = "moon"
    arc: int = 3600 * SECOND

    def field(self, begin: float, end: float) -> Field:
        """See :class:`Dynamics`. The degree-2 potential is GM R^2 x'Qx / r^5 in Moon-fixed axes."""
        distant = PointMasses("moon", ("earth", "sun")).field(begin, end)
        knots = np.linspace(begin, end, _KNOTS)
        turning = CubicSpline(knots, np.moveaxis(moon_rotation(knots), -1, 0))

        def acceleration(seconds: float, r: Floats) -> Floats:
            rotation = turning(seconds)
            x = rotation @ r
            norm = float(np.linalg.norm(x))
            shape = _MOON_SHAPE @ x
            pull = GM["moon"] * _MOON_RADIUS**2 * (2 * shape / norm**5 - 5 * (x @ shape) * x / norm**7)
            return distant(seconds, r) + rotation.T @ pull

        return acceleration


def _cubed(vectors: Floats) -> Floats:
    """Lengths of vectors (..., 3), to the third power, (..., 1)."""
    return np.asarray(np.sum(vectors**2, axis=-1, keepdims=True) ** 1.5)


@dataclass(frozen=True)
class Event:
    """Something that sets the motion: a known state ``vector`` (6,) km and km/s, or a burn's ``delta_v`` (3,) km/s."""

    time: int
    vector: tuple[float, ...] | None = None
    delta_v: tuple[float, ...] | None = None


class Trajectory:
    """The path of a spacecraft from its first event on: position and velocity at any later time.

    ``start``, ``vector`` resume from a saved arc start (:attr:`saved`); the events before it are past.
    """

    def __init__(self, dynamics: Dynamics, events: Sequence[Event], saved: dict[str, Any] | None = None) -> None:
        self.dynamics = dynamics
        self.centre = dynamics.centre
        self._events = sorted(events, key=lambda event: event.time)
        first = self._events[0]
        assert first.vector is not None, "a trajectory begins with a state vector"
        self.begin = first.time
        self._arcs: list[tuple[int, int, Callable[[Any], Floats], Floats]] = []
        if saved is None:
            self._end, self._vector = first.time, np.array(first.vector)
        else:
            self._end, self._vector = int(saved["time"]), np.array([float(value) for value in saved["vector"]])

    def at(self, time: ArrayLike) -> tuple[Floats, Floats]:
        """Position (3, n) km and velocity (3, n) km/s relative to the centre, ICRF, at ``time`` (n,) ns since 1970 UTC.

        Raises ``ValueError`` before the first arc that is still held.
        """
        times = np.atleast_1d(np.asarray(time, dtype=np.int64))
        while self._end < times.max():
            self._extend()
        if not self._arcs:
            self._extend()
        if times.min() < self._arcs[0][0]:
            raise ValueError(f"the trajectory is held from {self._arcs[0][0]} ns on, {times.min()} was asked for")
        result = np.empty((6, len(times)))
        for begin, end, path, _ in self._arcs:
            rows: NDArray[np.bool_] = (times >= begin) & ((times < end) | (end == self._end))
            if rows.any():
                result[:, rows] = path(tdb(times[rows]))
        return result[:3], result[3:]

    def saved(self, time: int) -> dict[str, Any]:
        """The start of the arc that holds ``time``, for a state file; earlier arcs are forgotten."""
        self.at(time)
        while len(self._arcs) > 1 and self._arcs[0][1] <= time:
            del self._arcs[0]
        begin, _, _, vector = self._arcs[0]
        return {"time": str(begin), "vector": [float(value) for value in vector]}

    def _extend(self) -> None:
        """Integrate one more arc: to the next point of the grid or the next event, whichever comes first."""
        begin = self._end
        stop = (begin // self.dynamics.arc + 1) * self.dynamics.arc
        coming = [event for event in self._events if begin < event.time <= stop]
        if coming:
            stop = coming[0].time
        path, end = self._integrate(begin, stop, self._vector)
        self._arcs.append((begin, stop, path, self._vector))
        self._end, self._vector = stop, end
        for event in coming[:1]:
            if event.vector is not None:
                self._vector = np.array(event.vector)
            if event.delta_v is not None:
                self._vector = self._vector + np.concatenate([np.zeros(3), event.delta_v])

    def _integrate(self, begin: int, stop: int, vector: Floats) -> tuple[Callable[[Any], Floats], Floats]:
        t0, t1 = float(tdb(begin)), float(tdb(stop))
        acceleration = self.dynamics.field(t0, t1)

        def slope(seconds: float, y: Floats) -> Floats:
            return np.concatenate([y[3:], acceleration(seconds, y[:3])])

        solver = DOP853(slope, t0, vector, t1, rtol=1e-12, atol=1e-9)
        knots, pieces = [t0], []
        while solver.status == "running":
            solver.step()
            pieces.append(solver.dense_output())
            knots.append(solver.t)
        return OdeSolution(knots, pieces), np.array(solver.y)


def read_events(path: Path) -> list[Event]:
    """The state vectors and burns of a mission's ``trajectory.toml``.

    ``[[vector]]``: ``time`` (ISO 8601, UTC) or ``time_code`` (hexadecimal count of 100 us since 2015-12-31T16:00 UTC),
    ``position`` km and ``velocity`` km/s. ``[[burn]]``: ``time`` and ``delta_v`` m/s. All ICRF.
    """
    tables = tomllib.loads(path.read_text("utf-8"))
    events = [
        Event(
            time=code_time(int(entry["time_code"], 16)) if "time_code" in entry else instant(entry["time"]),
            vector=(*map(float, entry["position"]), *map(float, entry["velocity"])),
        )
        for entry in tables["vector"]
    ]
    burns = [
        Event(time=instant(entry["time"]), delta_v=tuple(value / 1000 for value in entry["delta_v"]))
        for entry in tables.get("burn", [])
    ]
    return events + burns


def instant(text: str) -> int:
    """Nanoseconds since 1970 UTC of an ISO 8601 date and time (UTC where it names no zone); raises ``ValueError``."""
    moment = datetime.fromisoformat(text)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds * 1000


def code_time(code: int) -> int:
    """Nanoseconds since 1970 UTC of Tianwen-1's 48-bit time ``code``."""
    return CODE_EPOCH + code * 100_000
