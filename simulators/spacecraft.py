"""What a simulated spacecraft is, and the moments at which its telemetry is taken."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from simulators import noise
from simulators.ephemeris import SECOND
from simulators.geometry import Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from simulators.bus import Bus, Profile
    from simulators.encoder import Values
    from simulators.ephemeris import Floats
    from simulators.orbit import Trajectory

SAMPLE = SECOND // 8
"""All telemetry is taken on a grid of 1/8 s, which every onboard clock here represents exactly."""


@dataclass(frozen=True)
class Moments:
    """The state of everything at n instants: geometry, and the bus's integrated quantities by name.

    ``axes``: body axes as rows, (3, 3, n), ICRF. ``epoch``: ns since 1970 UTC at which the simulation began.
    """

    seed: int
    epoch: int
    time: NDArray[np.int64]
    scene: Scene
    axes: Floats
    profile: Profile

    def rows(self, rows: NDArray[np.intp] | slice) -> Moments:
        """The moments at ``rows``."""
        names = [field.name for field in fields(Scene) if field.name != "centre"]
        scene = replace(self.scene, **{name: getattr(self.scene, name)[..., rows] for name in names})
        profile = {name: value[rows] for name, value in self.profile.items()}
        return Moments(self.seed, self.epoch, self.time[rows], scene, self.axes[..., rows], profile)

    @property
    def elapsed(self) -> Floats:
        """Seconds since the epoch, (n,)."""
        return np.asarray((self.time - self.epoch) / SECOND)

    def __getitem__(self, name: str) -> Floats:
        return self.profile[name]

    def noise(self, name: str, sigma: float) -> Floats:
        """White noise (n,) of standard deviation ``sigma``."""
        return sigma * noise.normal(self.seed, name, self.time)

    def drift(self, name: str, sigma: float, seconds: float) -> Floats:
        """Noise (n,) that stays alike for ``seconds``."""
        return sigma * noise.smooth(self.seed, name, self.time, round(seconds * SECOND))

    def counts(self, name: str, mean: Floats) -> NDArray[np.int64]:
        """What a counter shows that expects ``mean`` events (n,): Poisson by its normal approximation."""
        return np.maximum(np.rint(mean + np.sqrt(mean) * noise.normal(self.seed, name, self.time)), 0).astype(np.int64)


Container: TypeAlias = "Callable[[Moments], Values]"


@dataclass(frozen=True)
class Cadence:
    """A container is sent every ``period`` samples of the grid, ``phase`` samples after each multiple of it."""

    values: Container
    period: int
    phase: int = 0


@dataclass(frozen=True)
class Spacecraft:
    """A spacecraft: how it flies, what it carries, what it says and how strongly.

    ``start``: ns since 1970 UTC at which a fresh simulation begins. ``frame_rate``: transfer frames a second, idle ones
    included. ``insert_tail``, ``fill``: see :class:`~simulators.framing.Framer`. ``carrier`` Hz; ``eirp`` dBW;
    ``bit_rate`` information bit/s; ``required`` Eb/N0 in dB that the code needs.
    """

    name: str
    start: int
    trajectory: Callable[[Path, int, dict[str, Any] | None], Trajectory]
    axes: Callable[[Scene], Floats]
    drive: Callable[[Scene, Floats, Floats], Profile]
    bus: Bus
    telemetry: Mapping[str, Cadence]
    vcid: int
    idle_vcid: int
    frame_rate: int
    carrier: float
    eirp: float
    bit_rate: float
    required: float = 1.0
    insert_tail: bytes = b""
    fill: int = 0x55


def unit(vectors: Floats) -> Floats:
    """Vectors (3, n) scaled to length 1."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=0))


def angle(one: Floats, other: Floats) -> Floats:
    """Degrees (n,) between unit vectors (3, n)."""
    return np.asarray(np.degrees(np.arccos(np.clip(np.sum(one * other, axis=0), -1, 1))))
