"""Noise that depends on nothing but seed, name and instant: the same run, restarted anywhere, gives the same octets."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
from scipy.special import ndtri

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from simulators.ephemeris import Floats

_GOLDEN = 0x9E37_79B9_7F4A_7C15
_QUANTILES: Floats = ndtri((np.arange(1 << 16) + 0.5) / (1 << 16))


def _bits(seed: int, name: str, time: NDArray[np.int64]) -> NDArray[np.uint64]:
    """64 random bits (n,) for each instant of ``time`` (n,) ns: splitmix64 of (seed, name, instant).

    Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".
    """
    key = (seed * _GOLDEN + crc32(name.encode())) & 0xFFFF_FFFF_FFFF_FFFF
    x = time.astype(np.uint64)
    x *= np.uint64(_GOLDEN)
    x += np.uint64(key)
    for shift, factor in ((30, 0xBF58_476D_1CE4_E5B9), (27, 0x94D0_49BB_1331_11EB)):
        x ^= x >> np.uint64(shift)
        x *= np.uint64(factor)
    x ^= x >> np.uint64(31)
    return x


def uniform(seed: int, name: str, time: NDArray[np.int64]) -> Floats:
    """Numbers (n,) in (0, 1), one for each instant of ``time`` (n,) ns."""
    return np.asarray(((_bits(seed, name, time) >> np.uint64(11)).astype(np.float64) + 0.5) / 2**53)


def normal(seed: int, name: str, time: NDArray[np.int64]) -> Floats:
    """Standard normal numbers (n,), one for each instant of ``time`` (n,) ns: 65,536 quantiles, 4.3 at most."""
    return _QUANTILES.take((_bits(seed, name, time) >> np.uint64(48)).view(np.int64))


def smooth(seed: int, name: str, time: NDArray[np.int64], correlation: int) -> Floats:
    """A random walk's tame cousin (n,): normal numbers on a grid of ``correlation`` ns, joined by smooth steps.

    ``time`` (n,) ns, in order. Its standard deviation is 1 on the grid and 0.7 half-way.
    """
    cell = time // correlation
    share = (time - cell * correlation) / correlation
    cell -= (first := int(cell[0]))
    knots = normal(seed, name, (first + np.arange(int(cell[-1]) + 2)) * correlation)
    before = knots[cell]
    return np.asarray(before + share**2 * (3 - 2 * share) * (knots[cell + 1] - before))
