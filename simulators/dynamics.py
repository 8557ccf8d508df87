"""What pulls and pushes on a spacecraft: gravity of Sun, planets and Moon, the Moon's uneven field, sunlight."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
from scipy.interpolate import CubicHermiteSpline, CubicSpline

from simulators.ephemeris import AU, GM, PRINCIPAL, RADIUS, SECOND, mars_rotation, moon_rotation, motion
from simulators.gravity import Gravity, lunar

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.ephemeris import Floats

    Field: TypeAlias = Callable[[float, Floats], Floats]

HOUR = 3600 * SECOND
_J2 = 1.956_6e-3
"""Of Mars (Konopliv et al. 2016, Icarus 274, unnormalised)."""
_FLATTENED = 1e5
"""km from Mars; there it adds 14 nm/s2."""
_LIGHT = 4.56e-9 * AU**2
"""Pressure of sunlight at 1 au, 4.56e-6 N/m2, so that times m2/kg over km2 it gives km/s2."""


class Dynamics(Protocol):
    """The forces on a spacecraft."""

    @property
    def centre(self) -> str:
        """The body that positions refer to."""
        ...

    @property
    def tolerance(self) -> float:
        """Relative error of position and velocity that an integration step may make."""
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
    """N-body dynamics about ``centre`` with ``others`` as third bodies, all point masses from DE421.

    ``pressure``: reflectivity times area over mass, m2/kg, that sunlight presses on; 0 leaves it out. Mars is flattened
    where it is close, as it is in the insertion.
    """

    centre: str
    others: tuple[str, ...]
    pressure: float = 0.0
    tolerance: float = 1e-13  # of a distance to the Sun: some centimetres
    arc: int = 96 * HOUR

    def field(self, begin: float, end: float) -> Field:
        """See :class:`Dynamics`. The bodies' places are interpolated in the arc, to better than a decimetre."""
        knots = np.linspace(begin, end, 65)
        origin, origin_v = motion(self.centre, knots)
        states = [motion(body, knots) for body in self.others]
        offsets = np.array([r - origin for r, _ in states]).transpose(2, 0, 1)
        rates = np.array([v - origin_v for _, v in states]).transpose(2, 0, 1)
        path = CubicHermiteSpline(knots, offsets, rates)
        masses = np.array([GM[body] for body in self.others])
        sun = self.others.index("sun") if "sun" in self.others else None
        mars = self.others.index("mars") if "mars" in self.others else None
        pole = mars_rotation(begin)[2]

        def acceleration(seconds: float, r: Floats) -> Floats:
            offset = path(seconds)
            reach = offset - r
            # The centre falls towards the third bodies too: what counts is the difference.
            pull = reach / _cubed(reach) - offset / _cubed(offset)
            total = masses @ pull - GM[self.centre] * r / _cubed(r)
            if self.pressure:
                total -= self.pressure * _sunlight(-r if sun is None else reach[sun])
            from_mars = r if self.centre == "mars" else None if mars is None else -reach[mars]
            if from_mars is not None and from_mars @ from_mars < _FLATTENED**2:
                total += _flattening(from_mars, pole)
            return np.asarray(total)

        return acceleration


@dataclass(frozen=True)
class LunarOrbit:
    """Dynamics near the Moon: its ``gravity``, Earth and Sun as third bodies, sunlight but in the Moon's shadow.

    ``pressure``: see :class:`PointMasses`.
    """

    gravity: Gravity = field(default_factory=lunar)
    pressure: float = 0.0
    tolerance: float = 1e-11  # over a day a tenth of a metre
    centre: str = "moon"
    arc: int = 6 * HOUR

    def field(self, begin: float, end: float) -> Field:
        """See :class:`Dynamics`. The Moon's turning is interpolated to 1e-12 rad, Earth and Sun to a millimetre."""
        knots = np.linspace(begin, end, 4 + int((end - begin) / 900))
        origin = motion(self.centre, knots)[0]
        bodies = [motion(body, knots)[0] - origin for body in ("earth", "sun")]
        turning = np.einsum("ij,jkn->ikn", PRINCIPAL, moon_rotation(knots))
        path = CubicSpline(knots, np.concatenate([*bodies, *turning]).T)
        masses = np.array([GM["earth"], GM["sun"]])

        def acceleration(seconds: float, r: Floats) -> Floats:
            table = path(seconds).reshape(5, 3)
            offset, rotation = table[:2], table[2:]
            reach = offset - r
            total = masses @ (reach / _cubed(reach) - offset / _cubed(offset)) + self.gravity(rotation @ r) @ rotation
            if self.pressure and _lit(r, reach[1]):
                total -= self.pressure * _sunlight(reach[1])
            return np.asarray(total)

        return acceleration


def _flattening(r: Floats, pole: Floats) -> Floats:
    """What J2 adds to the pull of Mars at ``r`` (3,) km from it, km/s2 (Vallado 2013, 8.7.1)."""
    distance = float(r @ r) ** 0.5
    height = float(r @ pole) / distance
    scale = -1.5 * _J2 * GM["mars"] * RADIUS["mars"] ** 2 / distance**4
    return np.asarray(scale * ((1 - 5 * height**2) * r / distance + 2 * height * pole))


def _cubed(vectors: Floats) -> Floats:
    """Lengths of vectors (..., 3), to the third power, (..., 1)."""
    square = np.einsum("...i,...i->...", vectors, vectors)
    return np.asarray((square * np.sqrt(square))[..., None])


def _sunlight(sun: Floats) -> Floats:
    """Push towards the Sun at ``sun`` (3,) km (negative: away) on 1 m2/kg, km/s2."""
    return np.asarray(_LIGHT * sun / _cubed(sun))


def _lit(r: Floats, sun: Floats) -> bool:
    """Whether the place ``r`` is outside the Moon's shadow, taken as a cylinder."""
    along = float(r @ sun) / float(sun @ sun) ** 0.5
    return bool(along > 0 or float(r @ r) - along**2 > RADIUS["moon"] ** 2)
