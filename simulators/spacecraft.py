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

SAMPLE = SECOND // 32
"""All telemetry is taken on a grid of 1/32 s."""


@dataclass(frozen=True)
class Moments:
    """The state of everything at n instants: geometry, and the bus's integrated quantities by name.

    ``axes``: body axes as rows, (3, 3, n), ICRF; ``rates``: about them, (3, n) deg/s. ``epoch``: ns since 1970 UTC at
    which the simulation began.
    """

    seed: int
    epoch: int
    time: NDArray[np.int64]
    scene: Scene
    axes: Floats
    rates: Floats
    profile: Profile

    def rows(self, rows: NDArray[np.intp] | slice) -> Moments:
        """The moments at ``rows``."""
        names = [field.name for field in fields(Scene) if field.name != "centre"]
        scene = replace(self.scene, **{name: getattr(self.scene, name)[..., rows] for name in names})
        profile = {name: value[rows] for name, value in self.profile.items()}
        return Moments(
            self.seed, self.epoch, self.time[rows], scene, self.axes[..., rows], self.rates[..., rows], profile
        )

    @property
    def elapsed(self) -> Floats:
        """Seconds since the epoch, (n,)."""
        return np.asarray((self.time - self.epoch) / SECOND)

    @property
    def clock(self) -> NDArray[np.int64]:
        """What the onboard clock shows, (n,) ns since 1970 UTC."""
        return self.time + np.rint(self.profile["clock_offset"]).astype(np.int64)

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
class Antenna:
    """What the spacecraft transmits with from ``beyond`` km on: ``eirp`` dBW."""

    beyond: float
    eirp: float


@dataclass(frozen=True)
class Spacecraft:
    """A spacecraft: how it flies, what it carries, what it says and how strongly.

    ``start``: ns since 1970 UTC at which a fresh simulation begins. ``rates``: transfer frames a second, idle ones
    included, slowest first; ``nominal``: the one that its telemetry is made for, of which a slower rate carries every
    second or fourth packet. ``insert_tail``, ``fill``: see :class:`~simulators.framing.Framer`. ``carrier`` Hz.
    ``required``: Eb/N0 in dB at which the code fails half of the frames; ``waterfall``: standard deviation of that, dB.
    ``beamwidth``: degrees off its axis at which the antenna's gain is halved. ``recorder``: octets of mass memory that
    keep what nobody hears, played back on ``playback_vcid``; 0 for none.
    """

    name: str
    start: int
    trajectory: Callable[[Path, int, dict[str, Any] | None], Trajectory]
    axes: Callable[[Scene], Floats]
    drive: Callable[[Scene, Floats, Floats, Profile], Profile]
    bus: Bus
    telemetry: Mapping[str, Cadence]
    vcid: int
    idle_vcid: int
    frame_length: int
    rates: tuple[int, ...]
    nominal: int
    carrier: float
    antennas: tuple[Antenna, ...]
    beamwidth: float
    required: float
    waterfall: float
    insert_tail: bytes = b""
    fill: int = 0x55
    recorder: int = 0
    playback_vcid: int | None = None

    def pointing_loss(self, degrees: Floats) -> Floats:
        """dB (n,) that an antenna loses ``degrees`` off its axis: a parabola, down to its side lobes."""
        return np.minimum(3 * (degrees / self.beamwidth) ** 2, 30.0)

    def eirp(self, distance: Floats) -> Floats:
        """Effective radiated power (n,) dBW at ``distance`` (n,) km from the Earth."""
        beyond = np.array([antenna.beyond for antenna in self.antennas])
        table = np.array([antenna.eirp for antenna in self.antennas])
        return np.asarray(table[np.searchsorted(beyond, distance, side="right") - 1])


def unit(vectors: Floats) -> Floats:
    """Vectors (3, n) scaled to length 1."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=0))


def angle(one: Floats, other: Floats) -> Floats:
    """Degrees (n,) between unit vectors (3, n)."""
    return np.asarray(np.degrees(np.arccos(np.clip(np.sum(one * other, axis=0), -1, 1))))
