"""A ground station: how well it hears, which frames it loses, and what it says about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from scipy.special import ndtr

from simulators.ephemeris import C

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ground.mission import Station
    from simulators.ephemeris import Floats
    from simulators.geometry import View
    from simulators.spacecraft import Spacecraft

    Loss: TypeAlias = Floats | float

IN_VIEW = "in view"
BELOW = ("below the horizon", "below the elevation mask")
WEAK = "the link is too weak"

_BOLTZMANN = -228.6  # dBW/K/Hz
_EFFICIENCY = 0.6
_RECEIVER = 24.0  # K, cryogenic amplifier, waveguide and cosmic background
_ATMOSPHERE = 7.0  # K at the zenith, X band, dry
_LOSSES = 0.8  # dB: pointing, polarisation, demodulation


def c_n0(craft: Spacecraft, station: Station, distance: Floats, elevation: Floats) -> Floats:
    """Carrier over noise density, dB Hz (n,), at ``distance`` km and ``elevation`` degrees.

    The link equation (CCSDS 401.0-B-32 annex; Wertz 1999, 13.3): dish gain 0.6 (pi D / lambda)^2, free-space loss, and
    a noise temperature that rises with the path through the air.
    """
    wavelength = C * 1000 / craft.carrier
    gain = 10 * np.log10(_EFFICIENCY * (np.pi * station.dish / wavelength) ** 2)
    loss = 20 * np.log10(4 * np.pi * distance * 1000 / wavelength)
    noise = _RECEIVER + _ATMOSPHERE / np.sin(np.radians(np.maximum(elevation, 3.0)))
    return np.asarray(craft.eirp(distance) - loss - _LOSSES + gain - 10 * np.log10(noise) - _BOLTZMANN)


def eb_n0(craft: Spacecraft, station: Station, view: View, rate: NDArray[np.int64] | int, loss: Loss = 0.0) -> Floats:
    """Energy per information bit over noise density, dB (n,), at ``rate`` frames a second with ``loss`` dB more."""
    bits = rate * 8 * craft.frame_length
    return np.asarray(c_n0(craft, station, view.range, view.elevation) - loss - 10 * np.log10(bits))


def frame_errors(craft: Spacecraft, strength: Floats) -> Floats:
    """Share (n,) of frames that cannot be decoded at Eb/N0 ``strength`` dB.

    The waterfall of a block code is close to a normal distribution in dB (CCSDS 130.1-G-3, figures 6-5 and 8-6).
    """
    return np.asarray(ndtr((craft.required - strength) / craft.waterfall))


def reasons(craft: Spacecraft, station: Station, view: View, loss: Loss = 0.0) -> NDArray[np.str_]:
    """In words (n,) why the station does not hear the spacecraft at its slowest rate, or :data:`IN_VIEW`."""
    weak = eb_n0(craft, station, view, craft.rates[0], loss) < craft.required
    result = np.where(weak, WEAK, IN_VIEW).astype("U30")
    for title, hidden in view.behind.items():
        result[hidden] = f"occulted by {title}"
    result[~view.above] = BELOW[1]
    result[view.elevation < 0] = BELOW[0]
    return result


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
