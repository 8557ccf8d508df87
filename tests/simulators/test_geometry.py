from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from skyfield.api import wgs84

from ground.mission import load_mission
from simulators import ephemeris, luna26
from simulators.ephemeris import SECOND, C, tdb
from simulators.geometry import scene, uncovered, views
from simulators.orbit import instant

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from simulators.ephemeris import Floats


@dataclass
class AtMoonCentre:
    """Stands in for a trajectory: the Moon itself, which an independent ephemeris can observe too."""

    centre: str = "moon"

    def at(self, time: ArrayLike) -> tuple[Floats, Floats]:
        n = len(np.atleast_1d(time))
        return np.zeros((3, n)), np.zeros((3, n))


def test_range_and_elevation_agree_with_skyfield() -> None:
    times = instant("2028-09-13T00:00:00") + np.arange(0, 86_400, 1_800) * SECOND
    moon: Any = AtMoonCentre()
    stations = load_mission("luna26").stations
    kernel, timescale = ephemeris._kernel(), ephemeris._timescale()
    for name, view in views(moon, stations.values(), times).items():
        station = stations[name]
        received = timescale.tt_jd(2_451_545.0, (tdb(times) + view.light_time) / 86_400)
        place = kernel["earth"] + wgs84.latlon(station.latitude, station.longitude, station.height)
        elevation, _, distance = place.at(received).observe(kernel["moon"]).apparent().altaz()
        np.testing.assert_allclose(view.range, distance.km, atol=0.1)
        np.testing.assert_allclose(view.elevation, elevation.degrees, atol=0.01)


def test_range_rate_is_the_change_of_range_by_the_stations_clock() -> None:
    mission = load_mission("luna26")
    path = luna26.trajectory(mission.folder, 0, None)
    times = path.begin + 600 * SECOND + np.arange(0, 120, 1) * SECOND
    view = views(path, [mission.stations["bear-lakes"]], times)["bear-lakes"]
    received = (times - times[0]) / SECOND + view.light_time
    rate = (view.range[2:] - view.range[:-2]) / (received[2:] - received[:-2])
    np.testing.assert_allclose(rate, view.range_rate[1:-1], atol=1e-5)  # 0.3 Hz at X band
    np.testing.assert_allclose(view.light_time * C, view.range, rtol=1e-12)


@pytest.mark.parametrize(
    ("separation", "body_radius"), [(10.0, 2.0), (0.0, 2.0), (0.0, 0.5), (0.3, 0.6), (1.0, 1.0), (3.0, 2.1), (2.0, 2.9)]
)
def test_overlapping_discs(separation: float, body_radius: float) -> None:
    # Angles small enough for plane geometry; in units of the lamp's radius, a count of points gives the area.
    x, y = np.meshgrid(np.linspace(-1, 1, 1_501), np.linspace(-1, 1, 1_501))
    lamp = np.hypot(x, y) <= 1
    expected = np.mean(np.hypot(x - separation, y)[lamp] > body_radius)
    scale = 1e-3
    light = np.array([[2e6], [0.0], [0.0]])
    body = 1e6 * np.array([[np.cos(separation * scale)], [np.sin(separation * scale)], [0.0]])
    found = uncovered(light, body, 2e6 * np.sin(scale), 1e6 * np.sin(body_radius * scale))
    assert float(found[0]) == pytest.approx(expected, abs=1e-3)


def test_what_is_behind_the_lamp_covers_nothing() -> None:
    light, body = np.array([[1e6], [0.0], [0.0]]), np.array([[2e6], [0.0], [0.0]])
    assert float(uncovered(light, body, 1e3, 5e3)[0]) == 1.0


def test_luna_vanishes_behind_the_moon_and_into_its_shadow() -> None:
    mission = load_mission("luna26")
    path = luna26.trajectory(mission.folder, 0, None)
    times = path.begin + np.arange(0, 2 * 7_090, 10) * SECOND
    view = views(path, [mission.stations["bear-lakes"]], times)["bear-lakes"]
    where = scene(path, times)
    # The plane makes 23 degrees with the Earth and 11 with the Sun: about 40 minutes of each orbit of 118.
    assert 50 < np.sum(view.occulted) * 10 / 60 < 85
    assert 80 < np.sum(where.sunlight == 0) * 10 / 60 < 100
    earth = np.sum(where.to_earth * where.r / np.linalg.norm(where.r, axis=0), axis=0)
    assert np.all(earth[view.occulted] < 0)
    assert np.any((where.sunlight > 0) & (where.sunlight < 1)), "penumbra"
    assert where.latitude.max() > 85
    assert where.latitude.min() < -85
