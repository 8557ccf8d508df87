from __future__ import annotations

import numpy as np
import pytest

from ground.mission import load_mission
from simulators.ephemeris import SECOND
from simulators.geometry import View, views
from simulators.luna26 import LUNA26
from simulators.station import Passes, eb_n0, listening, status

MISSION = load_mission("luna26")
STATION = MISSION.stations["bear-lakes"]


def one_view(elevation: float, *, occulted: bool = False, km: float = 380_000.0) -> View:
    return View(
        elevation=np.array([elevation]),
        range=np.array([km]),
        range_rate=np.array([1.0]),
        light_time=np.array([km / 299_792.458]),
        occulted=np.array([occulted]),
        above=np.array([elevation >= STATION.mask]),
    )


def test_link_budget() -> None:
    near, far = eb_n0(LUNA26, STATION, np.array([4e5, 8e5]), np.array([45.0, 45.0]))
    assert near - far == pytest.approx(20 * np.log10(2), abs=1e-9)
    # By hand: 13 dBW - 223.0 dB - 0.8 dB + 72.8 dBi - 15.3 dBK + 228.6 - 47.6 dB(bit/s)
    assert near == pytest.approx(27.7, abs=0.3)
    low, high = eb_n0(LUNA26, STATION, np.array([4e5, 4e5]), np.array([7.0, 80.0]))
    assert high - low > 3, "air is warm near the horizon"


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        (one_view(30.0), "in view"),
        (one_view(-2.0), "below the horizon"),
        (one_view(3.0), "below the elevation mask"),
        (one_view(30.0, occulted=True), "occulted by the Moon"),
        (one_view(30.0, km=4e8), "the link is too weak"),
    ],
)
def test_silence_is_explained(view: View, reason: str) -> None:
    found = status(LUNA26, STATION, view, 0, 5, 17, ("AOS", 9))
    assert found["reason"] == reason
    assert found["in_view"] is (reason == "in view")
    assert bool(listening(LUNA26, STATION, view)[0]) is found["in_view"]
    assert (found["eb_n0_db"] is None) is (reason != "in view")
    assert found["doppler_hz"] == pytest.approx(-8.4256e9 / 299_792.458, rel=1e-6)
    assert found["time"] == "5"
    assert found["frames_sent"] == 17
    assert found["next"] == {"event": "AOS", "time": "9"}
    assert found["station"] == "Bear Lakes"


def test_the_next_pass_comes_when_it_was_announced() -> None:
    path = LUNA26.trajectory(MISSION.folder, LUNA26.start, None)
    passes = Passes(LUNA26, path, MISSION.stations)
    time = LUNA26.start
    for expected in ("LOS", "AOS", "LOS"):
        for name, station in MISSION.stations.items():
            found = passes.next(name, time)
            assert found is not None
            around = found[1] + np.array([-1, 0]) * SECOND
            heard = listening(LUNA26, station, views(path, [station], around)[name])
            assert heard.tolist() == ([True, False] if found[0] == "LOS" else [False, True])
            if name == "bear-lakes":
                assert found[0] == expected
        following = passes.next("bear-lakes", time)
        assert following is not None
        time = following[1]
