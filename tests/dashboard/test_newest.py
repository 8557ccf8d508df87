"""The newest values in real time, over what the store has as the newest by onboard time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dashboard.newest import Newest
from dashboard.viewer import LiveBatch
from ground.stores import Checkpoint, Rows
from tests.dashboard.test_hub import send_batch, send_schema, taken
from tests.stores.telemetry import MS, SCHEMA, T0, batch, random_batch

if TYPE_CHECKING:
    from tests.dashboard.conftest import Dashboard, Publisher

NAMES = [f"Power/{name}" for name in SCHEMA.names[4:]]


def live(rows: pa.RecordBatch, payload: bytes | None = None) -> LiveBatch:
    octets = rows.serialize().to_pybytes() if payload is None else payload
    return LiveBatch("luna26", "Power", "raw", rows.schema.serialize().to_pybytes(), 0, 1, octets)


async def test_they_are_what_the_store_will_say(dashboard: Dashboard) -> None:
    """Bit for bit, for every type."""
    rows = random_batch(200, seed=3)
    await dashboard.store.append("luna26", [Rows("luna26", "Power", rows)], [], Checkpoint(1, b""))
    stored = await dashboard.store.last("luna26", NAMES)
    newest = Newest()
    newest.take(live(rows))
    await dashboard.store.close()  # it needs not be asked
    found = await newest.last(dashboard.store, "luna26", NAMES)
    for column in ("parameter", "time", "ert", "text"):
        assert found[column].equals(stored[column]), column
    assert str(found["last"].to_pylist()) == str(stored["last"].to_pylist())


async def test_playback_and_a_clock_that_was_set_back_dont_hide_them(dashboard: Dashboard, publish: Publisher) -> None:
    ahead = batch([T0 + 100 * MS, T0 + 200 * MS], [8, 9], voltage=pa.array([8.0, 9.0]))
    await dashboard.store.append("luna26", [Rows("luna26", "Power", ahead)], [], Checkpoint(1, b""))
    asked = {"params": {"parameter": "Power/voltage"}, "headers": {"accept": "application/json"}}

    async def voltage() -> Any:
        answer = await dashboard.client.get("/api/missions/luna26/latest", **asked)  # type: ignore[arg-type]
        [row] = answer.json()["rows"]
        return row["last"], int(row["time"])

    assert await voltage() == (9.0, T0 + 200 * MS)
    rows = batch([T0, T0 + MS], [0, 1], voltage=pa.array([1.0, None]))
    schema_id = await send_schema(publish, rows.schema)
    await send_batch(publish, rows, schema_id, 0, 1)
    await taken(dashboard, "live")
    assert await voltage() == (1.0, T0)


async def test_what_is_damaged_or_unknown_leaves_the_store_its_say(dashboard: Dashboard) -> None:
    newest = Newest()
    names = ["Power/other", "Power/voltage", "no name"]
    assert (await newest.last(dashboard.store, "luna26", names)).num_rows == 0
    rows = batch([T0], [0], voltage=pa.array([1.0]))
    await dashboard.store.append("luna26", [Rows("luna26", "Power", rows)], [], Checkpoint(1, b""))
    stored = await dashboard.store.last("luna26", names)
    assert stored["last"].to_pylist() == [1.0]
    for payload in (None, b"", b"x" * 100, rows.serialize().to_pybytes()[:-60]):
        newest.take(live(rows, payload))
        assert (await newest.last(dashboard.store, "luna26", names)).equals(stored)
