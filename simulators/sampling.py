"""From a chunk's physics to its packets: sampled on the grid, told by the onboard clock, broken where sensors are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simulators.attitude import burning, pointed, rates
from simulators.encoder import encoders
from simulators.ephemeris import SECOND
from simulators.geometry import scene
from simulators.spacecraft import SAMPLE, Moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ground.mission import Mission
    from simulators.bus import Profile
    from simulators.faults import Faults
    from simulators.orbit import Trajectory
    from simulators.spacecraft import Cadence, Spacecraft
    from simulators.state import State

# Interpolated between ticks; the rest holds, so that powers and currents add up at every sample.
_SMOOTH = {"charge", "range", "range_rate", "array_cosine"}
_SLOW = 4  # samples: containers at 8 Hz and slower share a grid four times as wide


class Sampler:
    """Makes a spacecraft's packets. Sequence counts and stuck sensors' values are in ``state``."""

    def __init__(self, mission: Mission, craft: Spacecraft, state: State, trajectory: Trajectory) -> None:
        self._craft, self._state, self._trajectory = craft, state, trajectory
        self.encoders = encoders(mission.telemetry)
        self.octets = sum(
            self.encoders[name].length * SECOND / SAMPLE / one.period for name, one in craft.telemetry.items()
        )

    def packets(
        self, begin: int, seconds: int, step: int, profile: Profile, faults: Faults
    ) -> list[list[tuple[int, bytes]]]:
        """All packets of ``seconds`` from ``begin`` on, by ``step`` ns: (APID, octets) in the order of their times.

        ``profile``: by ticks, a second apart. Made anew after a restart, octet for octet.
        """
        grid = np.arange(begin, begin + seconds * SECOND, SAMPLE)
        grids = {stride: self._moments(grid[::stride], profile, faults) for stride in (1, _SLOW)}
        restarts = [one.begin for one in faults.of("reboot") if begin <= one.begin < begin + seconds * SECOND]
        made: list[tuple[int, int, bytes]] = []
        for turn, (name, cadence) in enumerate(self._craft.telemetry.items()):
            encoder = self.encoders[name]
            moments = grids[1 if cadence.period % _SLOW or cadence.phase % _SLOW else _SLOW]
            chosen = moments.rows(self._due(cadence, turn, moments))
            if not len(chosen.time):
                continue
            values = dict(cadence.values(chosen))
            self._break(name, values, chosen.time, faults)
            octets = encoder.encode(values, chosen.clock, self._counts(encoder.apid, chosen.time, restarts))
            made += [(int(time), encoder.apid, row.tobytes()) for time, row in zip(chosen.time, octets, strict=True)]
        made.sort(key=lambda one: one[:2])
        steps: list[list[tuple[int, bytes]]] = [[] for _ in range(seconds * SECOND // step)]
        for time, apid, packet in made:
            steps[(time - begin) // step].append((apid, packet))
        return steps

    def _moments(self, time: NDArray[np.int64], ticked: Profile, faults: Faults) -> Moments:
        since = (time - time[0]) / SECOND
        tick = (time - time[0]) // SECOND
        ticks = np.arange(len(ticked["flux"]))
        effects = faults.effects(time, [node.name for node in self._craft.bus.nodes])
        profile = {
            name: np.interp(since, ticks, values)
            if name in _SMOOTH or name.endswith("_temperature") or name.startswith("momentum_")
            else values[tick]
            for name, values in ticked.items()
            if name not in effects
        }
        where = scene(self._trajectory, time)
        burns = self._trajectory.burns
        profile |= effects
        profile["burn"] = np.max([burning(time, burn) for burn in burns] + [np.zeros(len(time))], axis=0)
        axes = pointed(self._craft.axes(where), where, profile["safe"], burns)
        turning = rates(axes, (time[1] - time[0]) / SECOND)
        return Moments(self._state.seed, self._state.epoch, time, where, axes, turning, profile)

    def _due(self, cadence: Cadence, turn: int, moments: Moments) -> NDArray[np.intp]:
        """At which ``moments`` a container is sampled: at a slow rate of the link only every second or fourth time,
        the containers taking turns; never while the computer starts.
        """
        rate = moments["rate"]
        nominal = self._craft.nominal
        every = np.where((rate > 0) & (rate < nominal), nominal // np.maximum(rate, 1), 1)
        samples = (moments.time - self._state.epoch) // SAMPLE - cadence.phase
        mine = samples // cadence.period % every == turn % every
        return np.flatnonzero(mine & (samples % cadence.period == 0) & (moments["booting"] == 0))

    def _counts(self, apid: int, time: NDArray[np.int64], restarts: list[int]) -> NDArray[np.int64]:
        """Sequence counts (n,): on from the state's, which counts up to ``state.time``; from zero after a restart."""
        now = self._state.time
        rows = np.arange(len(time))
        since = max((one for one in restarts if one <= now), default=time[0])
        first = int(np.searchsorted(time, since))
        counts = self._state.counts.get(apid, 0) - (int(np.searchsorted(time, now)) - first) + rows - first
        for one in restarts:
            if one > now:
                counts = np.where(time >= one, rows - int(np.searchsorted(time, one)), counts)
        return np.asarray(counts)

    def _break(self, container: str, values: dict[str, Any], time: NDArray[np.int64], faults: Faults) -> None:
        """What stuck and drifting sensors make of ``values``."""
        for one in (*faults.of("drifting-sensor"), *faults.of("stuck-sensor")):
            name = one.target.removeprefix(f"{container}/")
            on = (time >= one.begin) & (time < one.end)
            if name not in values or name == one.target or not on.any():
                continue
            true = np.broadcast_to(np.asarray(values[name], dtype=np.float64), time.shape)
            if one.kind == "drifting-sensor":
                values[name] = np.where(on, true + one.value * (time - one.begin) / (3600 * SECOND), true)
                continue
            key = f"{one.target} {one.begin}"
            first = int(np.argmax(on))
            if one.begin >= time[0] - SECOND or key not in self._state.held:
                self._state.held.setdefault(key, float(true[first]))
            values[name] = np.where(on, self._state.held[key], true)
