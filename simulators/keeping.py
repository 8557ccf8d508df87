"""Station-keeping: when an orbit around the Moon has left its box, one burn brings it back to the nominal ellipse."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simulators.ephemeris import GM, RADIUS, SECOND, moon_rotation, tdb
from simulators.orbit import Event, instant

if TYPE_CHECKING:
    from pathlib import Path

    from simulators.ephemeris import Floats
    from simulators.orbit import Keeping

_MU = GM["moon"]
_EARLIEST = 600.0  # s from the decision to the burn


@dataclass(frozen=True)
class Box:
    """The nominal orbit, periselene at the southernmost point, and how far it may drift.

    ``periselene``, ``aposelene``: km above the mean radius; ``margin`` km on both. ``acceleration``: of the engine,
    km/s2.
    """

    periselene: float
    aposelene: float
    margin: float
    acceleration: float

    def correction(self, time: int, vector: Floats) -> Event | None:
        """The burn that is due at ``time`` ns since 1970 UTC with the state ``vector`` (6,) km and km/s, if one is.

        Two coplanar ellipses of about the same size cross: there, changing the velocity to the nominal one restores
        size, eccentricity and periselene at once (Vallado 2013, 6.4, with Kepler's ellipses for the short way there).
        """
        r, v = vector[:3], vector[3:]
        h = np.cross(r, v)
        e = np.cross(v, h) / _MU - r / np.linalg.norm(r)
        p = float(h @ h) / _MU
        size, shape = p / (1 - float(e @ e)), float(np.linalg.norm(e))
        low, high = size * (1 - shape) - RADIUS["moon"], size * (1 + shape) - RADIUS["moon"]
        if low >= self.periselene - self.margin and high <= self.aposelene + self.margin:
            return None
        up = h / np.linalg.norm(h)
        south = -moon_rotation(float(tdb(time)))[2]
        south -= (south @ up) * up
        lowest, highest = RADIUS["moon"] + self.periselene, RADIUS["moon"] + self.aposelene
        nominal_e = (highest - lowest) / (highest + lowest) * south / np.linalg.norm(south)
        nominal_p = 2 * lowest * highest / (lowest + highest)
        # On the ray u both ellipses are equally far: p / (1 + e.u) = p' / (1 + e'.u).
        apart = p * nominal_e - nominal_p * e
        ratio = np.clip((nominal_p - p) / np.linalg.norm(apart), -1, 1)
        along = apart / np.linalg.norm(apart)
        across = np.cross(up, along)
        rays = [ratio * along + side * (1 - ratio**2) ** 0.5 * across for side in (1, -1)]
        wait, ray = min(((_wait(r, e, up, size, ray), ray) for ray in rays), key=lambda one: one[0])
        change = _velocity(nominal_e, nominal_p, up, ray) - _velocity(e, p, up, ray)
        duration = max(1, round(float(np.linalg.norm(change)) / self.acceleration))
        begin = time // SECOND + round(wait - duration / 2)
        return Event(begin * SECOND, delta_v=tuple(map(float, change)), duration=duration * SECOND)


def read_boxes(path: Path) -> Keeping:
    """Station-keeping by the ``[[box]]`` tables of a mission's ``trajectory.toml``: each holds from ``begin`` on.

    ``periselene``, ``aposelene``, ``margin`` km; ``acceleration`` m/s2.
    """
    boxes = [
        (
            instant(entry["begin"]),
            Box(entry["periselene"], entry["aposelene"], entry["margin"], entry["acceleration"] / 1000),
        )
        for entry in tomllib.loads(path.read_text("utf-8"))["box"]
    ]

    def keep(time: int, vector: Floats) -> Event | None:
        current = [box for begin, box in boxes if begin <= time]
        return current[-1].correction(time, vector) if current else None

    return keep


def _velocity(e: Floats, p: float, up: Floats, ray: Floats) -> Floats:
    """Velocity (3,) km/s on an ellipse of eccentricity vector ``e`` and parameter ``p`` km in the direction ``ray``."""
    return np.asarray((_MU / p) ** 0.5 * np.cross(up, e + ray))


def _wait(r: Floats, e: Floats, up: Floats, size: float, ray: Floats) -> float:
    """Seconds until an ellipse takes ``r`` to the direction ``ray``, a revolution more where that is too soon."""
    shape = float(np.linalg.norm(e))
    x, y = e / shape, np.cross(up, e / shape)
    mean = []
    for direction in (r / np.linalg.norm(r), ray):
        true = np.arctan2(direction @ y, direction @ x)
        eccentric = 2 * np.arctan(((1 - shape) / (1 + shape)) ** 0.5 * np.tan(true / 2))
        mean.append(eccentric - shape * np.sin(eccentric))
    rate = (_MU / size**3) ** 0.5
    wait = (mean[1] - mean[0]) % (2 * np.pi) / rate
    return float(wait if wait > _EARLIEST else wait + 2 * np.pi / rate)
