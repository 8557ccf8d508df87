"""One mission never harms another, and a checkpoint belongs to one recording."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

import numpy as np
from mqtt5 import PublishPacket

from ground.processing import keeping
from ground.processing.follow import Follower
from ground.processing.partition import Partition
from ground.recording.read import Recording
from ground.recording.write import Recorder
from ground.stores.duckdb import DuckdbStore
from tests.processing.test_follow import MISSIONS, everything, messages, record
from tests.real_data import recording, requires_real_data

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from ground.processing.messages import Part
    from ground.processing.step import Step

pytestmark = requires_real_data


def of_tianwen2(frames: int) -> list[PublishPacket]:
    octets = recording("tianwen2").read_bytes()
    pieces = [octets[i * 892 : (i + 1) * 892] for i in range(frames)]
    numbered = [("run", "a"), ("seq", "0")]
    return [
        PublishPacket("tm/tianwen2/wuqing/1", piece, user_properties=[numbered[0], ("seq", str(i))])
        for i, piece in enumerate(pieces)
    ]


async def test_a_defect_stops_one_mission_with_its_reason_and_it_goes_on_when_it_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "_STAND", (0.05,))
    broken = True
    process = Partition.process

    def failing(self: Partition, part: Part) -> Step:
        if broken and self.mission.name == "change5":
            raise IndexError("index 7 is out of bounds")
        return process(self, part)

    monkeypatch.setattr(Partition, "process", failing)
    store = await DuckdbStore.open(tmp_path / "store")
    async with Recorder(tmp_path / "recording") as recorder:
        follower = Follower(MISSIONS, Recording(tmp_path / "recording", lambda: recorder.committed), store)
        await follower.start()
        running = asyncio.create_task(follower.run(recorder))
        sent = [one for pair in zip(messages(400), of_tianwen2(200), strict=True) for one in pair]
        await recorder.append(sent, np.arange(len(sent), dtype=np.int64))
        async with asyncio.timeout(30):
            while (report := follower.report())["missions"].get("tianwen2", {}).get("rows", {}).get("stored", 0) < 2000:
                await asyncio.sleep(0.02)
        assert report["missions"]["change5"]["reason"] == "IndexError: index 7 is out of bounds"
        assert report["missions"]["change5"]["running"] is False
        assert report["missions"]["tianwen2"]["running"] is True
        assert not report["balanced"]
        broken = False
        async with asyncio.timeout(30):
            while follower.stored < len(sent):
                await asyncio.sleep(0.02)
        report = follower.report()
        running.cancel()
        await asyncio.wait([running])
    assert report["balanced"]
    assert report["missions"]["change5"]["running"] is True
    assert report["missions"]["change5"]["rows"]["stored"] == report["missions"]["change5"]["packets"]["decoded"] > 2000
    await store.close()


async def test_another_recording_is_stored_from_its_start_and_its_ledger_balances(tmp_path: Path) -> None:
    folder = tmp_path / "recording"
    store = await DuckdbStore.open(tmp_path / "store")
    decoded = 0
    for first, frames in ((0, 600), (600, 300)):
        shutil.rmtree(folder, ignore_errors=True)
        await record(folder, messages(frames, first))
        for _ in range(2):  # the second one is a restart
            follower = Follower(MISSIONS, Recording(folder), store)
            await follower.start()
            await follower.run()
            report = follower.report()
            assert report["balanced"], report
            assert report["position"]["stored"] == frames // 2
        decoded += report["missions"]["change5"]["packets"]["decoded"]
    assert sum(len(table) for table in (await everything(store)).values()) == decoded
    await store.close()
