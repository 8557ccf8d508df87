"""Rows as InfluxDB points: their timestamps, which of them are new, and their lines.

InfluxDB tells points apart by measurement, tags and timestamp. A row's timestamp is time + seq ns, so that equal times
of different packets do not overwrite each other. Where two rows still share one (1000 + 5 = 1003 + 2), the second has
the tag ``twin`` with its own seq for a value; queries that don't name the tag see both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ground.stores.influxdb.lineprotocol import Lines, encode, prefix
from ground.stores.influxdb.records import FIRST, LAST

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
    def of(cls, rows: pa.Table) -> tuple[Points, int]:
        """The rows that InfluxDB has a timestamp for, and how many others there are."""
        time = rows["time"].to_numpy().view(np.int64)
        stamps = time + rows["seq"].to_numpy()
        possible = (time >= FIRST) & (stamps >= time) & (stamps <= LAST)
        if possible.all():
            return cls(rows, stamps), 0
        return cls(rows.filter(pa.array(possible)), stamps[possible]), int(np.count_nonzero(~possible))

    @property
    def seq(self) -> NDArray[np.uint16]:
        """Packet sequence counts (n,)."""
        return np.asarray(self.rows["seq"].to_numpy())

    def __len__(self) -> int:
        return len(self.stamps)

    def take(self, chosen: NDArray[np.bool_]) -> Points:
        """The chosen ones."""
        return self if chosen.all() else Points(self.rows.filter(pa.array(chosen)), self.stamps[chosen])

    def new(self, stamps: NDArray[np.int64], seq: NDArray[np.uint16]) -> tuple[Points, Points, int]:
        """Those that are not stored yet, each once: plain ones, twins; and how many stored ones were met.

        ``stamps``, ``seq``: timestamps and packet sequence counts (m,) of the stored points.
        """
        if not len(stamps) and (self.stamps[1:] > self.stamps[:-1]).all():
            return self, self.take(np.zeros(len(self), np.bool_)), 0
        # Stored ones come first and both sorts are stable: of equals, the first one stays.
        stored = len(stamps)
        stamps, seq = np.concatenate([stamps, self.stamps]), np.concatenate([seq, self.seq])
        order = np.lexsort((seq, stamps))
        again = (np.diff(stamps[order]) == 0) & (np.diff(seq[order]) == 0)
        met = int(np.count_nonzero(again & (order[:-1] < stored) & (order[1:] >= stored)))
        repeated = np.zeros(len(order), np.bool_)
        repeated[order[1:]] = again
        once = np.flatnonzero(~repeated)
        once = once[np.argsort(stamps[once], kind="stable")]
        twin = np.zeros(len(repeated), np.bool_)
        twin[once[1:]] = np.diff(stamps[once]) == 0
        fresh, twin = ~repeated[stored:], twin[stored:]
        return self.take(fresh & ~twin), self.take(fresh & twin), met

    def slices(self) -> Iterator[Points]:
        """Pieces of at most :data:`LINES` rows."""
        for start in range(0, len(self), LINES):
            yield Points(self.rows.slice(start, LINES), self.stamps[start : start + LINES])

    def lines(self, container: Container, twin: int | None = None) -> Lines:
        """The points as lines."""
        mission, name = container.key
        tags = {"mission": mission} | ({} if twin is None else {"twin": str(twin)})
        columns = [(container.keys[column], self.rows[column].combine_chunks()) for column in ("seq", "ert")]
        columns += [
            (container.keys[column], self.rows[column].combine_chunks())
            for column in self.rows.schema.names
            if column not in ("time", "seq", "ert")
        ]
        return encode(prefix(name, tags), columns, self.stamps)
