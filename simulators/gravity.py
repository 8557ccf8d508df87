"""Gravity of a body that isn't a sphere: spherical harmonics as polynomials in the direction.

r^n P_nm(sin phi) cos(m lambda) is a homogeneous polynomial of degree n in x, y, z. All of them, and their gradients,
are one product of a fixed matrix with the monomials of the unit vector: no recursion while integrating, and no
singularity over the poles, where Luna 26 flies.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from math import factorial
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from simulators.ephemeris import Floats


class Gravity:
    """Attraction of a body by its normalised coefficients ``c``, ``s`` (degree + 1, degree + 1): [n, m].

    ``gm`` km3/s2, ``radius`` km. U = GM/r sum (R/r)^n P_nm(sin phi) (C cos m lambda + S sin m lambda), with fully
    (4 pi) normalised P_nm (Heiskanen and Moritz 1967, 1-14; Montenbruck and Gill 2000, 3.2).
    """

    def __init__(self, gm: float, radius: float, c: Floats, s: Floats) -> None:
        self.gm, self.radius = gm, radius
        self._degrees = np.arange(len(c))
        harmonics = _polynomials(c, s)
        size = len(c)
        slopes = [np.roll(harmonics * self._degrees.reshape(-1, *[1] * (3 - axis)), -1, axis) for axis in (1, 2, 3)]
        powers = np.argwhere(np.add.outer(np.add.outer(self._degrees, self._degrees), self._degrees) < size).T
        self._i, self._j, self._k = powers
        self._matrix = np.array([table[:, *powers] for table in (harmonics, *slopes)]).reshape(4 * size, -1)

    def __call__(self, r: Floats) -> Floats:
        """Acceleration (3,) km/s2 at the body-fixed position ``r`` (3,) km outside the body."""
        distance, u, values, scale = self._harmonics(r)
        # grad of r^-(2n+1) H_n(r): the polynomial's own slope, and the fall with distance along u.
        fall = (2 * self._degrees + 1) @ (scale * values[0])
        return np.asarray(self.gm / distance**2 * (values[1:] @ scale - fall * u))

    def potential(self, r: Floats) -> float:
        """U, km2/s2, at the body-fixed position ``r`` (3,) km: positive, and the acceleration is its gradient."""
        distance, _, values, scale = self._harmonics(r)
        return float(self.gm / distance * (scale @ values[0]))

    def _harmonics(self, r: Floats) -> tuple[float, Floats, Floats, Floats]:
        """Distance, unit vector, each degree's harmonics and their slopes there (4, degrees), and (R/r)^n."""
        distance = float(r @ r) ** 0.5
        u = r / distance
        x, y, z = u[:, None] ** self._degrees
        values = (self._matrix @ (x[self._i] * y[self._j] * z[self._k])).reshape(4, -1)
        return distance, u, values, (self.radius / distance) ** self._degrees


def _polynomials(c: Floats, s: Floats) -> Floats:
    """For each degree n the sum of its solid harmonics as coefficients [n, i, j, k] of x^i y^j z^k.

    The recursions of Cunningham's V and W (Montenbruck and Gill 2000, 3.29 to 3.31) without their powers of r.
    """
    size = len(c)
    real: dict[tuple[int, int], Floats] = {(0, 0): np.zeros((size,) * 3)}
    imaginary = {(0, 0): np.zeros((size,) * 3)}
    real[0, 0][0, 0, 0] = 1
    total = np.zeros((size,) * 4)
    for m in range(size):
        if m:
            v, w = real[m - 1, m - 1], imaginary[m - 1, m - 1]
            real[m, m] = (2 * m - 1) * (_times(v, 0) - _times(w, 1))
            imaginary[m, m] = (2 * m - 1) * (_times(w, 0) + _times(v, 1))
        for part in (real, imaginary):
            for n in range(m + 1, size):
                part[n, m] = (2 * n - 1) * _times(part[n - 1, m], 2)
                if n > m + 1:
                    part[n, m] -= (n + m - 1) * sum(_times(_times(part[n - 2, m], axis), axis) for axis in range(3))
                part[n, m] /= n - m
        for n in range(m, size):
            norm = ((2 - (m == 0)) * (2 * n + 1) * factorial(n - m) / factorial(n + m)) ** 0.5
            total[n] += norm * (c[n, m] * real[n, m] + s[n, m] * imaginary[n, m])
    return total


def _times(polynomial: Floats, axis: int) -> Floats:
    """The polynomial times x, y or z; no degree goes beyond the table's."""
    return np.roll(polynomial, 1, axis)


@cache
def lunar(degree: int = 10, order: int = 10) -> Gravity:
    """The Moon's field by LP165P up to ``degree`` and ``order`` (10 at most), in its principal axes."""
    table = tomllib.loads((files("simulators") / "lp165p.toml").read_text("utf-8"))
    c, s = np.zeros((degree + 1,) * 2), np.zeros((degree + 1,) * 2)
    c[0, 0] = 1
    for n, m, cosine, sine in table["coefficients"]:
        if n <= degree and m <= order:
            c[n, m], s[n, m] = cosine, sine
    return Gravity(table["gm"], table["radius"], c, s)
