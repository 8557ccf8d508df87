"""A database that can't be opened when ingest starts costs recording nothing, and is filled once it can be."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ground.commands.stack import compiled_missions, store_for_ingest
from ground.ingest import Ingest
from ground.link.mqtt import Client, Outgoing, parse_broker_url
from ground.stores.duckdb import FILE
from tests.processing.test_follow import messages
from tests.real_data import requires_real_data

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATIENCE = 30
LOCK = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('locked', flush=True); sys.stdin.read()"


def empty(file: Path) -> Callable[[], object]:
    file.write_bytes(b"")
    return file.unlink


def damaged(file: Path) -> Callable[[], object]:
    file.write_bytes(b"not a database" * 1000)
    return file.unlink


def locked(file: Path) -> Callable[[], object]:
    analyst = subprocess.Popen([sys.executable, "-c", LOCK, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert analyst.stdout is not None
    analyst.stdout.readline()

    def leave() -> None:
        analyst.communicate(timeout=PATIENCE)
        file.unlink()

    return leave


@requires_real_data
@pytest.mark.parametrize("trouble", [empty, damaged, locked])
async def test_recording_does_not_wait_for_a_database(
    trouble: Callable[[Path], Callable[[], object]], embedded_broker: str, tmp_path: Path
) -> None:
    (tmp_path / "store").mkdir()
    mend = await asyncio.to_thread(trouble, tmp_path / "store" / FILE)
    store = await store_for_ingest("duckdb", tmp_path)
    address = parse_broker_url(embedded_broker)
    ingest = Ingest(compiled_missions(["change5"]), address, tmp_path, store)
    running = asyncio.create_task(ingest.run())
    try:
        async with asyncio.timeout(PATIENCE), Client(address, "station") as station:
            await ingest.ready.wait()
            sent = messages(400)
            await station.publish_many(Outgoing(m.topic, m.payload, m.user_properties) for m in sent)
            while ingest.report()["position"]["processed"] < len(sent) or not ingest.report()["missions"]:
                await asyncio.sleep(0.05)
            report = ingest.report()
            assert report["link"]["acknowledged"] == len(sent)
            assert report["store"]["error"]
            assert report["position"]["stored"] == 0
        await asyncio.to_thread(mend)
        async with asyncio.timeout(PATIENCE):
            while (report := ingest.report())["position"]["stored"] < len(sent):
                await asyncio.sleep(0.05)
        assert report["balanced"]
        assert report["store"]["error"] is None
        assert report["missions"]["change5"]["rows"]["stored"] == report["missions"]["change5"]["packets"]["decoded"]
    finally:
        running.cancel()
        await asyncio.wait([running])
        await store.close()
