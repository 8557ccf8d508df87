"""The load test's messages through recording, pipeline and store, without a broker between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ground.blocks import Alike
from ground.link.topics import telemetry
from ground.loadtest.stream import GROUP, Stream
from ground.loadtest.traffic import Traffic
from ground.loadtest.work import MISSION, write_mission
from ground.mission import load_mission
from ground.processing.follow import Follower
from ground.recording.read import Recording
from ground.recording.write import Recorder
from ground.stores.duckdb import DuckdbStore
from ground.xtce import plan, read

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_795_000_000 * 10**9


def standard(folder: Path, parameters: int, containers: int, publishers: int = 1) -> Traffic:
    write_mission(folder, parameters, containers)
    return work_of(str(folder / MISSION), publishers)


def work_of(name: str, publishers: int = 1) -> Traffic:
    mission = load_mission(name)
    return Traffic(mission, read.load(mission.telemetry), NOW, publishers)


async def store_first(folder: Path, work: Traffic, messages: int, frames: int = 2) -> tuple[list[int], dict[str, Any]]:
    """Store the first ``messages`` of every publisher in ``folder``: how many packets they carry, and the ledger."""
    streams = [Stream(work, publisher, frames) for publisher in range(work.publishers)]
    async with Recorder(folder / "recording") as recorder:
        for first in range(0, messages, GROUP):
            n = min(GROUP, messages - first)
            for stream in streams:
                payload, seq = stream.group(first // GROUP)
                topic = telemetry(work.mission.name, f"load{stream.publisher}", work.channels[stream.publisher])
                digits = np.array([b"%012d" % number for number in seq.tolist()]).view(np.uint8).reshape(GROUP, 12)
                run = np.full((n, 1), ord("r"), np.uint8)
                alike = Alike(topic, payload[:n], (("run", run), ("seq", digits[:n])))
                await recorder.append([alike], np.arange(n))
    store = await DuckdbStore.open(folder / "store")
    missions = [(work.mission, plan.compile(read.load(work.mission.telemetry)))]
    follower = Follower(missions, Recording(folder / "recording"), store)
    await follower.start()
    await follower.run()
    await store.close()
    report = follower.report()
    assert report["balanced"]
    return [stream.packets(messages) for stream in streams], report["missions"][work.mission.name]
