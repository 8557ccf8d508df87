"""Packets to Arrow record batches, all packets of a container at once.

A block of packets goes down the tree of containers: those too short for a container drop out, the restrictions split
the rest among its children. What reaches a concrete container becomes a batch.
"""

from __future__ import annotations

import operator
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ground.blocks import NO_TIME
from ground.xtce.calibrate import absolute_time, calibrate
from ground.xtce.declarations import BinaryEncoding, FloatEncoding, IntegerEncoding, StringEncoding
from ground.xtce.extract import Numbers, read_numbers, shift_octets, take_rows
from ground.xtce.layout import TIMESTAMP, Field
from ground.xtce.text import binary_column, string_column

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ground.blocks import Octets, Packets
    from ground.xtce.plan import ContainerPlan, Node, Plan
    from ground.xtce.restriction import Condition

_OPERATORS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(slots=True)
class Decoded:
    """What came of a block of packets.

    ``batches``: (container, batch), see :func:`decode`; ``packets``: of each batch, in the order of its rows.
    ``dropped``: undecoded packets by reason: ``no container`` (matches none), ``ambiguous`` (matches several),
    ``too short`` (ends before its container does).
    """

    batches: list[tuple[str, pa.RecordBatch]] = field(default_factory=list)
    packets: list[Packets] = field(default_factory=list)
    dropped: list[tuple[str, Packets]] = field(default_factory=list)

    @property
    def undecoded(self) -> dict[str, int]:
        """How many packets were dropped for which reason."""
        return {reason: n.total() for reason, n in self.apids.items()}

    @property
    def apids(self) -> dict[str, Counter[int]]:
        """The same by reason and APID."""
        found: dict[str, Counter[int]] = {}
        for reason, packets in self.dropped:
            found.setdefault(reason, Counter()).update(packets.apid.tolist())
        return found

    def add(self, container: ContainerPlan, packets: Packets, batch: pa.RecordBatch) -> None:
        """Take decoded packets: under the container's name, or for each APID under one of its own."""
        if not container.per_apid:
            self.batches.append((container.name, batch))
            self.packets.append(packets)
            return
        # Decoded as the packets lie, and sorted then: rows that are read in turn are in the processor's cache.
        number = np.bincount(packets.apid)
        if (packets.apid[1:] < packets.apid[:-1]).any():
            order = np.argsort(packets.apid, kind="stable")
            batch, packets = batch.take(order), packets.select(order)
        first = 0
        for one in np.flatnonzero(number).tolist():
            name = f"{container.name}_{one}"
            of_one = batch.slice(first, int(number[one])).replace_schema_metadata({"container": name})
            self.batches.append((name, of_one))
            self.packets.append(packets.select(slice(first, first + of_one.num_rows)))
            first += of_one.num_rows

    def drop(self, reason: str, packets: Packets) -> None:
        """``packets`` are undecoded."""
        if len(packets):
            self.dropped.append((reason, packets))


def decode(plan: Plan, packets: Packets) -> Decoded:
    """Decode ``packets``. Nothing that they contain raises.

    A batch has the columns ``time`` and ``ert`` (timestamp[ns, UTC]), ``seq`` (uint16), ``digest`` (int64), then a
    column per parameter that is not in the primary header, in engineering values: calibrated ones float64; integers and
    enumeration codes the smallest integer type that holds them; floats as they are (16 bits as float32); booleans,
    utf8, binary and timestamp[ns, UTC]. A value is null where a spline, a length-prefixed string or a time has none.
    Rows are in packet order. A packet may be longer than its container.

    Containers that the definition doesn't tie to one APID give a batch per APID, named ``<container>_<apid>``.
    """
    decoded = Decoded()
    if len(packets):
        with np.errstate(all="ignore"):
            _descend(plan.root, _Block(packets, [packets.start]), decoded)
    return decoded


class _Block:
    """Packets with the same layout so far. ``origins``: int64 (n,) for each segment, its first octet in the data."""

    def __init__(self, packets: Packets, origins: list[NDArray[np.int64]]) -> None:
        self.packets = packets
        self.origins = origins
        self._windows: dict[int, Octets] = {}

    def __len__(self) -> int:
        return len(self.packets)

    def select(self, rows: NDArray[np.bool_]) -> _Block:
        if rows.all():
            return self
        return _Block(self.packets.select(rows), [origin[rows] for origin in self.origins])

    def segment(self, number: int, octets: int) -> Octets:
        """The first ``octets`` of a segment, uint8 (n, octets): a view where the packets lie at equal distances."""
        window = self._windows.get(number)
        if window is None or window.shape[1] < octets:
            window = self._windows[number] = take_rows(self.packets.data, self.origins[number], octets)
        return window

    def numbers(self, place: Field, count: int = 1) -> Numbers:
        """The raw values of ``count`` fields from ``place`` on, (count, n)."""
        encoding = place.parameter.type.encoding
        assert isinstance(encoding, IntegerEncoding | FloatEncoding)
        octets = self.segment(place.segment, (place.bit + count * encoding.bits + 7) // 8)
        return read_numbers(octets, place.bit, encoding, count)

    def columns(self, run: tuple[Field, ...]) -> Iterator[pa.Array[Any]]:
        """The columns of a run of fields, one by one."""
        encoding = run[0].parameter.type.encoding
        if isinstance(encoding, IntegerEncoding | FloatEncoding):
            numbers, n = self.numbers(run[0], len(run)), len(self)
            buffer = pa.py_buffer(numbers.data)
            for i, place in enumerate(run):
                if place.raw:
                    # Arrow takes the numbers where they lie: a conversion of every column costs more than decoding.
                    yield pa.Array.from_buffers(place.arrow_type, n, [None, buffer], 0, i * n)
                else:
                    yield _column(place, numbers[i])
        elif isinstance(encoding, StringEncoding):
            yield string_column(*self._buffers(run[0], encoding), encoding)
        else:
            yield binary_column(*self._buffers(run[0], encoding))

    def _buffers(
        self, place: Field, encoding: StringEncoding | BinaryEncoding
    ) -> tuple[Octets, NDArray[np.int64], NDArray[np.int64]]:
        """Where the octets of a string or binary field lie: data, and the start and size (n,) of each in it."""
        origin = self.origins[place.segment]
        if encoding.size.parameter is not None:
            start = origin + place.bit // 8
            return self.packets.data, start, self.origins[place.segment + 1] - start
        width = encoding.size.bits // 8
        size = np.full(len(self), width, np.int64)
        if place.bit % 8 == 0 or width == 0:
            return self.packets.data, origin + place.bit // 8, size
        octets = shift_octets(self.segment(place.segment, (place.bit + 7) // 8 + width), place.bit, width)
        return octets.reshape(-1), np.arange(len(self)) * width, size


def _is_number(place: Field) -> bool:
    return isinstance(place.parameter.type.encoding, IntegerEncoding | FloatEncoding)


def _column(place: Field, raw: Numbers) -> pa.Array[Any]:
    kind = place.parameter.type
    if kind.tick is not None:
        return _timestamps(absolute_time(raw, kind.tick, kind.epoch))
    values, missing = _engineering(place, raw)
    return pa.array(values, place.arrow_type, mask=missing)


def _engineering(place: Field, raw: Numbers) -> tuple[Numbers, NDArray[np.bool_] | None]:
    """The engineering values (n,) of a number or boolean, and the rows without one."""
    kind = place.parameter.type
    if kind.calibrator is not None:
        return calibrate(kind.calibrator, raw)
    if kind.kind == "boolean":
        return raw != 0, None
    if kind.kind == "float" and isinstance(kind.encoding, IntegerEncoding):
        return raw.astype(np.float64), None
    return raw, None


def _timestamps(nanoseconds: NDArray[np.int64]) -> pa.Array[Any]:
    missing = nanoseconds == NO_TIME
    if missing.any():
        return pa.array(nanoseconds, pa.int64(), mask=missing).view(TIMESTAMP)
    buffer = pa.py_buffer(np.ascontiguousarray(nanoseconds).data)
    return pa.Array.from_buffers(TIMESTAMP, len(nanoseconds), [None, buffer], 0)


def _descend(node: Node, block: _Block, decoded: Decoded) -> None:
    block = _fit(node, block, decoded)
    if not len(block):
        return
    matches = [_matches(child.conditions, block) for child in node.children]
    number = np.sum(matches, axis=0) if matches else np.zeros(len(block), np.int64)
    if (number > 1).any():
        decoded.drop("ambiguous", block.packets.select(number > 1))
    ended = block.select(number == 0)
    if node.container is None:
        decoded.drop("no container", ended.packets)
    elif len(ended):
        decoded.add(node.container, ended.packets, _batch(node, node.container, ended))
    for child, rows in zip(node.children, matches, strict=True):
        rows &= number == 1
        if rows.any():
            _descend(child, block.select(rows), decoded)


def _fit(node: Node, block: _Block, decoded: Decoded) -> _Block:
    """The packets that are long enough for ``node``, with the origins of all its segments."""
    while True:
        number = len(block.origins) - 1
        end = block.packets.start + block.packets.length
        fits = block.origins[number] + node.segments[number] <= end
        if not fits.all():
            decoded.drop("too short", block.packets.select(~fits))
            block = block.select(fits)
        if number == len(node.variables) or not len(block):
            return block
        variable = node.variables[number]
        size = (variable.size.bits + variable.size.slope * block.numbers(variable.reference)[0].astype(np.int64)) // 8
        # A size below nothing is as wrong as one that reaches beyond the packet.
        size = np.where(size < 0, len(block.packets.data) + 1, size)
        block = _Block(block.packets, [*block.origins, block.origins[number] + variable.field.bit // 8 + size])


def _matches(conditions: tuple[Condition, ...], block: _Block) -> NDArray[np.bool_]:
    rows = np.ones(len(block), np.bool_)
    for condition in conditions:
        values = block.numbers(condition.field)[0]
        if isinstance(condition.value, tuple):
            found = np.isin(values, condition.value)
            rows &= found if condition.operator == "==" else ~found
            continue
        if not condition.raw:
            values, _ = _engineering(condition.field, values)
        if values.dtype == np.float32:  # numpy would round the other side to float32
            values = values.astype(np.float64)
        rows &= _OPERATORS[condition.operator](values, condition.value)
    return rows


def _batch(node: Node, container: ContainerPlan, block: _Block) -> pa.RecordBatch:
    packets = block.packets
    # All numbers of a segment are read from one window; a segment without any needs none.
    for number in {run[0].segment for run in node.runs if _is_number(run[0])}:
        block.segment(number, node.segments[number])
    columns: list[pa.Array[Any]] = [
        _timestamps(packets.time),
        _timestamps(packets.ert),
        pa.array(packets.seq),
        pa.array(packets.digest),
        *(column for run in node.runs for column in block.columns(run)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=container.schema)
