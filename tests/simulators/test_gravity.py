"""The Moon's field against a potential that is differenced, and against the last orbit of Longjiang-2."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.special import sph_harm_y

from simulators.dynamics import HOUR, LunarOrbit, PointMasses
from simulators.ephemeris import GM, PRINCIPAL, SECOND, moon_rotation, tdb
from simulators.gravity import lunar
from simulators.orbit import Event, Trajectory, instant
from tests.real_data import ROOT, requires_real_data

if TYPE_CHECKING:
    from simulators.dynamics import Field
    from simulators.ephemeris import Floats

START = instant("2019-07-25T02:30:00")
ORACLE = {
    (10, 10): "dslwp_luna_pos_25jul.txt",
    (2, 1): "dslwp_luna_pos_25jul_grav2x1.txt",
    (1, 1): "dslwp_luna_pos_25jul_grav1x1.txt",
}


def potential(r: Floats, degree: int) -> float:
    """U by scipy's spherical harmonics, term by term."""
    field = lunar(degree, degree)
    table = np.array([[*row] for row in COEFFICIENTS])
    distance = np.linalg.norm(r)
    theta, lam = np.arccos(r[2] / distance), np.arctan2(r[1], r[0])
    total = 1.0
    for n, m, c, s in table[table[:, 0] <= degree]:
        harmonic = complex(sph_harm_y(int(n), int(m), theta, lam))
        # scipy's are complex, of norm 1 and carry (-1)^m; geodesy's are real, of norm 4 pi, and don't.
        scale = (4 * np.pi) ** 0.5 * (-1) ** int(m) * (2**0.5 if m else 1)
        total += (field.radius / distance) ** n * scale * (c * harmonic.real + s * harmonic.imag)
    return float(field.gm / distance * total)


def _coefficients() -> list[list[float]]:
    table: list[list[float]] = tomllib.loads((files("simulators") / "lp165p.toml").read_text())["coefficients"]
    return table


COEFFICIENTS = _coefficients()


@pytest.mark.parametrize("degree", [2, 5, 10])
@pytest.mark.parametrize("r", [(1_500.0, -700.0, 800.0), (3.0, 1.0, -1_800.0), (-1_750.0, 20.0, 0.0)])
def test_attraction_is_the_slope_of_the_potential(degree: int, r: tuple[float, float, float]) -> None:
    place, step = np.array(r), 0.05
    slope = [
        (potential(place + step * axis, degree) - potential(place - step * axis, degree)) / (2 * step)
        for axis in np.eye(3)
    ]
    np.testing.assert_allclose(lunar(degree, degree)(place), slope, atol=1e-12)
    assert lunar(degree, degree).potential(place) == pytest.approx(potential(place, degree), rel=1e-13)
    sphere = -lunar().gm * place / np.linalg.norm(place) ** 3
    assert np.linalg.norm(np.array(slope) - sphere) > 1e-8, "the field is not a point's"


@requires_real_data
def test_the_coefficients_are_those_of_the_published_file() -> None:
    lines = (ROOT / "lunar" / "LP165P_10x10.cof").read_text().splitlines()
    published = {
        (int(line[6:11]), int(line[11:14])): (float(line[17:38]), float(line[38:59].strip() or 0))
        for line in lines
        if line.startswith("RECOEF")
    }
    assert {(n, m): (c, s) for n, m, c, s in COEFFICIENTS} == published
    assert lunar().gm == pytest.approx(4_902.80105600000)
    assert lunar().radius == 1_738.0


@dataclass(frozen=True)
class Longjiang:
    """As the oracle was computed: LP165P in part, Sun and planets, sunlight on 0.25 m2 of 45 kg, Cr 1.8."""

    degree: int
    order: int
    tolerance: float = 1e-11
    centre: str = "moon"
    arc: int = 24 * HOUR

    def field(self, begin: float, end: float) -> Field:
        near = LunarOrbit(lunar(self.degree, self.order), pressure=1.8 * 0.25 / 45).field(begin, end)
        planets = PointMasses("moon", ("venus", "mars", "jupiter")).field(begin, end)
        return lambda seconds, r: near(seconds, r) + planets(seconds, r) + GM["moon"] * r / np.linalg.norm(r) ** 3


def orbit() -> Event:
    """The elements of the data's README as a vector."""
    a, e = 8_708.404, 0.747921
    i, node, argument, anomaly = np.radians([44.157, 52.405, 86.261, 165.00062091131025])
    p = a * (1 - e**2)
    along = np.array([np.cos(anomaly), np.sin(anomaly), 0]) * p / (1 + e * np.cos(anomaly))
    motion = np.array([-np.sin(anomaly), e + np.cos(anomaly), 0]) * (lunar().gm / p) ** 0.5

    def turn(angle: float, axis: int) -> Floats:
        matrix = np.eye(3)
        one, other = (axis + 1) % 3, (axis + 2) % 3
        matrix[[one, other], [one, other]] = np.cos(angle)
        matrix[one, other], matrix[other, one] = -np.sin(angle), np.sin(angle)
        return matrix

    plane = turn(node, 2) @ turn(i, 0) @ turn(argument, 2)
    return Event(START, vector=(*map(float, plane @ along), *map(float, plane @ motion)))


def flown(degree: int, order: int, times: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Floats:
    """Positions (3, n) in the Moon's principal axes."""
    r, _ = Trajectory(Longjiang(degree, order), [orbit()]).at(times)
    return np.asarray(np.einsum("ij,jkn,kn->in", PRINCIPAL, moon_rotation(tdb(times)), r))


@requires_real_data
@pytest.mark.parametrize(("degree", "order"), ORACLE)
def test_longjiang_falls_where_and_when_it_fell(degree: int, order: int) -> None:
    table = np.loadtxt(ROOT / "lunar" / ORACLE[degree, order])
    # GMAT's modified Julian date is JD - 2430000, UTC; START is 28689.604166...
    seconds = (table[:, 0] - (28_689.5 + 2.5 / 24)) * 86_400
    times = START + np.rint(seconds * SECOND).astype(np.int64)
    fine = times[-1] + np.arange(-500, 500) * SECOND // 1000
    found = flown(degree, order, np.concatenate([times, fine]))
    miss = np.linalg.norm(found[:, : len(times)] - table[:, 1:].T, axis=0)
    assert miss.max() < 0.15, "km, six and a half days later"
    height = np.linalg.norm(found[:, len(times) :], axis=0)
    impact = fine[np.argmin(np.abs(height - np.linalg.norm(table[-1, 1:])))]
    assert abs(impact - times[-1]) < 0.05 * SECOND
    for other in ORACLE.values():
        if other != ORACLE[degree, order]:
            elsewhere = np.loadtxt(ROOT / "lunar" / other)[-1]
            assert abs(elsewhere[0] - table[-1, 0]) * 86_400 > 2, "s: the three are told apart"


@requires_real_data
def test_smaller_steps_change_less_than_the_oracle_can_tell() -> None:
    end = np.array([START + 22 * HOUR])
    ends = [Trajectory(Longjiang(10, 10, tolerance), [orbit()]).at(end)[0] for tolerance in (1e-6, 1e-11, 1e-13)]
    coarse, fine = (1000 * np.linalg.norm(one - ends[-1]) for one in ends[:2])
    assert fine < 1, "m"
    assert fine < coarse
