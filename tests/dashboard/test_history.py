"""REST history and latest values are what the store holds."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.history import ARROW, parse_instant
from ground.stores import Checkpoint, Rows
from tests.stores.telemetry import MS, SCHEMA, T0, batch, random_batch, same

if TYPE_CHECKING:
    from tests.dashboard.conftest import Dashboard

NAMES = [f"Power/{name}" for name in SCHEMA.names[4:]]


@pytest.fixture
async def stored(dashboard: Dashboard) -> Dashboard:
    await dashboard.store.append(
        "luna26", [Rows("luna26", "Power", random_batch(3000, seed=1))], [], Checkpoint(2**60 + 1, b"")
    )
    return dashboard


def window(buckets: int, start: str = str(T0), stop: str = str(T0 + 3000 * MS)) -> dict[str, Any]:
    return {"parameter": NAMES, "start": start, "stop": stop, "buckets": buckets}


@pytest.mark.parametrize("buckets", [100, 10_000])
async def test_history_is_the_stores_own(stored: Dashboard, buckets: int) -> None:
    answer = await stored.client.get("/api/missions/luna26/history", params=window(buckets))
    assert answer.headers["content-type"] == ARROW
    table = pa.ipc.open_stream(answer.content).read_all()
    expected = await stored.store.history("luna26", NAMES, T0, T0 + 3000 * MS, buckets)
    assert same(table.replace_schema_metadata(None), expected.table)
    said = {"through": str(2**60 + 1), "width": str(expected.width), "rollup": "0"}
    assert table.schema.metadata == {key.encode(): value.encode() for key, value in said.items()}


@pytest.mark.parametrize("buckets", [100, 10_000])
async def test_history_as_json(stored: Dashboard, buckets: int) -> None:
    headers = {"accept": "application/json"}
    answer = await stored.client.get("/api/missions/luna26/history", params=window(buckets), headers=headers)
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    expected = await stored.store.history("luna26", NAMES, T0, T0 + 3000 * MS, buckets)
    assert (found["through"], found["width"], found["rollup"]) == (str(2**60 + 1), str(expected.width), "0")
    times = expected.table["time"].cast(pa.int64()).cast(pa.string()).to_pylist()
    rows = expected.table.drop_columns("time").to_pylist()
    for row, time in zip(rows, times, strict=True):
        row["time"] = time
        if row["last"] is not None and not np.isfinite(row["last"]):
            row["last"] = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(row["last"])]
    assert found["rows"] == rows


async def test_times_may_be_dates(stored: Dashboard) -> None:
    dates = window(100, "2020-11-24T00:00:00.5Z", "2020-11-24 01:00:01.000000001+01:00")
    numbers = window(100, str(T0 + 500 * MS), str(T0 + 1000 * MS + 1))
    answers = [await stored.client.get("/api/missions/luna26/history", params=params) for params in (dates, numbers)]
    assert answers[0].status_code == 200
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize("text", ["2020-11-24", "2020-11-24T00:00", "2020-11-24 00:00:00", "2020-11-24T08:00+08:00"])
def test_a_date_is_its_beginning_and_a_time_without_zone_is_utc(text: str) -> None:
    assert parse_instant(text) == T0


@pytest.mark.parametrize("text", ["2020-13-01", "2020-02-30", "24 Nov", "2020-11-24T25:00", "2020-11-24.5", "1e9", ""])
async def test_what_is_no_time_is_answered_with_what_would_be(stored: Dashboard, text: str) -> None:
    for query, end in (({"start": text}, "start"), ({"stop": text}, "stop")):
        answer = await stored.client.get("/api/missions/luna26/history", params=window(100) | query)
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith(f"{end}: {text!r} is no time: a time is written as ns since 1970")


async def test_unknown_parameters_are_named(stored: Dashboard) -> None:
    """Those that are defined and of which nothing is stored yet are known."""
    url = "/api/missions/luna26/history"
    defined = (await stored.client.get("/api/missions/luna26/parameters")).json()[-1]["name"]
    asked = window(100) | {"parameter": [NAMES[0], "Power/nothing", defined, "Nothing/at_all", "voltage"]}
    answer = await stored.client.get(url, params=asked)
    assert answer.status_code == 404
    assert answer.json()["detail"] == "luna26 has no parameters Power/nothing, Nothing/at_all, voltage"
    assert (await stored.client.get(url, params=window(100) | {"parameter": [NAMES[0], defined]})).status_code == 200
    assert (await stored.client.get(url, params=window(100, "0", "1"))).status_code == 200


@pytest.mark.parametrize("column", ["time", "seq"])
async def test_what_orders_the_samples_is_no_parameter(stored: Dashboard, column: str) -> None:
    for buckets in (100, 10_000):
        asked = window(buckets) | {"parameter": [f"Power/{column}", NAMES[0]]}
        answer = await stored.client.get("/api/missions/luna26/history", params=asked)
        assert answer.status_code == 422
        assert f"Power/{column}: time and seq" in answer.json()["detail"]


async def test_latest(stored: Dashboard) -> None:
    await stored.store.append(
        "luna26", [Rows("luna26", "Beacon", batch([T0], [0], on=pa.array([True])))], [], Checkpoint(1, b"")
    )
    everything = pa.ipc.open_stream((await stored.client.get("/api/missions/luna26/latest")).content).read_all()
    expected = await stored.store.last("luna26", [*NAMES, "Beacon/on"])
    assert same(everything.replace_schema_metadata(None), expected)
    params = {"parameter": ["Beacon/on", "Beacon/absent"]}
    headers = {"accept": "application/json"}
    one = await stored.client.get("/api/missions/luna26/latest", params=params, headers=headers)
    row = {"parameter": "Beacon/on", "time": str(T0), "ert": str(T0 + 1000 * MS), "last": 1.0, "text": None}
    assert one.json() == {"rows": [row]}
    nothing = await stored.client.get("/api/missions/change5/latest", headers=headers)
    assert nothing.json() == {"rows": []}


@given(ns=st.integers(-(2**63) + 1, 2**63 - 1))
def test_every_instant_can_be_written_as_date_or_number(ns: int) -> None:
    assert parse_instant(str(ns)) == ns
    assert parse_instant(f"{np.datetime64(ns, 'ns')}Z") == ns
    whole, fraction = divmod(ns, 10**9)
    shown = np.datetime64(whole, "s").item().isoformat()
    assert parse_instant(f"{shown}.{fraction:09d}") == ns


@given(text=st.text(max_size=30) | st.from_regex(r"\A[0-9T:. Z+-]{0,30}\Z"))
def test_what_is_no_instant_is_refused(text: str) -> None:
    with suppress(ValueError):  # and nothing else
        assert -(2**63) < parse_instant(text) < 2**63
