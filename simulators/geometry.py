"""Where everything is, at many instants at once: spacecraft, Sun, Earth, Moon and the stations' view of it.

Light time is iterated for the way down (spacecraft transmits, station receives); no refraction, no aberration of the
elevation (below 0.01 degrees), no relativity in the Doppler shift (a constant 40 Hz at most at X band).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from simulators.ephemeris import (
    AU,
    EARTH_RATE,
    RADIUS,
    C,
    earth_rotation,
    moon_rotation,
    motion,
    position,
    station_fixed,
    tdb,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray

    from ground.mission import Station
    from simulators.ephemeris import Floats
    from simulators.orbit import Trajectory


@dataclass(frozen=True)
class Scene:
    """The surroundings of the spacecraft at n instants; vectors are (3, n), ICRF, km and km/s.

    ``r``, ``v``: relative to ``centre``. ``to_sun``, ``to_earth``: unit vectors from the spacecraft (geometric).
    ``sun_au``: distance to the Sun. ``sunlight``: visible fraction of the Sun's disc, 0 to 1. ``fixed``: ``r`` in the
    Moon's mean Earth axes where the centre is the Moon; ``r`` elsewhere.
    """

    time: NDArray[np.int64]
    centre: str
    r: Floats
    v: Floats
    to_sun: Floats
    to_earth: Floats
    sun_au: Floats
    earth_km: Floats
    sunlight: Floats
    fixed: Floats

    @property
    def longitude(self) -> Floats:
        """Degrees (n,), east positive."""
        return np.asarray(np.degrees(np.arctan2(self.fixed[1], self.fixed[0])))

    @property
    def latitude(self) -> Floats:
        """Degrees (n,)."""
        return np.asarray(np.degrees(np.arctan2(self.fixed[2], np.hypot(self.fixed[0], self.fixed[1]))))

    @property
    def altitude(self) -> Floats:
        """km (n,) above the sphere of 1737.4 km."""
        return np.asarray(np.linalg.norm(self.fixed, axis=0) - RADIUS["moon"])

    def between(self, time: NDArray[np.int64], k: NDArray[np.int64], share: Floats) -> Scene:
        """At ``time`` (m,) on the straight lines from instants ``k`` (m,) to the next ones, ``share`` (m,) of the way.

        A second apart, that is 20 cm off the orbit at most.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)} | {"time": time}
        for name, value in values.items():
            if name not in ("time", "centre"):
                values[name] = between(value, k, share)
        return Scene(**values)


def between(values: Floats, k: NDArray[np.int64], share: Floats) -> Floats:
    """``values`` (..., n) on the straight lines from instants ``k`` (m,) to the next, ``share`` (m,) of the way."""
    before = values[..., k]
    return np.asarray(before + share * (values[..., k + 1] - before))


@dataclass(frozen=True)
class View:
    """What one station sees of the spacecraft, (n,) each, by the instant of transmission on board (SCET).

    ``behind``: by body ("the Moon", "Mars"), whether it is in between. ``above``: the station's mask. ``range_rate``:
    km/s by the station's clock, positive when receding.
    """

    elevation: Floats
    range: Floats
    range_rate: Floats
    light_time: Floats
    behind: dict[str, NDArray[np.bool_]]
    above: NDArray[np.bool_]

    @property
    def occulted(self) -> NDArray[np.bool_]:
        """Whether any body is in between."""
        return np.asarray(np.any(list(self.behind.values()), axis=0))

    @property
    def in_view(self) -> NDArray[np.bool_]:
        """Above the station's mask and behind nothing."""
        return np.asarray(self.above & ~self.occulted)


def scene(trajectory: Trajectory, time: ArrayLike) -> Scene:
    """The :class:`Scene` along ``trajectory`` at ``time`` (n,) ns since 1970 UTC."""
    times = np.atleast_1d(np.asarray(time, dtype=np.int64))
    seconds = tdb(times)
    r, v = trajectory.at(times)
    here = position(trajectory.centre, seconds) + r
    sun, earth, moon = (position(body, seconds) - here for body in ("sun", "earth", "moon"))
    sun_km, earth_km = np.linalg.norm(sun, axis=0), np.linalg.norm(earth, axis=0)
    others = {"moon": moon, "earth": earth}
    if trajectory.centre == "sun":
        others["mars"] = position("mars", seconds) - here
    sunlight = np.min([uncovered(sun, body, RADIUS["sun"], RADIUS[name]) for name, body in others.items()], axis=0)
    fixed = np.einsum("ijn,jn->in", moon_rotation(seconds), r) if trajectory.centre == "moon" else r
    return Scene(
        time=times,
        centre=trajectory.centre,
        r=r,
        v=v,
        to_sun=sun / sun_km,
        to_earth=earth / earth_km,
        sun_au=sun_km / AU,
        earth_km=earth_km,
        sunlight=sunlight,
        fixed=fixed,
    )


def uncovered(light: Floats, body: Floats, light_radius: float, body_radius: float) -> Floats:
    """Fraction (n,) of a shining disc that a nearer body leaves visible (two overlapping circles in the sky).

    ``light``, ``body``: vectors (3, n) from the observer, km; the radii in km. Limb darkening is left out.
    """
    d_light, d_body = np.linalg.norm(light, axis=0), np.linalg.norm(body, axis=0)
    a = np.arcsin(np.clip(light_radius / d_light, 0, 1))
    b = np.arcsin(np.clip(body_radius / d_body, 0, 1))
    cosine = np.sum(light * body, axis=0) / (d_light * d_body)
    c = np.arccos(np.clip(cosine, -1, 1))
    apart = np.clip(c, np.abs(a - b) + 1e-12, a + b - 1e-12)  # keeps the arc cosines' arguments in range
    x = (apart**2 + a**2 - b**2) / (2 * apart)
    half = np.sqrt(np.maximum(a**2 - x**2, 0))
    lens = (
        a**2 * np.arccos(np.clip(x / a, -1, 1))
        + b**2 * np.arccos(np.clip((apart - x) / b, -1, 1))
        - apart * half
    )  # fmt: skip
    covered = np.where(c >= a + b, 0, np.where(c <= np.abs(a - b), np.minimum(a, b) ** 2 * np.pi, lens))
    return np.asarray(np.where(d_body < d_light, 1 - np.clip(covered / (np.pi * a**2), 0, 1), 1.0))


def views(trajectory: Trajectory, stations: Iterable[Station], time: ArrayLike) -> dict[str, View]:
    """The :class:`View` of each station of a transmission at ``time`` (n,) ns since 1970 UTC, by station name."""
    seconds = tdb(np.atleast_1d(np.asarray(time, dtype=np.int64)))
    r, v = trajectory.at(time)
    centre, centre_v = motion(trajectory.centre, seconds)
    craft, craft_v = centre + r, centre_v + v
    bodies = {"the Moon": "moon"} if trajectory.centre == "moon" else {"the Moon": "moon", "Mars": "mars"}
    screens = {title: (position(body, seconds), RADIUS[body]) for title, body in bodies.items()}
    # One rotation serves all stations: it is taken when the signal passes the Earth's centre, and each station, at
    # most 21 ms from there, is carried on along its circle (second order: 1e-8 km).
    passing = seconds + _to_earth(craft, seconds)
    earth, earth_v = motion("earth", passing)
    rotation = earth_rotation(passing)
    spin = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 0]]) * EARTH_RATE
    result = {}
    for station in stations:
        fixed, normal = station_fixed(station.latitude, station.longitude, station.height)
        place, up = np.einsum("ijn,j->in", rotation, fixed), np.einsum("ijn,j->in", rotation, normal)
        velocity = earth_v + np.einsum("ijn,j->in", rotation, spin @ fixed)
        light_time = passing - seconds
        for _ in range(3):
            received = earth + place + velocity * (seconds + light_time - passing)
            reach = craft - received
            distance = np.linalg.norm(reach, axis=0)
            light_time = distance / C
        line = reach / distance
        closing = np.sum(line * (craft_v - velocity), axis=0)
        elevation = np.degrees(np.arcsin(np.sum(line * up, axis=0)))
        result[station.name] = View(
            elevation=elevation,
            range=distance,
            range_rate=closing / (1 + np.sum(line * craft_v, axis=0) / C),
            light_time=light_time,
            behind={title: _behind(where - received, reach, radius) for title, (where, radius) in screens.items()},
            above=elevation >= station.mask,
        )
    return result


def light_time(trajectory: Trajectory, time: ArrayLike) -> Floats:
    """Seconds (n,) that a signal sent at ``time`` (n,) ns since 1970 UTC takes to the centre of the Earth.

    A station that sees the spacecraft hears it up to 21 ms before.
    """
    seconds = tdb(np.atleast_1d(np.asarray(time, dtype=np.int64)))
    return _to_earth(position(trajectory.centre, seconds) + trajectory.at(time)[0], seconds)


def _to_earth(craft: Floats, seconds: Floats) -> Floats:
    """Light time (n,) s from the barycentric ``craft`` (3, n) km at TDB ``seconds``, iterated."""
    earth, earth_v = motion("earth", seconds)
    delay = np.linalg.norm(craft - earth, axis=0) / C
    delay = np.linalg.norm(craft - earth - earth_v * delay, axis=0) / C
    # The Earth's path bends by 1 km in the 700 s from Mars: the last time with its true place.
    return np.asarray(np.linalg.norm(craft - position("earth", seconds + delay), axis=0) / C)


def _behind(body: Floats, craft: Floats, radius: float) -> NDArray[np.bool_]:
    """Whether the line of sight to ``craft`` (3, n) passes through the disc of ``body`` before it gets there; km."""
    distance = np.linalg.norm(craft, axis=0)
    along = np.sum(body * craft, axis=0) / distance
    miss = np.sqrt(np.maximum(np.sum(body**2, axis=0) - along**2, 0))
    return np.asarray((miss < radius) & (along > 0) & (along < distance))
