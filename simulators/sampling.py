"""From a chunk's physics to its packets: sampled on the grid, told by the onboard clock, broken where sensors are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from simulators.encoder import encoders
from simulators.ephemeris import SECOND
from simulators.spacecraft import SAMPLE, Moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ground.mission import Mission
    from simulators.ephemeris import Floats
    from simulators.faults import Faults
    from simulators.spacecraft import Cadence, Spacecraft, Ticks
    from simulators.state import State


@dataclass(frozen=True)
class Packets:
    """n packets back to back: packet i is ``data[edges[i] : edges[i + 1]]``, uint8; ``edges`` int64 (n + 1,)."""

    data: NDArray[np.uint8]
    edges: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.edges) - 1

    def octets(self, first: int, last: int) -> NDArray[np.uint8]:
        """Those of packets ``first`` to ``last``, exclusive."""
        return self.data[self.edges[first] : self.edges[last]]


class Sampler:
    """Makes a spacecraft's packets. ``octets``: of them in a second."""

    def __init__(self, mission: Mission, craft: Spacecraft) -> None:
        self._craft = craft
        self.encoders = encoders(mission.telemetry)
        self.octets = sum(
            self.encoders[name].length * SECOND / SAMPLE / one.period for name, one in craft.telemetry.items()
        )

    def packets(self, ticks: Ticks, seconds: int, state: State) -> tuple[Packets, NDArray[np.int64]]:
        """All packets of the first ``seconds`` of ``ticks``, in the order of their times (n,), which come too.

        Sequence counts and what stuck sensors show go on from ``state``, and are kept there.
        """
        found: list[tuple[NDArray[np.int64], NDArray[np.uint8]]] = []
        for turn, (name, cadence) in enumerate(self._craft.telemetry.items()):
            encoder = self.encoders[name]
            moments = Moments(ticks, self._due(cadence, turn, ticks, seconds))
            if not len(moments.time):
                continue
            values = dict(cadence.values(moments))
            _break(name, values, moments.time, ticks.faults, state.held)
            counts = _counts(encoder.apid, moments.time, ticks, seconds, state.counts)
            found.append((moments.time, encoder.encode(values, moments.clock, counts)))
        return _in_order(found)

    def _due(self, cadence: Cadence, turn: int, ticks: Ticks, seconds: int) -> NDArray[np.int64]:
        """When (n,) a container is sampled: at a slow rate of the link only every second or fourth time, the containers
        taking turns; never while the computer starts.
        """
        first = (ticks.begin - ticks.epoch) // SAMPLE
        first += (cadence.phase - first) % cadence.period
        time = np.arange(ticks.epoch + first * SAMPLE, ticks.begin + seconds * SECOND, cadence.period * SAMPLE)
        rate = ticks.profile["rate"][(time - ticks.begin) // SECOND]
        nominal = self._craft.nominal
        every = (nominal / np.where((rate > 0) & (rate < nominal), rate, nominal)).astype(np.int64)
        number = (time - ticks.epoch) // (SAMPLE * cadence.period)
        mine = (number % every == turn % every) & (ticks.faults.effect("booting", time) == 0)
        return np.asarray(time[mine])


def _in_order(found: list[tuple[NDArray[np.int64], NDArray[np.uint8]]]) -> tuple[Packets, NDArray[np.int64]]:
    """The packets (n, length) of all containers, each with its times (n,), merged by time."""
    time = np.concatenate([times for times, _ in found] + [np.zeros(0, np.int64)])
    length = np.concatenate([np.full(len(octets), octets.shape[1]) for _, octets in found] + [np.zeros(0, np.int64)])
    order = np.argsort(time, kind="stable")
    edges = np.concatenate([[0], np.cumsum(length[order])])
    data = np.empty(int(edges[-1]), np.uint8)
    start = np.empty(len(time), np.int64)
    start[order] = edges[:-1]
    first = 0
    for _, octets in found:
        n, width = octets.shape
        # A window of one packet's length at every octet: rows of it are places to write a packet to.
        windows = np.lib.stride_tricks.sliding_window_view(data, width, writeable=True)
        windows[start[first : first + n]] = octets
        first += n
    return Packets(data, edges), time[order]


def _counts(
    apid: int, time: NDArray[np.int64], ticks: Ticks, seconds: int, counts: dict[int, int]
) -> NDArray[np.int64]:
    """Sequence counts (n,): on from ``counts``, from zero after a restart of the computer."""
    numbers = counts.get(apid, 0) + np.arange(len(time))
    end = ticks.begin + seconds * SECOND
    for one in ticks.faults.of("reboot"):
        if ticks.begin <= one.begin < end:
            first = int(np.searchsorted(time, one.begin))
            numbers[first:] = np.arange(len(time) - first)
    counts[apid] = int(numbers[-1] + 1) % (1 << 14)
    return numbers


def _break(
    container: str, values: dict[str, Any], time: NDArray[np.int64], faults: Faults, held: dict[str, float]
) -> None:
    """What stuck and drifting sensors make of ``values``."""
    for one in (*faults.of("drifting-sensor"), *faults.of("stuck-sensor")):
        name = one.target.removeprefix(f"{container}/")
        on = (time >= one.begin) & (time < one.end)
        if name not in values or name == one.target or not on.any():
            continue
        true: Floats = np.broadcast_to(np.asarray(values[name], dtype=np.float64), time.shape)
        if one.kind == "drifting-sensor":
            values[name] = np.where(on, true + one.value * (time - one.begin) / (3600 * SECOND), true)
        else:
            shown = held.setdefault(f"{one.target} {one.begin}", float(true[np.argmax(on)]))
            values[name] = np.where(on, shown, true)
