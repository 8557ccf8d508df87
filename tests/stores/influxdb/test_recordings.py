"""Every packet of the real recordings through a real InfluxDB and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from ground.decode import decode_file
from ground.mission import load_mission
from ground.stores import Checkpoint, Count, Rows
from ground.stores.influxdb import InfluxdbStore
from tests.real_data import RECORDINGS, recording, requires_real_data
from tests.services.influxdb import influxdb
from tests.stores.telemetry import same

if TYPE_CHECKING:
    from pathlib import Path

    from tests.services.influxdb import Influxdb

__all__ = ["influxdb"]

ALL = (-(2**63) + 2, 2**63 - 1)


@requires_real_data
@pytest.mark.parametrize("name", RECORDINGS)
async def test_a_recording_comes_back_bit_for_bit(influxdb: Influxdb, name: str, tmp_path: Path) -> None:
    decoded = decode(name, tmp_path)
    with influxdb.bucket() as address:
        store = await InfluxdbStore.open(address, influxdb.token)
        for container, rows in decoded.items():
            for position, batch in enumerate(rows.to_batches(max_chunksize=7_000)):
                await store.append([Rows(name, container, batch)], Checkpoint(position, b""))
        counts = await store.counts()
        for container, rows in decoded.items():
            expected = finite(distinct(rows))
            assert same(await store.rows(name, container, *ALL), expected), container
            nonfinite = nulls(expected) - nulls(distinct(rows))
            assert counts[name, container] == Count(len(expected), len(rows) - len(expected), 0, nonfinite)
        await store.close()


def decode(name: str, folder: Path) -> dict[str, pa.Table]:
    """The rows of each container."""
    decode_file(recording(name), load_mission(name), output=folder, file_format="parquet")
    decoded = {path.stem: pq.read_table(path) for path in folder.iterdir()}
    assert decoded
    return decoded


def distinct(rows: pa.Table) -> pa.Table:
    """The first row of each identity, in the order of time and seq."""
    time, seq = rows["time"].to_numpy().view(np.int64), rows["seq"].to_numpy()
    order = np.lexsort((seq, time))
    first = np.append(True, (np.diff(time[order]) != 0) | (np.diff(seq[order]) != 0))
    return rows.take(order[first])


def finite(rows: pa.Table) -> pa.Table:
    """With nulls for what is not finite."""
    columns: list[Any] = [
        pc.if_else(pc.is_finite(column), column, pa.scalar(None, column.type))
        if pa.types.is_floating(column.type)
        else column
        for column in rows.columns
    ]
    return pa.table(columns, schema=rows.schema)


def nulls(rows: pa.Table) -> int:
    return sum(column.null_count for column in rows.columns)
