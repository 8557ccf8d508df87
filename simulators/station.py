"""A ground station: how well it hears, what it says about itself, when it sees the spacecraft next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simulators.ephemeris import SECOND, C
from simulators.geometry import View, views

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ground.mission import Station
    from simulators.ephemeris import Floats
    from simulators.orbit import Trajectory
    from simulators.spacecraft import Spacecraft

_BOLTZMANN = -228.6  # dBW/K/Hz
_EFFICIENCY = 0.6
_RECEIVER = 24.0  # K, cryogenic amplifier, waveguide and cosmic background
_ATMOSPHERE = 7.0  # K at the zenith, X band, dry
_LOSSES = 0.8  # dB: pointing, polarisation, demodulation
_LOOK_AHEAD = 36 * 3600
_COARSE = 60


def eb_n0(craft: Spacecraft, station: Station, distance: Floats, elevation: Floats) -> Floats:
    """Energy per information bit over noise density, dB (n,), at ``distance`` km and ``elevation`` degrees.

    The link equation (CCSDS 401.0-B-32 annex; Wertz 1999, 13.3): dish gain 0.6 (pi D / lambda)^2, free-space loss, and
    a noise temperature that rises with the path through the air.
    """
    wavelength = C * 1000 / craft.carrier
    gain = 10 * np.log10(_EFFICIENCY * (np.pi * station.dish / wavelength) ** 2)
    loss = 20 * np.log10(4 * np.pi * distance * 1000 / wavelength)
    noise = _RECEIVER + _ATMOSPHERE / np.sin(np.radians(np.maximum(elevation, 3.0)))
    c_n0 = craft.eirp - loss - _LOSSES + gain - 10 * np.log10(noise) - _BOLTZMANN
    return np.asarray(c_n0 - 10 * np.log10(craft.bit_rate))


def listening(craft: Spacecraft, station: Station, view: View) -> NDArray[np.bool_]:
    """Whether a link exists (n,): in view, and strong enough for the code."""
    return np.asarray(view.in_view & (eb_n0(craft, station, view.range, view.elevation) >= craft.required))


def status(
    craft: Spacecraft, station: Station, view: View, k: int, time: int, sent: int, event: tuple[str, int] | None
) -> dict[str, Any]:
    """The payload of ``station/<mission>/<station>`` at mission time ``time``, row ``k`` of ``view``."""
    strength = float(eb_n0(craft, station, view.range[k : k + 1], view.elevation[k : k + 1])[0])
    if not view.above[k]:
        reason = "below the horizon" if view.elevation[k] < 0 else "below the elevation mask"
    elif view.occulted[k]:
        reason = "occulted by the Moon"
    elif strength < craft.required:
        reason = "the link is too weak"
    else:
        reason = "in view"
    heard = reason == "in view"
    return {
        "time": str(time),
        "station": station.title,
        "in_view": heard,
        "reason": reason,
        "elevation_deg": round(float(view.elevation[k]), 4),
        "range_km": round(float(view.range[k]), 4),
        "light_time_s": round(float(view.light_time[k]), 7),
        "doppler_hz": round(float(-craft.carrier * view.range_rate[k] / C), 2),
        "eb_n0_db": round(strength, 2) if heard else None,
        "frames_sent": sent,
        "next": None if event is None else {"event": event[0], "time": str(event[1])},
    }


class Passes:
    """The next AOS or LOS of each station, by onboard time, to the second; looked for again only when it has passed."""

    def __init__(self, craft: Spacecraft, trajectory: Trajectory, stations: dict[str, Station]) -> None:
        self._craft, self._trajectory, self._stations = craft, trajectory, stations
        self._next: dict[str, tuple[str, int]] = {}
        self._searched = 0

    def next(self, station: str, time: int) -> tuple[str, int] | None:
        """("AOS" or "LOS", ns since 1970 UTC) of the first change after ``time``; None where none is near.

        Changes that last less than a minute are overlooked.
        """
        known = self._next.get(station)
        if known is not None and known[1] > time:
            return known
        if known is not None or time >= self._searched:
            self._search(time)
        known = self._next.get(station)
        return known if known is not None and known[1] > time else None

    def _search(self, time: int) -> None:
        self._searched = time + _LOOK_AHEAD * SECOND // 2
        self._next = {}
        missing = dict(self._stations)
        for begin in range(0, _LOOK_AHEAD, 6 * 3600):
            coarse = time + (begin + np.arange(0, 6 * 3600 + 1, _COARSE)) * SECOND
            seen = views(self._trajectory, missing.values(), coarse)
            for name in list(missing):
                heard = listening(self._craft, missing[name], seen[name])
                changes = np.flatnonzero(heard[1:] != heard[:-1])
                if len(changes):
                    fine = coarse[changes[0]] + np.arange(_COARSE + 1) * SECOND
                    view = views(self._trajectory, [missing[name]], fine)[name]
                    after = listening(self._craft, missing[name], view) == heard[changes[0] + 1]
                    event = "AOS" if heard[changes[0] + 1] else "LOS"
                    self._next[name] = (event, int(fine[np.argmax(after)]))
                    del missing[name]
            if not missing:
                break
