"""Tianwen-1 in its cruise to Mars, along the state vectors that it transmitted. Its link format and the state vector's
packet are the real ones; budget and other packets are invented.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simulators import datahandling, housekeeping
from simulators.bus import SOLAR_CONSTANT, Bus, Node
from simulators.dynamics import PointMasses
from simulators.ephemeris import AU
from simulators.orbit import Trajectory, instant, read_events, to_mars
from simulators.spacecraft import Antenna, Cadence, Spacecraft, unit

if TYPE_CHECKING:
    from pathlib import Path

    from simulators.bus import Profile
    from simulators.encoder import Values
    from simulators.ephemeris import Floats
    from simulators.geometry import Scene
    from simulators.spacecraft import Moments

# 1.3 of 20 m2 on 4,900 kg: with it, and the burns as they were recovered, the cruise ends 600 km from where it did.
DYNAMICS = PointMasses("sun", ("earth", "moon", "venus", "mars", "jupiter", "saturn"), pressure=1.3 * 20 / 4_900)
SPHERE_OF_INFLUENCE = 577_000.0
"""Of Mars, km. Where the real spacecraft changed over is not known."""
STATE_VECTOR = "Navigation"
"""The container of APID 1287."""


def trajectory(folder: Path, start: int, saved: dict[str, Any] | None) -> Trajectory:
    """The cruise from the newest transmitted state vector before ``start`` on (ns since 1970 UTC)."""
    return Trajectory(DYNAMICS, read_events(folder / "trajectory.toml"), start, saved)


def axes(scene: Scene) -> Floats:
    """Body axes (3, 3, n) as rows: X (high-gain antenna) to the Earth, Y square to Earth and Sun, Z completes."""
    x = scene.to_earth
    y = unit(np.cross(scene.to_sun, x, axis=0))
    return np.array([x, y, np.cross(x, y, axis=0)])


def drive(scene: Scene, body: Floats, transmitting: Floats, effects: Profile) -> Profile:
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
        "attitude": 72 + housekeeping.wheel_power([effects[f"friction_{i}"] for i in range(1, 5)]),
        "radio": 45 + 190 * transmitting,
        "payload": np.where(effects["safe"] > 0, 14, 96),
    }


def navigation(m: Moments) -> Values:
    """The state vector of APID 1287: Sun-centred, ICRF; near Mars Mars-centred, in Mars's mean equator of date."""
    r, v = m.path()
    mars_r, mars_v = to_mars(m.time, r, v)
    near = np.linalg.norm(mars_r, axis=0) < SPHERE_OF_INFLUENCE
    return {
        "reserved_1": bytes(6),
        "vector_time": m.clock,
        "reserved_2": bytes(48),
        **{f"position_{axis}": np.where(near, mars_r[i], r[i]) for i, axis in enumerate("xyz")},
        **{f"velocity_{axis}": np.where(near, mars_v[i], v[i]) for i, axis in enumerate("xyz")},
    }


def _wind(m: Moments) -> Floats:
    """Speed of the solar wind (n,), km/s: streams that take hours to pass, turbulence, what drives a shock."""
    return 405 + m.drift("stream", 55, 28_800) + m.drift("wind", 9, 180) + m.drift("gusts", 3, 6) + 450 * m["shock"]


def magnetometer(m: Moments) -> Values:
    """Parker's spiral at this distance, its sector, and turbulence on three time scales (Parker 1958).

    Behind a shock the field is some three times as strong and wilder: numbers are invented.
    """
    au, shock = m["sun_au"], 1 + 2.5 * m["shock"]
    radial = 3.4 / au**2 * np.sign(m.drift("sector", 1, 90_000) + 0.4)
    spiral = 2.7e-6 * au * AU / _wind(m)  # solar rotation over radial speed
    mean = {"r": radial, "t": -radial * spiral, "n": 0 * radial}
    return {
        **{
            f"field_{axis}": shock
            * (
                value
                + m.drift(f"field_{axis}_slow", 1.3, 300)
                + m.drift(f"field_{axis}_waves", 0.7, 9)
                + m.drift(f"field_{axis}_fast", 0.25, 0.6)
            )
            + m.noise(f"field_{axis}", 0.02)
            for axis, value in mean.items()
        },
        "field_range": 0,
        "magnetometer_temperature": -40 + 0.1 * (m["instrument_temperature"]) + m.drift("boom", 0.6, 400),
    }


def particles(m: Moments) -> Values:
    """Protons and helium: dense where the wind is slow, hot where it is fast; a shock compresses and heats them."""
    speed, on, shock = _wind(m), m["safe"] == 0, m["shock"]
    density = 6.0 / m["sun_au"] ** 2 * (405 / speed) ** 2 * np.exp(m.drift("density", 0.3, 240)) * (1 + 8 * shock)
    return {
        "proton_density": on * density,
        "proton_speed": on * (speed + m.noise("speed", 1.0)),
        "proton_temperature": on * 8.0 * (speed / 405) ** 2 * np.exp(m.drift("heat", 0.2, 60)) * (1 + 2 * shock),
        "alpha_ratio": on * 0.04 * np.exp(m.drift("alphas", 0.25, 600)) * (1 + 2 * shock),
        "ion_counts": on * m.counts("ions", density * speed * 9),
        "ion_high_voltage": on * (2350 + m.drift("ion_voltage", 1.5, 20)),
        "ion_mode": np.where(on, 2, 0),
    }


def energetic(m: Moments) -> Values:
    """Four-second counts: the galactic background, small solar events, and a flare's particles, the fast ones first."""
    on = m["safe"] == 0
    event = np.exp(1.1 * m.drift("event", 1, 21_600))
    return {
        "electrons_100kev": on * m.counts("electrons", 46 * (event + m["electrons"])),
        "protons_2mev": on * m.counts("protons", 30 * (event**1.2 + m["slow_protons"])),
        "protons_30mev": on * m.counts("hard protons", 14 + 2 * event + 16 * m["protons"]),
        "heavy_ions": on * m.counts("heavy", 5 + 0.5 * event + 5 * m["slow_protons"]),
        "dose_rate": on * (8.5 + 1.5 * event + 10 * m["protons"] + m.noise("dose", 0.2)),
        "energetic_mode": np.where(on, 2, 0),
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
    dry=2_520.0,
    propellant=2_380.0,
)  # fmt: skip

RATES = (0.125, 1, 4, 8)
"""Frames a second: 16,384 bit/s, as 220 octets, 32 of Reed-Solomon parity and the sync marker are 256, or half; an
eighth and 1/64 for what the low-gain antenna carries."""

TIANWEN1 = Spacecraft(
    name="tianwen1",
    start=instant("2020-08-01T21:02:00"),
    trajectory=trajectory,
    axes=axes,
    drive=drive,
    bus=BUS,
    telemetry={
        **housekeeping.telemetry(pointing=1),
        "Gyro": Cadence(housekeeping.gyro, 16, 8),
        "Radio": Cadence(
            lambda m: housekeeping.radio(m, m.axes[0], rates=RATES, uplink=7.174e9, ground_eirp=98.0), 32, 24
        ),
        **datahandling.telemetry("1.4.0", mode=2, uptime=836_445.0),
        STATE_VECTOR: Cadence(navigation, 64, 16),
        "Magnetometer": Cadence(magnetometer, 1),
        "Particles": Cadence(particles, 32, 28),
        "Energetic": Cadence(energetic, 128, 48),
    },
    vcid=1,
    idle_vcid=3,
    frame_length=220,
    rates=RATES,
    nominal=8,
    safe=1,
    carrier=8.431e9,
    low=Antenna(17.0, 4.0),
    high=Antenna(41.0, 28.0, beamwidth=1.2),
    beyond=1.5e6,
    required=2.3,  # Reed-Solomon (255,223) and convolutional 1/2 (CCSDS 130.1-G-3, figure 6-5)
    waterfall=0.15,
    insert_tail=b"\x4a\xaa",
    fill=0xAA,
)
