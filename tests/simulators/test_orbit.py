from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ground.mission import load_mission
from simulators import luna26, tianwen1
from simulators.dynamics import HOUR, PointMasses
from simulators.ephemeris import GM, RADIUS, SECOND, motion, tdb
from simulators.geometry import scene
from simulators.gravity import lunar
from simulators.luna26 import LUNA26
from simulators.orbit import Event, Trajectory, from_mars, instant, read_events, read_waypoints, waypoints
from simulators.tianwen1 import TIANWEN1
from simulators.vectors import missed, read_vectors
from tests.real_data import ROOT, requires_real_data

if TYPE_CHECKING:
    from pathlib import Path

    from simulators.dynamics import Field
    from simulators.ephemeris import Floats
    from simulators.spacecraft import Spacecraft

LUNA, TIANWEN = load_mission("luna26").folder, load_mission("tianwen1").folder
AUGUST = ROOT / "tianwen1" / "state_vectors_20200801.txt"
FEBRUARY = ROOT / "tianwen1" / "state_vectors_20210208.txt"
MARS = PointMasses("mars", ("sun", "earth", "jupiter"), pressure=tianwen1.DYNAMICS.pressure)


def vector_of(time: int, values: Floats) -> Event:
    return Event(int(time), vector=tuple(map(float, values)))


@requires_real_data
def test_tianwen_meets_the_transmitted_vectors_within_ten_metres() -> None:
    times, vectors = read_vectors(AUGUST)
    soon = times <= times[0] + 1600 * SECOND
    path = tianwen1.trajectory(TIANWEN, int(times[0]), None)
    r, v = path.at(times[soon])
    metres = 1000 * np.linalg.norm(r - vectors[soon, :3].T, axis=0)
    assert metres[0] == 0
    assert metres.max() < 10
    assert np.linalg.norm(v - vectors[soon, 3:].T, axis=0).max() < 2e-5


@requires_real_data
def test_the_burn_carries_tianwen_across_its_correction_manoeuvre() -> None:
    times, vectors = read_vectors(AUGUST)
    after = int(np.argmax(np.diff(times) > HOUR)) + 1
    burn = next(event for event in read_events(TIANWEN / "trajectory.toml") if event.name == "tcm1")
    assert burn.delta_v is not None
    impulse = Event(burn.time + burn.duration // 2, delta_v=burn.delta_v)
    missed = {}
    for name, events in {"burn": [burn], "impulse": [impulse], "nothing": []}.items():
        path = Trajectory(tianwen1.DYNAMICS, [vector_of(times[0], vectors[0]), *events])
        r, v = path.at(times[after])
        missed[name] = float(np.linalg.norm(r[:, 0] - vectors[after, :3]))
        if name == "burn":
            assert np.linalg.norm(v[:, 0] - vectors[after, 3:]) < 1e-5
    assert missed["burn"] < 0.2
    assert missed["impulse"] == pytest.approx(missed["burn"], abs=0.05)
    assert missed["nothing"] > 50


@requires_real_data
@pytest.mark.parametrize("centred", ["sun", "mars"])
def test_the_mars_centred_file_is_met_around_either_centre(centred: str) -> None:
    times, vectors = read_vectors(FEBRUARY)
    around_sun = np.array([from_mars(int(time), vector) for time, vector in zip(times, vectors, strict=True)])
    seconds = tdb(times)
    apart = np.concatenate([a - b for a, b in zip(motion("mars", seconds), motion("sun", seconds), strict=True)])
    expected = around_sun.T - (apart if centred == "mars" else 0)
    dynamics = MARS if centred == "mars" else tianwen1.DYNAMICS
    path = Trajectory(dynamics, [vector_of(times[0], expected[:, 0])])
    metres = 1000 * np.linalg.norm(path.at(times)[0] - expected[:3], axis=0)
    assert metres[0] < 1e-3
    assert metres[times <= times[0] + 1600 * SECOND].max() < 10
    assert metres.max() < 50  # after 6,336 s


@requires_real_data
@pytest.mark.parametrize("file", [AUGUST, FEBRUARY], ids=["august", "february"])
def test_any_file_of_vectors_can_be_followed(file: Path) -> None:
    times, error = missed(file)
    metres = 1000 * np.linalg.norm(error, axis=0)
    assert metres[0] < 1e-3
    assert metres[times <= times[0] + 1600 * SECOND].max() < 10
    assert metres.max() < 1000, "across the burn of August"


@requires_real_data
def test_the_vectors_that_ship_are_transmitted_ones() -> None:
    real = {}
    for file in (AUGUST, FEBRUARY):
        for time, vector in zip(*read_vectors(file), strict=True):
            real[int(time)] = tuple(map(float, from_mars(int(time), vector) if file is FEBRUARY else vector))
    shipped = [event for event in read_events(TIANWEN / "trajectory.toml") if event.vector and not event.name]
    assert len(shipped) == 4
    for event in shipped:
        assert real[event.time] == event.vector


def test_the_cruise_is_one_path_from_the_rocket_to_an_orbit_around_mars() -> None:
    path = tianwen1.trajectory(TIANWEN, 0, None)
    launch = instant("2020-07-23T04:41:15")
    assert 30 * 60 < (path.begin - launch) / SECOND < 40 * 60
    assert np.linalg.norm(path.at(path.begin)[0][:, 0] - _relative("earth", path.begin)) == pytest.approx(6_930, abs=50)
    for event in sorted(read_events(TIANWEN / "trajectory.toml"), key=lambda event: event.time):
        if event.vector is None or event.time == path.begin:
            continue
        second = np.array([event.time - SECOND, event.time])
        r, v = path.at(second)
        jump = r[:, 1] - r[:, 0] - v.mean(axis=1)
        assert np.linalg.norm(jump) < 1, "km, where a transmitted vector sets the path anew"
    insertion = next(event for event in read_events(TIANWEN / "trajectory.toml") if event.name == "insertion")
    times = insertion.time + np.arange(-600, 1_800, 10) * SECOND
    height = np.linalg.norm(path.at(times)[0] - _relative("mars", times), axis=0) - RADIUS["mars"]
    assert height.min() == pytest.approx(390, abs=20)
    assert abs(times[height.argmin()] - (insertion.time + insertion.duration // 2)) < 60 * SECOND
    later = insertion.time + np.arange(0, 11 * 24, 3) * HOUR
    height = np.linalg.norm(path.at(later)[0] - _relative("mars", later), axis=0) - RADIUS["mars"]
    assert height.max() == pytest.approx(185_000, abs=5_000)


def _relative(body: str, time: int | np.ndarray) -> Floats:
    """The body's place as seen from the Sun."""
    return np.asarray(motion(body, tdb(time))[0] - motion("sun", tdb(time))[0])


def test_thrust_is_where_the_burns_are_and_adds_up() -> None:
    path = tianwen1.trajectory(TIANWEN, instant("2020-10-09T00:00:00"), None)
    dsm = next(event for event in path.burns if event.name == "dsm")
    times = dsm.time + np.arange(-100, 700) * SECOND
    thrust = path.thrust(times)
    assert np.flatnonzero(thrust.any(axis=0)).tolist() == list(range(100, 620))
    assert dsm.delta_v is not None
    np.testing.assert_allclose(thrust.sum(axis=1), dsm.delta_v, rtol=1e-12)
    _, v = path.at(times)
    gravity = tianwen1.DYNAMICS.field(float(tdb(times[0])), float(tdb(times[-1])))
    steps = np.diff(v, axis=1)[:, 200] - gravity(float(tdb(times[200])), path.at(times[200])[0][:, 0])
    np.testing.assert_allclose(steps, thrust[:, 200], rtol=1e-4)


@dataclass(frozen=True)
class Lone:
    """Nothing but the Moon's centre."""

    centre: str = "moon"
    tolerance: float = 1e-12
    arc: int = 24 * HOUR

    def field(self, begin: float, end: float) -> Field:
        return lambda seconds, r: -GM["moon"] * r / np.linalg.norm(r) ** 3


def test_a_lone_body_follows_kepler_and_keeps_its_energy() -> None:
    period = 2 * np.pi * (1_800.0**3 / GM["moon"]) ** 0.5
    begin = instant("2028-09-13T00:00:00")
    circle = Event(begin, vector=(1_800.0, 0, 0, 0, (GM["moon"] / 1_800.0) ** 0.5, 0))
    path = Trajectory(Lone(), [circle])
    r, _ = path.at([begin + round(period * SECOND)])
    np.testing.assert_allclose(r[:, 0], [1_800.0, 0, 0], atol=1e-5)
    r, v = path.at(begin + np.arange(0, 2 * 86_400, 3_600) * SECOND)
    energy = np.sum(v**2, axis=0) / 2 - GM["moon"] / np.linalg.norm(r, axis=0)
    assert np.abs(energy / energy[0] - 1).max() < 1e-10


@dataclass(frozen=True)
class Still:
    """The Moon's field on a Moon that doesn't turn, where energy is conserved."""

    tolerance: float = luna26.DYNAMICS.tolerance
    centre: str = "moon"
    arc: int = 6 * HOUR

    def field(self, begin: float, end: float) -> Field:
        gravity = lunar()
        return lambda seconds, r: gravity(r)


def test_energy_is_kept_in_the_uneven_field() -> None:
    circle = Event(0, vector=(1_807.0, 0, 0, 0, 0, (GM["moon"] / 1_807.0) ** 0.5))
    r, v = Trajectory(Still(), [circle]).at(np.arange(0, 25, 6) * HOUR)
    energy = np.sum(v**2, axis=0) / 2 - [lunar().potential(one) for one in r.T]
    assert np.abs(energy / energy[0] - 1).max() < 1e-10
    assert np.ptp(np.sum(v**2, axis=0) / 2 / energy) > 1e-3, "while its parts change"


@pytest.mark.parametrize(("craft", "metres"), [(LUNA26, 1.0), (TIANWEN1, 0.1)], ids=["luna26", "tianwen1"])
def test_smaller_steps_lead_to_the_same_place(craft: Spacecraft, metres: float) -> None:
    ends = []
    for factor in (1e4, 1, 0.3):
        path = craft.trajectory(load_mission(craft.name).folder, craft.start, None)
        path.dynamics = replace(path.dynamics, tolerance=path.dynamics.tolerance * factor)  # type: ignore[type-var]
        ends.append(path.at(craft.start + 12 * HOUR)[0][:, 0])
    coarse, fine = (1000 * float(np.linalg.norm(one - ends[-1])) for one in ends[:2])
    assert fine < metres
    assert fine < max(coarse, 1e-3), "a float64 resolves no less so far from the Sun"


@pytest.mark.parametrize(
    ("event", "million_km"),
    [("tcm1", 3.0), ("tcm2", 19.0), ("dsm", 29.4), ("tcm3", 44.0), ("tcm4", 184.0), ("insertion", 192.0)],
)
def test_distances_are_those_that_were_announced(event: str, million_km: float) -> None:
    """By the China National Space Administration on the days of the burns, rounded as it did."""
    time = next(one.time for one in read_events(TIANWEN / "trajectory.toml") if one.name == event)
    where = scene(tianwen1.trajectory(TIANWEN, time, None), time)
    assert where.earth_km[0] / 1e6 == pytest.approx(million_km, rel=0.02)


def test_luna_stays_in_its_box_and_over_the_poles() -> None:
    path = luna26.trajectory(LUNA, 0, None)
    times = path.begin + np.arange(0, 12 * 3600, 20) * SECOND
    r, v = path.at(times)
    height = np.linalg.norm(r, axis=0) - 1_737.4
    assert 50 < height.min() < 65
    assert 75 < height.max() < 90
    np.testing.assert_allclose(np.gradient(r, 20.0, axis=1)[:, 1:-1], v[:, 1:-1], atol=1e-3)


def test_a_path_resumed_from_a_saved_arc_is_the_same_to_the_last_bit() -> None:
    path = luna26.trajectory(LUNA, 0, None)
    later = path.begin + np.arange(5 * 3600, 6 * 3600, 7) * SECOND
    saved = luna26.trajectory(LUNA, 0, None).saved(int(later[0]))
    resumed = luna26.trajectory(LUNA, 0, saved)
    for one, other in zip(path.at(later), resumed.at(later), strict=True):
        assert one.tobytes() == other.tobytes()
    with pytest.raises(ValueError, match="held from"):
        resumed.at(path.begin)


def test_waypoints_lie_on_the_path_that_they_shorten(tmp_path: object) -> None:
    shipped = read_waypoints(LUNA / "waypoints.csv")
    assert len(shipped) > 80
    path = Trajectory(luna26.DYNAMICS, [shipped[0], Event(shipped[1].time, vector=shipped[1].vector)], None)
    assert path.begin == shipped[0].time
    lines = list(waypoints(Trajectory(Lone(), [shipped[0]]), shipped[0].time + 60 * HOUR, 24 * HOUR))
    assert len(lines) == 2
    assert [int(line.split(",")[0]) % (24 * HOUR) for line in lines] == [0, 0]
