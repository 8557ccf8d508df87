"""Every message gets to whom it belongs, and what belongs to nobody is counted."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ground.blocks import NO_TIME
from ground.processing.router import GROUND, Unrouted, route
from ground.recording.read import RecordedBlock

SENT = [
    ("tm/a/miyun/1", b"one"),
    ("tm/b/kashi/2", b"three"),
    ("operator/a", b"{}"),
    ("tm/a/kashi/1", b""),
    ("tm/unknown/miyun/1", b"x"),
    ("weather", b"rain"),
    ("tm/a/miyun/2", b"two"),
    ("operator/unknown", b"y"),
    ("operator/a", b"[]"),
    ("weather", b"sun"),
]


def block(sent: list[tuple[str, bytes]], position: int = 100) -> RecordedBlock:
    n = len(sent)
    ert = np.full(n, NO_TIME)
    ert[0] = 5
    return RecordedBlock(
        position,
        np.arange(n, dtype=np.int64) + 1000,
        ert,
        np.zeros(n, np.int64),
        pa.nulls(n, pa.string()),
        np.full(n, -1),
        pa.array([topic for topic, _ in sent], pa.string()),
        np.frombuffer(b"".join(payload for _, payload in sent), np.uint8),
        np.cumsum([0, *(len(payload) for _, payload in sent)]),
    )


def payloads(part_messages: object) -> list[tuple[int, bytes]]:
    m = part_messages
    return [
        (int(at), bytes(m.data[start : start + length]))  # type: ignore[attr-defined]
        for at, start, length in zip(m.position, m.start, m.length, strict=True)  # type: ignore[attr-defined]
    ]


def test_each_mission_gets_its_messages_by_station_in_order() -> None:
    parts = route(block(SENT), {"a", "b"})
    assert set(parts) == {"a", "b", GROUND}
    a, b = parts["a"], parts["b"]
    assert {station: payloads(m) for station, m in a.stations.items()} == {
        "miyun": [(100, b"one"), (106, b"two")],
        "kashi": [(103, b"")],
    }
    assert {station: payloads(m) for station, m in b.stations.items()} == {"kashi": [(101, b"three")]}
    assert (a.start, a.stop) == (b.start, b.stop) == (100, 110)
    # Without a station's time the time of receipt stands for it.
    assert a.ert.tolist() == [5, *range(1001, 1010)]


def test_operators_messages_go_to_their_mission_at_their_positions() -> None:
    parts = route(block(SENT), {"a", "b"})
    assert parts["a"].operator == ((102, b"{}"), (108, b"[]"))
    assert parts["b"].operator == ()
    only = route(block([("operator/b", b"hi")]), {"a", "b"})
    assert set(only) == {"b"}
    assert (only["b"].operator, dict(only["b"].stations)) == (((100, b"hi"),), {})


def test_a_block_of_one_station_is_not_copied() -> None:
    whole = block([("tm/a/miyun/1", b"one"), ("tm/a/miyun/2", b"two")])
    [messages] = route(whole, {"a"})["a"].stations.values()
    assert messages.data is whole.payload
    assert messages.position.tolist() == [100, 101]


def test_what_nobody_takes_is_counted_with_its_reason_and_told() -> None:
    unrouted = Unrouted(100)
    step = unrouted.process(route(block(SENT), {"a", "b"})[GROUND])
    assert unrouted.counts == {"unknown mission": 2, "topic is not tm/<mission>/<station>/<vcid>": 2}
    assert {entry.subject: (entry.position, entry.values["count"]) for entry in step.events} == {
        "tm/unknown/miyun/1": (104, 1),
        "weather": (105, 2),
        "operator/unknown": (107, 1),
    }
    assert (unrouted.position, unrouted.received) == (110, 1009)


def test_the_account_of_what_nobody_takes_goes_on_after_a_restart() -> None:
    once, twice = Unrouted(100), Unrouted(100)
    whole = once.process(route(block(SENT), ())[GROUND])
    lines = {}
    for start, stop in ((0, 5), (5, 10)):
        twice = Unrouted(twice.position, twice.state()) if start else twice
        step = twice.process(route(block(SENT[start:stop], 100 + start), ())[GROUND])
        lines.update({(e.position, e.place): e.subject for e in step.events})
    assert lines == {(e.position, e.place): e.subject for e in whole.events}
    assert twice.counts == once.counts
