"""Real frames as recorded messages, and what a partition makes of them."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ground.mission import load_mission
from ground.processing.messages import Messages, Part
from ground.processing.partition import Partition
from ground.xtce import plan, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ground.mission import Mission
    from ground.processing.step import Step
    from ground.xtce.plan import Plan

ERT = 10**18


@functools.cache
def loaded(name: str) -> tuple[Mission, Plan]:
    """A shipped mission, compiled."""
    mission = load_mission(name)
    return mission, plan.compile(read.load(mission.telemetry))


def frames_as_messages(octets: np.ndarray, length: int, seq: np.ndarray | None = None, run: str = "run") -> Messages:
    """Each frame a message, numbered as ``seq`` says (from 0 on where it doesn't), at positions from 0 on."""
    n = len(octets) // length
    start = np.arange(n, dtype=np.int64) * length
    number = np.arange(n) if seq is None else seq
    runs = pa.array([run] * n, pa.string())
    ert = ERT + start
    return Messages(octets, start, np.full(n, length), ert, np.zeros(n, np.int64), runs, number, np.arange(n))


def without_numbers(messages: Messages) -> Messages:
    """The same from a station that sends no running numbers."""
    return replace(messages, run=pa.nulls(len(messages), pa.string()), seq=np.full(len(messages), -1))


def part(start: int, stop: int, stations: dict[str, Messages]) -> Part:
    """The part of the recording [start, stop), of which ``stations`` have their messages (by position)."""
    chosen = {}
    for name, messages in stations.items():
        rows = np.flatnonzero((messages.position >= start) & (messages.position < stop))
        if len(rows):
            chosen[name] = messages.select(rows)
    at = ERT + np.arange(start, stop)
    return Part(start, at, at, chosen)


def cut(
    of: str, stations: dict[str, Messages], stops: Iterable[int], *, restart: bool = True
) -> tuple[list[Step], Partition]:
    """What a partition gives for the recording cut at ``stops``, restored from its state before each piece."""
    mission, compiled = loaded(of)
    partition = Partition(mission, compiled)
    steps = []
    start = 0
    for stop in stops:
        if restart:
            partition = Partition(mission, compiled, position=start, state=partition.state())
        steps.append(partition.process(part(start, stop, stations)))
        start = stop
    return steps, partition


def rows(steps: Sequence[Step]) -> dict[str, pa.Table]:
    """The rows of each container, in their order."""
    found: dict[str, list[pa.RecordBatch]] = {}
    for step in steps:
        for item in step.telemetry:
            found.setdefault(item.rows.container, []).append(item.rows.batch)
    return {name: pa.Table.from_batches(batches).combine_chunks() for name, batches in sorted(found.items())}


def journal(steps: Sequence[Step]) -> dict[tuple[str, int, int], object]:
    """Alarms and events as a store keeps them: the newest content of each line."""
    return {
        (entry.kind, entry.position, entry.place): (entry.time, entry.subject, dict(entry.values))
        for step in steps
        for entry in [*step.alarms, *step.events]
    }
