"""The ground stations: how well they hear, which frames they lose, who is transmitted to, what they report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtr

from simulators.ephemeris import C

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ground.mission import Station
    from simulators.ephemeris import Floats
    from simulators.geometry import View
    from simulators.spacecraft import Spacecraft

IN_VIEW = "in view"
BELOW = ("below the horizon", "below the elevation mask")
WEAK = "the link is too weak"

_BOLTZMANN = -228.6  # dBW/K/Hz
_EFFICIENCY = 0.6
_RECEIVER = 24.0  # K, cryogenic amplifier, waveguide and cosmic background
_ATMOSPHERE = 7.0  # K at the zenith, X band, dry
_MARGIN = 0.3
"""dB above :attr:`~simulators.spacecraft.Spacecraft.required` that a faster rate needs: one frame in fifty is lost."""
_LOSSES = 0.8  # dB: pointing, polarisation, demodulation


def c_n0(craft: Spacecraft, station: Station, distance: Floats, elevation: Floats, eirp: Floats) -> Floats:
    """Carrier over noise density, dB Hz (n,), at ``distance`` km and ``elevation`` degrees with ``eirp`` dBW.

    The link equation (CCSDS 401.0-B-32 annex; Wertz 1999, 13.3): dish gain 0.6 (pi D / lambda)^2, free-space loss, and
    a noise temperature that rises with the path through the air.
    """
    wavelength = C * 1000 / craft.carrier
    gain = 10 * np.log10(_EFFICIENCY * (np.pi * station.dish / wavelength) ** 2)
    loss = 20 * np.log10(4 * np.pi * distance * 1000 / wavelength)
    noise = _RECEIVER + _ATMOSPHERE / np.sin(np.radians(np.maximum(elevation, 3.0)))
    return np.asarray(eirp - loss - _LOSSES + gain - 10 * np.log10(noise) - _BOLTZMANN)


def eb_n0(
    craft: Spacecraft, station: Station, view: View, rate: NDArray[Any] | float, eirp: Floats | None = None
) -> Floats:
    """Energy per information bit over noise density, dB (n,), at ``rate`` frames a second.

    ``eirp``: dBW (n,) towards the station, that of a well-pointed spacecraft unless given.
    """
    bits = rate * 8 * craft.frame_length
    power = craft.eirp(view.range) if eirp is None else eirp
    return np.asarray(c_n0(craft, station, view.range, view.elevation, power) - 10 * np.log10(bits))


def frame_errors(craft: Spacecraft, strength: Floats) -> Floats:
    """Share (n,) of frames that cannot be decoded at Eb/N0 ``strength`` dB.

    The waterfall of a block code is close to a normal distribution in dB (CCSDS 130.1-G-3, figures 6-5 and 8-6).
    """
    return np.asarray(ndtr((craft.required - strength) / craft.waterfall))


def reasons(craft: Spacecraft, station: Station, view: View, eirp: Floats | None = None) -> NDArray[np.str_]:
    """In words (n,) why the station does not hear the spacecraft at its slowest rate, or :data:`IN_VIEW`.

    ``eirp``: see :func:`eb_n0`.
    """
    weak = eb_n0(craft, station, view, craft.rates[0], eirp) < craft.required
    result = np.where(weak, WEAK, IN_VIEW).astype("U30")
    for title, hidden in view.behind.items():
        result[hidden] = f"occulted by {title}"
    result[~view.above] = BELOW[1]
    result[view.elevation < 0] = BELOW[0]
    return result


@dataclass(frozen=True)
class Contact:
    """Second by second, (n,) each: the ``station`` that is transmitted to (None: silence), the ``rate`` in frames a
    second (0: silence), and the ``backlog`` of the recorder in octets.

    ``strength``: Eb/N0 in dB at each station at that rate, or in silence at the nominal one. ``reasons``: why each
    station does not hear the spacecraft, in words.
    """

    station: list[str | None]
    rate: Floats
    strength: dict[str, Floats]
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
    eirp: Floats,
    safe: NDArray[np.bool_],
    station: str | None,
    backlog: int,
    made: float,
) -> Contact:
    """The contact plan along the views ``seen``, (n,) a second apart, with ``eirp`` dBW (n,) towards the Earth.

    ``safe``: where the rate is kept down. ``station``: who listened before, and keeps the spacecraft until it loses it.
    ``backlog``: octets recorded so far, to which ``made`` octets come each second of silence.
    """
    n, names = len(eirp), list(seen)
    words = {name: reasons(craft, stations[name], view, eirp) for name, view in seen.items()}
    heard = {name: (words[name] == IN_VIEW).tolist() for name in names}
    height = np.array([np.where(words[name] == IN_VIEW, seen[name].elevation, -np.inf) for name in names])
    highest = [names[i] if any_ else None for i, any_ in zip(height.argmax(0), np.isfinite(height).any(0), strict=True)]
    limit = np.where(safe, craft.safe, craft.nominal)
    strengths, usual, fastest = {}, {}, {}
    for name, view in seen.items():
        table = np.array([eb_n0(craft, stations[name], view, rate, eirp) for rate in craft.rates])
        closing = table >= craft.required + _MARGIN
        number = np.arange(len(craft.rates))[:, None]
        allowed = np.array(craft.rates)[:, None] <= limit
        usual[name] = (number * (closing & allowed)).max(axis=0).tolist()
        # Faster than the telemetry needs is for the recorder alone.
        fastest[name] = (number * (closing & (allowed | ~safe))).max(axis=0).tolist()
        strengths[name] = table
    chosen: list[str | None] = []
    level, waiting = np.zeros(n, dtype=np.int64), np.empty(n)
    emptied = [max(rate - craft.nominal, 0) * craft.frame_length for rate in craft.rates]
    left = float(backlog)
    for k in range(n):
        if station is None or not heard[station][k]:
            station = highest[k]
        chosen.append(station)
        waiting[k] = left
        if station is None:
            left = min(left + made, craft.recorder)
        else:
            level[k] = best = (fastest if left > 0 else usual)[station][k]
            left = max(left - emptied[best], 0.0)
    on = np.array([one is not None for one in chosen])
    rate = np.where(on, np.array(craft.rates)[level], 0.0)
    shown = np.where(on, level, craft.rates.index(craft.nominal))
    strength = {name: strengths[name][shown, np.arange(n)] for name in names}
    return Contact(chosen, rate, strength, waiting, words)


def status(
    craft: Spacecraft,
    station: Station,
    view: View,
    k: int,
    *,
    time: int,
    reason: str,
    strength: float | None,
    sent: int,
    event: tuple[str, int] | None,
) -> dict[str, Any]:
    """The payload of ``station/<mission>/<station>`` at the ground's ``time``, row ``k`` of ``view``.

    ``strength``: Eb/N0 in dB, None without a link. ``event``: the next one and when it is seen on the ground.
    """
    return {
        "time": str(time),
        "station": station.title,
        "in_view": reason == IN_VIEW,
        "reason": reason,
        "elevation_deg": round(float(view.elevation[k]), 4),
        "range_km": round(float(view.range[k]), 4),
        "light_time_s": round(float(view.light_time[k]), 7),
        "doppler_hz": round(float(-craft.carrier * view.range_rate[k] / C), 2),
        "eb_n0_db": None if strength is None else round(strength, 2),
        "frames_sent": sent,
        "next": None if event is None else {"event": event[0], "time": str(event[1])},
    }
