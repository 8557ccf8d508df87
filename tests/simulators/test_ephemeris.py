from __future__ import annotations

import numpy as np
import pytest
from skyfield.api import wgs84

from simulators import ephemeris
from simulators.orbit import instant

TIMES = instant("2028-09-01T00:00:00") + np.arange(0, 60 * 86_400, 7_200) * ephemeris.SECOND


def test_tdb_agrees_with_skyfield() -> None:
    timescale = ephemeris._timescale()
    for text in ("2020-08-01T21:01:30", "2028-09-13T01:45:00"):
        time = timescale.utc(*np.array(text.replace("T", "-").replace(":", "-").split("-"), dtype=int))
        expected = (time.whole - 2_451_545.0) * 86_400 + time.tdb_fraction * 86_400
        assert float(ephemeris.tdb(instant(text))) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("body", list(ephemeris.GM))
def test_velocity_is_the_derivative_of_position(body: str) -> None:
    seconds = ephemeris.tdb(TIMES[:20])
    before, after = (ephemeris.position(body, seconds + step) for step in (-30.0, 30.0))
    _, velocity = ephemeris.motion(body, seconds)
    np.testing.assert_allclose((after - before) / 60, velocity, atol=1e-6)


def test_a_station_turns_with_the_earth_as_in_skyfield() -> None:
    seconds = ephemeris.tdb(TIMES[:50])
    fixed, up = ephemeris.station_fixed(55.8681, 37.9517, 150.0)
    ours = np.einsum("ijn,j->in", ephemeris.earth_rotation(seconds), fixed)
    time = ephemeris._timescale().tt_jd(2_451_545.0, seconds / 86_400)
    np.testing.assert_allclose(ours, wgs84.latlon(55.8681, 37.9517, 150.0).at(time).position.km, atol=1e-6)
    assert fixed @ up == pytest.approx(6_364.0, abs=8)


def test_the_moon_keeps_its_face_to_the_earth() -> None:
    seconds = ephemeris.tdb(TIMES)
    rotation = ephemeris.moon_rotation(seconds)
    earth = ephemeris.position("earth", seconds) - ephemeris.position("moon", seconds)
    x, y, z = np.einsum("ijn,jn->in", rotation, earth)
    longitude, latitude = np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))
    # Optical libration: 8 degrees in longitude, 6.9 in latitude, nothing in the long run.
    assert 4 < longitude.max() < 8.2
    assert 6.5 < latitude.max() < 7.0
    assert abs(longitude.mean()) < 1
    assert abs(latitude.mean()) < 1
    identity = np.einsum("ijn,kjn->ikn", rotation, rotation)
    np.testing.assert_allclose(identity, np.eye(3)[:, :, None].repeat(len(TIMES), 2), atol=1e-14)
    np.testing.assert_allclose(ephemeris.moon_rotation(seconds[3]), rotation[:, :, 3], atol=1e-12)
