from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ground.mission import load_mission
from simulators.dynamics import HOUR
from simulators.ephemeris import GM, RADIUS, SECOND
from simulators.keeping import Box, read_boxes
from simulators.luna26 import DYNAMICS
from simulators.orbit import Event, Trajectory, instant

if TYPE_CHECKING:
    from simulators.ephemeris import Floats

BOX = Box(periselene=60, aposelene=80, margin=9, acceleration=1.8e-4)
TIME = instant("2028-09-13T06:00:00")


def ellipse(low: float, high: float, argument: float) -> Floats:
    """A polar ellipse's vector (6,) at its periselene, ``argument`` radians from the equator."""
    near, far = RADIUS["moon"] + low, RADIUS["moon"] + high
    speed = (GM["moon"] * 2 * far / near / (near + far)) ** 0.5
    out = np.array([np.cos(argument), 0, np.sin(argument)])
    return np.concatenate([near * out, speed * np.array([-np.sin(argument), 0, np.cos(argument)])])


def apses(vector: Floats) -> tuple[float, float]:
    r, v = vector[:3], vector[3:]
    size = 1 / (2 / np.linalg.norm(r) - v @ v / GM["moon"])
    e = np.linalg.norm(np.cross(v, np.cross(r, v)) / GM["moon"] - r / np.linalg.norm(r))
    return float(size * (1 - e) - RADIUS["moon"]), float(size * (1 + e) - RADIUS["moon"])


def test_an_orbit_in_its_box_is_left_alone() -> None:
    assert BOX.correction(TIME, ellipse(60, 80, -1.5)) is None
    assert BOX.correction(TIME, ellipse(52, 88, 0.3)) is None


def test_one_burn_brings_a_drifted_orbit_back() -> None:
    drifted = ellipse(45, 95, 2.0)
    burn = BOX.correction(TIME, drifted)
    assert burn is not None
    assert burn.delta_v is not None
    assert TIME + 500 * SECOND < burn.time < TIME + 3 * HOUR
    assert np.linalg.norm(burn.delta_v) / (burn.duration / SECOND) < 1.1 * BOX.acceleration
    path = Trajectory(DYNAMICS, [Event(TIME, vector=tuple(map(float, drifted))), burn])
    low, high = apses(np.concatenate(path.at(burn.end + SECOND))[:, 0])
    # The field moves the apses by some km within a revolution.
    assert abs(low - 60) < 4
    assert abs(high - 80) < 4


def test_the_missions_boxes_hold_one_after_the_other() -> None:
    keep = read_boxes(load_mission("luna26").folder / "trajectory.toml")
    nominal = ellipse(60, 80, -1.5)
    assert keep(instant("2028-10-01T00:00:00"), nominal) is None
    assert keep(instant("2029-10-01T00:00:00"), nominal) is not None
    assert keep(instant("2029-10-01T00:00:00"), ellipse(150, 200, -1.5)) is None
    assert keep(instant("2020-01-01T00:00:00"), ellipse(10, 20, 0)) is None


def test_station_keeping_is_part_of_the_path_and_of_its_saved_state() -> None:
    start = Event(TIME, vector=tuple(map(float, ellipse(48, 92, 1.0))))
    path = Trajectory(DYNAMICS, [start], keeping=BOX.correction)
    path.at(TIME + 7 * HOUR)
    (burn,) = path.burns
    middle = burn.time + burn.duration // 2
    saved = Trajectory(DYNAMICS, [start], keeping=BOX.correction).saved(middle)
    resumed = Trajectory(DYNAMICS, [start], saved=saved, keeping=BOX.correction)
    later = burn.end + np.arange(0, HOUR, 600 * SECOND)
    assert resumed.at(later)[0].tobytes() == path.at(later)[0].tobytes()
    assert resumed.thrust(middle).any()
