"""Each fault does what it is named for, as much and when it is asked for; how it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ground.errors import ConfigError
from ground.mission import load_mission
from simulators.ephemeris import SECOND
from simulators.faults import FOR_EVER, KINDS, Fault, Faults, fault, from_table, parse, read_scenario
from simulators.luna26 import LUNA26
from simulators.simulation import CHUNK, Simulation
from simulators.state import State, load_state
from simulators.tianwen1 import TIANWEN1
from tests.simulators.capture import captured
from tests.simulators.flight import CRAFT, begin

if TYPE_CHECKING:
    from pathlib import Path

    from simulators.spacecraft import Spacecraft
    from tests.simulators.capture import Telemetry


@pytest.fixture(scope="module")
def healthy() -> Telemetry:
    return captured(LUNA26)


def test_a_flare_is_seen_before_its_particles_come_and_felt_days_later() -> None:
    """X-rays with the light that shows it, electrons before protons, the shock at 900 km/s."""
    faults = Faults([Fault("solar-flare", 0, value=100.0).saved()])
    hours = np.arange(0, 72, 0.05)
    time = (hours * 3600 * SECOND).astype(np.int64)
    first = {}
    for name in ("xrays", "electrons", "protons", "slow_protons", "shock"):
        effect = faults.effect(name, time)
        assert 0.9 < effect.max() / (1 if name == "shock" else 100) <= 1
        first[name] = float(hours[np.argmax(effect > 0)])
    assert list(first) == sorted(first, key=lambda name: first[name])
    assert first["xrays"] <= 0.05
    assert first["protons"] == pytest.approx(499 * (1.15 / 0.25 - 1) / 3600, abs=0.06)
    assert first["shock"] == pytest.approx(1.496e8 / 900 / 3600, abs=0.3)
    late = np.argmax(faults.effect("shock", time, np.full(len(time), 1.5)) > 0)
    assert hours[late] == pytest.approx(1.5 * first["shock"], abs=0.2), "farther from the Sun it comes later"


def test_safe_mode_goes_to_the_sun_on_the_low_gain_antenna() -> None:
    found = captured(TIANWEN1, "safe-mode@10")
    assert found["Radio/antenna"][:9].all()
    assert not found["Radio/antenna"][12:].any()
    codes = found["Radio/downlink_rate"]
    assert codes[0] == 4
    assert set(codes[12:].tolist()) <= {1, 2}
    power = found["Radio/receiver_power"]
    assert power[0] - power[15] == pytest.approx(24, abs=3), "dB, high gain over low gain"
    assert found["Attitude/sun_angle"][-1] < 0.1
    simulation = begin(TIANWEN1)
    simulation.inject(parse("safe-mode@10+1200", simulation.state.time))
    messages = [step.messages for step in simulation._chunk.steps]
    slow = {message.dt for part in messages[60:2000] for message in part}
    assert slow <= {SECOND, 8 * SECOND}
    assert {message.dt for part in messages[-600:] for message in part} == {SECOND // 8}, "and back"


def test_sizes_are_those_asked_for(healthy: Telemetry) -> None:
    half = captured(LUNA26, "array-degraded=0.5")
    lit = healthy["Power/eclipse"] == 0
    assert 60 < lit.sum() < CHUNK
    np.testing.assert_allclose(half["Power/array_current"][lit], healthy["Power/array_current"][lit] / 2, rtol=0.4)
    assert np.all(half["Power/battery_current"][lit] < healthy["Power/battery_current"][lit])
    drift = captured(LUNA26, "drifting-sensor:Power/bus_voltage=36@60")
    more = drift["Power/bus_voltage"] - healthy["Power/bus_voltage"]
    np.testing.assert_allclose(more, 36 / 3600 * np.maximum(np.arange(CHUNK) - 60, 0), atol=1e-9)
    stuck = captured(LUNA26, "stuck-sensor:Wheels/wheel_1_speed@10+50")["Wheels/wheel_1_speed"]
    on = (np.arange(CHUNK) + 0.375 >= 10) & (np.arange(CHUNK) + 0.375 < 60)
    assert len(set(stuck[on])) == 1
    np.testing.assert_array_equal(stuck[~on], healthy["Wheels/wheel_1_speed"][~on])
    clock = captured(LUNA26, "clock-drift=100")
    assert clock["Power/time"][100] - healthy["Power/time"][100] == pytest.approx(100 * 100e-6 * SECOND, abs=1)
    assert clock["Computer/clock_error"][100] - healthy["Computer/clock_error"][100] == pytest.approx(10, abs=0.1)
    cell = captured(LUNA26, "battery-cell=1")
    assert set(cell["Cells/cell_8_voltage"]) == {0.0}
    ratio = cell["Power/battery_voltage"] / healthy["Power/battery_voltage"]
    np.testing.assert_allclose(ratio, 7 / 8, atol=0.01)


def test_a_reboot_is_silence_then_counters_from_zero_and_a_wrong_clock() -> None:
    found = captured(LUNA26, "reboot=-3@20")
    time, count, uptime = (found[f"Computer/{name}"] for name in ("time", "count", "uptime"))
    gap = int(np.argmax(np.diff(time) > 30 * SECOND))
    assert count[gap + 1] == 0
    assert count[: gap + 1].tolist() == list(range(gap + 1))
    assert (time[gap + 1] - time[gap]) / SECOND == pytest.approx(41 - 3, abs=1)
    assert uptime[gap] > 1_000_000
    assert 40 <= uptime[gap + 1] <= 42
    assert found["Computer/watchdog_resets"][[gap, gap + 1]].tolist() == [1, 2]
    assert found["Computer/clock_error"][-1] == pytest.approx(-3000, abs=5)


def test_a_wheel_runs_down_when_friction_beats_its_motor() -> None:
    found = captured(LUNA26, "wheel-friction:3=9.6")  # 0.08 N m after half a minute, twice that after one
    speed = np.abs(found["Wheels/wheel_3_speed"])
    assert speed[10] > 1_000
    assert speed[70:].max() < 5
    assert found["Attitude/pointing_error"][300:].min() > 0.1


def test_mispointing_loses_the_link_of_a_narrow_antenna() -> None:
    simulation = begin(TIANWEN1)
    assert simulation._chunk.contact.station[60] is not None
    simulation.inject(parse("mispointing=20@30+60", simulation.state.time))
    contact = simulation._chunk.contact
    assert contact.station[29] == contact.station[60] is not None
    strength = contact.strength[contact.station[60]]
    lost = strength[29] - strength[60] - 10 * np.log10(contact.rate[60] / contact.rate[29])
    assert lost == pytest.approx(30, abs=0.1), "dB: the side lobes"
    assert contact.station[95] is not None
    assert contact.rate[95] == 8


@CRAFT
def test_a_restart_in_the_middle_of_faults_changes_no_octet(craft: Spacecraft, tmp_path: Path) -> None:
    wanted = [
        parse(text, craft.start)
        for text in ("reboot@12", "stuck-sensor:Power/bus_voltage@5", "safe-mode@100", "clock-drift@3", "reboot@90")
    ]

    def fly(pieces: list[int]) -> list[Any]:
        state: State | None = State(craft.name, 1, craft.start, craft.start, run="r")
        steps: list[Any] = []
        for i, piece in enumerate(pieces):
            assert state is not None
            if i == 0:
                state.faults = [one.saved() for one in wanted]
            simulation = Simulation(load_mission(craft.name), craft, state)
            until = state.time + piece * SECOND
            while state.time < until:
                steps += simulation.advance((until - state.time) // (SECOND // 2))
            state.save(tmp_path / "state.json")
            state = load_state(tmp_path / "state.json")
        return steps

    assert fly([15, 80, 30]) == fly([125])


def test_faults_are_read_from_text_and_file(tmp_path: Path) -> None:
    assert parse("heater-on:tank@600+3600", 0) == Fault("heater-on", 600 * SECOND, 4200 * SECOND, "tank", 0.0)
    assert parse("clock-drift=-3.5", 7) == Fault("clock-drift", 7, FOR_EVER, "", -3.5)
    path = tmp_path / "bad-day.toml"
    path.write_text(
        '[[fault]]\nkind = "battery-cell"\nat = 60\n\n'
        '[[fault]]\nkind = "mispointing"\nvalue = 4\nat = "2028-09-13T02:00:00"\nfor = 30\n'
    )
    one, other = read_scenario(path, LUNA26.start)
    assert (one.begin, one.value) == (LUNA26.start + 60 * SECOND, KINDS["battery-cell"].value)
    assert (other.begin, other.end - other.begin) == (LUNA26.start + 900 * SECOND, 30 * SECOND)
    assert [Faults([two.saved()]).all[0] for two in (one, other)] == [one, other]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("meteorite", "there is no fault meteorite; there are stuck-sensor"),
        ("heater-on", "heater-on needs NODE"),
        ("safe-mode:tank", "safe-mode needs no target"),
        ("wheel-friction:7", "there are wheels 1 to 4, not 7"),
        ("safe mode", "should be KIND"),
        ("clock-drift=1.2.3", "could not convert"),
    ],
)
def test_what_is_no_fault_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(text, 0)


@pytest.mark.parametrize(
    "table", [[], {}, {"kind": 3}, {"kind": "reboot", "when": 1}, {"kind": "reboot", "at": "soon"}]
)
def test_a_strange_table_is_refused(table: Any) -> None:
    with pytest.raises(ConfigError):
        from_table(table, 0)


def test_a_bad_scenario_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.toml"):
        read_scenario(tmp_path / "nothing.toml", 0)
    (tmp_path / "bad.toml").write_text('[[fault]]\nkind = "rain"\n')
    with pytest.raises(ConfigError, match=r"bad\.toml: there is no fault rain"):
        read_scenario(tmp_path / "bad.toml", 0)
    assert fault("reboot", 5).value == KINDS["reboot"].value
