"""The containers that both spacecraft send: what their buses measure. One function for each container."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from simulators.bus import CELLS, SOLAR_CONSTANT, ZERO_C
from simulators.ephemeris import C
from simulators.spacecraft import Cadence, angle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulators.encoder import Values
    from simulators.ephemeris import Floats
    from simulators.spacecraft import Moments

CONSUMERS = ("avionics", "attitude", "radio", "payload", "heater")
# Four wheels on the edges of a pyramid about x; the share of each in a momentum (Wertz 1978, 18.4).
_WHEELS = np.linalg.pinv(np.array([[1, 1, 1, 1], [1, -1, -1, 1], [1, 1, -1, -1]]) / 3**0.5)
_WHEEL_INERTIA = 0.045  # kg m2
WHEEL_TORQUE = 0.08
"""N m that a wheel's motor has."""
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
    """Quaternion and rates; a jitter of some millidegrees shows in both rates and error. ``mode``: the nominal one."""
    jitter = [m.drift(f"jitter_{axis}", 0.0008, 3) for axis in "xyz"]
    stalled = sum(_stalled(m[f"friction_{i}"]) for i in range(1, 5))
    return {
        **{f"attitude_q{i + 1}": m.quaternion[:, i] for i in range(4)},
        **{
            f"rate_{axis}": m.rates[i] + m.drift(f"rate_{axis}", 0.0004, 1.5) + m.noise(f"rate_{axis}", 5e-5)
            for i, axis in enumerate("xyz")
        },
        "pointing_error": np.sqrt(np.sum(np.square(jitter), axis=0)) + 0.0006 + m["mispointing"] + 0.4 * stalled,
        "sun_angle": angle(m.axes[0], m.scene.to_sun),
        "pointing_mode": np.select([m["burn"] > 0, m["safe"] > 0], [4, 5], mode),
    }


def gyro(m: Moments) -> Values:
    """Four gyros on a pyramid measure three rates: the fourth checks them."""
    axes = np.array([[1, 1, 1, 1], [1, -1, -1, 1], [1, 1, -1, -1]]) / 3**0.5
    measured = np.einsum("ij,in->jn", axes, m.rates)
    sensors = [
        measured[i] + 0.0004 * (i + 1) + m.drift(f"gyro_{i}", 0.0003, 0.2) + m.noise(f"gyro_{i}", 2e-4)
        for i in range(4)
    ]
    parity = sensors[0] - sensors[1] + sensors[2] - sensors[3]
    return {
        **{f"gyro_{i + 1}_rate": sensors[i] for i in range(4)},
        "gyro_parity": parity,
        "gyro_temperature": m["body_temperature"] + 11 + m.noise("gyro_temperature", 0.02),
    }


def sun_sensors(m: Moments) -> Values:
    """Coarse cells on four sides and a fine one on +X: current by the cosine of the Sun's angle."""
    sun = np.einsum("ijn,jn->in", m.axes, m.scene.to_sun)
    lit = m["flux"] / SOLAR_CONSTANT
    faces = {"px": sun[0], "mx": -sun[0], "py": sun[1], "my": -sun[1]}
    return {
        **{
            f"sun_sensor_{name}": 42 * lit * np.maximum(cosine, 0) + np.abs(m.noise(f"sun_{name}", 0.03))
            for name, cosine in faces.items()
        },
        "sun_presence": lit > 0.05,
    }


def wheels(m: Moments) -> Values:
    """Wheel speeds from the stored momentum; the motor's current is friction plus what the speed demands.

    A wheel whose friction exceeds its motor's torque runs down, and the others take its share.
    """
    momentum = np.array([m[f"momentum_{axis}"] for axis in "xyz"])
    speeds = (_WHEELS @ momentum) / _WHEEL_INERTIA * 60 / (2 * np.pi)
    speeds += _WHEEL_BIAS * np.array([[1], [-1], [1], [-1]])
    friction = np.array([m[f"friction_{i}"] for i in range(1, 5)])
    running = 1 - np.array([_stalled(one) for one in friction])
    speeds = speeds * running * (1 + (1 - running).sum(axis=0) / 3)
    load = np.minimum(friction, WHEEL_TORQUE) / 0.04  # A, 0.04 N m an ampere
    return {
        **{f"wheel_{i + 1}_speed": speeds[i] + m.drift(f"wheel_{i}", 1.5, 2) for i in range(4)},
        **{
            f"wheel_{i + 1}_current": 0.12 + 1.2e-4 * np.abs(speeds[i]) + np.abs(m.noise(f"motor_{i}", 0.01)) + load[i]
            for i in range(4)
        },
        **{f"momentum_{axis}": momentum[i] for i, axis in enumerate("xyz")},
        "momentum_mode": m["unloading"] > 0.5,
    }


def _stalled(friction: Floats) -> Floats:
    """How far (n,) a wheel of so much friction, N m, has run down: 0 at work, 1 at rest."""
    return np.asarray(np.clip(friction / WHEEL_TORQUE - 1, 0, 1))


def wheel_power(frictions: Sequence[Floats]) -> Floats:
    """W (n,) that friction takes at the wheels' usual speed: torque times angular rate."""
    rate = _WHEEL_BIAS * 2 * np.pi / 60
    return np.asarray(sum(np.minimum(one, WHEEL_TORQUE) * rate * (1 - _stalled(one)) for one in frictions))


def star_tracker(m: Moments) -> Values:
    """Boresight along -Z; the Sun within 30 degrees blinds it."""
    boresight = -m.axes[2]
    sun = angle(boresight, m.scene.to_sun)
    blinded = (sun < 30) & (m.scene.sunlight > 0)
    background = 220 + 3e4 * np.exp(-((sun / 14) ** 2)) * m.scene.sunlight + 25 * m["protons"]
    stars = np.rint(13 + m.drift("stars", 3.5, 40) - 0.05 * m["protons"])
    return {
        "tracker_state": np.where(blinded, 3, 2),
        "tracker_stars": np.where(blinded, 0, np.clip(stars, 2, 25)).astype(int),
        "tracker_right_ascension": np.degrees(np.arctan2(boresight[1], boresight[0])) % 360,
        "tracker_declination": np.degrees(np.arctan2(boresight[2], np.hypot(boresight[0], boresight[1]))),
        "tracker_background": m.counts("tracker_background", background),
        "tracker_sun_angle": sun,
    }


def radio(m: Moments, axis: Floats, *, rates: Sequence[float], uplink: float, ground_eirp: float) -> Values:
    """The transponder. ``axis`` (3, n): of the high-gain antenna; ``rates``: frames a second by their codes from 1 on;
    ``uplink`` Hz; ``ground_eirp`` dBW.
    """
    on = m["transmitting"] > 0.5
    loss = 20 * np.log10(4 * np.pi * m["range"] * uplink / C)
    received = ground_eirp + m["antenna_gain"] - loss + 30 + m.drift("uplink", 0.25, 15) + m.noise("uplink", 0.08)
    oscillator = m["computer_temperature"] + 24
    return {
        "transmitter_on": on,
        "receiver_lock": on,
        "antenna": m["high_gain"] > 0.5,
        "downlink_rate": np.where(on, 1 + np.searchsorted(rates, m["rate"]), 0),
        "transmit_power": np.where(on, 40.0 - 0.02 * (m["transmitter_temperature"] - 30), 0.0)
        + np.where(on, m.noise("transmit_power", 0.03), 0.0),
        "helix_current": np.where(on, 2.6 + 0.008 * m["transmitter_temperature"] + m.noise("helix", 0.02), 0.0),
        "receiver_power": np.where(on, received, -158.0 + m.noise("receiver", 0.6)),
        # noise density at 300 K and 2,000 bit/s of commands
        "uplink_eb_n0": np.where(on, np.minimum(received + 173.8 - 33.0, 60.0), -5.0),
        "carrier_offset": np.where(on, -uplink * m["range_rate"] / C + m.noise("carrier", 0.4), 0.0),
        "oscillator_temperature": oscillator + m.drift("oscillator", 0.01, 60),
        "oscillator_offset": 0.4 + 0.004 * (oscillator - 50) + m.elapsed * 1e-7,
        "antenna_angle": angle(axis, m.scene.to_earth) + np.abs(m.drift("antenna", 0.02, 8)) + m["mispointing"],
    }


def cells(m: Moments) -> Values:
    """The battery cell by cell; a shorted one has no voltage, and the others share what the terminals show."""
    alive = CELLS - m["cells_lost"]
    each = m["battery_voltage"] / alive
    table = {
        f"cell_{i + 1}_voltage": np.where(i < alive, each + 0.002 * np.sin(i) + m.noise(f"cell_{i}", 0.0006), 0.0)
        for i in range(CELLS)
    }
    values = np.array(list(table.values()))
    return table | {
        "cell_spread": 1000 * (values.max(axis=0) - values.min(axis=0)),
        "cell_balancing": (m["charge"] > 0.98) & (m["battery_current"] > 0),
    }


def propulsion(m: Moments) -> Values:
    """Tank pressure follows the tank's temperature (ideal gas above the propellant); a burn shows in all of it."""
    kelvin = m["tank_temperature"] + ZERO_C
    unloading, thrust = m["unloading"] > 0.5, m["acceleration"]
    firing = thrust > 0
    return {
        "tank_pressure": 1.6 * kelvin / 293.15 - 0.06 * firing + m.noise("tank", 0.0004),
        "pressurant_pressure": 24.0 * kelvin / 293.15 * (0.4 + 0.6 * m["propellant"] / m["propellant_full"])
        + m.noise("pressurant", 0.004),
        "propellant_mass": m["propellant"],
        "engine_valve": firing,
        "latch_a": True,
        "latch_b": firing,
        "thruster_bank": np.where(firing, 2, 0),
        "thruster_pulses": 18_250 + np.floor(m.elapsed / 240).astype(np.int64),
        "catalyst_temperature": 118 + 22 * unloading + 310 * firing + m.drift("catalyst", 1.5, 45),
        "chamber_pressure": np.where(firing, 0.95 + m.noise("chamber", 0.006), 0.0),
        "acceleration": thrust + m.noise("accelerometer", 2e-4),
    }


def telemetry(pointing: int) -> dict[str, Cadence]:
    """The containers above but the transponder's; ``pointing``: the nominal mode."""
    return {
        "Power": Cadence(power, 32),
        "Thermal": Cadence(thermal, 64, 4),
        "Attitude": Cadence(partial(attitude, mode=pointing), 8),
        "Wheels": Cadence(wheels, 32, 12),
        "StarTracker": Cadence(star_tracker, 32, 20),
        "Propulsion": Cadence(propulsion, 160, 28),
        "Cells": Cadence(cells, 64, 40),
        "SunSensors": Cadence(sun_sensors, 32, 4),
    }
