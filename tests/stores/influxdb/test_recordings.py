"""Every packet of the real recordings, and an hour of both simulators, through a real InfluxDB and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from ground.decode import decode_file
from ground.mission import load_mission
from ground.stores import Rows
from ground.stores.influxdb import InfluxdbStore
from tests.real_data import RECORDINGS, recording, requires_real_data
from tests.services.influxdb import influxdb
from tests.stores.influxdb.readback import Readback, simulated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pyarrow as pa

    from tests.services.influxdb import Influxdb

__all__ = ["influxdb"]


@pytest.fixture
async def readback(influxdb: Influxdb) -> AsyncIterator[Readback]:
    with influxdb.bucket() as address:
        store = await InfluxdbStore.open(address, influxdb.token)
        yield Readback(store)
        await store.close()


@requires_real_data
@pytest.mark.parametrize("name", RECORDINGS)
async def test_a_recording_comes_back_bit_for_bit(readback: Readback, name: str, tmp_path: Path) -> None:
    for container, rows in decode(name, tmp_path).items():
        for batch in rows.to_batches(max_chunksize=7_000):
            await readback.append([Rows(name, container, batch)])
    wrong, values = await readback.differences()
    assert not wrong
    assert values


@pytest.mark.parametrize("name", ["luna26", "tianwen1"])
async def test_an_hour_of_a_simulation_comes_back_bit_for_bit(readback: Readback, name: str, tmp_path: Path) -> None:
    """A day of each: ``python -m benchmarks.readback``."""
    for rows in simulated(name, 3600, tmp_path):
        await readback.append(rows)
    wrong, values = await readback.differences()
    assert not wrong
    assert values > 10_000


def decode(name: str, folder: Path) -> dict[str, pa.Table]:
    """The rows of each container."""
    decode_file(recording(name), load_mission(name), output=folder, file_format="parquet")
    decoded = {path.stem: pq.read_table(path) for path in folder.iterdir()}
    assert decoded
    return decoded
