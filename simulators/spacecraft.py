"""What a simulated spacecraft is, and the moments at which its telemetry is taken."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from simulators import noise
from simulators.ephemeris import SECOND
from simulators.geometry import between

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from simulators.bus import Bus, Profile
    from simulators.encoder import Values
    from simulators.ephemeris import Floats
    from simulators.faults import Faults
    from simulators.geometry import Scene
    from simulators.orbit import Trajectory

SAMPLE = SECOND // 32
"""All telemetry is taken on a grid of 1/32 s."""

# Straight lines between ticks; the rest holds, so that powers and currents add up at every sample.
_SMOOTH = {"charge", "range", "range_rate", "array_cosine", "momentum_x", "momentum_y", "momentum_z", "sun_au"}


@dataclass(frozen=True)
class Ticks:
    """The physics of a chunk at its ticks, n instants a second apart.

    ``quaternion`` (n, 4): ICRF to body, scalar last, without jumps of sign; ``rates``: about the body axes, (3, n)
    deg/s. ``profile``: the bus's quantities by name. ``seed``, ``epoch``: the simulation's, ns since 1970 UTC.
    """

    seed: int
    epoch: int
    trajectory: Trajectory
    faults: Faults
    scene: Scene
    quaternion: Floats
    rates: Floats
    profile: Profile

    @property
    def begin(self) -> int:
        """The first tick, ns since 1970 UTC."""
        return int(self.scene.time[0])


@dataclass(frozen=True)
class Moments:
    """The state of everything at n instants ``time`` between ``ticks``.

    An item is a quantity of the bus by its name, or what a fault does (see :meth:`simulators.faults.Faults.effect`).
    """

    ticks: Ticks
    time: NDArray[np.int64]

    @cached_property
    def _tick(self) -> NDArray[np.int64]:
        return (self.time - self.ticks.begin) // SECOND

    @cached_property
    def _share(self) -> Floats:
        return np.asarray((self.time - self.ticks.begin) / SECOND - self._tick)

    @cached_property
    def scene(self) -> Scene:
        """Where everything is."""
        return self.ticks.scene.between(self.time, self._tick, self._share)

    def path(self) -> tuple[Floats, Floats]:
        """Position and velocity (3, n) as integrated, to the last bit."""
        return self.ticks.trajectory.at(self.time)

    @cached_property
    def quaternion(self) -> Floats:
        """ICRF to body, scalar last and positive, (n, 4)."""
        mean = between(self.ticks.quaternion.T, self._tick, self._share)
        return np.asarray((mean / np.linalg.norm(mean, axis=0) * np.where(mean[3] < 0, -1, 1)).T)

    @cached_property
    def axes(self) -> Floats:
        """Body axes as rows, (3, 3, n), ICRF."""
        x, y, z, w = self.quaternion.T
        return np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
            ]
        )

    @cached_property
    def rates(self) -> Floats:
        """About the body axes, (3, n) deg/s."""
        return between(self.ticks.rates, self._tick, self._share)

    @property
    def elapsed(self) -> Floats:
        """Seconds since the epoch, (n,)."""
        return np.asarray((self.time - self.ticks.epoch) / SECOND)

    @property
    def clock(self) -> NDArray[np.int64]:
        """What the onboard clock shows, (n,) ns since 1970 UTC."""
        return self.time + np.rint(self["clock_offset"]).astype(np.int64)

    def __getitem__(self, name: str) -> Floats:
        values = self.ticks.profile.get(name)
        if values is None:
            faults = self.ticks.faults
            return faults.effect(name, self.time, self["sun_au"] if faults.all else 1.0)
        if name in _SMOOTH or name.endswith("_temperature"):
            return between(values, self._tick, self._share)
        return values[self._tick]

    def noise(self, name: str, sigma: float) -> Floats:
        """White noise (n,) of standard deviation ``sigma``."""
        return sigma * noise.normal(self.ticks.seed, name, self.time)

    def drift(self, name: str, sigma: float, seconds: float) -> Floats:
        """Noise (n,) that stays alike for ``seconds``."""
        return sigma * noise.smooth(self.ticks.seed, name, self.time, round(seconds * SECOND))

    def counts(self, name: str, mean: Floats) -> NDArray[np.int64]:
        """What a counter shows that expects ``mean`` events (n,): Poisson by its normal approximation."""
        return np.maximum(np.rint(mean + np.sqrt(mean) * self.noise(name, 1.0)), 0).astype(np.int64)


Container: TypeAlias = "Callable[[Moments], Values]"


@dataclass(frozen=True)
class Cadence:
    """A container is sent every ``period`` samples of the grid, ``phase`` samples after each multiple of it."""

    values: Container
    period: int
    phase: int = 0


@dataclass(frozen=True)
class Antenna:
    """What the spacecraft transmits and hears with: ``eirp`` dBW, ``gain`` dBi for what is heard.

    ``beamwidth``: degrees off its axis at which the gain is halved; a low-gain antenna has none.
    """

    eirp: float
    gain: float
    beamwidth: float = np.inf

    def loss(self, degrees: Floats) -> Floats:
        """dB (n,) that it loses ``degrees`` off its axis: a parabola, down to its side lobes."""
        return np.minimum(3 * (degrees / self.beamwidth) ** 2, 30.0)


@dataclass(frozen=True)
class Spacecraft:
    """A spacecraft: how it flies, what it carries, what it says and how strongly.

    ``start``: ns since 1970 UTC at which a fresh simulation begins. ``rates``: transfer frames a second, idle ones
    included, slowest first; ``nominal``: the one that its telemetry is made for, of which a slower rate carries every
    second or fourth packet, ``safe``: the fastest in safe mode. ``insert_tail``, ``fill``: see
    :class:`~simulators.framing.Framer`. ``carrier`` Hz. ``low``, ``high``: its antennas; the high-gain one is used from
    ``beyond`` km on, unless the spacecraft has turned away from the Earth. ``required``: Eb/N0 in dB at which the code
    fails half of the frames; ``waterfall``: standard deviation of that, dB. ``recorder``: octets of mass memory that
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
    rates: tuple[float, ...]
    nominal: int
    safe: float
    carrier: float
    low: Antenna
    high: Antenna
    beyond: float
    required: float
    waterfall: float
    insert_tail: bytes = b""
    fill: int = 0x55
    recorder: int = 0
    playback_vcid: int | None = None

    def high_gain(self, distance: Floats, turned: NDArray[np.bool_] | bool = False) -> NDArray[np.bool_]:
        """Whether (n,) it uses its high-gain antenna at ``distance`` (n,) km; not where it has ``turned`` away."""
        return np.asarray((distance >= self.beyond) & ~np.asarray(turned))

    def eirp(self, distance: Floats) -> Floats:
        """Effective radiated power (n,) dBW at ``distance`` (n,) km, pointed well."""
        return np.where(self.high_gain(distance), self.high.eirp, self.low.eirp)


def unit(vectors: Floats) -> Floats:
    """Vectors (3, n) scaled to length 1."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=0))


def angle(one: Floats, other: Floats) -> Floats:
    """Degrees (n,) between unit vectors (3, n)."""
    return np.asarray(np.degrees(np.arccos(np.clip(np.sum(one * other, axis=0), -1, 1))))
