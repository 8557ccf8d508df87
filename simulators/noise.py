"""Noise that depends on nothing but seed, name and instant: the same run, restarted anywhere, gives the same octets."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from simulators.ephemeris import Floats


def uniform(seed: int, name: str, time: NDArray[np.int64]) -> Floats:
    """Numbers (n,) in (0, 1), one for each instant of ``time`` (n,) ns: splitmix64 of (seed, name, instant).

    Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".
    """
    key = (seed * 0x9E3779B97F4A7C15 + crc32(name.encode())) & 0xFFFF_FFFF_FFFF_FFFF
    x = time.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return np.asarray(((x >> np.uint64(11)).astype(np.float64) + 0.5) / 2**53)


def normal(seed: int, name: str, time: NDArray[np.int64]) -> Floats:
    """Standard normal numbers (n,), one for each instant of ``time`` (n,) ns (Box and Muller 1958)."""
    radius = np.sqrt(-2 * np.log(uniform(seed, f"{name} radius", time)))
    return np.asarray(radius * np.cos(2 * np.pi * uniform(seed, f"{name} angle", time)))


def smooth(seed: int, name: str, time: NDArray[np.int64], correlation: int) -> Floats:
    """A random walk's tame cousin (n,): normal numbers on a grid of ``correlation`` ns, joined by cosines.

    Its standard deviation is 1 on the grid and 0.7 half-way.
    """
    cell = time // correlation
    weight = (1 - np.cos(np.pi * (time - cell * correlation) / correlation)) / 2
    before, after = (normal(seed, name, (cell + step) * correlation) for step in (0, 1))
    return np.asarray(before * (1 - weight) + after * weight)
