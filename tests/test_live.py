from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ground.live import ROWS, LiveStream

if TYPE_CHECKING:
    from collections.abc import Sequence

FIELDS: list[pa.Field[Any]] = [
    pa.field("time", pa.timestamp("ns", "UTC")),
    pa.field("ert", pa.timestamp("ns", "UTC")),
    pa.field("seq", pa.uint16()),
    pa.field("digest", pa.int64()),
    pa.field("volts", pa.float32()),
    pa.field("mode", pa.uint8(), metadata={b"kind": b"enumeration"}),
]
SCHEMA = pa.schema(FIELDS, {b"container": b"Power"})


class Peer:
    """A subscriber that decodes what it is sent, as the browser does."""

    def __init__(self) -> None:
        self.schemas: dict[str, pa.Schema] = {}
        self.seen: list[tuple[dict[str, str], pa.RecordBatch]] = []
        self.retained: list[str] = []

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        properties: Sequence[tuple[str, str]] = (),
    ) -> None:
        about = dict(properties)
        if "schema/" in topic:
            assert retain
            self.retained.append(topic)
            self.schemas[about["schema_id"]] = pa.ipc.read_schema(pa.py_buffer(payload))
        else:
            assert not retain
            assert topic == "live/luna26/Power"
            schema = self.schemas[about["schema_id"]]
            self.seen.append((about, pa.ipc.read_record_batch(pa.py_buffer(payload), schema)))


def rows(volts: list[float], mode: list[int]) -> pa.RecordBatch:
    n = len(volts)
    time = pa.array(np.arange(n), pa.timestamp("ns", "UTC"))
    columns: list[pa.Array[Any]] = [
        time,
        time,
        pa.array(range(n), pa.uint16()),
        pa.array(range(n), pa.int64()),
        pa.array(volts, pa.float32()),
        pa.array(mode, pa.uint8()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


async def test_few_rows_go_as_they_are_and_positions_join() -> None:
    peer = Peer()
    live = LiveStream(peer.publish)
    live.begin(7)
    live.add("luna26", "Power", rows([1, 2], [0, 0]))
    live.add("luna26", "Power", rows([3], [0]))
    assert await live.flush(9) == 1
    assert await live.flush(10) == 0
    live.add("luna26", "Power", rows([4], [1]))
    await live.flush(12)
    (first, a), (second, b) = peer.seen
    assert a.column("volts").to_pylist() == [1, 2, 3]
    assert b.column("volts").to_pylist() == [4]
    assert [(p["from"], p["to"], p["kind"]) for p in (first, second)] == [("7", "9", "raw"), ("9", "12", "raw")]
    assert peer.retained == ["schema/luna26/Power"]


async def test_many_rows_become_a_summary_after_their_changes_of_state() -> None:
    peer = Peer()
    live = LiveStream(peer.publish)
    volts = np.sin(np.arange(ROWS * 3)).astype(np.float32)
    mode = [0] * 50 + [2] * 20 + [1] * (ROWS * 3 - 70)
    live.add("luna26", "Power", rows(volts.tolist(), mode))
    await live.flush(5)
    (changes, changed), (summary, one) = peer.seen
    assert (changes["kind"], changed.column("mode").to_pylist()) == ("raw", [2, 1])
    assert (summary["kind"], one.num_rows) == ("summary", 1)
    row = {name: one.column(name)[0].as_py() for name in one.schema.names[2:]}
    assert (row["|count"], row["volts"], row["volts|min"], row["volts|max"]) == (
        len(volts),
        volts[-1],
        volts.min(),
        volts.max(),
    )
    assert row["seq"] == len(volts) - 1
    assert [(p["from"], p["to"]) for p, _ in peer.seen] == [("0", "5"), ("0", "5")]
    live.add("luna26", "Power", rows([1.0] * (ROWS + 1), [1] * (ROWS + 1)))
    await live.flush(6)
    assert [p["kind"] for p, _ in peer.seen[2:]] == ["summary"]
    assert len(peer.retained) == 2


async def test_what_is_added_while_a_flush_is_under_way_goes_with_the_next() -> None:
    peer = Peer()
    live = LiveStream(peer.publish)
    publish = peer.publish

    async def slow(topic: str, payload: bytes, **options: Any) -> None:
        if topic.startswith("schema/"):
            live.add("luna26", "Other", rows([9], [0]))
            live.add("luna26", "Power", rows([2], [0]))
        await publish(topic, payload, **options)

    live._publish = slow
    live.add("luna26", "Power", rows([1], [0]))
    assert await live.flush(3) == 1
    live._containers.pop(("luna26", "Other"))
    assert await live.flush(4) == 1
    assert [b.column("volts").to_pylist() for _, b in peer.seen] == [[1], [2]]
    assert [(p["from"], p["to"]) for p, _ in peer.seen] == [("0", "3"), ("3", "4")]


async def test_what_waits_for_a_broker_that_is_away_stays_small() -> None:
    """A million rows: one of the first kind, a change of state, and their least and greatest are all seen."""
    peer = Peer()
    live = LiveStream(peer.publish)
    before = pa.total_allocated_bytes()
    for number in range(100):
        live.add("luna26", "Power", rows([float(number)] * 10_000, [int(number > 41)] * 10_000))
    assert pa.total_allocated_bytes() - before < 1_000_000
    await live.flush(7)
    summaries = [batch for about, batch in peer.seen if about["kind"] == "summary"]
    changes = [batch for about, batch in peer.seen if about["kind"] == "raw"]
    count, least, most = (
        np.concatenate([batch.column(name).to_numpy() for batch in summaries])
        for name in ("|count", "volts|min", "volts|max")
    )
    assert (count.sum(), least.min(), most.max()) == (1_000_000, 0, 99)
    assert [batch.column("volts").to_pylist() for batch in changes] == [[42.0]]
    assert [(about["from"], about["to"]) for about, _ in peer.seen][:2] == [("0", "7"), ("0", "7")]
