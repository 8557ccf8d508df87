"""The store contract: history and newest samples. Runs on every store; see ``open_store`` in conftest.py."""

from __future__ import annotations

import asyncio
import base64
import itertools
import math
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ground.stores import Checkpoint, Rows
from ground.stores.longtable import HISTORY, IDENTITY, LATEST
from tests.stores.examples import containers, power, put, shared_store, sorted_rows, values_of
from tests.stores.telemetry import MS, SCHEMA, T0, batch, random_batch, times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ground.stores import Store
    from tests.stores.conftest import Keeps


@pytest.mark.parametrize(("start", "stop", "buckets"), [(5, 5, 1), (6, 5, 1), (0, 5, 0), (0, 5, -1), (0, 2**63, 9)])
async def test_a_window_that_cannot_be_divided(store: Store, start: int, stop: int, buckets: int) -> None:
    with pytest.raises(ValueError, match="should be"):
        await store.history("luna26", ["Power/voltage"], start, stop, buckets)


def reference(rows: pa.Table, name: str, start: int, stop: int, buckets: int) -> list[dict[str, Any]]:
    """The long table of one parameter as its definition says, sample by sample."""
    field = rows.schema.field(name)
    number = not (pa.types.is_string(field.type) or pa.types.is_binary(field.type))
    state = name in ("mode", "heater", "text")
    column = rows[name].cast(pa.int64()) if pa.types.is_timestamp(field.type) else rows[name]
    stored: Any = zip(rows["time"].cast(pa.int64()).to_pylist(), column.to_pylist(), strict=True)
    samples = [(time, value) for time, value in stored if start <= time < stop and value is not None]
    changed = [i > 0 and samples[i][1] != samples[i - 1][1] for i in range(len(samples))]
    raw = len(samples) <= buckets
    width = -(-(stop - start) // buckets)
    groups: dict[int, list[int]] = {}
    for i, (time, _) in enumerate(samples):
        groups.setdefault(i if raw else (time - start) // width, []).append(i)
    result = []
    for group, members in groups.items():
        finite = [float(samples[i][1]) for i in members if number and math.isfinite(samples[i][1])]
        final = samples[members[-1]][1]
        text = final if isinstance(final, str) else None
        if isinstance(final, bytes):
            text = base64.b64encode(final).decode()
        if pa.types.is_timestamp(field.type) or field.type in (pa.int64(), pa.uint64()):
            text = str(final)
        result.append(
            {
                "parameter": f"Power/{name}",
                "time": samples[group][0] if raw else start + group * width,
                "count": len(members),
                "min": min(finite, default=None),
                "mean": pytest.approx(math.fsum(f / len(finite) for f in finite), rel=1e-6) if finite else None,
                "max": max(finite, default=None),
                "last": pytest.approx(float(final), rel=0, abs=0, nan_ok=True) if number else None,
                "text": text,
                "changes": sum(changed[i] for i in members) if state else None,
                "raw": raw,
            }
        )
    return result


def as_rows(table: pa.Table) -> list[dict[str, Any]]:
    plain = table.set_column(1, "time", table["time"].cast(pa.int64()))
    rows: list[dict[str, Any]] = plain.to_pylist()
    return rows


@st.composite
def samples(draw: st.DrawFn) -> pa.RecordBatch:
    """Up to 40 rows within 50 ns, in any order, of every type, with nulls; floats that a float64 can sum."""
    identity = st.tuples(st.integers(0, 50), st.integers(0, 3))
    identities = draw(st.lists(identity, min_size=1, max_size=40, unique=True))
    n = len(identities)
    moderate = st.floats(-(2.0**99), 2.0**99, width=32) | st.sampled_from([math.nan, math.inf, -math.inf])
    columns: dict[str, pa.Array[Any]] = {}
    for field in SCHEMA:
        if field.name in IDENTITY.names:
            continue
        strategy = moderate if pa.types.is_floating(field.type) else values_of(field.type)
        if field.name in ("mode", "text"):
            strategy = st.sampled_from([0, 1] if field.name == "mode" else ["a", "b"])
        column = draw(st.lists(st.none() | strategy, min_size=n, max_size=n))
        columns[field.name] = times(column) if pa.types.is_timestamp(field.type) else pa.array(column, field.type)
    return batch([T0 + time for time, _ in identities], [seq for _, seq in identities], SCHEMA, **columns)


async def test_the_first_and_the_last_of_all_times_are_values_like_any_other(store: Store) -> None:
    """Also where rows come out of order; databases take such times for infinite."""
    ends = [2**63 - 1, 1 - 2**63, 0]
    rows = batch([T0 + 2, T0 + 1, T0], [0, 0, 0], clock=times(ends))
    await put(store, [Rows("luna26", "Power", rows)], Checkpoint(3, b""))
    (bucket,) = as_rows((await store.history("luna26", ["Power/clock"], T0, T0 + 3, 1)).table)
    assert (bucket["count"], bucket["min"], bucket["max"], bucket["text"]) == (3, -(2.0**63), 2.0**63, str(ends[0]))


@shared_store
@given(rows=samples(), start=st.integers(-5, 40), length=st.integers(1, 60), buckets=st.integers(1, 30))
async def test_history_is_what_its_definition_says(
    store: Store, keeps: Keeps, rows: pa.RecordBatch, start: int, length: int, buckets: int
) -> None:
    mission = next(containers)
    await put(store, [Rows(mission, "Power", rows)], Checkpoint(3, b""))
    names = [field.name for field in SCHEMA if field.name not in IDENTITY.names]
    window = (T0 + start, T0 + start + length)
    history = await store.history(mission, [f"Power/{name}" for name in names], *window, buckets)
    ordered = sorted_rows(keeps(rows))
    expected = [row for name in names for row in reference(ordered, name, *window, buckets)]
    assert history.table.schema.equals(HISTORY)
    assert as_rows(history.table) == expected
    assert (history.through, history.width) == (3, -(-length // buckets))


async def test_history_of_parameters_in_several_containers(store: Store, keeps: Keeps) -> None:
    fast, slow = random_batch(5000, seed=1), random_batch(10, seed=2)
    await put(store, [*power(fast), *power(slow, container="Slow")], Checkpoint(9, b""))
    asked = ["Slow/mode", "Power/voltage", "Power/absent", "Absent/mode", "Power/mode", "Slow/mode"]
    table = (await store.history("luna26", asked, T0, T0 + 5000 * MS, 100)).table
    runs = [name for name, _ in itertools.groupby(table["parameter"].to_pylist())]
    assert runs == ["Slow/mode", "Power/voltage", "Power/mode"]
    raw = dict(zip(table["parameter"].to_pylist(), table["raw"].to_pylist(), strict=True))
    assert raw == {"Slow/mode": True, "Power/voltage": False, "Power/mode": False}
    valid = len(fast) - keeps(fast).column("voltage").null_count
    assert pc.sum(table.filter(pc.field("parameter") == "Power/voltage")["count"]).as_py() == valid


async def test_history_covers_exactly_the_position_that_it_gives(store: Store) -> None:
    """Rows and position are one snapshot, whatever is appended meanwhile."""

    async def append() -> None:
        for i in range(60):
            await put(store, power(batch([T0 + i], [i], a=pa.array([1.0]))), Checkpoint(i + 1, b""))

    appending = asyncio.create_task(append())
    seen = []
    while not appending.done():
        history = await store.history("luna26", ["Power/a"], T0, T0 + 100, 1000)
        assert history.table.num_rows == history.through
        seen.append(history.through)
    await appending
    assert seen == sorted(seen)


@pytest.mark.parametrize("buckets", [2, 100])
async def test_the_columns_of_the_identity_are_no_parameters(store: Store, buckets: int) -> None:
    await put(store, power(batch([T0, T0 + 1, T0 + 2], [0, 1, 2], a=pa.array([1.0, 2.0, 3.0]))))
    asked = ["Power/seq", "Power/a", "Power/time", "Power/digest"]
    history = await store.history("luna26", asked, T0, T0 + 3, buckets)
    assert set(history.table["parameter"].to_pylist()) == {"Power/a"}
    assert (await store.last("luna26", asked))["parameter"].to_pylist() == ["Power/a"]
    assert (await store.history("luna26", ["Power/seq"], T0, T0 + 3, buckets)).table.num_rows == 0


# The newest sample


async def test_last_is_the_newest_by_time_then_seq(store: Store) -> None:
    def rows(time: list[int], seq: list[int], a: Sequence[float | None], b: Sequence[int | None]) -> pa.RecordBatch:
        return batch([T0 + t for t in time], seq, a=pa.array(a, pa.float32()), b=pa.array(b, pa.uint64()))

    await put(store, power(rows([5, 5, 5], [1, 3, 2], [1, 3, 2], [1, 2**64 - 1, 2])))
    await put(store, power(rows([4, 1], [9, 9], [8, 9], [8, 9])))
    last = await store.last("luna26", ["Power/b", "Power/a", "Power/absent", "Absent/a"])
    assert last.schema.equals(LATEST)
    assert last["parameter"].to_pylist() == ["Power/b", "Power/a"]
    assert last["time"].cast(pa.int64()).to_pylist() == [T0 + 5] * 2
    assert last["ert"].cast(pa.int64()).to_pylist() == [T0 + 5 + 1000 * MS] * 2
    assert last["last"].to_pylist() == [2.0**64, 3.0]
    assert last["text"].to_pylist() == [str(2**64 - 1), None]


async def test_last_looks_behind_nulls(store: Store) -> None:
    await put(store, power(batch([T0, T0 + 1], [0, 1], a=pa.array([7.0, None]), b=pa.array([None, "x"]))))
    await put(store, power(batch([T0 + 2], [2], c=pa.array([None], pa.bool_()))))
    last = await store.last("luna26", ["Power/a", "Power/b", "Power/c"])
    assert last["parameter"].to_pylist() == ["Power/a", "Power/b"]
    assert last["time"].cast(pa.int64()).to_pylist() == [T0, T0 + 1]
    assert last["text"].to_pylist() == [None, "x"]
