"""Each fault shows in all that it touches, and nowhere else: two runs with the same noise differ in just that."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatch
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

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from simulators.spacecraft import Moments, Spacecraft

    Telemetry = dict[str, NDArray[Any]]

WARM = "Thermal/* Radio/transmit_power Radio/helix_current Radio/oscillator_* Propulsion/*_pressure */*_temperature"
LOAD = "Power/bus_voltage Power/load_current Power/*_current Power/array_*"
BATTERY = "Power/battery_* Cells/* Events/event_argument"
BOTH = {
    # fault: what must change; what else may
    "stuck-sensor:Thermal/tank_temperature@30": ("Thermal/tank_temperature", ""),
    "drifting-sensor:Power/bus_voltage=5@30": ("Power/bus_voltage", ""),
    "array-degraded=0.2@10": (
        "Power/array_power Power/battery_current Power/battery_charge Cells/cell_1_voltage",
        f"{LOAD} {BATTERY} {WARM}",
    ),
    "battery-cell=2@10": (
        "Power/battery_voltage Cells/cell_7_voltage Cells/cell_8_voltage Cells/cell_spread",
        f"{LOAD} {BATTERY} {WARM} Events/*",
    ),
    "wheel-friction:2=5": (
        "Wheels/wheel_2_speed Wheels/wheel_2_current Wheels/wheel_1_speed Power/attitude_current "
        "Attitude/pointing_error",
        f"{LOAD} {BATTERY} {WARM} Wheels/wheel_*",
    ),
    "heater-on:tank": (
        "Thermal/tank_heater Thermal/tank_temperature Thermal/heater_power Power/heater_current "
        "Propulsion/tank_pressure",
        f"{LOAD} {BATTERY} {WARM}",
    ),
    "mispointing@5": (
        "Attitude/pointing_error Radio/antenna_angle Radio/receiver_power Radio/uplink_eb_n0",
        "",
    ),
    "clock-drift@5": ("*/time Computer/clock_error", "Navigation/vector_time"),
    "reboot@30": (
        "*/count */time Computer/uptime Computer/watchdog_resets Computer/memory_corrected Computer/commands_accepted "
        "Memory/scrub_address Events/event_number Events/event_count",
        "Computer/* Memory/* Events/* Navigation/vector_time",
    ),
    "safe-mode@10": (
        "Computer/computer_mode Computer/cpu_load Attitude/pointing_mode Attitude/attitude_q1 Attitude/rate_* "
        "Power/payload_current Gyro/gyro_1_rate SunSensors/sun_sensor_px Events/event_number Radio/antenna "
        "Radio/downlink_rate Radio/receiver_power Radio/uplink_eb_n0 */count",
        f"{LOAD} {BATTERY} {WARM} Attitude/* Gyro/* SunSensors/* StarTracker/* Events/* Radio/antenna_angle Wheels/*",
    ),
    "solar-flare@-3000": (
        "StarTracker/tracker_stars StarTracker/tracker_background Computer/memory_corrected Memory/scrub_errors",
        "Computer/memory_double_errors",
    ),
    "solar-flare@-200000": ("", "Computer/memory_* Memory/scrub_errors StarTracker/*"),
}
OWN = {
    "luna26": {
        "safe-mode@10": "Neutrons/* Gamma/gamma_total Radar/radar_mode Imager/imager_mode",
        "solar-flare@-3000": "Neutrons/neutrons_fast Neutrons/neutrons_epithermal Gamma/gamma_total",
        "solar-flare@-200000": "Plasma/ion_density Plasma/ion_speed Plasma/field_x",
    },
    "tianwen1": {
        "safe-mode@10": "Particles/ion_mode Particles/ion_counts Energetic/dose_rate",
        "solar-flare@-3000": "Energetic/electrons_100kev Energetic/protons_30mev Energetic/dose_rate",
        "solar-flare@-200000": "Magnetometer/field_r Particles/proton_speed Particles/proton_density",
    },
}
FOLLOWS = {
    "luna26": "Neutrons/* Gamma/* Radar/* Imager/* Plasma/*",
    "tianwen1": "Particles/* Energetic/* Magnetometer/field_*",
}


PATHS = {
    craft.name: craft.trajectory(load_mission(craft.name).folder, craft.start, None) for craft in (LUNA26, TIANWEN1)
}
CRAFT = pytest.mark.parametrize("craft", [LUNA26, TIANWEN1], ids=lambda craft: craft.name)


def begin(craft: Spacecraft) -> Simulation:
    same = replace(craft, trajectory=lambda *_: PATHS[craft.name])  # integrated once for all tests
    return Simulation(load_mission(craft.name), same, State(craft.name, 1, craft.start, craft.start, run="r"))


def asked(text: str, start: int) -> Fault:
    """As on the command line, but times may lie before the start."""
    head, _, at = text.partition("@-")
    one = parse(head, start)
    return replace(one, begin=start - int(at) * SECOND) if at else parse(text, start)


def captured(craft: Spacecraft, *faults: str) -> Telemetry:
    """All values of the first chunk as they go into the encoders, and the true instants, with ``faults``."""
    seen: Telemetry = {}

    def watch(name: str, values: Any) -> Any:
        def spy(moments: Moments) -> Any:
            seen[f"{name}/instant"] = moments.time
            return values(moments)

        return spy

    def listen(name: str, encode: Any) -> Any:
        def spy(values: dict[str, Any], time: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.uint8]:
            for parameter, value in values.items():
                if not isinstance(value, bytes):
                    seen[f"{name}/{parameter}"] = np.broadcast_to(np.asarray(value), time.shape).copy()
            seen[f"{name}/time"], seen[f"{name}/count"] = time, count
            octets: NDArray[np.uint8] = encode(values, time, count)
            return octets

        return spy

    watched = {name: replace(one, values=watch(name, one.values)) for name, one in craft.telemetry.items()}
    simulation = begin(replace(craft, telemetry=watched))
    for name, encoder in simulation._sampler.encoders.items():
        encoder.encode = listen(name, encoder.encode)  # type: ignore[method-assign]
    simulation.inject(*[asked(text, simulation.state.time) for text in faults or ("mispointing=0",)])
    return seen


@pytest.fixture(scope="module")
def healthy() -> Telemetry:
    return captured(LUNA26)


def changed(found: Telemetry, healthy: Telemetry) -> set[str]:
    """What differs at the instants that both have."""
    names = set()
    for name, values in found.items():
        now, before = (one[f"{name.split('/')[0]}/instant"] for one in (found, healthy))
        if not np.array_equal(values[np.isin(now, before)], healthy[name][np.isin(before, now)]):
            names.add(name)
    return names


@CRAFT
def test_a_fault_shows_where_it_touches_and_nowhere_else(craft: Spacecraft) -> None:
    usual = captured(craft)
    for text, (must, may) in BOTH.items():
        found = changed(captured(craft, text), usual)
        own = OWN[craft.name].get(text, "")
        for pattern in f"{must} {own}".split():
            assert any(fnmatch(name, pattern) for name in found), f"{text}: {pattern} should show it"
        allowed = f"{must} {may} {FOLLOWS[craft.name] if own else ''}".split()
        assert {name for name in found if not any(fnmatch(name, pattern) for pattern in allowed)} == set(), text
    assert {text.split("@")[0].split(":")[0].split("=")[0] for text in BOTH} == set(KINDS)


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
