"""The contact plan: which station is transmitted to, how fast, and what waits in the recorder meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simulators.station import IN_VIEW, eb_n0, reasons

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ground.mission import Station
    from simulators.ephemeris import Floats
    from simulators.geometry import View
    from simulators.spacecraft import Spacecraft

_MARGIN = 0.3
"""dB above :attr:`~simulators.spacecraft.Spacecraft.required` that a faster rate needs: one frame in fifty is lost."""


@dataclass(frozen=True)
class Contact:
    """Second by second, (n,) each: the ``station`` that is transmitted to (None: silence), the ``rate`` in frames a
    second (0: silence), Eb/N0 there in dB, and the ``backlog`` of the recorder in octets.

    ``reasons``: of each station's silence, (n,) words.
    """

    station: list[str | None]
    rate: NDArray[np.int64]
    strength: Floats
    backlog: Floats
    reasons: dict[str, NDArray[np.str_]]

    @property
    def transmitting(self) -> Floats:
        """1 where the transmitter is on, 0 elsewhere."""
        return np.asarray((self.rate > 0).astype(np.float64))


def plan(
    craft: Spacecraft,
    stations: Mapping[str, Station],
    seen: Mapping[str, View],
    *,
    loss: Floats,
    slowest: NDArray[np.bool_],
    station: str | None,
    backlog: int,
    made: float,
) -> Contact:
    """Follow the views ``seen``, (n,) a second apart, with ``loss`` dB on top; ``slowest`` keeps the rate down.

    ``station``: who listened before, and keeps the spacecraft until it loses it. ``backlog``: octets recorded so far,
    to which ``made`` octets come each second of silence.
    """
    words = {name: reasons(craft, stations[name], view, loss) for name, view in seen.items()}
    strengths = {
        name: np.array([eb_n0(craft, stations[name], view, rate, loss) for rate in craft.rates])
        for name, view in seen.items()
    }
    n = len(loss)
    chosen: list[str | None] = []
    rates, strength, waiting = np.zeros(n, dtype=np.int64), np.full(n, -np.inf), np.empty(n)
    left = float(backlog)
    for k in range(n):
        hearing = [name for name in seen if words[name][k] == IN_VIEW]
        if station not in hearing:
            station = max(hearing, key=lambda name: float(seen[name].elevation[k]), default=None)
        chosen.append(station)
        waiting[k] = left
        if station is None:
            left = min(left + made, craft.recorder) if craft.recorder else 0.0
            continue
        closing = strengths[station][:, k] >= craft.required + _MARGIN
        # Faster than the telemetry needs is for the recorder alone.
        useful = [rate <= craft.nominal or left > 0 for rate in craft.rates]
        best = 0 if slowest[k] else max((i for i in range(len(useful)) if closing[i] and useful[i]), default=0)
        rates[k], strength[k] = craft.rates[best], strengths[station][best, k]
        if craft.recorder:
            left = max(left - max(rates[k] - craft.nominal, 0) * craft.frame_length, 0.0)
    return Contact(chosen, rates, strength, waiting, words)
