"""The pipeline on a real recording of a real pass, with a real store that is sometimes made to refuse."""

from __future__ import annotations

import asyncio
import itertools
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from mqtt5 import PublishPacket

from ground.errors import StoreError
from ground.live import LiveStream
from ground.mission import load_mission
from ground.processing import keeping
from ground.processing.follow import Follower
from ground.recording.read import Recording
from ground.recording.write import Recorder
from ground.stores.duckdb import DuckdbStore
from ground.xtce import plan, read
from tests.real_data import recording, requires_real_data

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

    from ground.stores import Checkpoint, Entry, Rows

pytestmark = requires_real_data

MISSIONS = [(m, plan.compile(read.load(m.telemetry))) for m in map(load_mission, ("change5", "tianwen2"))]
ALL = (-(2**62), 2**62)


def messages(frames: int, first: int = 0, *, station: str = "miyun", per_message: int = 2) -> list[PublishPacket]:
    octets = recording("change5").read_bytes()
    made = []
    for i in range(first, first + frames, per_message):
        payload = octets[i * 220 : min(i + per_message, first + frames) * 220]
        properties = [("run", station), ("seq", str(i)), ("ert", str(10**18 + i)), ("dt", "1")]
        made.append(PublishPacket(f"tm/change5/{station}/1", payload, user_properties=properties))
    return made


async def record(folder: Path, sent: Sequence[PublishPacket], size: int = 50) -> None:
    async with Recorder(folder) as recorder:
        for i in range(0, len(sent), size):
            part = sent[i : i + size]
            await recorder.append(part, np.arange(i, i + len(part), dtype=np.int64))


async def everything(store: DuckdbStore) -> dict[str, Any]:
    return {name: await store.rows("change5", name, *ALL) for name in sorted(await store.containers("change5"))}


async def test_a_pass_is_stored_and_the_ledger_balances(tmp_path: Path) -> None:
    await record(tmp_path / "recording", messages(3075))
    store = await DuckdbStore.open(tmp_path / "store")
    follower = Follower(MISSIONS, Recording(tmp_path / "recording"), store)
    await follower.start()
    await follower.run()
    report = follower.report()
    assert report["balanced"]
    assert report["position"] == {"recorded": 1538, "processed": 1538, "stored": 1538}
    change5 = report["missions"]["change5"]
    assert change5["frames"] == {"in": 3075, "good": 3074, "duplicate": 0, "rejected": {"version": 1}}
    assert change5["vcs"]["miyun/1"] == {
        "frames": 3072,
        "gaps": 17,
        "lost": 50,
        "unheard": 0,
        "dropped": 17,
        "packets": 21280,
    }
    assert change5["rows"] == {"stored": 21282, "repeated": 0}
    assert sum(len(table) for table in (await everything(store)).values()) == 21282
    await store.close()


async def test_restarts_anywhere_and_two_stations_store_every_packet_once(tmp_path: Path) -> None:
    sent = messages(600) + messages(600, station="kashi")
    await record(tmp_path / "recording", sent)
    plain = await DuckdbStore.open(tmp_path / "plain")
    follower = Follower(MISSIONS, Recording(tmp_path / "recording"), plain)
    await follower.start()
    await follower.run()
    expected = await everything(plain)

    stops = [*sorted(np.random.default_rng(26).integers(1, 600, 12).tolist()), 600]
    store = await DuckdbStore.open(tmp_path / "store")
    for stop in stops:
        # Every start is a new process as far as the pipeline can tell: all that it knows is in the store.
        restarted = Follower(MISSIONS, Recording(tmp_path / "recording", partial(int, stop)), store)
        await restarted.start()
        await restarted.run()
    assert await everything(store) == expected
    report = restarted.report()
    assert report["balanced"]
    change5 = report["missions"]["change5"]
    stored = sum(len(table) for table in expected.values())
    assert (change5["rows"], change5["packets"]["repeated"]) == ({"stored": stored, "repeated": 0}, stored)
    await plain.close()
    await store.close()


class Refusing(DuckdbStore):
    """A store whose database is down while ``down`` is set."""

    down = False

    async def append(
        self, mission: str, rows: Sequence[Rows], entries: Sequence[Entry], checkpoint: Checkpoint
    ) -> None:
        if self.down:
            raise StoreError("the database is down")
        await super().append(mission, rows, entries, checkpoint)


async def test_live_goes_on_while_the_store_is_down_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "WAITING", 60_000)
    monkeypatch.setattr(keeping, "BLOCK", 100)
    seen: list[tuple[int, int]] = []

    async def publish(
        topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, properties: Sequence[tuple[str, str]] = ()
    ) -> None:
        if topic.startswith("live/change5/Packet_40"):
            about = dict(properties)
            seen.append((int(about["from"]), int(about["to"])))

    store = await Refusing.open(tmp_path / "store")
    sent = messages(3075)
    async with Recorder(tmp_path / "recording") as recorder:
        live = LiveStream(publish)
        follow = Recording(tmp_path / "recording", lambda: recorder.committed)
        follower = Follower(MISSIONS, follow, store, live=live)
        await follower.start()
        running = asyncio.create_task(follower.run(recorder))
        for i in range(0, len(sent), 50):
            part = sent[i : i + 50]
            store.down = 200 <= i < 1300
            await recorder.append(part, np.arange(i, i + len(part), dtype=np.int64))
            async with asyncio.timeout(20):
                while follower.position < recorder.committed:
                    await asyncio.sleep(0.001)
            await live.flush(follower.position)
            if i == 1250:
                report = follower.report()
                assert report["position"]["processed"] == 1300
                assert report["position"]["stored"] < 300
                assert report["store"]["error"] == "the database is down"
        async with asyncio.timeout(30):
            while follower.stored < len(sent):
                await asyncio.sleep(0.01)
        report = follower.report()
        running.cancel()
        await asyncio.wait([running])
    assert seen[-1][1] == len(sent)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(seen))
    assert report["balanced"]
    assert report["store"] == {"error": None, "behind_s": 0.0}
    assert report["missions"]["change5"]["rows"] == {"stored": 21282, "repeated": 0}
    await store.close()
