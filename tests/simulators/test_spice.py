"""Range, Doppler and elevation against SPICE, which shares with the simulators nothing but the path and DE421's file.

SPICE (spiceypy) iterates the light time, and ERFA turns the Earth: IAU 2006/2000A.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ground.mission import load_mission
from simulators import ephemeris
from simulators.ephemeris import SECOND, C, tdb
from simulators.geometry import views
from simulators.luna26 import LUNA26
from simulators.orbit import instant
from simulators.tianwen1 import TIANWEN1

if TYPE_CHECKING:
    from pathlib import Path

    from simulators.ephemeris import Floats
    from simulators.spacecraft import Spacecraft

spice: Any = pytest.importorskip("spiceypy", reason="the optional spiceypy is not installed")
erfa: Any = pytest.importorskip("erfa", reason="the optional pyerfa is not installed")

CRAFT, STATION = -226, 399_226
CENTRES = {"moon": 301, "sun": 10}


def terrestrial(seconds: Floats) -> Floats:
    """Rotation (n, 3, 3) from Earth-fixed to celestial axes at TDB ``seconds``."""
    timescale = ephemeris._timescale()
    moments = timescale.tt_jd(2_451_545.0, seconds / 86_400)
    ut1 = seconds - moments.delta_t
    return np.swapaxes(erfa.c2t06a(2_451_545.0, seconds / 86_400, 2_451_545.0, ut1 / 86_400, 0.0, 0.0), -1, -2)


@pytest.fixture(
    params=[(LUNA26, "2028-09-13T02:00:00", 3), (TIANWEN1, "2020-10-09T03:00:00", 12)], ids=["luna26", "tianwen1"]
)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    craft, start, hours = request.param
    mission = load_mission(craft.name)
    begin = instant(start)
    with as_file(files("skyfield_data") / "data" / "de421.bsp") as kernel:
        spice.furnsh(str(kernel))
        yield craft, mission, begin, begin + hours * 3600 * SECOND, tmp_path
    spice.kclear()


def write(path: Path, target: int, centre: int, seconds: Floats, states: Floats) -> None:
    """An SPK of type 13 (Hermite) from states (n, 6), and load it."""
    handle = spice.spkopn(str(path), "test", 0)
    table = np.ascontiguousarray(states)
    spice.spkw13(handle, target, centre, "J2000", seconds[0], seconds[-1], "test", 7, len(seconds), table, seconds)
    spice.spkcls(handle)
    spice.furnsh(str(path))


def test_range_doppler_and_elevation_are_those_of_spice(case: tuple[Spacecraft, Any, int, int, Path]) -> None:
    craft, mission, begin, end, folder = case
    path = craft.trajectory(mission.folder, begin - 3600 * SECOND, None)
    grid = np.arange(begin - 600 * SECOND, end + 600 * SECOND, 20 * SECOND)
    r, v = path.at(grid)
    write(folder / "craft.bsp", CRAFT, CENTRES[path.centre], tdb(grid), np.concatenate([r, v]).T)
    times = np.arange(begin, end, 300 * SECOND)
    compared = 0
    for number, (name, station) in enumerate(mission.stations.items()):
        view = views(path, [station], times)[name]
        fixed = 1e-3 * np.array(
            erfa.gd2gc(1, np.radians(station.longitude), np.radians(station.latitude), station.height)
        )
        received = tdb(times) + view.light_time
        fine = np.arange(received[0] - 120, received[-1] + 120, 20.0)
        place = terrestrial(fine) @ fixed
        velocity = (terrestrial(fine + 1) @ fixed - terrestrial(fine - 1) @ fixed) / 2
        write(folder / f"{name}.bsp", STATION + number, 399, fine, np.hstack([place, velocity]))
        up = terrestrial(received) @ np.array(
            [
                np.cos(np.radians(station.latitude)) * np.cos(np.radians(station.longitude)),
                np.cos(np.radians(station.latitude)) * np.sin(np.radians(station.longitude)),
                np.sin(np.radians(station.latitude)),
            ]
        )
        for k, second in enumerate(received):
            state, light = spice.spkezr(str(CRAFT), float(second), "J2000", "CN", str(STATION + number))
            distance = float(np.linalg.norm(state[:3]))
            rate = float(state[:3] @ state[3:]) / distance
            assert abs(distance - view.range[k]) < 1e-4, "km"
            assert abs(light - view.light_time[k]) < 1e-9
            assert abs(rate - view.range_rate[k]) * craft.carrier / C < 0.1, "Hz"
            elevation = np.degrees(np.arcsin(state[:3] @ up[k] / distance))
            assert abs(elevation - view.elevation[k]) < 0.001, "degrees"
            compared += 1
    assert compared > 100
