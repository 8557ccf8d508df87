from __future__ import annotations

import json
from dataclasses import asdict
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from space_packet_parser.xtce.definitions import XtcePacketDefinition

from ground.errors import ConfigError
from ground.mission import load_mission
from simulators.ephemeris import SECOND
from simulators.luna26 import LUNA26, hydrogen, kreep
from simulators.orbit import instant
from simulators.simulation import STEP, Simulation, Step
from simulators.state import State, load_state
from simulators.tianwen1 import TIANWEN1
from tests.simulators.receiver import Receiver, apid, sequence

if TYPE_CHECKING:
    from pathlib import Path

    from simulators.spacecraft import Spacecraft

CRAFT = pytest.mark.parametrize("craft", [LUNA26, TIANWEN1], ids=lambda craft: craft.name)


def begin(craft: Spacecraft, start: str | None = None) -> Simulation:
    time = craft.start if start is None else instant(start)
    return Simulation(load_mission(craft.name), craft, State(craft.name, 1, time, time, run="r"))


def run(simulation: Simulation, seconds: float, batch: int = 40) -> list[Step]:
    steps: list[Step] = []
    until = simulation.state.time + round(seconds * SECOND)
    while simulation.state.time < until:
        steps += simulation.advance(min(batch, (until - simulation.state.time) // STEP))
    return steps


def received(simulation: Simulation, steps: list[Step]) -> Receiver:
    receiver = Receiver(simulation.mission)
    for step in steps:
        for message in step.messages:
            receiver.feed(message.payload, check_fecf=False)
    return receiver


@CRAFT
def test_every_container_comes_at_its_rate_with_its_own_count(craft: Spacecraft) -> None:
    simulation = begin(craft)
    receiver = received(simulation, run(simulation, 40))
    packets = receiver.packets[craft.vcid]
    by_apid: dict[int, list[bytes]] = {}
    for packet in packets:
        by_apid.setdefault(apid(packet), []).append(packet)
    parser = XtcePacketDefinition.from_xtce(simulation.mission.telemetry)
    parameters = set()
    for name, cadence in craft.telemetry.items():
        found = by_apid.pop(simulation._encoders[name].apid)
        assert len(found) == 320 // cadence.period, name
        assert [sequence(packet) for packet in found] == list(range(len(found)))
        parameters |= set(parser.parse_bytes(found[-1]))
    assert set(by_apid) == {2047}
    assert len(craft.telemetry) >= 10
    assert len(parameters) >= 60
    for counts in receiver.counts.values():
        assert counts == list(range(len(counts)))
    assert sum(map(len, receiver.counts.values())) == 40 * craft.frame_rate


@CRAFT
def test_messages_carry_running_numbers_and_true_receive_times(craft: Spacecraft) -> None:
    simulation = begin(craft)
    steps = run(simulation, 70)
    length = simulation.mission.link.length
    expected_seq, expected_ert = 0, None
    for step in steps:
        for message in step.messages:
            assert message.seq == expected_seq
            n = len(message.payload) // length
            expected_seq += n
            if expected_ert is not None:
                assert abs(message.ert - expected_ert) < 10_000, "the slots follow each other, Doppler apart"
            expected_ert = message.ert + n * message.dt
        light_time = simulation._chunk.views[step.messages[0].station].light_time
        delay = step.messages[0].ert - (step.time - STEP)
        assert delay == pytest.approx(float(light_time[0]) * SECOND, rel=1e-3)


@pytest.mark.parametrize(
    ("craft", "start"),
    [
        (LUNA26, "2028-09-13T01:59:30"),  # from one arc of the orbit into the next
        (TIANWEN1, "2020-08-02T00:17:00"),  # across a state vector that sets the path anew
    ],
    ids=["luna26", "tianwen1"],
)
def test_a_restart_at_any_step_changes_no_octet(craft: Spacecraft, start: str, tmp_path: Path) -> None:
    whole = run(begin(craft, start), 75)
    simulation = begin(craft, start)
    parts = run(simulation, 20.5, batch=7)
    for seconds in (30.0, 9.5, 15.0):
        simulation.state.save(tmp_path / "state.json")
        state = load_state(tmp_path / "state.json")
        assert state is not None
        simulation = Simulation(load_mission(craft.name), craft, state)
        parts += run(simulation, seconds, batch=3)
    assert parts == whole


def test_loss_of_signal_is_silence_and_no_gap() -> None:
    simulation = begin(LUNA26, "2028-09-13T03:05:00")  # the Moon comes in between at 03:05:29 for Bear Lakes
    before = run(simulation, 180)
    heard = [bool(step.messages) for step in before]
    assert heard[0]
    assert not heard[-1]
    assert heard == sorted(heard, reverse=True)
    counts = simulation.state.counts[256]
    frames = dict(simulation.state.vcfc)
    run(simulation, 60)
    assert simulation.state.vcfc == frames, "the frame count rests while nobody listens"
    assert simulation.state.counts[256] == counts + 60, "packets go on to be made"
    assert simulation.state.station is None
    reasons = {status["reason"] for status in simulation.stations().values()}
    assert reasons <= {"occulted by the Moon", "below the horizon", "below the elevation mask"}
    assert "occulted by the Moon" in reasons
    stations = [step.messages[0].station for step in before if step.messages]
    changes = sum(one != other for one, other in pairwise(stations))
    assert changes == len(set(stations)) - 1, "a station keeps the spacecraft until it loses it"
    receiver = received(simulation, before)
    for found in receiver.counts.values():
        assert found == list(range(len(found)))


def test_what_is_measured_adds_up() -> None:
    simulation = begin(LUNA26, "2028-09-13T02:00:00")  # into eclipse
    receiver = received(simulation, run(simulation, 240))
    parser = XtcePacketDefinition.from_xtce(simulation.mission.telemetry)
    power = [parser.parse_bytes(packet) for packet in receiver.packets[0] if apid(packet) == 256]
    for row in power:
        parts = sum(row[f"{name}_current"] for name in ("avionics", "attitude", "radio", "payload", "heater"))
        assert row["load_current"] == pytest.approx(float(parts), abs=0.005)
        drawn = row["battery_voltage"] * row["battery_current"] + row["load_current"] * row["bus_voltage"]
        assert row["array_power"] == pytest.approx(float(drawn), abs=6)
    assert power[0]["eclipse"] == 0
    assert power[-1]["eclipse"] == 1
    assert power[0]["battery_current"] > 1 > -1 > power[-1]["battery_current"]
    thermal = [parser.parse_bytes(packet) for packet in receiver.packets[0] if apid(packet) == 257]
    assert thermal[-1]["array_temperature"] < thermal[0]["array_temperature"] - 10
    radar = [parser.parse_bytes(packet) for packet in receiver.packets[0] if apid(packet) == 274]
    orbit = [parser.parse_bytes(packet) for packet in receiver.packets[0] if apid(packet) == 264]
    assert radar[0]["echo_delay"] * 0.1499 == pytest.approx(1000 * float(orbit[0]["altitude"]), rel=0.05)
    position = np.array([[float(row[f"position_{axis}"]) for axis in "xyz"] for row in orbit])
    height = np.linalg.norm(position, axis=1) - 1737.4
    np.testing.assert_allclose(height, [float(row["altitude"]) for row in orbit], atol=1e-4)


def test_lunar_water_and_thorium_are_where_they_are() -> None:
    latitude, longitude = np.array([0.0, 45.0, -84.9, 85.2]), np.array([100.0, 0.0, -35.5, -155.4])
    lost = hydrogen(latitude, longitude)
    assert lost[0] < 1e-6
    assert np.all(lost[2:] > 0.05)
    rich = kreep(np.array([20.0, 0.0]), np.array([-28.0, 180.0]))
    assert rich[0] > 0.99
    assert rich[1] < 1e-6


def test_a_mission_is_not_simulated_before_it_is_known() -> None:
    with pytest.raises(ConfigError, match="known only from 2020-08-01T21:01:30"):
        begin(TIANWEN1, "2020-07-30T00:00:00")


def test_a_broken_state_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "luna26.json"
    assert load_state(path) is None
    for text in ("{", "[]", '{"mission": 1}', json.dumps(asdict(State("m", 1, 2, 3)) | {"vcfc": 7})):
        path.write_text(text)
        with pytest.raises(ConfigError, match=r"luna26\.json is not a simulation's state"):
            load_state(path)
