"""The store contract: which rows are the same. Runs on every store; see ``open_store`` in conftest.py."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ground.stores import Checkpoint, Count
from tests.stores.examples import ALL, containers, dropped, power, put, shared_store
from tests.stores.telemetry import MS, T0, batch, random_batch

if TYPE_CHECKING:
    from ground.stores import Store
    from tests.stores.conftest import Keeps, OpenStore

Identity: TypeAlias = tuple[int, int, int]
"""time, seq, digest"""


@st.composite
def arrivals(draw: st.DrawFn) -> list[list[Identity]]:
    """Batches of identities from so few that they repeat within and between batches, in any order."""
    digest = st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63)])
    identity = st.tuples(st.integers(0, 4), st.integers(0, 1), digest)
    return draw(st.lists(st.lists(identity, min_size=1, max_size=8), min_size=1, max_size=5))


@shared_store
@given(arriving=arrivals(), together=st.booleans())
async def test_a_row_is_stored_once(store: Store, arriving: list[list[Identity]], together: bool) -> None:
    container = next(containers)
    serial = itertools.count()
    first: dict[Identity, int] = {}
    batches = []
    for identities in arriving:
        values = [next(serial) for _ in identities]
        for identity, value in zip(identities, values, strict=True):
            first.setdefault(identity, value)
        time, seq, digest = zip(*identities, strict=True)
        columns = {"digest": pa.array(digest, pa.int64()), "value": pa.array(values)}
        batches.append(batch([T0 + t for t in time], seq, **columns))
    for call in [batches] if together else [[one] for one in batches]:
        await put(store, power(*call, container=container))
    stored = await store.rows("luna26", container, *ALL)
    expected = sorted((T0 + time, seq, digest, value) for (time, seq, digest), value in first.items())
    found = [stored["time"].cast(pa.int64()), stored["seq"], stored["digest"], stored["value"]]
    assert list(zip(*(column.to_pylist() for column in found), strict=True)) == expected
    total = sum(map(len, arriving))
    places = {(time, seq) for time, seq, _ in first}
    count = Count(len(first), total - len(first), alike=len(first) - len(places))
    assert (await store.counts("luna26"))[container] == count


async def test_rows_of_other_octets_are_kept_and_counted(open_store: OpenStore) -> None:
    """Two packets of one time and seq that say different things are both what a spacecraft sent."""

    def said(value: int) -> pa.RecordBatch:
        return batch([T0], [7], digest=pa.array([value]), value=pa.array([value]))

    async with open_store() as store:
        await put(store, power(said(2)), Checkpoint(1, b""))
        await put(store, power(said(1), said(3), said(2)), Checkpoint(2, b""))
    async with open_store() as store:
        assert await store.counts("luna26") == {"Power": Count(3, 1, alike=2)}
        await put(store, power(said(3), said(4)), Checkpoint(3, b""))
        assert await store.counts("luna26") == {"Power": Count(4, 2, alike=3)}
        assert (await store.rows("luna26", "Power", *ALL))["value"].to_pylist() == [1, 2, 3, 4]


async def test_repetition_is_known_after_closing(open_store: OpenStore, keeps: Keeps) -> None:
    rows, more = random_batch(2000, seed=1), random_batch(20, 2, T0 + 1995 * MS)
    nonfinite = dropped(rows, keeps)
    async with open_store() as store:
        await put(store, power(rows), Checkpoint(1, b""))
        await put(store, power(rows.slice(500, 100)), Checkpoint(2, b""))
    async with open_store() as store:
        assert await store.counts("luna26") == {"Power": Count(2000, 100, nonfinite=nonfinite)}
        await put(store, power(rows.slice(1990), more), Checkpoint(3, b""))
        nonfinite += dropped(more.slice(5), keeps)
        assert await store.counts("luna26") == {"Power": Count(2015, 115, nonfinite=nonfinite)}
