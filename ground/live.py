"""The live stream: decoded batches of real-time channels on ``live/<mission>/<container>``, at most twenty a second
each.

Up to :data:`ROWS` rows go out as they are. Beyond that one row of last, minimum and maximum stands for all, since no
screen shows more, after the rows at which a state (enumeration, boolean, text) changed: those always pass.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PERIOD: Final = 0.05
"""Seconds between two publications of a container."""

ROWS: Final = 64

_IDENTITY = 3  # time, ert, seq come before the parameters


class Publish(Protocol):
    """How a message leaves: the MQTT client's own publish, or a test's."""

    async def __call__(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        properties: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Send one message."""
        ...


@dataclass(slots=True)
class _Container:
    """What waits to be published of one container. ``published``: position up to which all went out."""

    published: int
    batches: list[pa.RecordBatch] = field(default_factory=list)
    announced: dict[str, str] = field(default_factory=dict)
    last: pa.RecordBatch | None = None


class LiveStream:
    """Collects batches between two publications. ``prefix`` (empty, or ending in /) sets a replay's topics apart."""

    def __init__(self, publish: Publish, *, prefix: str = "") -> None:
        self._publish = publish
        self._prefix = prefix
        self._start = 0
        self._waiting: dict[tuple[str, str], _Container] = {}

    def begin(self, position: int) -> None:
        """Processing starts at ``position``: nothing before it goes out here."""
        self._start = position

    def add(self, mission: str, container: str, batch: pa.RecordBatch) -> None:
        """Take a batch of a real-time channel; nothing is sent before :meth:`flush`."""
        entry = self._waiting.setdefault((mission, container), _Container(self._start))
        entry.batches.append(batch)

    async def flush(self, position: int) -> int:
        """Publish what waits; ``position`` is how far the recording has been processed. Returns batches sent."""
        # Taken out before the first await: what is added meanwhile lies beyond ``position``.
        ready = []
        for key, entry in self._waiting.items():
            if entry.batches:
                ready.append((key, entry, entry.batches))
                entry.batches = []
        sent = 0
        for (mission, container), entry, batches in ready:
            rows = pa.Table.from_batches(batches).combine_chunks().to_batches()[0]
            for kind, batch in _to_show(rows, entry.last):
                schema_id = await self._announce(mission, container, kind, batch.schema, entry)
                properties = [("schema_id", schema_id), ("from", str(entry.published)), ("to", str(position))]
                topic = f"{self._prefix}live/{mission}/{container}"
                payload = batch.serialize().to_pybytes()
                await self._publish(topic, payload, qos=0, retain=False, properties=[*properties, ("kind", kind)])
                entry.published = position
                sent += 1
            entry.last = rows.slice(rows.num_rows - 1)
        return sent

    async def _announce(self, mission: str, container: str, kind: str, schema: pa.Schema, entry: _Container) -> str:
        """Publish the schema, retained, when it isn't the one that was announced; returns its identifier."""
        octets = schema.serialize().to_pybytes()
        schema_id = f"{zlib.crc32(octets):08x}"
        if entry.announced.get(kind) != schema_id:
            topic = f"{self._prefix}schema/{mission}/{container}" + ("/summary" if kind == "summary" else "")
            await self._publish(topic, octets, qos=1, retain=True, properties=[("schema_id", schema_id)])
            entry.announced[kind] = schema_id
        return schema_id


def _to_show(rows: pa.RecordBatch, before: pa.RecordBatch | None) -> Iterator[tuple[str, pa.RecordBatch]]:
    """The batches that stand for ``rows``: themselves, or changes of state and a summary."""
    if rows.num_rows <= ROWS:
        yield "raw", rows
        return
    changed = _state_changes(rows, before)
    if len(changed):
        yield "raw", rows.take(pa.array(changed[:ROWS]))
    yield "summary", summarise(rows)


def _state_changes(rows: pa.RecordBatch, before: pa.RecordBatch | None) -> np.ndarray:
    """The rows, int64 (k,), at which a state differs from the row before it."""
    changed = np.zeros(rows.num_rows, np.bool_)
    for i in range(_IDENTITY, rows.num_columns):
        if not _is_state(rows.schema.field(i)):
            continue
        column = rows.column(i)
        first = column.slice(0, 1) if before is None else before.column(i)
        previous = pa.concat_arrays([first, column.slice(0, rows.num_rows - 1)])
        differs: pa.BooleanArray = pc.not_equal(column, previous)
        changed |= differs.fill_null(False).to_numpy(zero_copy_only=False)
    return np.flatnonzero(changed)


def _is_state(field: pa.Field[Any]) -> bool:
    kind = (field.metadata or {}).get(b"kind")
    return kind == b"enumeration" or pa.types.is_boolean(field.type) or pa.types.is_string(field.type)


def _is_number(field: pa.Field[Any]) -> bool:
    return not _is_state(field) and (pa.types.is_integer(field.type) or pa.types.is_floating(field.type))


def summarise(rows: pa.RecordBatch) -> pa.RecordBatch:
    """One row for many: the columns of ``rows`` with their last values, ``count`` int64 after the first three, and for
    every number ``P`` the columns ``P|min`` and ``P|max`` of its type.
    """
    last = rows.slice(rows.num_rows - 1)
    columns, fields = list(last.columns), list(last.schema)
    columns.insert(_IDENTITY, pa.array([rows.num_rows], pa.int64()))
    fields.insert(_IDENTITY, pa.field("count", pa.int64()))
    for column, about in zip(rows.columns[_IDENTITY:], list(rows.schema)[_IDENTITY:], strict=True):
        if _is_number(about):
            extremes = pc.min_max(column)
            for which in ("min", "max"):
                columns.append(pa.array([extremes[which].as_py()], about.type))
                fields.append(pa.field(f"{about.name}|{which}", about.type))
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields).with_metadata(rows.schema.metadata))
