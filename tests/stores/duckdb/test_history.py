"""Rows that lie in order are reduced as they are read, others by SQL: the answers are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from ground.stores import Checkpoint, Rows
from ground.stores.duckdb import DuckdbStore, history
from ground.stores.longtable import IDENTITY
from tests.stores.telemetry import MS, SCHEMA, T0, batch, random_batch

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [f"Power/{name}" for name in SCHEMA.names[4:]]
WINDOW = (T0 + 7 * MS, T0 + 9_900 * MS - 1, 123)


def assert_equal(found: pa.Table, expected: pa.Table) -> None:
    for name in expected.schema.names:
        one, other = found[name], expected[name]
        if name == "mean":
            np.testing.assert_allclose(one.to_numpy(), other.to_numpy(), rtol=1e-6, atol=1e-9)
        else:
            assert one.equals(other), name


@pytest.mark.parametrize("late", [0, 1, 500])
async def test_in_order_or_not(tmp_path: Path, late: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_PIECE", 2048)
    rows = random_batch(10_000, seed=3)
    for name in ("voltage", "angle"):  # of which DuckDB's sums and ours are finite
        values = pa.array(np.random.default_rng(1).normal(size=10_000), SCHEMA.field(name).type)
        rows = rows.set_column(SCHEMA.get_field_index(name), SCHEMA.field(name), values)
    rows = pa.RecordBatch.from_arrays(rows.columns, schema=SCHEMA)
    whole, split = await DuckdbStore.open(tmp_path / "a"), await DuckdbStore.open(tmp_path / "b")
    await whole.append("luna26", [Rows("luna26", "Power", rows)], [], Checkpoint(1, b""))
    for part in (rows.slice(0, 4_000), rows.slice(4_000 + late), rows.slice(4_000, late)):
        await split.append("luna26", [Rows("luna26", "Power", part)], [], Checkpoint(1, b""))
    expected = (await whole.history("luna26", NAMES, *WINDOW)).table
    assert_equal((await split.history("luna26", NAMES, *WINDOW)).table, expected)
    monkeypatch.setattr(history, "_reduced_in_order", lambda *_: None)
    assert_equal((await whole.history("luna26", NAMES, *WINDOW)).table, expected)
    await whole.close()
    await split.close()


@pytest.mark.parametrize("seq", [[1, 2, 3], [3, 1, 2]])
async def test_of_one_time_the_greatest_seq_is_the_last(tmp_path: Path, seq: list[int]) -> None:
    store = await DuckdbStore.open(tmp_path)
    rows = batch([T0, T0, T0], seq, a=pa.array(seq))
    await store.append("luna26", [Rows("luna26", "Power", rows)], [], Checkpoint(1, b""))
    assert (await store.history("luna26", ["Power/a"], T0, T0 + 1, 1)).table["last"].to_pylist() == [3.0]
    await store.close()


@pytest.mark.parametrize("digest", [[-(2**62), 0, 2**62], [2**62, -(2**62), 0]])
async def test_of_one_time_and_seq_the_greatest_digest_is_the_last(tmp_path: Path, digest: list[int]) -> None:
    """So that an answer doesn't depend on the order of arrival."""
    store = await DuckdbStore.open(tmp_path)
    rows = batch([T0] * 3, [1] * 3, digest=pa.array(digest), a=pa.array(digest))
    await store.append("luna26", [Rows("luna26", "Power", rows)], [], Checkpoint(1, b""))
    in_order = [str(value) for value in sorted(digest)]
    assert (await store.history("luna26", ["Power/a"], T0, T0 + 1, 1)).table["text"].to_pylist() == in_order[-1:]
    assert (await store.history("luna26", ["Power/a"], T0, T0 + 1, 3)).table["text"].to_pylist() == in_order
    assert (await store.last("luna26", ["Power/a"]))["text"].to_pylist() == in_order[-1:]
    await store.close()


async def test_rows_of_one_time_and_seq_at_the_edge_of_a_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_PIECE", 2048)
    store = await DuckdbStore.open(tmp_path)
    n = 4096
    times = np.arange(n)
    times[2048] = 2047
    digest = np.where(times == 2047, np.where(np.arange(n) == 2047, 2**62, -(2**62)), 0)
    mode = np.zeros(n, np.uint8)
    mode[2047] = 1
    schema = pa.schema([*IDENTITY, SCHEMA.field("mode")])
    rows = batch((T0 + times).tolist(), [1] * n, schema, digest=pa.array(digest), mode=pa.array(mode))
    await store.append("luna26", [Rows("luna26", "Power", rows)], [], Checkpoint(1, b""))
    table = (await store.history("luna26", ["Power/mode"], T0, T0 + 2048, 1)).table
    # By digest, 1 is the last of all.
    assert (table["last"].to_pylist(), table["changes"].to_pylist()) == ([1.0], [1])
    await store.close()
