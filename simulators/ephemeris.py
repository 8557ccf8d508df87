"""Sun, Moon and planets from DE421, the Earth's rotation, the Moon's rotation: everything offline.

Positions are kilometres in the ICRF with the origin at the solar system barycentre unless a docstring says otherwise.
Times are int64 ns since 1970 UTC at the borders and TDB seconds since J2000 (2000-01-01T12:00 TDB) inside.
"""

from __future__ import annotations

import atexit
from functools import cache, lru_cache
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from scipy.interpolate import CubicHermiteSpline
from skyfield.api import Loader, wgs84
from skyfield.framelib import itrs
from skyfield.jpllib import SpiceKernel

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = "NDArray[np.float64]"

SECOND = 1_000_000_000
C = 299_792.458
"""Speed of light, km/s."""
AU = 149_597_870.700
"""Astronomical unit, km."""
EARTH_RATE = 7.292_115e-5
"""Rotation of the Earth, rad/s."""

# GM in km3/s2 from the header of DE421 (Folkner, Williams, Boggs 2009, IPN Progress Report 42-178).
GM = {
    "sun": 132_712_440_040.944_0,
    "venus": 324_858.592_000,
    "earth": 398_600.436_233,
    "moon": 4_902.800_076,
    "mars": 42_828.375_214,
    "jupiter": 126_712_764.800_000,
    "saturn": 37_940_585.200_000,
}
RADIUS = {"sun": 696_000.0, "earth": 6_378.137, "moon": 1_737.4, "mars": 3_396.19}
"""Mean (Moon, Sun) or equatorial (Earth, Mars) radius, km."""

# Chains of DE421 segments from the barycentre. Mars and the giants stand for their systems' barycentres.
_CHAINS = {
    "sun": ((0, 10),),
    "venus": ((0, 2),),
    "earth": ((0, 3), (3, 399)),
    "moon": ((0, 3), (3, 301)),
    "mars": ((0, 4),),
    "jupiter": ((0, 5),),
    "saturn": ((0, 6),),
}
_J2000_NS = 946_728_000 * SECOND
_NUTATION_STEP = _STATE_STEP = 600.0  # s
_TT_MINUS_UTC = 69.184  # constant since 2017-01-01; no leap second is announced


@cache
def _kernel() -> Any:
    # skyfield_data's own path function warns when one of its files gets old; DE421 doesn't.
    with as_file(files("skyfield_data") / "data" / "de421.bsp") as path:
        kernel = SpiceKernel(str(path))
    atexit.register(kernel.close)
    return kernel


@cache
def _timescale() -> Any:
    return Loader(".", verbose=False).timescale(builtin=True)  # tables inside skyfield: no file, no network


def tdb(time: ArrayLike) -> Floats:
    """TDB seconds since J2000 of ``time`` (int64 ns since 1970 UTC, any shape), to about 20 us.

    TDB - TT is the largest term of Fairhead and Bretagnon 1990.
    """
    tt = (np.asarray(time, dtype=np.int64) - _J2000_NS) / SECOND + _TT_MINUS_UTC
    anomaly = np.radians(357.53 + 0.985_600_28 * tt / 86_400)
    return np.asarray(tt + 0.001_658 * np.sin(anomaly + 0.0167 * np.sin(anomaly)))


def position(body: str, seconds: ArrayLike) -> Floats:
    """Barycentric position of ``body`` at TDB ``seconds`` (n,) or scalar: km, shape (3, n) or (3,)."""
    return motion(body, seconds)[0]


def motion(body: str, seconds: ArrayLike) -> tuple[Floats, Floats]:
    """Barycentric position (km) and velocity (km/s) of ``body`` at TDB ``seconds`` (n,) or scalar: (3, n) or (3,).

    Close instants are taken from cubics between states ten minutes apart: some millimetres off, no more than a float64
    resolves of the time.
    """
    times = np.asarray(seconds, dtype=np.float64)
    number = np.floor(times / _STATE_STEP)
    first, last = int(number.min()), int(number.max())
    if times.size < 4 * (last - first + 2):
        return _states(body, times)
    path = _path(body, first, last + 1)
    return path(times).T, path(times, 1).T


@lru_cache(64)
def _path(body: str, first: int, last: int) -> CubicHermiteSpline[np.float64]:
    knots = np.asarray(np.arange(first, last + 1) * _STATE_STEP, dtype=np.float64)
    r, v = _states(body, knots)
    return CubicHermiteSpline(knots, r.T, v.T)


def _states(body: str, seconds: Floats) -> tuple[Floats, Floats]:
    days = seconds / 86_400
    parts = [_kernel().spk[pair].compute_and_differentiate(2_451_545.0, days) for pair in _CHAINS[body]]
    return sum(part[0][:3] for part in parts), sum(part[1][:3] for part in parts) / 86_400


def earth_rotation(seconds: ArrayLike) -> Floats:
    """Rotation (3, 3, n) from Earth-fixed (ITRS) to the ICRF at TDB ``seconds`` (n,); no polar motion (< 15 m).

    Precession and nutation are taken every ten minutes and joined by straight lines, to 1e-12 rad.
    """
    times = np.atleast_1d(np.asarray(seconds, dtype=np.float64))
    knots, inverse = np.unique(np.floor(times / _NUTATION_STEP), return_inverse=True)
    edges = np.union1d(knots, knots + 1)
    # TT for TDB: 2 ms of rotation are 1 m on the ground.
    fixed = itrs.rotation_at(_timescale().tt_jd(2_451_545.0, edges * _NUTATION_STEP / 86_400))
    still = _product(np.swapaxes(fixed, 0, 1), _spin(-EARTH_RATE * _NUTATION_STEP * edges))
    before = np.searchsorted(edges, knots)[inverse]
    weight = times / _NUTATION_STEP - edges[before]
    joined = still[:, :, before] * (1 - weight) + still[:, :, before + 1] * weight
    return _product(joined, _spin(EARTH_RATE * times))


def _spin(angle: Floats) -> Floats:
    """Turn (3, 3, n) by ``angle`` rad about z."""
    cosine, sine, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    return np.array([[cosine, -sine, zero], [sine, cosine, zero], [zero, zero, one]])


def _product(a: Floats, b: Floats) -> Floats:
    return np.asarray(np.einsum("ijn,jkn->ikn", a, b))


def station_fixed(latitude: float, longitude: float, height: float) -> tuple[Floats, Floats]:
    """Earth-fixed position (km) and upward unit normal of a place: WGS 84 degrees and metres; two arrays (3,)."""
    phi, lam = np.radians(latitude), np.radians(longitude)
    up = np.array([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])
    return np.asarray(wgs84.latlon(latitude, longitude, elevation_m=height).itrs_xyz.km), up


# Archinal et al. 2011 (IAU WGCCRE report 2009), Moon: arguments E1..E13 in degrees and degrees a day, then the
# sine terms of the pole's right ascension, the cosine terms of its declination, the sine terms of the prime meridian.
_E0 = np.array(
    [125.045, 250.089, 260.008, 176.625, 357.529, 311.589, 134.963, 276.617, 34.226, 15.134, 119.743, 239.961, 25.053]
)
_E1 = np.array(
    [
        *(-0.0529921, -0.1059842, 13.0120009, 13.3407154, 0.9856003, 26.4057084, 13.0649930),
        *(0.3287146, 1.7484877, -0.1589763, 0.0036096, 0.1643573, 12.9590088),
    ]
)
_RA = np.array([-3.8787, -0.1204, 0.0700, -0.0172, 0, 0.0072, 0, 0, 0, -0.0052, 0, 0, 0.0043])
_DEC = np.array([1.5419, 0.0239, -0.0278, 0.0068, 0, -0.0029, 0.0009, 0, 0, 0.0008, 0, 0, -0.0009])
_W = np.array(
    [3.5610, 0.1208, -0.0642, 0.0158, 0.0252, -0.0066, -0.0047, -0.0046, 0.0028, 0.0052, 0.0040, 0.0019, -0.0044]
)


def moon_rotation(seconds: ArrayLike) -> Floats:
    """Rotation from the ICRF to Moon-fixed axes (mean Earth, IAU 2009) at TDB ``seconds``: (3, 3) or (3, 3, n).

    Within about 150 m of DE421's own libration on the surface. Maps are in these axes; gravity is in the principal
    axes, which :data:`PRINCIPAL` turns them into.
    """
    days = np.asarray(seconds, dtype=np.float64) / 86_400
    angles = np.radians(np.multiply.outer(_E1, days) + _E0.reshape(-1, *[1] * days.ndim))
    ra = 269.9949 + 0.0031 * days / 36_525 + np.tensordot(_RA, np.sin(angles), 1)
    dec = 66.5392 + 0.0130 * days / 36_525 + np.tensordot(_DEC, np.cos(angles), 1)
    meridian = 38.3213 + 13.17635815 * days - 1.4e-12 * days**2 + np.tensordot(_W, np.sin(angles), 1)
    a, b, w = np.radians(ra + 90), np.radians(90 - dec), np.radians(meridian)
    ca, sa, cb, sb, cw, sw = np.cos(a), np.sin(a), np.cos(b), np.sin(b), np.cos(w), np.sin(w)
    return np.array(
        [
            [cw * ca - sw * cb * sa, cw * sa + sw * cb * ca, sw * sb],
            [-sw * ca - cw * cb * sa, -sw * sa + cw * cb * ca, cw * sb],
            [sb * sa, -sb * ca, cb],
        ]
    )


def _turn(axis: int, arcseconds: float) -> Floats:
    """Rotation (3, 3) of the coordinate axes about one of them."""
    cosine, sine = np.cos(arcseconds * np.pi / 648_000), np.sin(arcseconds * np.pi / 648_000)
    matrix = np.eye(3)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix[i, i] = matrix[j, j] = cosine
    matrix[i, j], matrix[j, i] = sine, -sine
    return matrix


PRINCIPAL: Floats = _turn(2, 67.92) @ _turn(1, 78.56) @ _turn(0, 0.30)
"""Rotation (3, 3) from the Moon's mean Earth axes to its principal ones, 875 m on the surface (DE421: Williams, Boggs
and Folkner 2008, JPL IOM 335-JW,DB,WF-20080314-001, eq. 6)."""


def mars_rotation(seconds: float) -> Floats:
    """Rotation (3, 3) from the ICRF to Mars's mean equator of date at TDB ``seconds``: x to its node on the ICRF's.

    Pole of IAU 2000 (Seidelmann et al. 2002), the one whose values at J2000 Tianwen-1's telemetry goes by.
    """
    centuries = seconds / 86_400 / 36_525
    ra, dec = np.radians(317.68143 - 0.1061 * centuries), np.radians(52.88650 - 0.0609 * centuries)
    node = np.array([-np.sin(ra), np.cos(ra), 0.0])
    pole = np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    return np.array([node, np.cross(pole, node), pole])
