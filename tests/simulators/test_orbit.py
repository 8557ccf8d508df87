from __future__ import annotations

import numpy as np
import pytest

from ground.mission import load_mission
from simulators import luna26, tianwen1
from simulators.ephemeris import GM, SECOND
from simulators.orbit import Event, PointMasses, Trajectory, instant, read_events
from simulators.vectors import read_vectors
from tests.real_data import ROOT, requires_real_data

CRUISE = ROOT / "tianwen1" / "state_vectors_20200801.txt"


@requires_real_data
def test_tianwen_meets_the_transmitted_vectors_within_ten_metres() -> None:
    times, vectors = read_vectors(CRUISE)
    soon = times <= times[0] + 1600 * SECOND
    path = tianwen1.trajectory(load_mission("tianwen1").folder, int(times[0]), None)
    r, v = path.at(times[soon])
    metres = 1000 * np.linalg.norm(r - vectors[soon, :3].T, axis=0)
    assert metres[0] == 0
    assert metres.max() < 10
    assert np.linalg.norm(v - vectors[soon, 3:].T, axis=0).max() < 2e-5


@requires_real_data
def test_the_burn_carries_tianwen_across_its_correction_manoeuvre() -> None:
    times, vectors = read_vectors(CRUISE)
    after = int(np.argmax(np.diff(times) > 3600 * SECOND)) + 1
    events = read_events(load_mission("tianwen1").folder / "trajectory.toml")
    with_burn = Trajectory(tianwen1.DYNAMICS, [events[0], *[event for event in events if event.delta_v]])
    without = Trajectory(tianwen1.DYNAMICS, events[:1])
    miss, drift = (
        float(np.linalg.norm(path.at(times[after])[0][:, 0] - vectors[after, :3])) for path in (with_burn, without)
    )
    assert miss < 2  # the burn's instant is known to some minutes
    assert drift > 50


@requires_real_data
def test_the_vectors_that_ship_are_transmitted_ones() -> None:
    times, vectors = read_vectors(CRUISE)
    shipped = [event for event in read_events(load_mission("tianwen1").folder / "trajectory.toml") if event.vector]
    for event in shipped:
        row = int(np.searchsorted(times, event.time))
        assert times[row] == event.time
        assert tuple(vectors[row]) == event.vector


def test_a_lone_body_follows_kepler() -> None:
    period = 2 * np.pi * (1_800.0**3 / GM["moon"]) ** 0.5
    begin = instant("2028-09-13T00:00:00")
    circle = Event(begin, vector=(1_800.0, 0, 0, 0, (GM["moon"] / 1_800.0) ** 0.5, 0))

    class Lone(PointMasses):
        def field(self, begin: float, end: float):  # type: ignore[no-untyped-def]
            return lambda seconds, r: -GM["moon"] * r / np.linalg.norm(r) ** 3

    r, _ = Trajectory(Lone("moon", ()), [circle]).at([begin + round(period * SECOND)])
    np.testing.assert_allclose(r[:, 0], [1_800.0, 0, 0], atol=1e-5)


def test_luna_stays_in_its_box_and_over_the_poles() -> None:
    path = luna26.trajectory(load_mission("luna26").folder, 0, None)
    times = path.begin + np.arange(0, 12 * 3600, 20) * SECOND
    r, v = path.at(times)
    height = np.linalg.norm(r, axis=0) - 1_737.4
    assert 55 < height.min() < 65
    assert 75 < height.max() < 86
    np.testing.assert_allclose(np.gradient(r, 20.0, axis=1)[:, 1:-1], v[:, 1:-1], atol=1e-3)


def test_a_path_resumed_from_a_saved_arc_is_the_same_to_the_last_bit() -> None:
    folder = load_mission("luna26").folder
    path = luna26.trajectory(folder, 0, None)
    later = path.begin + np.arange(3 * 3600, 4 * 3600, 7) * SECOND
    saved = luna26.trajectory(folder, 0, None).saved(int(later[0]))
    resumed = luna26.trajectory(folder, 0, saved)
    for one, other in zip(path.at(later), resumed.at(later), strict=True):
        assert one.tobytes() == other.tobytes()
    with pytest.raises(ValueError, match="held from"):
        resumed.at(path.begin)
