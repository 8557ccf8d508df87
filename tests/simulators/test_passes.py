from __future__ import annotations

import numpy as np
import pytest

from ground.mission import load_mission
from simulators.ephemeris import SECOND
from simulators.geometry import views
from simulators.luna26 import LUNA26
from simulators.orbit import Trajectory, instant
from simulators.passes import Pass, Upcoming, find
from simulators.station import IN_VIEW, reasons

MISSION = load_mission("luna26")
BEGIN = instant("2028-09-13T01:45:00")
END = BEGIN + 12 * 3600 * SECOND


@pytest.fixture(scope="module")
def path() -> Trajectory:
    return LUNA26.trajectory(MISSION.folder, BEGIN, None)


@pytest.fixture(scope="module")
def found(path: Trajectory) -> list[Pass]:
    done: list[float] = []
    passes = find(LUNA26, path, MISSION.stations, BEGIN, END, done.append)
    assert done == sorted(done)
    assert done[-1] >= 1
    return passes


def heard(path: Trajectory, station: str, received: np.ndarray) -> list[bool]:
    """Whether signals that arrive at ``received`` are heard, by the geometry alone."""
    sent = received
    for _ in range(3):
        view = views(path, [MISSION.stations[station]], sent)[station]
        sent = received - np.rint(view.light_time * SECOND).astype(np.int64)
    word = reasons(LUNA26, MISSION.stations[station], view)
    return [bool(one == IN_VIEW) for one in word]


def test_passes_are_complete_and_to_the_second(path: Trajectory, found: list[Pass]) -> None:
    assert {one.station for one in found} == set(MISSION.stations)
    assert [one.aos for one in found] == sorted(one.aos for one in found)
    for one in found:
        around = np.array([-1.5, 1.5]) * SECOND
        if one.aos > BEGIN:
            assert heard(path, one.station, (one.aos + around).astype(np.int64)) == [False, True]
        if one.los < END:
            assert heard(path, one.station, (one.los + around).astype(np.int64)) == [True, False]
        for gap in one.interruptions:
            assert gap.reason == "occulted by the Moon"
            assert 30 < (gap.end - gap.begin) / SECOND / 60 < 50
            assert heard(path, one.station, np.arange(gap.begin, gap.end, 300 * SECOND) + 2 * SECOND).count(True) == 0
        assert one.aos <= one.culmination <= one.los
        assert one.elevation >= MISSION.stations[one.station].mask
    minutes = BEGIN + np.arange(10 * 60, 12 * 3600, 60) * SECOND
    for name in MISSION.stations:
        predicted = np.zeros(len(minutes), dtype=bool)
        for one in found:
            if one.station == name:
                predicted |= (minutes >= one.aos) & (minutes < one.los)
                for gap in one.interruptions:
                    predicted &= (minutes < gap.begin) | (minutes >= gap.end)
        assert predicted.tolist() == heard(path, name, minutes)


def test_culmination_is_the_highest_point(path: Trajectory, found: list[Pass]) -> None:
    whole = next(one for one in found if BEGIN < one.culmination < END - 3600 * SECOND)
    around = whole.culmination + np.arange(-1800, 1801, 600) * SECOND
    elevation = views(path, [MISSION.stations[whole.station]], around)[whole.station].elevation
    assert elevation.argmax() in (2, 3, 4)
    assert whole.elevation == pytest.approx(elevation.max(), abs=0.05)


def test_the_next_event_comes_when_it_was_announced(path: Trajectory) -> None:
    upcoming = Upcoming(LUNA26, path, MISSION.stations)
    time = BEGIN
    for expected in ("LOS", "AOS", "LOS"):
        for name in MISSION.stations:
            event = upcoming.next(name, time)
            assert event is not None
            around = event[1] + (np.array([-1.5, 1.5]) * SECOND).astype(np.int64)
            assert heard(path, name, around) == ([True, False] if event[0] == "LOS" else [False, True])
            if name == "bear-lakes":
                assert event[0] == expected
        following = upcoming.next("bear-lakes", time)
        assert following is not None
        time = following[1]
