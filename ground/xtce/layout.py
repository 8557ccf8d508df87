"""Where the parameters of a packet lie.

A packet is cut into segments. Within a segment all offsets are fixed; a string or binary field whose size depends on
the packet ends its segment, and the next segment begins after it. Nearly all containers are one segment.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from ground.errors import DefinitionError
from ground.xtce.declarations import (
    BinaryEncoding,
    Comparison,
    Entry,
    FloatEncoding,
    IntegerEncoding,
    Parameter,
    ParameterType,
    SequenceContainer,
    Size,
    StringEncoding,
)

RESERVED = ("time", "ert", "seq", "digest")
"""The columns that every batch begins with; no parameter may have their names."""

TIMESTAMP = pa.timestamp("ns", "UTC")
_PRIMARY_HEADER_BITS = 48  # CCSDS 133.0-B-2, 4.1.3


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter at ``bit``, counted from the beginning of ``segment`` (0 begins at the packet's first bit).

    ``arrow_type``: of the column with its engineering values. ``raw``: those are the raw values, in their dtype.
    """

    parameter: Parameter
    segment: int
    bit: int
    arrow_type: pa.DataType
    raw: bool

    @property
    def in_primary_header(self) -> bool:
        """Whether it lies in the six octets of the packet's primary header."""
        encoding = self.parameter.type.encoding
        if not isinstance(encoding, IntegerEncoding | FloatEncoding):
            return False
        return self.segment == 0 and self.bit + encoding.bits <= _PRIMARY_HEADER_BITS


@dataclass(frozen=True, slots=True)
class Variable:
    """A field that ends a segment; its size in bits is ``size.bits`` plus ``size.slope`` times ``reference``."""

    field: Field
    size: Size
    reference: Field


class Layout:
    """The fields of a packet from the root down to some container, by name and in packet order.

    ``bits``: of each segment, those that are taken so far.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.fields: dict[str, Field] = {}
        self.variables: list[Variable] = []
        self.bits = [0]

    def copy(self) -> Layout:
        """A layout that can grow on its own."""
        twin = Layout(self.path)
        twin.fields, twin.variables, twin.bits = dict(self.fields), list(self.variables), list(self.bits)
        return twin

    def append(self, entry: Entry) -> None:
        """Put ``entry`` behind what is there. Raises DefinitionError where it cannot be."""
        parameter, encoding = entry.parameter, entry.parameter.type.encoding
        if parameter.name in self.fields:
            raise self.error(f"the parameter {parameter.name} comes twice in one packet; give each place a name", entry)
        field = Field(
            parameter, len(self.bits) - 1, self.bits[-1], _arrow_type(parameter.type), _is_raw(parameter.type)
        )
        if isinstance(encoding, IntegerEncoding | FloatEncoding):
            self.bits[-1] += encoding.bits
        elif encoding.size.parameter is None:
            self.bits[-1] += encoding.size.bits
        else:
            self._end_segment(field, encoding.size, encoding.size.parameter, entry)
        if parameter.name in RESERVED and not field.in_primary_header:
            raise self.error(f"a parameter cannot be called {parameter.name}: every batch has that column", entry)
        self.fields[parameter.name] = field

    def _end_segment(self, field: Field, size: Size, parameter: str, entry: Entry) -> None:
        name = entry.parameter.name
        if field.bit % 8:
            raise self.error(
                f"{name} has a variable size and does not begin on an octet, which is not supported", entry
            )
        reference = self.fields.get(parameter)
        if reference is None:
            raise self.error(f"the size of {name} depends on {parameter}, which is not before it in the packet", entry)
        kind = reference.parameter.type
        encoding = kind.encoding
        if not (
            isinstance(encoding, IntegerEncoding)
            and kind.kind == "integer"
            and kind.calibrator is None
            and encoding.signed == "unsigned"
            and encoding.bits <= 32
        ):
            raise self.error(
                f"the size of {name} depends on {parameter}, which is not an unsigned integer of at most 32 bits "
                "without calibrator",
                entry,
            )
        self.variables.append(Variable(field, size, reference))
        self.bits.append(0)

    def error(self, message: str, entry: Entry | Comparison | SequenceContainer) -> DefinitionError:
        """An error at ``entry``, to be raised."""
        return DefinitionError(message, path=self.path, line=entry.line)


def _is_raw(kind: ParameterType) -> bool:
    if kind.tick is not None or kind.calibrator is not None:
        return False
    return kind.kind in {"integer", "enumeration"} or (
        kind.kind == "float" and isinstance(kind.encoding, FloatEncoding)
    )


def _arrow_type(kind: ParameterType) -> pa.DataType:
    encoding = kind.encoding
    if isinstance(encoding, StringEncoding):
        return pa.string()
    if isinstance(encoding, BinaryEncoding):
        return pa.binary()
    if kind.kind == "boolean":
        return pa.bool_()
    if kind.kind == "time":
        return TIMESTAMP
    if kind.calibrator is not None:
        return pa.float64()
    if isinstance(encoding, FloatEncoding):
        return pa.float64() if encoding.bits == 64 else pa.float32()
    if kind.kind == "float":
        return pa.float64()
    width = next(width for width in (8, 16, 32, 64) if encoding.bits <= width)
    signed = encoding.signed == "twosComplement"
    return {
        8: (pa.uint8(), pa.int8()),
        16: (pa.uint16(), pa.int16()),
        32: (pa.uint32(), pa.int32()),
        64: (pa.uint64(), pa.int64()),
    }[width][signed]
