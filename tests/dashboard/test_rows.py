"""Every sample of a window, exactly, however many, in each format."""

from __future__ import annotations

import csv
import io
from itertools import pairwise
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet
import pytest

from dashboard.rows import END, FIRST, read_rows
from ground.decode import iso_times
from ground.stores import Checkpoint, Rows
from tests.stores.telemetry import MS, T0, batch, random_batch, same

if TYPE_CHECKING:
    from tests.dashboard.conftest import Dashboard

N = 3000
URL = "/api/missions/luna26/rows/Power"


@pytest.fixture
async def stored(dashboard: Dashboard) -> Dashboard:
    await dashboard.store.append("luna26", [Rows("luna26", "Power", random_batch(N, seed=1))], [], Checkpoint(1, b""))
    return dashboard


def only(table: pa.Table) -> pa.RecordBatch:
    [rows] = table.combine_chunks().to_batches()
    return rows


@pytest.mark.parametrize("page", [40, 999, 1000, 1001, N, 10**6])
async def test_pages_join_without_a_seam(stored: Dashboard, page: int) -> None:
    pages = [table async for table in read_rows(stored.store, "luna26", "Power", page=page)]
    assert pages[0].num_rows == 0
    assert {table.schema for table in pages} == {pages[0].schema}
    assert max(table.num_rows for table in pages) <= page
    expected = await stored.store.rows("luna26", "Power", T0 - 1, T0 + 10**15)
    assert same(only(pa.concat_tables(pages)), only(expected))


async def test_a_parameter_that_is_null_does_not_make_one_page_of_all(dashboard: Dashboard) -> None:
    """The first one, of which only every hundredth row has a value, the second has none."""
    voltage = pa.array([1.0 if i % 100 == 0 else None for i in range(N)])
    nothing = pa.nulls(N, pa.float64())
    rows = batch([T0 + i * MS for i in range(N)], [i % 7 for i in range(N)], voltage=voltage, nothing=nothing)
    await dashboard.store.append("luna26", [Rows("luna26", "Power", rows)], [], Checkpoint(1, b""))
    for chosen in ((), ("nothing",)):
        pages = [table async for table in read_rows(dashboard.store, "luna26", "Power", parameters=chosen, page=100)]
        assert max(table.num_rows for table in pages) <= 100
        assert sum(table.num_rows for table in pages) == N


async def test_samples_of_one_instant_stay_together_and_years_apart_are_all_found(dashboard: Dashboard) -> None:
    """Times over the whole range of 64 bits, before 1970 too; many rows at one time cannot be cut."""
    times = [FIRST + 1, -1, 0, 1, *[T0] * 50, T0 + 1, END - 2000 * MS]
    rows = batch(times, list(range(len(times))), voltage=pa.array([float(t) for t in times]))
    await dashboard.store.append("luna26", [Rows("luna26", "Power", rows)], [], Checkpoint(1, b""))
    pages = [table async for table in read_rows(dashboard.store, "luna26", "Power", page=10)]
    found = pa.concat_tables(pages)
    assert found["time"].cast(pa.int64()).to_pylist() == times
    assert found["seq"].to_pylist() == list(range(len(times)))


async def test_a_window_is_half_open_and_parameters_can_be_chosen(stored: Dashboard) -> None:
    everything = pa.ipc.open_stream((await stored.client.get(URL)).content).read_all()
    times = everything["time"].cast(pa.int64()).to_numpy().tolist()
    assert len(times) == N
    assert all(a <= b for a, b in pairwise(times))
    query = {"start": str(times[10]), "stop": str(times[20]), "parameter": ["voltage"]}
    some = pa.ipc.open_stream((await stored.client.get(URL, params=query)).content).read_all()
    assert some.schema.names == ["time", "ert", "seq", "digest", "voltage"]
    assert some["time"].cast(pa.int64()).to_pylist() == [t for t in times if times[10] <= t < times[20]]
    assert (await stored.client.get(URL, params={"start": "5", "stop": "5"})).status_code == 200


async def test_parquet_is_the_stores_own(stored: Dashboard) -> None:
    answer = await stored.client.get(URL, params={"format": "parquet"})
    assert answer.headers["content-disposition"] == 'attachment; filename="luna26-Power.parquet"'
    table = pa.parquet.read_table(io.BytesIO(answer.content))
    expected = await stored.store.rows("luna26", "Power", T0 - 1, T0 + 10**15)
    assert same(only(table), only(expected))


async def test_csv_has_every_digit(dashboard: Dashboard) -> None:
    big = pa.array([2**63 - 1, -(2**53) - 1], pa.int64())
    rows = batch([T0 + 1, T0 + MS], [1, 2], pa.schema([*batch([T0], [0]).schema, ("big", pa.int64())]), big=big)
    await dashboard.store.append("luna26", [Rows("luna26", "Power", rows)], [], Checkpoint(1, b""))
    answer = await dashboard.client.get(URL, params={"format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert [line["time"] for line in lines] == iso_times([T0 + 1, T0 + MS])
    assert [int(line["big"]) for line in lines] == big.to_pylist()


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/api/missions/apollo/rows/Power", 404, "no mission"),
        ("/api/missions/luna26/rows/Nothing", 404, "nothing is stored"),
        (f"{URL}?parameter=nothing", 404, "nothing is stored"),
        (f"{URL}?start=yesterday", 422, "start: 'yesterday' is no time: a time is written as"),
        (f"{URL}?format=xml", 422, ""),
    ],
)
async def test_bad_requests_are_explained(stored: Dashboard, path: str, status: int, said: str) -> None:
    answer = await stored.client.get(path)
    assert answer.status_code == status
    assert said in str(answer.json()["detail"])


async def test_a_store_that_fails_is_503(stored: Dashboard) -> None:
    await stored.store.close()
    answer = await stored.client.get(URL)
    assert answer.status_code == 503
    assert "not open" in answer.json()["detail"]
