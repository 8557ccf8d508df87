from __future__ import annotations

import numpy as np
import pytest

from ground.mission import load_mission
from simulators.geometry import View
from simulators.luna26 import LUNA26
from simulators.station import IN_VIEW, eb_n0, frame_errors, reasons, status
from simulators.tianwen1 import TIANWEN1

MISSION = load_mission("luna26")
STATION = MISSION.stations["bear-lakes"]


def one_view(elevation: float, *, behind: str = "", km: float = 380_000.0) -> View:
    return View(
        elevation=np.array([elevation]),
        range=np.array([km]),
        range_rate=np.array([1.0]),
        light_time=np.array([km / 299_792.458]),
        behind={title: np.array([behind == title]) for title in ("the Moon", "Mars")},
        above=np.array([elevation >= STATION.mask]),
    )


def strength(elevation: float, km: float, rate: int = 8) -> float:
    return float(eb_n0(LUNA26, STATION, one_view(elevation, km=km), rate)[0])


def test_link_budget() -> None:
    assert strength(45, 4e5) - strength(45, 8e5) == pytest.approx(20 * np.log10(2), abs=1e-9)
    # By hand: 19 dBW - 223.0 dB - 0.8 dB + 72.8 dBi - 15.3 dBK + 228.6 - 47.6 dB(bit/s)
    assert strength(45, 4e5) == pytest.approx(33.7, abs=0.3)
    assert strength(80, 4e5) - strength(7, 4e5) > 3, "air is warm near the horizon"
    assert strength(45, 4e5) - strength(45, 4e5, 256) == pytest.approx(10 * np.log10(32))


def test_frames_fail_on_a_waterfall() -> None:
    required, width = LUNA26.required, LUNA26.waterfall
    errors = frame_errors(LUNA26, required + width * np.array([-6.0, 0, 2, 6]))
    assert errors[0] > 1 - 1e-8
    assert errors[1] == 0.5
    assert errors[2] == pytest.approx(0.0228, abs=1e-4)
    assert errors[3] < 1e-8


def test_the_cruise_closes_with_one_of_its_rates_all_the_way() -> None:
    stations = load_mission("tianwen1").stations.values()
    for km in np.geomspace(1e4, 2.0e8, 40):
        view = one_view(40.0, km=float(km))
        best = max(float(eb_n0(TIANWEN1, station, view, TIANWEN1.rates[0])[0]) for station in stations)
        assert best > TIANWEN1.required + 1, km
    view = one_view(20.0, km=1.9e8)
    kashi = load_mission("tianwen1").stations["kashi"]
    slow, fast = (float(eb_n0(TIANWEN1, kashi, view, rate)[0]) for rate in (4, 8))
    assert slow > TIANWEN1.required + 0.3 > fast, "near Mars a 35 m dish needs the slow rate"


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        (one_view(30.0), "in view"),
        (one_view(-2.0), "below the horizon"),
        (one_view(3.0), "below the elevation mask"),
        (one_view(30.0, behind="the Moon"), "occulted by the Moon"),
        (one_view(30.0, behind="Mars"), "occulted by Mars"),
        (one_view(-2.0, behind="the Moon"), "below the horizon"),
        (one_view(30.0, km=4e8), "the link is too weak"),
    ],
)
def test_silence_is_explained(view: View, reason: str) -> None:
    assert reasons(LUNA26, STATION, view).tolist() == [reason]
    found = status(LUNA26, STATION, view, 0, time=5, reason=reason, strength=3.21987, sent=17, event=("AOS", 9))
    assert found["reason"] == reason
    assert found["in_view"] is (reason == IN_VIEW)
    assert found["eb_n0_db"] == 3.22
    assert found["doppler_hz"] == pytest.approx(-8.4256e9 / 299_792.458, rel=1e-6)
    assert found["time"] == "5"
    assert found["frames_sent"] == 17
    assert found["next"] == {"event": "AOS", "time": "9"}
    assert found["station"] == "Bear Lakes"


def test_mispointing_costs_the_link() -> None:
    power = np.array([LUNA26.high.eirp])
    assert reasons(LUNA26, STATION, one_view(30.0), power - 10).tolist() == [IN_VIEW]
    assert reasons(LUNA26, STATION, one_view(30.0), power - 50).tolist() == ["the link is too weak"]
    off = np.array([0.0, LUNA26.high.beamwidth, 1e3])
    assert LUNA26.high.loss(off).tolist() == [0.0, 3.0, 30.0]
    assert LUNA26.low.loss(off).tolist() == [0.0, 0.0, 0.0], "it has no axis"


def test_the_low_gain_antenna_is_for_safe_mode_and_near_the_earth() -> None:
    km = np.array([1e6, 1e7])
    assert TIANWEN1.high_gain(km).tolist() == [False, True]
    assert TIANWEN1.high_gain(km, turned=True).tolist() == [False, False]
    stations = load_mission("tianwen1").stations
    view = one_view(40.0, km=3.3e6)
    low = np.array([TIANWEN1.low.eirp])
    for name in ("kashi", "wuqing"):
        assert eb_n0(TIANWEN1, stations[name], view, TIANWEN1.safe, low)[0] > TIANWEN1.required, "days after launch"
    far = one_view(40.0, km=1.9e8)
    slowest, safe = (
        float(eb_n0(TIANWEN1, stations["wuqing"], far, rate, low)[0]) for rate in (TIANWEN1.rates[0], TIANWEN1.safe)
    )
    assert slowest > TIANWEN1.required > safe, "at Mars the largest dish hears the slowest rate"
