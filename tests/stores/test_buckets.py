from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ground.stores import buckets
from ground.stores.longtable import Name, is_number, is_state
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
    held.add(np.array([T0, T0, T0]), np.array([2, 9, 9], np.uint16), np.array([7, 1, -5]), pa.array([2, 9, 3]))
    assert held.finish()["text"].to_pylist() == ["9"]


def test_the_last_bucket_ends_with_the_window() -> None:
    held = buckets.Reduction(Name("Power", "i64"), SCHEMA.field("i64"), buckets.Buckets(0, 10, 3))
    held.add(np.arange(-1, 12), np.zeros(13, np.uint16), np.zeros(13, np.int64), pa.array(range(-1, 12)))
    table = held.finish()
    assert table["count"].to_pylist() == [4, 4, 2]
    assert table["max"].to_pylist() == [3.0, 7.0, 9.0]


def test_edges_on_whole_steps() -> None:
    grid = buckets.Buckets(7, 95, 4, 10)
    assert (grid.width, grid.first) == (20, 0)  # 22 rounded down
    assert grid.of(np.array([7, 19, 20, 94])).tolist() == [0, 0, 1, 4]
    assert grid.starts(np.arange(5)).tolist() == [7, 20, 40, 60, 80]
    with pytest.raises(ValueError, match="shorter than the step"):
        buckets.Buckets(0, 36, 4, 10)


@pytest.mark.parametrize("name", ["voltage", "i64", "u64", "heater", "mode", "text", "blob", "clock"])
def test_parts_give_what_samples_give(name: str) -> None:
    """Half of the window comes as parts of 50 ms, in any order."""
    rows, grid = random_batch(3000, seed=5), buckets.Buckets(T0, T0 + 3000 * MS, 30)
    whole, mixed = (buckets.Reduction(Name("Power", name), SCHEMA.field(name), grid) for _ in range(2))
    whole.add(*columns(rows, name))
    field = SCHEMA.field(name)
    for start in np.random.default_rng(1).permutation(60) * 50:
        time, _, _, values = columns(rows.slice(start, 50), name)
        if start < 1000 or start % 200 == 0:
            chosen = values.is_valid().to_numpy(zero_copy_only=False)
            first, number, state = np.zeros(1, np.intp), is_number(field.type), is_state(field)
            part = buckets.parts_of(first, time[chosen], values.drop_null(), number=number, state=state)
            mixed.add_parts(part)
    for start in range(0, 3000, 50):
        if not (start < 1000 or start % 200 == 0):
            mixed.add(*columns(rows.slice(start, 50), name))
    expected, found = whole.finish(), mixed.finish()
    for column in expected.schema.names:
        if column == "mean":
            np.testing.assert_allclose(numbers(found, column), numbers(expected, column), rtol=1e-9)
        else:
            assert plain(found[column]) == plain(expected[column]), column


def reduction(name: str, stop: int, count: int) -> buckets.Reduction:
    return buckets.Reduction(Name("Power", name), SCHEMA.field(name), buckets.Buckets(T0, stop, count))


def columns(rows: pa.RecordBatch, name: str) -> tuple[Any, Any, Any, Any]:
    time, seq, digest = (rows.column(column).to_numpy() for column in ("time", "seq", "digest"))
    return time.view(np.int64), seq, digest, rows.column(name)


def plain(column: pa.ChunkedArray[Any]) -> str:
    """Values as text, in which NaN equals NaN."""
    return str((column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist())


def numbers(table: pa.Table, column: str) -> Any:
    return table[column].to_numpy().astype(float)
