"""What the store keeps in the bucket besides telemetry, as records: a point each, of a JSON header and some octets.

Both are written in base64, cut into fields that fit InfluxDB Cloud's 64 KB for a text. The measurement has a dot in its
name, which no XTCE name has. A record is written over by the next one of the same UTC day: the bucket doesn't grow, and
a finite retention never catches up with it. A point's fields do not change in one instant for those who read them
meanwhile, so a CRC-32 (that of zlib) tells a whole record from a mixture of two.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

from ground.errors import RefusedError, StoreError
from ground.stores.influxdb.lineprotocol import encode, prefix
from ground.stores.influxdb.server import identifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ground.stores.influxdb.lineprotocol import Strings
    from ground.stores.influxdb.server import Series, Server

Key: TypeAlias = tuple[str, str]
"""(mission, container)"""

FIRST, LAST = -(2**63) + 2, 2**63 - 2
"""The times that InfluxDB can hold, in ns since 1970 UTC (influxdb v2.8, models/time.go)."""

_PIECE = 60_000
_DAY = 86_400 * 10**9
_TRIES = 10


@dataclass(frozen=True, slots=True)
class Record:
    """``tags`` tell records of one measurement apart."""

    tags: Mapping[str, str]
    header: Any
    body: bytes

    def line(self, measurement: str) -> Strings:
        """As a line (1,)."""
        content = json.dumps(self.header, separators=(",", ":")).encode() + b"\n" + self.body
        text = base64.b64encode(content).decode()
        pieces = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
        fields: list[tuple[str, pa.Array[Any]]] = [
            ("pieces", pa.array([len(pieces)])),
            ("crc", pa.array([zlib.crc32(content)])),
        ]
        fields += [(f"piece_{number}", pa.array([piece])) for number, piece in enumerate(pieces)]
        today = time.time_ns() // _DAY * _DAY
        return encode(prefix(measurement, self.tags), fields, np.array([today])).text

    @classmethod
    def parse(cls, series: Series) -> Record | None:
        """A record from the answer to :func:`select`; None where it is being written over."""
        try:
            pieces = [series.column(f"piece_{number}")[0] for number in range(series.column("pieces")[0])]
            content = base64.b64decode("".join(pieces))
            if zlib.crc32(content) != series.column("crc")[0]:
                return None
        except (TypeError, ValueError):  # a field that isn't there yet, pieces of two texts
            return None
        header, _, body = content.partition(b"\n")
        return cls(series.tags, json.loads(header), body)


def select(measurement: str, condition: str = "", group: str = "") -> str:
    """The statement that finds the newest record, one for each combination of the tags in ``group``."""
    where = f"time >= 0 AND time <= {LAST}{condition and ' AND '}{condition}"
    newest = f"{group and ' GROUP BY '}{group} ORDER BY time DESC LIMIT 1"
    return f"SELECT * FROM {identifier(measurement)} WHERE {where}{newest}"  # noqa: S608 (all of it is quoted)


async def store(server: Server, lines: Strings) -> None:
    """Write lines that must all be taken. Raises StoreError; RefusedError where one isn't, for what it says."""
    for refused in await server.write(lines):
        said = f"{server.address}: {refused.reason}: {refused.line}"
        raise RefusedError(said) if refused.for_good else StoreError(said)


async def fetch(server: Server, *statements: str) -> list[list[Record]]:
    """The records that each statement of :func:`select` finds, in one request."""
    for attempt in range(_TRIES):
        answers = [[Record.parse(series) for series in answer] for answer in await server.query(statements)]
        whole = [[record for record in answer if record] for answer in answers]
        if whole == answers:
            return whole
        await asyncio.sleep(0.01 * attempt)
    raise StoreError(f"{server.address}: the store's own records are damaged: restore the bucket, or start a new one")
