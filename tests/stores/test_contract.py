"""The store contract. Runs on every store; see ``open_store`` in conftest.py."""

from __future__ import annotations

import asyncio
import base64
import itertools
import math
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ground.errors import StoreError
from ground.stores import Checkpoint, Count, Rows
from ground.stores.longtable import HISTORY, IDENTITY, LATEST
from tests.stores.telemetry import MS, SCHEMA, T0, batch, random_batch, same, times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ground.stores import Store
    from tests.stores.conftest import OpenStore

ALL = (-(2**63) + 2, 2**63 - 1)
NOWHERE = Checkpoint(0, b"")

containers = (f"C{i}" for i in itertools.count())
shared_store = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)


def power(*batches: pa.RecordBatch, container: str = "Power") -> list[Rows]:
    return [Rows("luna26", container, rows) for rows in batches]


async def test_an_empty_store_answers_with_nothing(store: Store) -> None:
    assert await store.checkpoint() is None
    assert await store.counts() == {}
    assert await store.containers("luna26") == {}
    history = await store.history("luna26", ["Power/voltage", "nonsense"], 0, 10, 5)
    assert history.table.equals(HISTORY.empty_table())
    assert (history.through, history.width) == (0, 2)
    assert (await store.last("luna26", ["Power/voltage"])).equals(LATEST.empty_table())
    assert (await store.rows("luna26", "Power", *ALL)).equals(IDENTITY.empty_table())


async def test_rows_and_checkpoint_survive_closing(open_store: OpenStore) -> None:
    rows = random_batch(3, seed=1)
    async with open_store() as store:
        await store.append(power(rows), Checkpoint(7, b"\x00state\xff"))
    async with open_store() as store:
        assert await store.checkpoint() == Checkpoint(7, b"\x00state\xff")
        assert await store.counts() == {("luna26", "Power"): Count(3, 0)}
        schemas = await store.containers("luna26")
        assert list(schemas) == ["Power"]
        assert schemas["Power"].equals(SCHEMA, check_metadata=True)
        assert await store.containers("tianwen1") == {}
        assert same(await store.rows("luna26", "Power", *ALL), rows)


async def test_a_checkpoint_moves_without_rows(store: Store) -> None:
    await store.append([], Checkpoint(1, b"a"))
    await store.append(power(random_batch(0, seed=1)), Checkpoint(2**63, b""))
    assert await store.checkpoint() == Checkpoint(2**63, b"")
    assert await store.counts() == {}


def values_of(kind: pa.DataType) -> st.SearchStrategy[Any]:
    if pa.types.is_floating(kind):
        return st.floats(width=32 if kind == pa.float32() else 64)
    if pa.types.is_integer(kind):
        low, high = (0, 2**kind.bit_width - 1)
        if pa.types.is_signed_integer(kind):
            low, high = -(2 ** (kind.bit_width - 1)), 2 ** (kind.bit_width - 1) - 1
        return st.integers(low, high)
    if pa.types.is_timestamp(kind):
        return st.integers(*ALL)
    if pa.types.is_boolean(kind):
        return st.booleans()
    return st.text(max_size=20) if pa.types.is_string(kind) else st.binary(max_size=20)


@st.composite
def any_batches(draw: st.DrawFn) -> pa.RecordBatch:
    """Up to six rows of every type, with distinct identities."""
    identity = st.tuples(st.integers(ALL[0], ALL[1] - 1), st.integers(0, 65535))
    identities = draw(st.lists(identity, min_size=1, max_size=6, unique=True))
    n = len(identities)
    columns: dict[str, pa.Array[Any]] = {
        "time": times([time for time, _ in identities]),
        "seq": pa.array([seq for _, seq in identities], pa.uint16()),
    }
    for field in SCHEMA:
        if field.name not in columns:
            column = draw(st.lists(st.none() | values_of(field.type), min_size=n, max_size=n))
            columns[field.name] = times(column) if pa.types.is_timestamp(field.type) else pa.array(column, field.type)
    return pa.RecordBatch.from_pydict(columns, schema=SCHEMA)


def sorted_rows(rows: pa.RecordBatch | pa.Table) -> pa.Table:
    table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
    return table.sort_by([("time", "ascending"), ("seq", "ascending")])


@shared_store
@given(rows=any_batches())
async def test_every_value_comes_back_as_it_was(store: Store, rows: pa.RecordBatch) -> None:
    container = next(containers)
    await store.append(power(rows, container=container), NOWHERE)
    assert same(await store.rows("luna26", container, *ALL), sorted_rows(rows))


@pytest.mark.parametrize("size", [1, 2, 1000, 2048, 5000, 100_000])
async def test_batches_of_all_sizes(store: Store, size: int) -> None:
    rows = random_batch(size, seed=size)
    await store.append(power(rows), NOWHERE)
    assert same(await store.rows("luna26", "Power", *ALL), rows)
    assert await store.counts() == {("luna26", "Power"): Count(size, 0)}


async def test_a_window_is_half_open(store: Store) -> None:
    await store.append(power(random_batch(4, seed=1)), NOWHERE)
    window = await store.rows("luna26", "Power", T0 + MS, T0 + 3 * MS)
    assert window.column("time").cast(pa.int64()).to_pylist() == [T0 + MS, T0 + 2 * MS]


async def test_missions_and_containers_are_apart(store: Store) -> None:
    """XTCE names are case-sensitive; words of SQL and of the database's own catalogue are names like any other."""
    keys = [
        ("luna26", "Power"), ("luna26", "power"), ("LUNA26", "Power"), ("main", "Power"), ("ground", "checkpoint"),
        ("luna26", "select"), ("luna-26", "Packet_40"), ('a"b', 'c"; DROP TABLE d'),
    ]  # fmt: skip
    rows = {key: batch([T0], [i], value=pa.array([i])) for i, key in enumerate(keys)}
    await store.append([Rows(*key, one) for key, one in rows.items()], NOWHERE)
    for key, one in rows.items():
        assert same(await store.rows(*key, *ALL), one), key
    assert set(await store.containers("luna26")) == {"Power", "power", "select"}


async def test_parameters_differ_by_case(store: Store) -> None:
    columns = {
        name: pa.array([i], pa.int8()) for i, name in enumerate(["Time", "mode", "Mode", "MODE", "order", "a-b"])
    }
    await store.append(power(batch([T0], [0], **columns)), NOWHERE)
    await store.append(power(batch([T0 + 1], [1], mODE=pa.array([9], pa.int8()), **columns)), NOWHERE)
    stored = await store.rows("luna26", "Power", *ALL)
    assert [stored[name].to_pylist() for name in columns] == [[i, i] for i in range(6)]
    assert stored["mODE"].to_pylist() == [None, 9]
    last = await store.last("luna26", ["Power/MODE", "Power/Time"])
    assert last["last"].to_pylist() == [3.0, 0.0]


# Repetition


@st.composite
def arrivals(draw: st.DrawFn) -> list[list[tuple[int, int]]]:
    """Batches of (time, seq) from so few that they repeat within and between batches, in any order."""
    identity = st.tuples(st.integers(0, 5), st.integers(0, 2))
    return draw(st.lists(st.lists(identity, min_size=1, max_size=8), min_size=1, max_size=5))


@shared_store
@given(arriving=arrivals(), together=st.booleans())
async def test_a_row_is_stored_once(store: Store, arriving: list[list[tuple[int, int]]], together: bool) -> None:
    container = next(containers)
    serial = itertools.count()
    first: dict[tuple[int, int], int] = {}
    batches = []
    for identities in arriving:
        values = [next(serial) for _ in identities]
        for identity, value in zip(identities, values, strict=True):
            first.setdefault(identity, value)
        time, seq = zip(*identities, strict=True)
        batches.append(batch([T0 + t for t in time], seq, value=pa.array(values)))
    for call in [batches] if together else [[one] for one in batches]:
        await store.append(power(*call, container=container), NOWHERE)
    stored = await store.rows("luna26", container, *ALL)
    expected = sorted((T0 + time, seq, value) for (time, seq), value in first.items())
    found = [stored["time"].cast(pa.int64()), stored["seq"], stored["value"]]
    assert list(zip(*(column.to_pylist() for column in found), strict=True)) == expected
    total = sum(map(len, arriving))
    assert (await store.counts())["luna26", container] == Count(len(first), total - len(first))


async def test_repetition_is_known_after_closing(open_store: OpenStore) -> None:
    rows = random_batch(2000, seed=1)
    async with open_store() as store:
        await store.append(power(rows), Checkpoint(1, b""))
        await store.append(power(rows.slice(500, 100)), Checkpoint(2, b""))
    async with open_store() as store:
        assert await store.counts() == {("luna26", "Power"): Count(2000, 100)}
        await store.append(power(rows.slice(1990), random_batch(20, 2, T0 + 1995 * MS)), Checkpoint(3, b""))
        assert await store.counts() == {("luna26", "Power"): Count(2015, 115)}


# Schemas that change


async def test_new_columns_are_added(open_store: OpenStore) -> None:
    v1 = batch([T0], [0], a=pa.array([1], pa.int8()))
    v2 = batch(
        [T0 + 1],
        [1],
        pa.schema(
            [*IDENTITY, pa.field("b", pa.string(), metadata={"unit": "W"}), pa.field("a", pa.int8())], {"v": "2"}
        ),
        a=pa.array([2], pa.int8()),
        b=pa.array(["two"]),
    )
    async with open_store() as store:
        await store.append(power(v1, v2), NOWHERE)
        await store.append(power(batch([T0 + 2], [2], a=pa.array([3], pa.int8()))), NOWHERE)
    async with open_store() as store:
        stored = await store.rows("luna26", "Power", *ALL)
        assert stored.schema.names == ["time", "ert", "seq", "a", "b"]
        assert stored["a"].to_pylist() == [1, 2, 3]
        assert stored["b"].to_pylist() == [None, "two", None]
        assert stored.schema.field("b").metadata == {b"unit": b"W"}


async def test_a_changed_type_is_refused_and_nothing_of_the_call_is_stored(store: Store) -> None:
    await store.append(power(batch([T0], [0], a=pa.array([1], pa.int8()))), Checkpoint(1, b"one"))
    bad = batch([T0 + 2], [2], a=pa.array([1.5]), b=pa.array([1]))
    good = batch([T0 + 1], [1], a=pa.array([1], pa.int8()))
    with pytest.raises(StoreError, match=r"luna26/Power: column a is stored as int8 and arrived as double"):
        await store.append([*power(good, container="Thermal"), *power(good, bad)], Checkpoint(2, b"two"))
    assert await store.checkpoint() == Checkpoint(1, b"one")
    assert await store.counts() == {("luna26", "Power"): Count(1, 0)}
    await store.append(power(good), Checkpoint(2, b"two"))
    assert await store.counts() == {("luna26", "Power"): Count(2, 0)}
    assert (await store.containers("luna26"))["Power"].names == ["time", "ert", "seq", "a"]


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        (pa.RecordBatch.from_pydict({"time": [1]}), "column time should be there as timestamp"),
        (batch([T0], [0], a=pa.array([None])), "column a has the type null"),
        (
            pa.RecordBatch.from_arrays([*batch([T0], [0]).columns, *[pa.array([1])] * 2], [*IDENTITY.names, "a", "a"]),
            "column a is there twice",
        ),
    ],
)
async def test_a_batch_that_cannot_be_stored_names_its_column(store: Store, rows: pa.RecordBatch, what: str) -> None:
    with pytest.raises(StoreError, match=f"luna26/Power: {what}"):
        await store.append(power(rows), NOWHERE)
    assert await store.checkpoint() is None


# History


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


@shared_store
@given(rows=samples(), start=st.integers(-5, 40), length=st.integers(1, 60), buckets=st.integers(1, 30))
async def test_history_is_what_its_definition_says(
    store: Store, rows: pa.RecordBatch, start: int, length: int, buckets: int
) -> None:
    mission = next(containers)
    await store.append([Rows(mission, "Power", rows)], Checkpoint(3, b""))
    names = [field.name for field in SCHEMA if field.name not in IDENTITY.names]
    window = (T0 + start, T0 + start + length)
    history = await store.history(mission, [f"Power/{name}" for name in names], *window, buckets)
    ordered = sorted_rows(rows)
    expected = [row for name in names for row in reference(ordered, name, *window, buckets)]
    assert history.table.schema.equals(HISTORY)
    assert as_rows(history.table) == expected
    assert (history.through, history.width) == (3, -(-length // buckets))


async def test_history_of_parameters_in_several_containers(store: Store) -> None:
    fast, slow = random_batch(5000, seed=1), random_batch(10, seed=2)
    await store.append([*power(fast), *power(slow, container="Slow")], Checkpoint(9, b""))
    asked = ["Slow/mode", "Power/voltage", "Power/absent", "Absent/mode", "Power/mode", "Slow/mode"]
    table = (await store.history("luna26", asked, T0, T0 + 5000 * MS, 100)).table
    runs = [name for name, _ in itertools.groupby(table["parameter"].to_pylist())]
    assert runs == ["Slow/mode", "Power/voltage", "Power/mode"]
    raw = dict(zip(table["parameter"].to_pylist(), table["raw"].to_pylist(), strict=True))
    assert raw == {"Slow/mode": True, "Power/voltage": False, "Power/mode": False}
    valid = len(fast) - fast.column("voltage").null_count
    assert pc.sum(table.filter(pc.field("parameter") == "Power/voltage")["count"]).as_py() == valid


async def test_history_covers_exactly_the_position_that_it_gives(store: Store) -> None:
    """Rows and position are one snapshot, whatever is appended meanwhile."""

    async def append() -> None:
        for i in range(60):
            await store.append(power(batch([T0 + i], [i], a=pa.array([1.0]))), Checkpoint(i + 1, b""))

    appending = asyncio.create_task(append())
    seen = []
    while not appending.done():
        history = await store.history("luna26", ["Power/a"], T0, T0 + 100, 1000)
        assert history.table.num_rows == history.through
        seen.append(history.through)
    await appending
    assert seen == sorted(seen)


# The newest sample


async def test_last_is_the_newest_by_time_then_seq(store: Store) -> None:
    def rows(time: list[int], seq: list[int], a: Sequence[float | None], b: Sequence[int | None]) -> pa.RecordBatch:
        return batch([T0 + t for t in time], seq, a=pa.array(a, pa.float32()), b=pa.array(b, pa.uint64()))

    await store.append(power(rows([5, 5, 5], [1, 3, 2], [1, 3, 2], [1, 2**64 - 1, 2])), NOWHERE)
    await store.append(power(rows([4, 1], [9, 9], [8, 9], [8, 9])), NOWHERE)
    last = await store.last("luna26", ["Power/b", "Power/a", "Power/absent", "Absent/a"])
    assert last.schema.equals(LATEST)
    assert last["parameter"].to_pylist() == ["Power/b", "Power/a"]
    assert last["time"].cast(pa.int64()).to_pylist() == [T0 + 5] * 2
    assert last["ert"].cast(pa.int64()).to_pylist() == [T0 + 5 + 1000 * MS] * 2
    assert last["last"].to_pylist() == [2.0**64, 3.0]
    assert last["text"].to_pylist() == [str(2**64 - 1), None]


async def test_last_looks_behind_nulls(store: Store) -> None:
    await store.append(power(batch([T0, T0 + 1], [0, 1], a=pa.array([7.0, None]), b=pa.array([None, "x"]))), NOWHERE)
    await store.append(power(batch([T0 + 2], [2], c=pa.array([None], pa.bool_()))), NOWHERE)
    last = await store.last("luna26", ["Power/a", "Power/b", "Power/c"])
    assert last["parameter"].to_pylist() == ["Power/a", "Power/b"]
    assert last["time"].cast(pa.int64()).to_pylist() == [T0, T0 + 1]
    assert last["text"].to_pylist() == [None, "x"]


async def test_a_closed_store_says_so(open_store: OpenStore) -> None:
    async with open_store() as store:
        pass
    with pytest.raises(StoreError, match="not open"):
        await store.append([], NOWHERE)
    with pytest.raises(StoreError, match="not open"):
        await store.checkpoint()
    await store.close()
