"""``ground rebuild`` on a recording of real frames, beside databases that are old, empty or damaged."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import duckdb
import pytest

from ground.__main__ import main
from ground.errors import StoreError
from ground.stores.duckdb import DuckdbStore
from tests.processing.test_follow import everything, messages, record
from tests.real_data import requires_real_data

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _old(file: Path) -> None:
    with duckdb.connect(file) as database:
        database.execute("CREATE SCHEMA ground; CREATE TABLE ground.checkpoint (position UBIGINT, state BLOB)")


async def stored(data: Path) -> int:
    store = await DuckdbStore.open(data / "store")
    try:
        return sum(len(table) for table in (await everything(store)).values())
    finally:
        await store.close()


@requires_real_data
@pytest.mark.parametrize(
    "spoil", [_old, lambda file: file.write_bytes(b""), lambda file: file.write_bytes(b"x" * 9999)]
)
def test_a_store_is_made_anew_from_the_recording_and_the_old_file_stays(
    spoil: Callable[[Path], object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(record(tmp_path / "recording", messages(400)))
    (tmp_path / "store").mkdir()
    spoil(tmp_path / "store" / "telemetry.duckdb")
    with pytest.raises(StoreError, match="ground rebuild"):
        asyncio.run(stored(tmp_path))
    assert main(["rebuild", "--data", str(tmp_path)]) == 0
    said = capsys.readouterr().err
    assert "the old database is kept as" in said
    assert len([*(tmp_path / "store").glob("telemetry.duckdb.before-*")]) == 1
    rows = asyncio.run(stored(tmp_path))
    assert rows > 2000
    assert f"{rows} rows from 200 messages are stored anew" in said


def test_without_a_recording_nothing_is_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "store").mkdir()
    file = tmp_path / "store" / "telemetry.duckdb"
    file.write_bytes(b"old")
    assert main(["rebuild", "--data", str(tmp_path)]) == 1
    assert "no recording here" in capsys.readouterr().err
    assert file.read_bytes() == b"old"
