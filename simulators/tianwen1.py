"""Tianwen-1 in its cruise to Mars, along the state vectors that it transmitted. Its link format and the state vector's
packet are the real ones; budget and other packets are invented.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from simulators import housekeeping
from simulators.bus import SOLAR_CONSTANT, Bus, Node
from simulators.orbit import PointMasses, Trajectory, instant, read_events
from simulators.spacecraft import Cadence, Spacecraft, unit

if TYPE_CHECKING:
    from pathlib import Path

    from simulators.bus import Profile
    from simulators.encoder import Values
    from simulators.ephemeris import Floats
    from simulators.geometry import Scene
    from simulators.spacecraft import Moments

DYNAMICS = PointMasses("sun", ("earth", "moon", "venus", "mars", "jupiter"))
STATE_VECTOR = "Navigation"
"""The container of APID 1287."""


def trajectory(folder: Path, start: int, saved: dict[str, Any] | None) -> Trajectory:
    """The cruise from the newest transmitted state vector before ``start`` on (ns since 1970 UTC)."""
    events = read_events(folder / "trajectory.toml")
    past = [event.time for event in events if event.vector is not None and event.time <= start]
    return Trajectory(DYNAMICS, [event for event in events if event.time >= max(past, default=0)], saved)


def axes(scene: Scene) -> Floats:
    """Body axes (3, 3, n) as rows: X (high-gain antenna) to the Earth, Y square to Earth and Sun, Z completes."""
    x = scene.to_earth
    y = unit(np.cross(scene.to_sun, x, axis=0))
    return np.array([x, y, np.cross(x, y, axis=0)])


def drive(scene: Scene, body: Floats, transmitting: Floats) -> Profile:
    """What acts on the bus. The arrays turn about Y and see the Sun square on; sunlight presses on them off centre."""
    sun = np.einsum("ijn,jn->in", body, scene.to_sun)
    ones = np.ones(len(scene.time))
    flux = SOLAR_CONSTANT / scene.sun_au**2 * scene.sunlight
    press = flux / SOLAR_CONSTANT
    return {
        "flux": flux,
        "array_cosine": np.sqrt(np.maximum(1 - sun[1] ** 2, 0)) * np.cos(np.radians(2.0)),
        "planet": 0 * ones,
        "torque_x": 1.1e-4 * press,
        "torque_y": -2.6e-4 * press,
        "torque_z": 0.7e-4 * press,
        "avionics": 210 * ones,
        "attitude": 72 * ones,
        "radio": 45 + 190 * transmitting,
        "payload": 96 * ones,
    }


def navigation(m: Moments) -> Values:
    """The state vector of APID 1287: Sun-centred, ICRF."""
    return {
        "reserved_1": bytes(6),
        "vector_time": m.time,
        "reserved_2": bytes(48),
        **{f"position_{axis}": m.scene.r[i] for i, axis in enumerate("xyz")},
        **{f"velocity_{axis}": m.scene.v[i] for i, axis in enumerate("xyz")},
    }


def _wind(m: Moments) -> Floats:
    """Speed of the solar wind (n,), km/s: streams that take hours to pass, and turbulence."""
    return 405 + m.drift("stream", 55, 28_800) + m.drift("wind", 9, 180) + m.drift("gusts", 3, 6)


def magnetometer(m: Moments) -> Values:
    """Parker's spiral at this distance, its sector, and turbulence on three time scales (Parker 1958)."""
    radial = 3.4 / m.scene.sun_au**2 * np.sign(m.drift("sector", 1, 90_000) + 0.4)
    spiral = 2.7e-6 * m.scene.sun_au * 1.495_978_707e8 / _wind(m)  # solar rotation over radial speed
    mean = {"r": radial, "t": -radial * spiral, "n": 0 * radial}
    return {
        **{
            f"field_{axis}": value
            + m.drift(f"field_{axis}_slow", 1.3, 300)
            + m.drift(f"field_{axis}_waves", 0.7, 9)
            + m.drift(f"field_{axis}_fast", 0.25, 0.6)
            + m.noise(f"field_{axis}", 0.02)
            for axis, value in mean.items()
        },
        "field_range": 0,
        "magnetometer_temperature": -40 + 0.1 * (m["instrument_temperature"]) + m.drift("boom", 0.6, 400),
    }


def particles(m: Moments) -> Values:
    """Protons and helium: dense where the wind is slow, hot where it is fast."""
    speed = _wind(m)
    density = 6.0 / m.scene.sun_au**2 * (405 / speed) ** 2 * np.exp(m.drift("density", 0.3, 240))
    return {
        "proton_density": density,
        "proton_speed": speed + m.noise("speed", 1.0),
        "proton_temperature": 8.0 * (speed / 405) ** 2 * np.exp(m.drift("heat", 0.2, 60)),
        "alpha_ratio": 0.04 * np.exp(m.drift("alphas", 0.25, 600)),
        "ion_counts": m.counts("ions", density * speed * 9),
        "ion_high_voltage": 2350 + m.drift("ion_voltage", 1.5, 20),
        "ion_mode": 2,
    }


def energetic(m: Moments) -> Values:
    """Four-second counts: the galactic background and small solar events."""
    event = np.exp(1.1 * m.drift("event", 1, 21_600))
    return {
        "electrons_100kev": m.counts("electrons", 46 * event),
        "protons_2mev": m.counts("protons", 30 * event**1.2),
        "protons_30mev": m.counts("hard protons", 14 + 2 * event),
        "heavy_ions": m.counts("heavy", 5 + 0.5 * event),
        "dose_rate": 8.5 + 1.5 * event + m.noise("dose", 0.2),
        "energetic_mode": 2,
    }


BUS = Bus(
    nodes=(
        Node("body", 1_450_000, 0.7, 2.3, 16.0, load="avionics", share=0.4),
        Node("array", 60_000, 9.0, 19.0, 46.0),
        Node("radiator", 52_000, 0.05, 1.5, -20.0, coupling=4.0),
        Node("battery", 74_000, 0.0, 0.08, 13.0, coupling=0.8, heater=42.0, on=12.0, off=14.0),
        Node("transmitter", 17_000, 0.0, 0.2, 27.0, coupling=1.8, load="radio", share=0.6),
        Node("computer", 11_000, 0.0, 0.05, 24.0, coupling=3.2, load="avionics", share=0.35),
        Node("instrument", 30_000, 0.02, 0.2, -3.0, coupling=0.5, heater=34.0, on=-4.0, off=-1.0,
             load="payload", share=0.12),
        Node("tank", 190_000, 0.0, 0.09, 18.2, coupling=0.6, heater=52.0, on=18.0, off=18.6),
        Node("tracker", 2_800, 0.005, 0.06, -9.0, coupling=0.12, heater=10.0, on=-10.0, off=-7.0,
             load="attitude", share=0.01),
    ),
    array=2_600.0,
    ampere_hours=120.0,
    charge=0.93,
    wheel_limit=30.0,
    momentum=(-6.0, 9.4, 2.1),
)  # fmt: skip

TIANWEN1 = Spacecraft(
    name="tianwen1",
    start=instant("2020-08-01T21:02:00"),
    trajectory=trajectory,
    axes=axes,
    drive=drive,
    bus=BUS,
    telemetry={
        "Power": Cadence(housekeeping.power, 8),
        "Thermal": Cadence(housekeeping.thermal, 16, 1),
        "Attitude": Cadence(partial(housekeeping.attitude, mode=1), 2),
        "Wheels": Cadence(housekeeping.wheels, 8, 3),
        "StarTracker": Cadence(housekeeping.star_tracker, 8, 5),
        "Radio": Cadence(
            lambda m: housekeeping.radio(m, 2, m.axes[0], uplink=7.174e9, ground_eirp=98.0, gain=12.0), 8, 6
        ),
        STATE_VECTOR: Cadence(navigation, 16, 4),
        "Computer": Cadence(partial(housekeeping.computer, version="1.4.0", mode=2, uptime=836_445.0), 8, 2),
        "Propulsion": Cadence(partial(housekeeping.propulsion, mass=2_380.0), 40, 7),
        "Magnetometer": Cadence(magnetometer, 1),
        "Particles": Cadence(particles, 8, 7),
        "Energetic": Cadence(energetic, 32, 12),
    },
    vcid=1,
    idle_vcid=3,
    frame_rate=8,  # 16,384 bit/s: 220 octets, 32 of Reed-Solomon parity and the sync marker are 256
    carrier=8.431e9,
    eirp=30.0,
    bit_rate=8 * 8 * 220,
    insert_tail=b"\x4a\xaa",
    fill=0xAA,
)
