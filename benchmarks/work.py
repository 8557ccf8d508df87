"""The standard work without a broker: frames, packets, and a recording of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from ground.blocks import Alike
from ground.ccsds.frames import read_frames
from ground.ccsds.packets import ChannelState, read_packets
from ground.link.topics import telemetry
from ground.loadtest.work import MISSION, Work
from ground.mission import load_mission
from ground.recording.write import Recorder
from ground.xtce import plan, read

if TYPE_CHECKING:
    from pathlib import Path

    from ground.blocks import Octets, Packets
    from ground.mission import Mission
    from ground.xtce.plan import Plan


def mission(work: Work, folder: Path) -> tuple[Mission, Plan]:
    """The mission of ``work``, written to ``folder``."""
    work.write_mission(folder)
    os.environ["GROUND_MISSIONS"] = str(folder)
    loaded = load_mission(MISSION)
    return loaded, plan.compile(read.load(loaded.telemetry))


def packets(work: Work, of: Mission, n: int) -> Packets:
    """The first ``n`` packets."""
    frames, _ = read_frames(of, work.frames(0, 0, n), np.zeros(n, np.int64))
    found, _, _ = read_packets(of, frames, ChannelState())
    return found


def bare_packets(work: Work, first: int, n: int) -> Octets:
    """``n`` packets from number ``first`` on, both whole rounds of the kinds, without frames: uint8 (n, octets)."""
    kinds = range(work.containers)
    rounds = np.arange(first, first + n, len(kinds)) // len(kinds)
    return np.stack([work.octets(kind, 0, rounds) for kind in kinds], axis=1).reshape(n, -1)


async def record(work: Work, folder: Path, n: int, frames_per_message: int) -> None:
    """A recording of the first ``n`` packets."""
    async with Recorder(folder) as recorder:
        for first in range(0, n, 16_000):
            m = min(16_000, n - first) // frames_per_message
            payload = work.frames(0, first, m * frames_per_message).reshape(m, -1)
            numbers = first + np.arange(m) * frames_per_message
            seq = np.array([b"%012d" % number for number in numbers.tolist()]).view(np.uint8).reshape(m, 12)
            run = np.full((m, 1), ord("r"), np.uint8)
            alike = Alike(telemetry(MISSION, "load0", 0), payload, (("run", run), ("seq", seq)))
            await recorder.append([alike], np.full(m, 10**18))
