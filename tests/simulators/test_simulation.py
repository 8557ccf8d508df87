from __future__ import annotations

import json
from dataclasses import asdict, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from space_packet_parser.xtce.definitions import XtcePacketDefinition

from ground.errors import ConfigError
from ground.mission import load_mission
from simulators.downlink import STEP
from simulators.ephemeris import SECOND
from simulators.luna26 import LUNA26
from simulators.orbit import instant
from simulators.recorder import Recorder
from simulators.sampling import Packets
from simulators.simulation import CHUNK, Simulation, Step
from simulators.state import State, load_state
from simulators.station import frame_errors
from simulators.tianwen1 import TIANWEN1
from tests.simulators.flight import CRAFT, begin, received, run
from tests.simulators.receiver import apid, crc16, sequence

if TYPE_CHECKING:
    from pathlib import Path

    from simulators.spacecraft import Spacecraft


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
        found = by_apid.pop(simulation._sampler.encoders[name].apid)
        assert len(found) == 40 * 32 // cadence.period, name
        assert [sequence(packet) for packet in found] == list(range(len(found)))
        parameters |= set(parser.parse_bytes(found[-1]))
    assert set(by_apid) == {2047}
    assert len(craft.telemetry) >= 15
    own = {name for encoder in simulation._sampler.encoders.values() for name in encoder.names}
    assert len(own) >= 150
    assert {32 / cadence.period for cadence in craft.telemetry.values()} >= {32, 1, 0.125}
    for counts in receiver.counts.values():
        assert counts == list(range(len(counts)))
    assert sum(map(len, receiver.counts.values())) == 40 * craft.nominal


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
        delay = step.messages[0].ert - (step.onboard - STEP)
        assert delay == pytest.approx(float(light_time[0]) * SECOND, rel=1e-3)
        end = step.messages[-1]
        last = end.ert + (len(end.payload) // length) * end.dt
        assert 0 <= step.time - last < 25_000_000, "the ground's clock has come to what it has just received"
        assert step.time - step.onboard == pytest.approx(delay, abs=25_000_000)


@pytest.mark.parametrize(
    ("craft", "start"),
    [
        (LUNA26, "2028-09-13T05:59:30"),  # from one arc of the orbit into the next
        (LUNA26, "2028-09-13T03:51:20"),  # out from behind the Moon, with a recorder to be emptied
        (TIANWEN1, "2020-08-02T00:16:30"),  # across a state vector that sets the path anew
    ],
    ids=["luna26", "playback", "tianwen1"],
)
def test_a_restart_at_any_step_changes_no_octet(craft: Spacecraft, start: str, tmp_path: Path) -> None:
    whole = run(begin(craft, start), 75)
    time = instant(start)
    state: State | None = State(craft.name, 1, time, time, run="r")
    parts: list[Step] = []
    for seconds in (20.5, 30.0, 9.5, 15.0):
        assert state is not None
        simulation = Simulation(load_mission(craft.name), craft, state, tmp_path / "memory")
        parts += run(simulation, seconds, batch=3)
        simulation.close()
        simulation.state.save(tmp_path / "state.json")
        state = load_state(tmp_path / "state.json")
    assert parts == whole
    assert any(step.messages for step in whole)


def test_loss_of_signal_is_silence_and_no_gap() -> None:
    simulation = begin(LUNA26, "2028-09-13T03:04:00")  # the Moon comes in between for Bear Lakes, then for the others
    before = run(simulation, 240)
    heard = [bool(step.messages) for step in before]
    assert heard[0]
    assert not heard[-1]
    assert heard == sorted(heard, reverse=True)
    reasons = {status["reason"] for status in simulation.stations().values()}
    assert reasons <= {"occulted by the Moon", "below the horizon", "below the elevation mask"}
    assert "occulted by the Moon" in reasons
    stations = [step.messages[0].station for step in before if step.messages]
    changes = sum(one != other for one, other in pairwise(stations))
    assert changes == len(set(stations)) - 1, "a station keeps the spacecraft until it loses it"
    receiver = received(simulation, before)
    for found in receiver.counts.values():
        assert found == list(range(len(found)))
    sent = {name: status["frames_sent"] for name, status in simulation.stations().items()}
    assert sum(sent.values()) == sum(map(len, receiver.counts.values()))


def test_what_nobody_heard_is_played_back_at_the_next_pass() -> None:
    simulation = begin(LUNA26, "2028-09-13T03:05:00")
    steps = run(simulation, 36 * 60)
    silent = [step for step in steps if not step.messages]
    assert 25 < len(silent) / 120 < 45
    assert simulation.state.recorder["written"] > 0
    receiver = received(simulation, steps)
    live, played = receiver.packets[0], receiver.packets[1]
    for number in (256, 264, 274):
        whole = sorted(
            [sequence(p) for p in live if apid(p) == number] + [sequence(p) for p in played if apid(p) == number]
        )
        assert whole == list(range(len(whole))), "every packet comes once, live or played back"
    assert simulation._chunk.after.backlog == 0
    assert all(found == list(range(len(found))) for found in receiver.counts.values())
    messages = [message for step in steps for message in step.messages if message.vcid == 1]
    parser = XtcePacketDefinition.from_xtce(simulation.mission.telemetry)
    onboard = float(parser.parse_bytes(played[0])["onboard_time"])
    assert messages[0].ert / SECOND - onboard > 25 * 60, "received long after it was measured"
    assert {message.dt for message in messages} == {SECOND // 256}
    assert max(message.ert for message in messages) - min(message.ert for message in messages) < 120 * SECOND


def test_near_the_threshold_frames_are_lost_and_damaged() -> None:
    weak = replace(LUNA26, high=replace(LUNA26.high, eirp=LUNA26.high.eirp - 30.5), rates=(8, 256))
    simulation = begin(weak)
    steps = run(simulation, 120)
    status = simulation.stations()[steps[-1].messages[0].station]
    strength = float(status["eb_n0_db"])
    assert 0 < strength - weak.required < 0.5
    sent = 120 * 8
    frames = [
        message.payload[at : at + 892]
        for step in steps
        for message in step.messages
        for at in range(0, len(message.payload), 892)
    ]
    good = [frame for frame in frames if crc16(frame[:-2]) == int.from_bytes(frame[-2:], "big")]
    assert len(good) < len(frames) < sent
    expected = 1 - float(frame_errors(weak, np.array([strength]))[0])
    assert len(good) / sent == pytest.approx(expected, abs=0.05)
    numbers = [message.seq for step in steps for message in step.messages]
    assert numbers == sorted(numbers)
    ends = [(m.ert, m.ert + len(m.payload) // 892 * m.dt) for step in steps for m in step.messages]
    assert all(end <= following[0] + 50_000 for (_, end), following in pairwise(ends)), "each has its own time"


@pytest.mark.parametrize("rate", [4, 1, 0.125])
def test_far_away_the_rate_falls_and_every_packet_still_fits(rate: float) -> None:
    weak = replace(TIANWEN1, high=replace(TIANWEN1.high, eirp=-2.5 + 10 * np.log10(rate / 4)))
    simulation = begin(weak)
    seconds = round(160 / rate)
    steps = run(simulation, seconds)
    assert {message.dt for step in steps for message in step.messages} == {round(SECOND / rate)}
    receiver = received(simulation, steps)
    by_apid: dict[int, int] = {}
    for packet in receiver.packets[1]:
        by_apid[apid(packet)] = by_apid.get(apid(packet), 0) + 1
    for name, cadence in weak.telemetry.items():
        expected = seconds * 32 // cadence.period * rate / 8
        assert abs(by_apid.get(simulation._sampler.encoders[name].apid, 0) - expected) <= max(2, expected / 20), name
    while simulation.state.time < simulation.state.begin + CHUNK * SECOND:
        simulation.advance(100)
    assert len(simulation._chunk.after.waiting) < 20
    assert all(found == list(range(len(found))) for found in receiver.counts.values())


def test_a_full_recorder_keeps_what_it_has(tmp_path: Path) -> None:
    state = State("m", 1, 0, 0)
    packet = bytes([0, 0, 0, 0, 0, 3]) + b"1234"
    recorder = Recorder(25, tmp_path / "memory")

    def append(n: int) -> None:
        recorder.append(state, Packets(np.frombuffer(packet * n, np.uint8), np.arange(n + 1) * 10), 0, n)

    def take(room: int) -> int:
        found = recorder.oldest(state, room)
        assert found.data[: found.edges[-1]].tobytes() == packet * len(found)
        state.recorder["read"] += int(found.edges[-1])
        return len(found)

    append(3)
    assert state.backlog == 20
    assert take(15) == 1
    append(1)
    assert take(100) == 2
    for _ in range(7):  # round the ring
        append(2)
        assert take(20) == 2
    assert take(20) == 0
    recorder.close()


def test_a_mission_is_not_simulated_before_it_is_known() -> None:
    with pytest.raises(ConfigError, match="known only from 2020-07-23T05:17:55"):
        begin(TIANWEN1, "2020-07-20T00:00:00")


def test_a_broken_state_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "luna26.json"
    assert load_state(path) is None
    for text in ("{", "[]", '{"mission": 1}', json.dumps(asdict(State("m", 1, 2, 3)) | {"vcfc": 7})):
        path.write_text(text)
        with pytest.raises(ConfigError, match=r"luna26\.json is not a simulation's state"):
            load_state(path)
