"""A partition on real recordings: what comes out is a function of the recording, however it is cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ground.mission import load_mission
from ground.processing import partition as partitions
from ground.processing.messages import Part
from ground.processing.step import Step
from tests.processing.telemetry import cut, frames_as_messages, journal, loaded, part, rows, without_numbers
from tests.processing.test_recorded import PLAN, telemetry
from tests.real_data import ROOT, recording, requires_real_data

pytestmark = requires_real_data


def octets(mission: str, frames: int) -> np.ndarray:
    return np.fromfile(recording(mission), np.uint8)[: frames * load_mission(mission).link.length]


@pytest.mark.parametrize("mission", ["change5", "tianwen2", "danuri", "mars2020", "hera", "stereo-a"])
def test_a_restart_after_every_single_frame_gives_identical_output(mission: str) -> None:
    data, length = octets(mission, 250), load_mission(mission).link.length
    messages = frames_as_messages(data, length)
    stations = {"miyun": messages}
    whole, one = cut(mission, stations, [len(messages)])
    pieces, many = cut(mission, stations, range(1, len(messages) + 1))
    assert rows(pieces) == rows(whole)
    assert journal(pieces) == journal(whole)
    assert many.state() == one.state()
    assert many.ledger.balanced()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), stops=st.lists(st.integers(1, 400), max_size=12))
def test_stations_repeats_and_late_copies_come_out_the_same_however_they_are_cut(seed: int, stops: list[int]) -> None:
    random = np.random.default_rng(seed)
    length = 1113
    frames = octets("hera", 150).reshape(-1, length)
    # Two stations hear the same, one of them late and without numbers; some frames come twice, some are damaged.
    first = np.sort(random.integers(0, 150, 140))
    second = np.sort(random.integers(0, 150, 120))
    position = random.permutation(260)
    heard = {}
    for station, chosen, at in (("a", first, position[:140]), ("b", second, position[140:])):
        raw = frames[chosen].copy()
        damaged = random.integers(0, len(raw), 3)
        raw[damaged, 0] ^= 0x40
        messages = frames_as_messages(raw.reshape(-1), length, chosen)
        heard[station] = replace(messages, position=np.sort(at))
    heard["b"] = without_numbers(heard["b"])
    whole, one = cut("hera", heard, [260])
    pieces, many = cut("hera", heard, [*sorted({stop for stop in stops if stop < 260}), 260])
    assert rows(pieces) == rows(whole)
    assert journal(pieces) == journal(whole)
    assert many.state() == one.state()
    assert many.ledger.balanced()


def test_a_second_station_adds_nothing_and_the_ledger_says_so() -> None:
    messages = frames_as_messages(octets("change5", 300), 220)
    [alone], one = cut("change5", {"miyun": messages}, [300])
    other = replace(messages, position=messages.position + 300)
    [both], two = cut("change5", {"miyun": messages, "kashi": other}, [600])
    assert rows([both]) == rows([alone])
    assert two.ledger.repeated == one.ledger.decoded
    assert two.ledger.balanced()


def test_every_message_sent_twice_changes_nothing_but_the_duplicates() -> None:
    messages = frames_as_messages(octets("change5", 300), 220)
    [expected], once = cut("change5", {"s": messages}, [300])
    again = replace(messages.select(np.repeat(np.arange(300), 2)), position=np.arange(600))
    for sent in (again, without_numbers(again)):
        [step], partition = cut("change5", {"s": sent}, [600])
        assert [t.drop(["ert"]) for t in rows([step]).values()] == [t.drop(["ert"]) for t in rows([expected]).values()]
        assert partition.ledger.duplicate in (300, 299)  # one of the 300 is rejected before it is compared
        assert partition.ledger.good == once.ledger.good
        assert partition.ledger.balanced()


@pytest.mark.parametrize("numbered", [True, False])
def test_a_frame_that_repeats_is_no_gap_and_no_loss(numbered: bool) -> None:
    messages = frames_as_messages(np.fromfile(ROOT / "cases" / "hera-one-frame-three-times.u8", np.uint8), 1113)
    [_], partition = cut("hera", {"s": messages if numbered else without_numbers(messages)}, [3])
    channel = partition.ledger.channel("s", 1)
    assert (channel.frames, channel.gaps, channel.lost, channel.packets) == (1, 0, 0, 6)
    assert partition.ledger.duplicate == 2
    assert partition.ledger.balanced()


def test_nine_different_packets_with_one_sequence_count_and_two_times_are_nine_rows() -> None:
    mission, compiled = loaded("hera")
    link = replace(mission.link, spacecraft_id=86, insert_zone=8, ocf=False)
    escapade = replace(mission, link=link, channels={}, frame_time=None, packet_times=())
    raw = np.fromfile(ROOT / "cases" / "escapade-constant-count.u8", np.uint8)
    partition = partitions.Partition(escapade, compiled)
    step = partition.process(part(0, 2, {"s": frames_as_messages(raw, 1113)}))
    [table] = [t for name, t in rows([step]).items() if t.num_rows]
    assert len(set(table["digest"].to_pylist())) == 9
    assert set(table["seq"].to_pylist()) == {0}


def test_more_stations_than_are_remembered_are_counted_and_cost_the_others_nothing() -> None:
    messages = frames_as_messages(octets("change5", 200), 220)
    stations = {f"s{i}": messages.select(slice(i, i + 1)) for i in range(199)}
    [_], partition = cut("change5", {**stations, "s0": messages.select(np.array([0, 199]))}, [200])
    assert partition.ledger.rejected["station"] == 199 - partitions.STATIONS
    assert partition.ledger.frames_in == 200
    assert partition.ledger.balanced()


def test_a_restored_partition_has_its_alarms() -> None:
    """Of a restart between an alarm and its acknowledgement."""
    mission, _ = loaded("luna26")
    position = Part(0, np.array([7]), np.array([7]))
    partition = partitions.Partition(mission, PLAN)
    partition._watch.process(Step(telemetry=[telemetry([(0, 100, 9.0)], realtime=True)]), position)
    standing = partition.alarms()
    assert [alarm["state"] for alarm in standing] == ["unacknowledged"]
    restored = partitions.Partition(mission, PLAN, position=1, state=partition.state())
    assert restored.alarms() == standing
    operator = Part(1, np.array([8]), np.array([8]), operator=((1, b'{"action": "acknowledge", "user": "Wu"}'),))
    [entry] = restored.process(operator).alarms
    assert (entry.position, entry.values["state"]) == (1, "acknowledged")
