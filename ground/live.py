"""The live stream: decoded batches of real-time channels on ``live/<mission>/<container>``, at most twenty a second
each.

Up to :data:`ROWS` rows go out as they are. Beyond that one row of last, minimum and maximum stands for all, since no
screen shows more, after the rows at which a state (enumeration, boolean, text) changed: those always pass.
"""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PERIOD: Final = 0.05
"""Seconds between two publications of a container."""

ROWS: Final = 64

_HELD: Final = 8192
"""Rows that wait as they are; of more what will be shown is made at once. The broker may be away for hours."""

_IDENTITY = 4  # time, ert, seq, digest come before the parameters

_Shown: TypeAlias = "tuple[Shape, str, pa.RecordBatch]"
"""What a batch is made of, its kind (raw or summary), and the batch."""


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


class LiveStream:
    """Collects batches between two publications. ``prefix`` (empty, or ending in /) sets a replay's topics apart."""

    def __init__(self, publish: Publish, *, prefix: str = "") -> None:
        self._publish = publish
        self._prefix = prefix
        self._start = 0
        self._containers: dict[tuple[str, str], _Container] = {}

    def begin(self, position: int) -> None:
        """Processing starts at ``position``: nothing before it goes out here."""
        self._start = position

    def add(self, mission: str, container: str, batch: pa.RecordBatch) -> None:
        """Take a batch of a real-time channel; nothing is sent before :meth:`flush`."""
        self._containers.setdefault((mission, container), _Container(self._start)).add(batch)

    async def flush(self, position: int) -> int:
        """Publish what waits; ``position`` is how far the recording has been processed. Returns batches sent."""
        # Taken out before the first await: what is added meanwhile lies beyond ``position``.
        ready = [(key, entry, shown) for key, entry in self._containers.items() if (shown := entry.take())]
        # All at once: the answers to a busy connection's messages take their time.
        if new := [one for one in ready if one[1].new(one[2])]:
            await asyncio.gather(*(self._announce(*one) for one in new))
        for (mission, container), entry, shown in ready:
            start, entry.published = entry.published, position
            for shape, kind, batch in shown:
                schema_id, _ = shape.announcements[kind]
                properties = [("schema_id", schema_id), ("from", str(start)), ("to", str(position))]
                topic = f"{self._prefix}live/{mission}/{container}"
                payload = batch.serialize().to_pybytes()
                await self._publish(topic, payload, qos=0, retain=False, properties=[*properties, ("kind", kind)])
        return sum(len(shown) for _, _, shown in ready)

    async def _announce(self, key: tuple[str, str], entry: _Container, shown: list[_Shown]) -> None:
        """Publish the schemas, retained, that aren't those that were announced."""
        mission, container = key
        for kind, schema_id, octets in entry.new(shown):
            topic = f"{self._prefix}schema/{mission}/{container}" + ("/summary" if kind == "summary" else "")
            await self._publish(topic, octets, qos=1, retain=True, properties=[("schema_id", schema_id)])
            entry.announced[kind] = schema_id


@dataclass(slots=True)
class _Container:
    """What waits to be published of one container. ``published``: position up to which all went out."""

    published: int
    announced: dict[str, str] = field(default_factory=dict)
    _waiting: list[pa.RecordBatch] = field(default_factory=list)
    _rows: int = 0
    _shown: list[_Shown] = field(default_factory=list)
    _last: pa.RecordBatch | None = None
    _shape: Shape | None = None

    def add(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch)
        self._rows += batch.num_rows
        if self._rows > _HELD:
            self._reduce()

    def take(self) -> list[_Shown]:
        """All of it; nothing waits any more."""
        self._reduce()
        shown, self._shown = self._shown, []
        return shown

    def new(self, shown: list[_Shown]) -> list[tuple[str, str, bytes]]:
        """Kind, schema identifier and schema message, each once, of what has another schema than was announced."""
        schemas = dict.fromkeys((kind, *shape.announcements[kind]) for shape, kind, _ in shown)
        return [schema for schema in schemas if self.announced.get(schema[0]) != schema[1]]

    def _reduce(self) -> None:
        if not self._waiting:
            return
        batches, self._waiting, self._rows = self._waiting, [], 0
        rows: pa.RecordBatch = batches[0] if len(batches) == 1 else pa.concat_batches(batches)  # type: ignore[attr-defined]
        if self._shape is None or not self._shape.schema.equals(rows.schema, check_metadata=True):
            self._shape = Shape(rows.schema)
        # A copy: a slice would keep all the rows.
        before, self._last = self._last, rows.take(pa.array([rows.num_rows - 1]))
        self._shown += ((self._shape, kind, batch) for kind, batch in _to_show(rows, before, self._last, self._shape))


class Shape:
    """What follows from a container's ``schema``: which columns are states and numbers, and the summary's schema.

    ``announcements``: for each kind its schema's identifier and message.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        columns = range(_IDENTITY, len(schema))
        self.states = [i for i in columns if _is_state(schema.field(i))]
        by_type: dict[pa.DataType, list[int]] = {}
        for i in columns:
            if _is_number(schema.field(i)):
                by_type.setdefault(schema.field(i).type, []).append(i)
        self.numbers = [*by_type.items()]
        fields = list(schema)
        fields.insert(_IDENTITY, pa.field("|count", pa.int64()))
        fields += [
            pa.field(f"{schema.field(i).name}|{which}", kind)
            for kind, which_columns in self.numbers
            for i in which_columns
            for which in ("min", "max")
        ]
        self.summary = pa.schema(fields).with_metadata(schema.metadata)
        self.announcements = {
            kind: (f"{zlib.crc32(octets):08x}", octets)
            for kind, octets in (
                ("raw", schema.serialize().to_pybytes()),
                ("summary", self.summary.serialize().to_pybytes()),
            )
        }


def _to_show(
    rows: pa.RecordBatch, before: pa.RecordBatch | None, last: pa.RecordBatch, shape: Shape
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """The batches that stand for ``rows``: themselves, or changes of state and a summary. ``before``: the row before
    them; ``last``: the last of them.
    """
    if rows.num_rows <= ROWS:
        yield "raw", rows
        return
    changed = _state_changes(rows, before, shape)
    if len(changed):
        yield "raw", rows.take(pa.array(changed[:ROWS]))
    yield "summary", _summary(rows, last, shape)


def _state_changes(rows: pa.RecordBatch, before: pa.RecordBatch | None, shape: Shape) -> np.ndarray:
    """The rows, int64 (k,), at which a state differs from the row before it."""
    changed = np.zeros(rows.num_rows, np.bool_)
    for i in shape.states:
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


def _summary(rows: pa.RecordBatch, last: pa.RecordBatch, shape: Shape) -> pa.RecordBatch:
    """One row for many: the columns of ``rows`` with their last values, ``|count`` int64 after the first four, and for
    every number ``P`` the columns ``P|min`` and ``P|max`` of its type, without regard to NaN and null.
    """
    columns = list(last.columns)
    columns.insert(_IDENTITY, pa.array([rows.num_rows], pa.int64()))
    for kind, numbers in shape.numbers:
        columns += _extremes([rows.column(i) for i in numbers], kind)
    return pa.RecordBatch.from_arrays(columns, schema=shape.summary)


def _extremes(columns: Sequence[pa.Array[Any]], kind: pa.DataType) -> Iterator[pa.Array[Any]]:
    """The least and the greatest value of each column, all of one type, as arrays of length 1."""
    if any(column.null_count for column in columns):
        for column in columns:
            extremes = pc.min_max(column)
            yield from (pa.array([extremes[which].as_py()], kind) for which in ("min", "max"))
        return
    # All columns at once: twenty times a second, a call for each would cost more than decoding.
    values = np.stack([column.to_numpy() for column in columns])
    found = np.stack((np.fmin.reduce(values, axis=1), np.fmax.reduce(values, axis=1)), axis=1)
    buffer = pa.py_buffer(found.data)
    for i in range(found.size):
        yield pa.Array.from_buffers(kind, 1, [None, buffer], 0, i)
