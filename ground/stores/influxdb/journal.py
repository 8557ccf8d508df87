"""A mission's journal: a point for each entry in the measurement ``perilune.journal``.

The tags are mission, kind and place (so there are as many series as one message has entries of a kind, at most), the
fields ``place``, ``at`` (the entry's time, ns), ``subject`` and ``values`` (JSON). The timestamp follows from the
position in the recording, so an entry that is handed over again is written over; it lies in the years from 2112 on,
which no retention reaches.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ground.errors import RefusedError
from ground.stores import Entry
from ground.stores.influxdb.lineprotocol import encode, prefix
from ground.stores.influxdb.records import LAST, store
from ground.stores.influxdb.server import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ground.stores.influxdb.server import Series, Server

_MEASUREMENT = "perilune.journal"

_BASE = 4_500_000_000 * 10**9
"""The timestamp of position 0: 2112-08-07."""


async def write(server: Server, mission: str, entries: Sequence[Entry]) -> None:
    """Write the entries over those with their identity. Raises StoreError; RefusedError where one cannot be stored."""
    groups: dict[tuple[str, int], dict[int, Entry]] = {}
    for entry in entries:
        if not 0 <= entry.position <= LAST - _BASE:
            raise RefusedError(
                f"{server.address}: {mission}: an entry at position {entry.position} of the recording: "
                f"InfluxDB has timestamps for the positions 0 to {LAST - _BASE}"
            )
        groups.setdefault((entry.kind, entry.place), {})[entry.position] = entry
    lines = [
        encode(
            prefix(_MEASUREMENT, {"mission": mission, "kind": kind, "place": str(place)}),
            [
                ("place", pa.repeat(pa.scalar(place, pa.int64()), len(group))),
                ("at", pa.array([entry.time for entry in group.values()], pa.int64())),
                ("subject", pa.array([entry.subject for entry in group.values()], pa.string())),
                ("values", pa.array([json.dumps(entry.values) for entry in group.values()], pa.string())),
            ],
            np.array([*group], np.int64) + _BASE,
        ).text
        for (kind, place), group in groups.items()
    ]
    if lines:
        await store(server, pa.concat_arrays(lines))


async def page(
    server: Server, mission: str, kind: str, subject: str | None, before: tuple[int, int] | None, limit: int
) -> list[Entry]:
    """See :meth:`ground.stores.Store.entries`."""
    source = f"FROM {identifier(_MEASUREMENT)} WHERE mission = {literal(mission)} AND kind = {literal(kind)}"
    if subject is not None:
        source += f" AND subject = {literal(subject)}"
    selected = f'SELECT "place", "at", "subject", "values" {source} AND time'
    position, place = before or (LAST - _BASE + 1, 0)
    end = min(max(position, 0), LAST - _BASE + 1) + _BASE
    statements = [f"{selected} >= {_BASE} AND time < {end} ORDER BY time DESC LIMIT {limit}"]
    if before and end <= LAST:
        statements.append(f"{selected} = {end} AND place < {place}")
    answers = await server.query(statements)
    found = {(entry.position, entry.place): entry for answer in answers for entry in _entries(answer, kind)}
    if older := _entries(answers[0], kind):
        # The limit may have cut between entries of one position, whose order the server doesn't know.
        (cut,) = await server.query([f"{selected} = {older[-1].position + _BASE}"])
        found |= {(entry.position, entry.place): entry for entry in _entries(cut, kind)}
    return [found[identity] for identity in sorted(found, reverse=True)[:limit]]


def _entries(answer: Sequence[Series], kind: str) -> list[Entry]:
    names = ("time", "place", "at", "subject", "values")
    return [
        Entry(kind, stamp - _BASE, place, at, subject, json.loads(values))
        for series in answer
        for stamp, place, at, subject, values in zip(*(series.column(name) for name in names), strict=True)
        if None not in (place, at, subject, values)  # the server has taken in some fields and not yet others
    ]
