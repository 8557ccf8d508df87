"""The containers that both spacecraft send: what their buses measure. One function for each container."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from simulators.bus import ZERO_C
from simulators.ephemeris import C
from simulators.spacecraft import angle

if TYPE_CHECKING:
    from simulators.encoder import Values
    from simulators.ephemeris import Floats
    from simulators.spacecraft import Moments

CONSUMERS = ("avionics", "attitude", "radio", "payload", "heater")
# Four wheels on the edges of a pyramid about x; the share of each in a momentum (Wertz 1978, 18.4).
_WHEELS = np.linalg.pinv(np.array([[1, 1, 1, 1], [1, -1, -1, 1], [1, 1, -1, -1]]) / 3**0.5)
_WHEEL_INERTIA = 0.045  # kg m2
_WHEEL_BIAS = 1800.0  # rpm along the pyramid's null direction keeps every wheel away from standstill


def power(m: Moments) -> Values:
    """Currents as power over bus voltage; the sum of the consumers is the load."""
    current = m["load"] / 28.0
    voltage = 28.4 - 0.012 * current + m.drift("bus_voltage", 0.01, 20)
    drawn = {name: m["heaters" if name == "heater" else name] / voltage for name in CONSUMERS}
    cosine = np.clip(m["array_cosine"], -1, 1)
    array_voltage = 33.0 - 0.08 * (m["array_temperature"] - 28) + m.noise("array_voltage", 0.02)
    battery = m["battery_current"]
    lit = m["flux"] > 0
    state = np.select([m["charge"] > 0.995, battery > 0.05, battery < -0.05], [3, 1, 2], 0)
    return {
        "bus_voltage": voltage + m.noise("bus_voltage", 0.004),
        "array_voltage": np.where(lit, array_voltage, 0.0),
        "array_current": np.where(lit, m["array_power"] / array_voltage, 0.0),
        "array_power": m["array_power"],
        "array_incidence": np.degrees(np.arccos(cosine)),
        "sunlight": 100 * m.scene.sunlight,
        "battery_voltage": m["battery_voltage"] + m.noise("battery_voltage", 0.003),
        "battery_current": battery,
        "battery_charge": 100 * m["charge"],
        "battery_state": state,
        "eclipse": ~lit,
        "load_current": sum(drawn.values(), np.zeros(len(m.time))),
        **{f"{name}_current": value for name, value in drawn.items()},
    }


def thermal(m: Moments) -> Values:
    """Temperatures of the nodes as their sensors read them, and the heaters."""
    nodes = ["body", "array", "radiator", "battery", "transmitter", "computer", "instrument", "tank", "tracker"]
    heated = ("battery", "instrument", "tank", "tracker")
    return {
        **{f"{node}_temperature": m[f"{node}_temperature"] + m.noise(f"{node}_temperature", 0.02) for node in nodes},
        **{f"{node}_heater": m[f"{node}_heater"] > 0.5 for node in heated},
        "thermostat": 1,
        "heater_power": m["heaters"],
    }


def attitude(m: Moments, mode: int) -> Values:
    """Quaternion and rates; a jitter of some millidegrees shows in both rates and error."""
    # scipy's rotation takes vectors from body to ICRF; telemetry has the reverse, scalar last and positive.
    quaternion = Rotation.from_matrix(np.moveaxis(m.axes, -1, 0)).as_quat(canonical=True)
    jitter = [m.drift(f"jitter_{axis}", 0.0008, 3) for axis in "xyz"]
    rates = body_rates(m)
    return {
        **{f"attitude_q{i + 1}": quaternion[:, i] for i in range(4)},
        **{
            f"rate_{axis}": rates[i] + m.drift(f"rate_{axis}", 0.0004, 1.5) + m.noise(f"rate_{axis}", 5e-5)
            for i, axis in enumerate("xyz")
        },
        "pointing_error": np.sqrt(np.sum(np.square(jitter), axis=0)) + 0.0006,
        "sun_angle": angle(m.axes[0], m.scene.to_sun),
        "pointing_mode": mode,
    }


def body_rates(m: Moments) -> Floats:
    """Rates (3, n) deg/s about the body axes: those of an orbiter that turns with its nadir, none in the cruise."""
    rates = np.zeros((3, len(m.time)))
    if m.scene.centre == "moon":
        momentum = np.linalg.norm(np.cross(m.scene.r, m.scene.v, axis=0), axis=0)
        rates[1] = -np.degrees(momentum / np.sum(m.scene.r**2, axis=0))
    return rates


def wheels(m: Moments) -> Values:
    """Wheel speeds from the stored momentum; the motor's current is friction plus what the speed demands."""
    momentum = np.array([m[f"momentum_{axis}"] for axis in "xyz"])
    speeds = (_WHEELS @ momentum) / _WHEEL_INERTIA * 60 / (2 * np.pi)
    speeds += _WHEEL_BIAS * np.array([[1], [-1], [1], [-1]])
    return {
        **{f"wheel_{i + 1}_speed": speeds[i] + m.drift(f"wheel_{i}", 1.5, 2) for i in range(4)},
        **{
            f"wheel_{i + 1}_current": 0.12 + 1.2e-4 * np.abs(speeds[i]) + np.abs(m.noise(f"motor_{i}", 0.01))
            for i in range(4)
        },
        **{f"momentum_{axis}": momentum[i] for i, axis in enumerate("xyz")},
        "momentum_mode": m["unloading"] > 0.5,
    }


def star_tracker(m: Moments) -> Values:
    """Boresight along -Z; the Sun within 30 degrees blinds it."""
    boresight = -m.axes[2]
    sun = angle(boresight, m.scene.to_sun)
    blinded = (sun < 30) & (m.scene.sunlight > 0)
    background = 220 + 3e4 * np.exp(-((sun / 14) ** 2)) * m.scene.sunlight
    return {
        "tracker_state": np.where(blinded, 3, 2),
        "tracker_stars": np.where(blinded, 0, np.clip(np.rint(13 + m.drift("stars", 3.5, 40)), 4, 25)).astype(int),
        "tracker_right_ascension": np.degrees(np.arctan2(boresight[1], boresight[0])) % 360,
        "tracker_declination": np.degrees(np.arctan2(boresight[2], np.hypot(boresight[0], boresight[1]))),
        "tracker_background": m.counts("tracker_background", background),
        "tracker_sun_angle": sun,
    }


def radio(m: Moments, rate: int, antenna: Floats, uplink: float, ground_eirp: float, gain: float) -> Values:
    """The transponder. ``antenna`` (3, n): axis of the antenna; ``uplink`` Hz; ``ground_eirp`` dBW; ``gain`` dBi."""
    on = m["transmitting"] > 0.5
    loss = 20 * np.log10(4 * np.pi * m["range"] * uplink / C)
    received = ground_eirp + gain - loss + 30 + m.drift("uplink", 0.25, 15) + m.noise("uplink", 0.08)
    oscillator = m["computer_temperature"] + 24
    return {
        "transmitter_on": on,
        "receiver_lock": on,
        "downlink_rate": np.where(on, rate, 0),
        "transmit_power": np.where(on, 40.0 - 0.02 * (m["transmitter_temperature"] - 30), 0.0)
        + np.where(on, m.noise("transmit_power", 0.03), 0.0),
        "helix_current": np.where(on, 2.6 + 0.008 * m["transmitter_temperature"] + m.noise("helix", 0.02), 0.0),
        "receiver_power": np.where(on, received, -158.0 + m.noise("receiver", 0.6)),
        # noise density at 300 K and 2,000 bit/s of commands
        "uplink_eb_n0": np.where(on, np.minimum(received + 173.8 - 33.0, 60.0), -5.0),
        "carrier_offset": np.where(on, -uplink * m["range_rate"] / C + m.noise("carrier", 0.4), 0.0),
        "oscillator_temperature": oscillator + m.drift("oscillator", 0.01, 60),
        "oscillator_offset": 0.4 + 0.004 * (oscillator - 50) + m.elapsed * 1e-7,
        "antenna_angle": angle(antenna, m.scene.to_earth) + np.abs(m.drift("antenna", 0.02, 8)),
    }


def computer(m: Moments, version: str, mode: int, uptime: float) -> Values:
    """Counters run with mission time. ``uptime``: seconds since the computer started, at the epoch."""
    running = m.elapsed + uptime
    on = m["transmitting"] > 0.5
    # The recorder empties by playback-sized sweeps twice a day.
    recorder = (running % 43_200) / 43_200 * 62 + 4
    return {
        "uptime": np.floor(running).astype(np.int64),
        "software_version": version,
        "computer_mode": mode,
        "cpu_load": 38 + 9 * on + m.drift("cpu", 5, 7) + m.noise("cpu", 1.2),
        "memory_used": 41.5 + m.drift("memory", 1.4, 90),
        "memory_corrected": np.floor(running / 5_400).astype(np.int64) & 0xFFFF,
        "memory_double_errors": 0,
        "watchdog_resets": 1,
        "commands_accepted": np.floor(running / 900).astype(np.int64) & 0xFFFF,
        "commands_rejected": 2,
        "recorder_fill": recorder,
        "clock_error": 3.0 * np.sin(running / 7_000) + m.noise("clock", 0.05),
    }


def propulsion(m: Moments, mass: float) -> Values:
    """Tank pressure follows the tank's temperature (ideal gas above the propellant); ``mass`` kg left."""
    kelvin = m["tank_temperature"] + ZERO_C
    unloading = m["unloading"] > 0.5
    return {
        "tank_pressure": 1.6 * kelvin / 293.15 + m.noise("tank", 0.0004),
        "pressurant_pressure": 24.0 * kelvin / 293.15 + m.noise("pressurant", 0.004),
        "propellant_mass": mass - 2e-6 * m.elapsed,
        "engine_valve": False,
        "latch_a": True,
        "latch_b": False,
        "thruster_bank": 0,
        "thruster_pulses": 18_250 + np.floor(m.elapsed / 240).astype(np.int64),
        "catalyst_temperature": 118 + 22 * unloading + m.drift("catalyst", 1.5, 45),
    }
