from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ground.stores import buckets
from ground.stores.longtable import Name
from tests.stores.telemetry import MS, SCHEMA, T0, random_batch


@pytest.mark.parametrize("name", ["voltage", "angle", "i64", "u64", "heater", "mode", "text", "blob", "clock"])
@pytest.mark.parametrize("count", [1, 7, 997, 5000])
def test_pieces_give_what_the_whole_gives(name: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = random_batch(3000, seed=5)
    stop = T0 + 2990 * MS
    whole = reduction(name, stop, count)
    whole.add(*columns(rows, name))
    expected = whole.finish()
    monkeypatch.setattr(buckets, "_HELD", 50)
    pieces = reduction(name, stop, count)
    for start in range(0, 3000, 7):
        pieces.add(*columns(rows.slice(start, 7), name))
    found = pieces.finish()
    for column in expected.schema.names:
        if column == "mean":
            np.testing.assert_allclose(numbers(found, column), numbers(expected, column), rtol=1e-9)
        else:
            assert plain(found[column]) == plain(expected[column]), column
    assert found["count"].to_numpy().sum() == 2990 - rows.slice(0, 2990).column(name).null_count


def test_equal_times_are_taken_in_the_order_of_their_packets() -> None:
    held = reduction("i64", T0 + MS, 1)
    held.add(np.array([T0, T0, T0]), np.array([2, 9, 3], np.uint16), pa.array([2, 9, 3]))
    assert held.finish()["text"].to_pylist() == ["9"]


def test_the_last_bucket_ends_with_the_window() -> None:
    assert buckets.width_of(0, 10, 3) == 4
    held = buckets.Reduction(Name("Power", "i64"), SCHEMA.field("i64"), 0, 10, 3)
    held.add(np.arange(-1, 12), np.zeros(13, np.uint16), pa.array(range(-1, 12)))
    table = held.finish()
    assert table["count"].to_pylist() == [4, 4, 2]
    assert table["max"].to_pylist() == [3.0, 7.0, 9.0]


def reduction(name: str, stop: int, count: int) -> buckets.Reduction:
    return buckets.Reduction(Name("Power", name), SCHEMA.field(name), T0, stop, count)


def columns(rows: pa.RecordBatch, name: str) -> tuple[Any, Any, Any]:
    return rows.column("time").to_numpy().view(np.int64), rows.column("seq").to_numpy(), rows.column(name)


def plain(column: pa.ChunkedArray[Any]) -> str:
    """Values as text, in which NaN equals NaN."""
    return str((column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist())


def numbers(table: pa.Table, column: str) -> Any:
    return table[column].to_numpy().astype(float)
