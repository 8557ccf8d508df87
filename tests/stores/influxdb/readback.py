"""Telemetry into a store, and a comparison of what comes out again with what went in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ground.mission import load_mission
from ground.processing.messages import Messages, Part
from ground.processing.partition import Partition
from ground.stores import Checkpoint, Count
from ground.xtce import plan, read
from simulators.downlink import STEP
from simulators.run import SPACECRAFT
from simulators.simulation import Simulation
from simulators.state import State
from tests.stores.telemetry import same

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ground.stores import Rows, Store

HOUR = 3600 * 10**9
TOGETHER = 600 * 10**9
"""ns of a simulation that are decoded and appended in one go."""


@dataclass
class Readback:
    """What was appended to ``store`` by container: the rows are kept as they were."""

    store: Store
    rows: dict[tuple[str, str], list[pa.RecordBatch]] = field(default_factory=dict)
    position: int = 0

    async def append(self, rows: list[Rows]) -> None:
        """Append, and remember."""
        for item in rows:
            self.rows.setdefault((item.mission, item.container), []).append(item.batch)
        self.position += 1
        for mission in dict.fromkeys(item.mission for item in rows):
            own = [item for item in rows if item.mission == mission]
            await self.store.append(mission, own, [], Checkpoint(self.position, b""))

    async def differences(self) -> tuple[list[str], int]:
        """In which hours of which containers what the store gives back is not what went in; and how many values do.

        Rows that were appended twice are there once; what isn't finite is null, and counted.
        """
        wrong = []
        values = 0
        for (mission, container), batches in self.rows.items():
            arrived = pa.Table.from_batches(batches)
            once = distinct(arrived)
            expected = finite(once)
            alike = len(once) - len(distinct(once, "time", "seq"))
            nonfinite = nulls(expected) - nulls(once)
            counted = Count(len(once), len(arrived) - len(once), alike, nonfinite=nonfinite)
            found = (await self.store.counts(mission)).get(container)
            if found != counted:
                wrong.append(f"{mission}/{container}: {found} should be {counted}")
            time = expected["time"].to_numpy().view(np.int64)
            for start in range(int(time[0]), int(time[-1]) + 1, HOUR):
                first, end = np.searchsorted(time, [start, start + HOUR])
                stored = await self.store.rows(mission, container, start, start + HOUR)
                if not same(stored, expected.slice(first, end - first)):
                    wrong.append(f"{mission}/{container}: rows from {np.datetime64(start, 'ns')} on")
                values += int(end - first) * len(expected.schema)
        return wrong, values


def simulated(name: str, seconds: int, folder: Path) -> Iterator[list[Rows]]:
    """The rows of a simulation's first ``seconds``, as its stations receive it; ``folder`` takes its recorder."""
    mission, craft = load_mission(name), SPACECRAFT[name]
    simulation = Simulation(mission, craft, State(name, 26, craft.start, craft.start), folder / "recorder")
    partition = Partition(mission, plan.compile(read.load(mission.telemetry)))
    try:
        end = craft.start + seconds * 10**9
        while simulation.clock < end:
            until = min(simulation.clock + TOGETHER, end)
            sent: dict[str, list[Any]] = {}
            while simulation.clock < until:
                for step in simulation.advance((until - simulation.clock) // STEP):
                    for message in step.messages:
                        sent.setdefault(message.station, []).append(message)
            stations, first = {}, partition.position
            for station, messages in sent.items():
                stations[station] = _columns(messages, simulation.state.run, first)
                first += len(messages)
            received = np.full(first - partition.position, simulation.clock)
            part = Part(partition.position, received, received, stations)
            yield [telemetry.rows for telemetry in partition.process(part).telemetry]
    finally:
        simulation.close()


def _columns(messages: list[Any], run: str, first: int) -> Messages:
    length = np.array([len(message.payload) for message in messages])
    return Messages(
        np.frombuffer(b"".join(message.payload for message in messages), np.uint8),
        np.cumsum(length) - length,
        length,
        np.array([message.ert for message in messages]),
        np.array([message.dt for message in messages]),
        pa.array([run] * len(messages)),
        np.array([message.seq for message in messages]),
        first + np.arange(len(messages)),
    )


def distinct(rows: pa.Table, *keys: str) -> pa.Table:
    """The first row of each identity, in its order; ``keys``: the columns that make it."""
    columns = [
        rows[key].to_numpy().view(np.int64) if key == "time" else rows[key].to_numpy()
        for key in keys or ("time", "seq", "digest")
    ]
    order = np.lexsort(columns[::-1])
    first = np.append(True, np.logical_or.reduce([np.diff(column[order]) != 0 for column in columns]))
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
    """How many values are null."""
    return sum(column.null_count for column in rows.columns)
