"""Luna 26: a polar orbiter of the Moon, 80 x 60 km. Orbit epoch, budget and packets are invented: none is published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simulators import datahandling, housekeeping
from simulators.bus import SOLAR_CONSTANT, Bus, Node
from simulators.dynamics import LunarOrbit
from simulators.ephemeris import RADIUS
from simulators.keeping import read_boxes
from simulators.orbit import Trajectory, instant, read_events, read_waypoints
from simulators.spacecraft import Antenna, Cadence, Spacecraft, unit

if TYPE_CHECKING:
    from pathlib import Path

    from simulators.bus import Profile
    from simulators.encoder import Values
    from simulators.ephemeris import Floats
    from simulators.geometry import Scene
    from simulators.spacecraft import Moments

# Cold traps near the poles: latitude, longitude (deg), share of epithermal neutrons that is missing, width (deg).
# After the LEND and LPNS maps (Mitrofanov et al. 2010, Feldman et al. 2001); numbers rounded, widths widened to what a
# detector without collimator resolves from 70 km.
_COLD_TRAPS = (
    (-84.9, -35.5, 0.09, 3.0),  # Cabeus
    (-88.1, 44.9, 0.08, 2.5),  # Shoemaker
    (-87.4, -5.0, 0.05, 2.5),  # Haworth
    (85.2, -155.4, 0.05, 3.0),  # Rozhdestvensky
    (81.4, 22.4, 0.03, 3.5),  # Sylvester and Hermite's surroundings
)


DYNAMICS = LunarOrbit(pressure=1.4 * 11 / 2_200)


def trajectory(folder: Path, start: int, saved: dict[str, Any] | None) -> Trajectory:
    """The orbit from the newest of the mission folder's vectors and waypoints before ``start`` on, kept in its box."""
    path = folder / "trajectory.toml"
    events = read_events(path) + read_waypoints(folder / "waypoints.csv")
    return Trajectory(DYNAMICS, events, start, saved, read_boxes(path))


def axes(scene: Scene) -> Floats:
    """Body axes (3, 3, n) as rows: Z to nadir, Y against the orbit's normal, X completes (near the velocity)."""
    z = -unit(scene.r)
    y = -unit(np.cross(scene.r, scene.v, axis=0))
    return np.array([np.cross(y, z, axis=0), y, z])


def drive(scene: Scene, body: Floats, transmitting: Floats, effects: Profile) -> Profile:
    """What acts on the bus. The array turns about Y; torque is gravity gradient and sunlight."""
    sun = np.einsum("ijn,jn->in", body, scene.to_sun)
    day = np.maximum(np.sum(unit(scene.r) * scene.to_sun, axis=0), 0)
    below = (RADIUS["moon"] / (RADIUS["moon"] + scene.altitude)) ** 2
    ones = np.ones(len(scene.time))
    return {
        "flux": SOLAR_CONSTANT / scene.sun_au**2 * scene.sunlight,
        "array_cosine": np.sqrt(np.maximum(1 - sun[1] ** 2, 0)),
        "planet": (1150 * day + 8) * below,
        "torque_x": 2e-4 * sun[1] * scene.sunlight,
        "torque_y": 3e-4 * sun[0] * sun[2] * scene.sunlight + 4e-5,
        "torque_z": -1.5e-4 * sun[0] * scene.sunlight,
        "avionics": 175 * ones,
        "attitude": 64 + housekeeping.wheel_power([effects[f"friction_{i}"] for i in range(1, 5)]),
        "radio": 38 + 132 * transmitting,
        # The radar sounds by night; in safe mode instruments are kept warm, no more.
        "payload": np.where(effects["safe"] > 0, 18, 145 + 55.0 * (scene.sunlight < 0.5)),
    }


def hydrogen(latitude: Floats, longitude: Floats) -> Floats:
    """Share (n,) of epithermal neutrons that hydrogen takes away at selenographic degrees."""
    lost = 0.02 * np.clip((np.abs(latitude) - 60) / 30, 0, 1) ** 2
    for trap_latitude, trap_longitude, depth, width in _COLD_TRAPS:
        lost = lost + depth * np.exp(-((_distance(latitude, longitude, trap_latitude, trap_longitude) / width) ** 2))
    return np.asarray(lost)


def kreep(latitude: Floats, longitude: Floats) -> Floats:
    """Thorium-rich terrane of Oceanus Procellarum and Imbrium, 0 to 1 (n,), after Lunar Prospector's map."""
    return np.asarray(np.exp(-((_distance(latitude, longitude, 20.0, -28.0) / 30) ** 2)))


def _distance(latitude: Floats, longitude: Floats, at_latitude: float, at_longitude: float) -> Floats:
    a, b, difference = np.radians(latitude), np.radians(at_latitude), np.radians(longitude - at_longitude)
    cosine = np.sin(a) * np.sin(b) + np.cos(a) * np.cos(b) * np.cos(difference)
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def navigation(m: Moments) -> Values:
    """Orbit as propagated on board; the node count goes by the epoch's period."""
    r, v = m.path()
    return {
        **{f"position_{axis}": r[i] for i, axis in enumerate("xyz")},
        **{f"velocity_{axis}": v[i] for i, axis in enumerate("xyz")},
        "altitude": np.linalg.norm(r, axis=0) - RADIUS["moon"],
        "latitude": m.scene.latitude,
        "longitude": m.scene.longitude,
        "orbit_number": 2_114 + np.floor(m.elapsed / 7_090).astype(np.int64),
    }


def neutrons(m: Moments) -> Values:
    """Counts fall with the solid angle of the Moon, with hydrogen (epithermal) and with KREEP (thermal)."""
    solid = _solid_angle(m) / 0.6
    lost = hydrogen(m.scene.latitude, m.scene.longitude)
    rich = kreep(m.scene.latitude, m.scene.longitude)
    on, protons = m["safe"] == 0, m["protons"]
    return {
        "neutrons_thermal": on * m.counts("thermal", 310 * solid * (1 - 0.25 * rich) * (1 + 0.5 * lost) + protons),
        "neutrons_epithermal": on * m.counts("epithermal", 420 * solid * (1 - lost) + 2 * protons),
        "neutrons_fast": on * m.counts("fast", 150 * solid * (1 - 1.6 * lost) * (1 + 0.2 * rich) + 6 * protons),
        "neutron_high_voltage": on * (1200 + m.drift("neutron_voltage", 0.8, 30)),
        "neutron_mode": np.where(on, 2, 0),
    }


def gamma(m: Moments) -> Values:
    """Two-second counts in windows around four lines."""
    solid = _solid_angle(m) / 0.6
    rich = kreep(m.scene.latitude, m.scene.longitude)
    lost = hydrogen(m.scene.latitude, m.scene.longitude)
    on = m["safe"] == 0
    total = on * m.counts("gamma", 5_200 * solid * (1 + 0.12 * rich) + 40 * m["xrays"] + 90 * m["protons"])
    return {
        "gamma_total": total,
        "gamma_potassium": on * m.counts("potassium", 95 * solid * (1 + 1.6 * rich)),
        "gamma_thorium": on * m.counts("thorium", 60 * solid * (1 + 3.0 * rich)),
        "gamma_iron": on * m.counts("iron", 80 * solid * (1 + 0.5 * rich)),
        "gamma_hydrogen": on * m.counts("hydrogen", 34 * solid * (1 + 2.0 * lost)),
        "gamma_dead_time": total * 1.1e-3,
        "gamma_detector_temperature": -178 + 0.05 * m["instrument_temperature"] + m.drift("crystal", 0.2, 60),
    }


def _solid_angle(m: Moments) -> Floats:
    """The Moon's share of half the sky, (n,)."""
    sine = RADIUS["moon"] / (RADIUS["moon"] + m.scene.altitude)
    return np.asarray(1 - np.sqrt(1 - sine**2))


def radar(m: Moments) -> Values:
    """Surface echo: two-way time from the altitude over a rough surface, power with its square."""
    on = m["safe"] == 0
    sounding = (m.scene.sunlight < 0.5) & on
    relief = m.drift("relief", 0.9, 4)
    height = m.scene.altitude - relief
    echo = -62 - 20 * np.log10(height / 70) + m.drift("roughness", 2.0, 1) + m.noise("speckle", 0.8)
    return {
        "radar_mode": np.where(sounding, 2, on.astype(int)),
        "echo_delay": 2 * height / 299_792.458 * 1e9,
        "echo_power": np.where(sounding, echo, -120.0),
        "radar_noise": np.where(on, -108 + m.noise("radar", 0.4), -130.0),
        "radar_gain": np.where(sounding, 44.0, 0.0),
        "subsurface_ratio": np.where(sounding, -24 + m.drift("layers", 4, 9), -99.0),
    }


def plasma(m: Moments) -> Values:
    """Solar wind by day; behind the Moon the wake: hardly any ions, a negative potential. A shock stirs all of it."""
    lit, shock = np.clip(m.scene.sunlight, 0.01, 1), m["shock"]
    day = lit > 0.5
    return {
        "ion_density": 6.2 * lit * np.exp(m.drift("ions", 0.3, 25)) * (1 + 2 * shock),
        "ion_speed": 395 + m.drift("ion_speed", 18, 120) + m.noise("ion_speed", 2) + 450 * shock,
        "electron_temperature": np.where(day, 11.0, 46.0) * np.exp(m.drift("electrons", 0.12, 10)) * (1 + 2 * shock),
        "spacecraft_potential": np.where(day, 6.0, -28.0) + m.drift("potential", 2.0, 6),
        **{
            f"field_{axis}": (mean + m.drift(f"field_{axis}", 1.6, 30)) * (1 + 2.5 * shock)
            + m.noise(f"field_{axis}", 0.08)
            for axis, mean in (("x", 2.4), ("y", -3.1), ("z", 0.6))
        },
        "dust_impacts": 410 + np.floor(m.elapsed / 97).astype(np.int64),
    }


def imager(m: Moments) -> Values:
    """The camera looks where the Sun is up; the spectrometer feels the ground's warmth, day and night.

    Equilibrium by day, 95 K by night (Williams et al. 2017, Icarus 283).
    """
    height = np.sum(unit(m.scene.r) * m.scene.to_sun, axis=0)
    on = m["safe"] == 0
    taking = on & (height > 0.05)
    body = m["instrument_temperature"]
    return {
        "imager_mode": np.where(taking, 2, on.astype(int)),
        "imager_images": 96_400 + np.floor(m.elapsed / 4 * 0.45).astype(np.int64),
        "imager_exposure": np.where(taking, 0.8 / np.maximum(height, 0.05), 0.0),
        "imager_detector_temperature": body - 14 + 3 * taking + m.noise("imager", 0.03),
        "infrared_mode": np.where(on, 2, 0),
        "surface_temperature": on * (np.maximum(390 * np.maximum(height, 1e-9) ** 0.25, 95) + m.noise("ground", 0.4)),
    }


BUS = Bus(
    nodes=(
        Node("body", 620_000, 0.72, 1.9, 14.0, facing=0.3, load="avionics", share=0.4),
        Node("array", 26_000, 4.9, 9.6, 40.0, facing=2.4),
        Node("radiator", 38_000, 0.05, 1.3, -12.0, facing=0.2, coupling=4.0),
        Node("battery", 52_000, 0.0, 0.06, 14.0, coupling=0.8, heater=44.0, on=12.0, off=15.0),
        Node("transmitter", 14_000, 0.0, 0.16, 24.0, coupling=1.8, load="radio", share=0.6),
        Node("computer", 9_000, 0.0, 0.04, 26.0, coupling=3.2, load="avionics", share=0.35),
        Node("instrument", 34_000, 0.03, 0.22, 3.0, coupling=0.7, heater=30.0, on=0.0, off=5.0,
             load="payload", share=0.12),
        Node("tank", 88_000, 0.0, 0.05, 18.5, coupling=0.5, heater=38.0, on=18.0, off=19.0),
        Node("tracker", 3_200, 0.015, 0.07, -8.0, coupling=0.15, heater=9.0, on=-10.0, off=-6.0,
             load="attitude", share=0.02),
    ),
    array=1_650.0,
    ampere_hours=90.0,
    charge=0.86,
    wheel_limit=18.0,
    momentum=(3.2, -5.1, 1.7),
    dry=1_788.0,
    propellant=412.0,
)  # fmt: skip

RATES = (1, 8, 256)
"""Frames a second: 7 kbit/s in safe mode, 57 kbit/s, and 1.8 Mbit/s to empty the recorder."""

LUNA26 = Spacecraft(
    name="luna26",
    start=instant("2028-09-13T01:45:00"),
    trajectory=trajectory,
    axes=axes,
    drive=drive,
    bus=BUS,
    telemetry={
        **housekeeping.telemetry(pointing=1),
        "Gyro": Cadence(housekeeping.gyro, 1),
        # The horn is turned to the Earth by its gimbals, whatever the attitude.
        "Radio": Cadence(
            lambda m: housekeeping.radio(m, m.scene.to_earth, rates=RATES, uplink=7.19e9, ground_eirp=92.0), 32, 24
        ),
        **datahandling.telemetry("2.6.1", mode=3, uptime=1_900_000.0),
        "Navigation": Cadence(navigation, 32, 16),
        "Neutrons": Cadence(neutrons, 32, 28),
        "Gamma": Cadence(gamma, 64, 36),
        "Radar": Cadence(radar, 8, 4),
        "Plasma": Cadence(plasma, 16, 12),
        "Imager": Cadence(imager, 64, 56),
    },
    vcid=0,
    idle_vcid=63,
    frame_length=892,
    rates=RATES,
    nominal=8,
    safe=1,
    carrier=8.4256e9,
    # 40 W, 3 dB lost in the feed: a horn of 6 dBi, and two wide antennas that cover the sky with -6 dBi at their edge.
    low=Antenna(7.0, -3.0),
    high=Antenna(19.0, 9.0, beamwidth=35.0),
    beyond=0.0,
    required=3.7,  # LDPC 7/8 (CCSDS 130.1-G-3, figure 8-6)
    waterfall=0.15,
    recorder=128 << 20,
    playback_vcid=1,
)
