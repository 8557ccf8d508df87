"""The file: what is said of one that cannot be used, and of an append that DuckDB refuses."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest

from ground.errors import RefusedError, StoreError
from ground.stores import Checkpoint, Count, Entry, Rows
from ground.stores.duckdb import FILE, DuckdbStore
from ground.stores.duckdb.file import FORMAT
from tests.stores.telemetry import T0, batch, random_batch

if TYPE_CHECKING:
    from pathlib import Path


async def test_what_is_not_a_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"x" * 5000)
    with pytest.raises(StoreError, match=rf"{FILE}.* not a valid DuckDB database file.*ground rebuild"):
        await DuckdbStore.open(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="file"):
        await DuckdbStore.open(tmp_path / "file")


async def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"")
    with pytest.raises(StoreError, match=rf"{FILE} is empty \(0 octets\); delete it and run `ground rebuild`"):
        await DuckdbStore.open(tmp_path)
    (tmp_path / FILE).unlink()
    await (await DuckdbStore.open(tmp_path)).close()


async def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(StoreError, match=FILE):
        await DuckdbStore.open(tmp_path)


async def test_an_old_file_says_how_it_is_made_anew(tmp_path: Path) -> None:
    """It is left as it is, and free for others."""
    with duckdb.connect(tmp_path / FILE) as old:
        old.execute(
            "CREATE SCHEMA ground; CREATE TABLE ground.checkpoint (position UBIGINT, state BLOB, appends UBIGINT)"
        )
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(StoreError, match=rf"{FILE} has format 1, .* reads format {FORMAT}; run `ground rebuild`"):
        await DuckdbStore.open(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before
    duckdb.connect(tmp_path / FILE).close()


async def test_a_file_of_a_later_format_is_refused(tmp_path: Path) -> None:
    await (await DuckdbStore.open(tmp_path)).close()
    with duckdb.connect(tmp_path / FILE) as later:
        later.execute("UPDATE ground.format SET number = $1", [FORMAT + 1])
    with pytest.raises(StoreError, match=rf"has format {FORMAT + 1}, .* reads format {FORMAT}"):
        await DuckdbStore.open(tmp_path)


@pytest.mark.parametrize("seed", range(30))
async def test_damage_is_an_error_in_words(tmp_path: Path, seed: int) -> None:
    """Where the file is cut off or octets are turned over: at opening, or at a query of what is damaged."""
    store = await DuckdbStore.open(tmp_path)
    await store.append("luna26", [Rows("luna26", "Power", random_batch(3000, seed=1))], [], Checkpoint(1, b""))
    await store.close()
    chance = random.Random(seed)
    octets = bytearray((tmp_path / FILE).read_bytes())
    if seed % 3:
        at = chance.randrange(len(octets)) if seed % 3 == 1 else chance.randrange(12_288)
        octets[at : at + 64] = chance.randbytes(len(octets[at : at + 64]))
    else:
        del octets[chance.randrange(1, len(octets)) :]
    (tmp_path / FILE).write_bytes(octets)
    try:
        store = await DuckdbStore.open(tmp_path)
    except StoreError as error:
        assert str(tmp_path / FILE) in str(error)  # noqa: PT017 (damage doesn't always tell)
        return
    try:
        await store.rows("luna26", "Power", 0, 2**63 - 1)
        await store.history("luna26", ["Power/voltage"], T0, T0 + 10**10, 10)
    except StoreError as error:
        assert str(tmp_path / FILE) in str(error)  # noqa: PT017
    await store.close()


async def test_a_value_that_duckdb_never_takes_is_refused_for_good(tmp_path: Path) -> None:
    store = await DuckdbStore.open(tmp_path)
    no_text = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff\xfe"]).buffers())
    bad = Rows("luna26", "Power", batch([T0], [0], text=no_text))
    with pytest.raises(RefusedError, match=rf"{FILE}: .*[Ii]nvalid unicode"):
        await store.append("luna26", [bad], [Entry("event", 1, 0, T0, "A", {})], Checkpoint(1, b""))
    assert await store.checkpoint("luna26") is None
    assert await store.entries("luna26", "event") == []
    await store.append("luna26", [Rows("luna26", "Power", batch([T0], [0]))], [], Checkpoint(1, b""))
    assert await store.counts("luna26") == {"Power": Count(1, 0)}
    await store.close()


async def test_a_passing_error_may_be_tried_again(tmp_path: Path) -> None:
    store = await DuckdbStore.open(tmp_path, memory_limit="20MB")
    rows = [Rows("luna26", "Power", batch([T0], [0], blob=pa.array([b"x" * 50_000_000])))]
    with pytest.raises(StoreError, match=FILE) as caught:
        await store.append("luna26", rows, [], Checkpoint(1, b""))
    assert not isinstance(caught.value, RefusedError)
    await store.append("luna26", [Rows("luna26", "Power", batch([T0], [0]))], [], Checkpoint(1, b""))
    await store.close()
