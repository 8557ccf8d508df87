"""Rows as InfluxDB points: their timestamps and their lines.

InfluxDB tells points apart by measurement, tags and timestamp. A row's timestamp is time + seq ns, so that equal times
of different packets do not overwrite each other. Where rows still share one (1000 + 5 = 1003 + 2, or time and seq are
equal and the octets aren't), all but the first have the tag ``twin`` with 1, 2, 3 ... for a value: there are no more
values than rows that share a timestamp. Queries that don't name the tag see all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ground.stores.influxdb.lineprotocol import Lines, encode, prefix
from ground.stores.influxdb.records import FIRST, LAST
from ground.stores.longtable import IDENTITY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ground.stores.influxdb.container import Container

LINES = 5_000
"""Lines of a request."""


@dataclass(frozen=True, slots=True)
class Points:
    """Rows of one container with their timestamps, int64 (n,)."""

    rows: pa.Table
    stamps: NDArray[np.int64]

    @classmethod
    def of(cls, rows: pa.Table) -> tuple[Points, NDArray[np.bool_]]:
        """The rows that InfluxDB has a timestamp for, and which of ``rows`` (n,) these are."""
        time = rows["time"].to_numpy().view(np.int64)
        stamps = time + rows["seq"].to_numpy()
        possible = (time >= FIRST) & (stamps >= time) & (stamps <= LAST)
        return cls(rows, stamps).take(possible), possible

    def __len__(self) -> int:
        return len(self.stamps)

    def take(self, chosen: NDArray[np.bool_]) -> Points:
        """The chosen ones."""
        return self if chosen.all() else Points(self.rows.filter(pa.array(chosen)), self.stamps[chosen])

    def slices(self) -> Iterator[Points]:
        """Pieces of at most :data:`LINES` rows."""
        for start in range(0, len(self), LINES):
            yield Points(self.rows.slice(start, LINES), self.stamps[start : start + LINES])

    def lines(self, container: Container, twin: int = 0) -> Lines:
        """The points as lines. ``twin``: their ordinal among those of their timestamps."""
        mission, name = container.key
        tags = {"mission": mission} | ({"twin": str(twin)} if twin else {})
        columns = [(container.keys[column], self.rows[column].combine_chunks()) for column in ("seq", "digest", "ert")]
        columns += [
            (container.keys[column], self.rows[column].combine_chunks())
            for column in self.rows.schema.names
            if column not in IDENTITY.names
        ]
        return encode(prefix(name, tags), columns, self.stamps)
