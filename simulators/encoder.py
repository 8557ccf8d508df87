"""From engineering values to space packets (CCSDS 133.0-B-2), as the mission's XTCE definitions describe them.

The reverse of the ground's decoder, which shares no code with it: only the declarations that both start from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ground.errors import DefinitionError
from ground.xtce.read import BinaryEncoding, FloatEncoding, IntegerEncoding, Polynomial, StringEncoding, load

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from ground.xtce.read import Parameter, ParameterType, SpaceSystem

Values: TypeAlias = "Mapping[str, ArrayLike]"
"""Engineering values by parameter: arrays (n,), or one value for all n packets."""

PRIMARY_HEADER = 6
_SECOND = 1_000_000_000
_TABLE_BITS = 16


@dataclass(frozen=True)
class Field:
    """A parameter and its place: ``bits`` from the packet's first bit at ``offset``."""

    parameter: Parameter
    offset: int
    bits: int


class PacketEncoder:
    """Makes the packets of one concrete container: its APID, its layout, all values in, all octets out.

    ``apid`` comes from the container's restriction; ``length`` is in octets; ``names`` are the parameters to be given,
    in the packet's order. A time that the root container holds is the packet's own time and is filled in.
    """

    def __init__(self, system: SpaceSystem, container: str) -> None:
        self.container = container
        chain = system.chain(container)
        conditions = [one for link in chain for one in link.restriction if one.parameter == "apid"]
        if not conditions:
            raise DefinitionError(f"{container} is not restricted to an apid", path=system.path, line=chain[-1].line)
        self.apid = int(conditions[-1].value)
        header = {entry.parameter.name for entry in system.root.entries}
        self.fields: list[Field] = []
        offset = 0
        for entry in (entry for link in chain for entry in link.entries):
            bits = _bits(entry.parameter.type, system.path)
            if offset >= 8 * PRIMARY_HEADER:
                self.fields.append(Field(entry.parameter, offset, bits))
            offset += bits
        if offset % 8:
            raise DefinitionError(f"{container} ends inside an octet", path=system.path, line=chain[-1].line)
        self.length = offset // 8
        self._own_time = {field.parameter.name for field in self.fields if field.parameter.name in header}
        self.names = [field.parameter.name for field in self.fields if field.parameter.name not in header]

    def encode(self, values: Values, time: NDArray[np.int64], count: ArrayLike) -> NDArray[np.uint8]:
        """Packets (n, length) of ``values`` taken at ``time`` (n,) ns since 1970 UTC.

        ``count``: packet sequence count of the first, or of each (n,). Values out of a field's range saturate. Raises
        ``KeyError`` for a parameter that isn't given.
        """
        n = len(time)
        bits = np.zeros((n, 8 * self.length), dtype=np.uint8)
        for field in self.fields:
            name = field.parameter.name
            value = time if name in self._own_time else values[name]
            bits[:, field.offset : field.offset + field.bits] = _field_bits(field.parameter.type, value, n)
        packets = np.packbits(bits, axis=1)
        counts = np.asarray(count) if np.ndim(count) else np.asarray(count) + np.arange(n)
        packets[:, :PRIMARY_HEADER] = primary_header(self.apid, counts, self.length, secondary=True)
        return packets


def encoders(path: Path) -> dict[str, PacketEncoder]:
    """An encoder for each concrete container of the definition file at ``path``, by container name."""
    system = load(path)
    return {name: PacketEncoder(system, name) for name, one in system.containers.items() if not one.abstract}


def primary_header(apid: int, count: ArrayLike, length: int, *, secondary: bool) -> NDArray[np.uint8]:
    """Primary headers (n, 6) of unsegmented telemetry packets of ``length`` octets (CCSDS 133.0-B-2, 4.1.3)."""
    counts = np.atleast_1d(np.asarray(count, dtype=np.int64)) & 0x3FFF
    words = np.empty((len(counts), 3), dtype=">u2")
    words[:, 0] = secondary << 11 | apid
    words[:, 1] = 0b11 << 14 | counts
    words[:, 2] = length - PRIMARY_HEADER - 1
    return words.view(np.uint8)


def _bits(kind: ParameterType, path: str) -> int:
    """How many bits a field takes. Raises DefinitionError for what can be decoded but not be encoded here."""
    encoding, calibrator = kind.encoding, kind.calibrator
    reason = None
    if isinstance(encoding, StringEncoding | BinaryEncoding):
        if encoding.size.parameter is not None:
            reason = "its size varies"
        bits = encoding.size.bits
    else:
        bits = encoding.bits
        if calibrator is not None and not (
            isinstance(encoding, IntegerEncoding)
            and isinstance(calibrator, Polynomial)
            and (_is_line(calibrator) or bits <= _TABLE_BITS)
        ):
            reason = "its calibrator has no inverse here"
    if reason is not None:
        raise DefinitionError(f"{kind.name} cannot be simulated: {reason}", path=path, line=kind.line)
    return bits


def _is_line(calibrator: Polynomial) -> bool:
    return len(calibrator.coefficients) == 2 and calibrator.coefficients[1] != 0


def _field_bits(kind: ParameterType, value: ArrayLike, n: int) -> NDArray[np.uint8]:
    """The bits (n, bits) of a field, most significant first."""
    encoding = kind.encoding
    if isinstance(encoding, StringEncoding):
        texts = np.broadcast_to(np.asarray(value, dtype=str), n)
        return _octet_bits([text.encode(encoding.charset) for text in texts], encoding.size.bits // 8)
    if isinstance(encoding, BinaryEncoding):
        blobs = [value] * n if isinstance(value, bytes) else list(value)  # type: ignore[arg-type]
        return _octet_bits(blobs, encoding.size.bits // 8)
    if isinstance(encoding, FloatEncoding):
        octets = np.array(np.broadcast_to(value, n), dtype=f">f{encoding.bits // 8}").view(np.uint8).reshape(n, -1)
    else:
        raw = _raw(kind, encoding, np.broadcast_to(np.asarray(value), n))
        if not encoding.little_endian:
            wide = raw.astype(">u8").view(np.uint8).reshape(n, 8)
            return np.unpackbits(wide, axis=1)[:, 64 - encoding.bits :]
        octets = raw.astype(">u8").view(np.uint8).reshape(n, 8)[:, 8 - encoding.bits // 8 :]
    return np.unpackbits(octets[:, ::-1] if encoding.little_endian else octets, axis=1)


def _octet_bits(blobs: list[Any], length: int) -> NDArray[np.uint8]:
    """Octet strings, cut or filled with zeros to ``length``, as bits (n, 8 * length)."""
    octets = np.frombuffer(b"".join(bytes(blob[:length]).ljust(length, b"\0") for blob in blobs), np.uint8)
    return np.unpackbits(octets.reshape(len(blobs), length), axis=1)


def _raw(kind: ParameterType, encoding: IntegerEncoding, value: NDArray[Any]) -> NDArray[np.uint64]:
    """Raw codes (n,), two's complement in the low bits: the nearest code to each engineering value."""
    low = -(1 << encoding.bits - 1) if encoding.signed == "twosComplement" else 0
    high = low + (1 << encoding.bits) - 1
    if kind.kind == "time":
        return _time_code(kind, value.astype(np.int64))
    if kind.calibrator is None:
        if value.dtype.kind in "iub":
            if value.dtype.kind == "u":
                return np.asarray(np.minimum(value, high), dtype=np.uint64)
            return np.clip(value.astype(np.int64), low, min(high, 2**63 - 1)).view(np.uint64)
        codes = value.astype(np.float64)
    else:
        assert isinstance(kind.calibrator, Polynomial), "checked by _bits"
        coefficients = kind.calibrator.coefficients
        if _is_line(kind.calibrator):
            codes = (value - coefficients[0]) / coefficients[1]
        else:
            # A table of all codes finds the nearest on any curve.
            table = np.polynomial.polynomial.polyval(np.arange(low, high + 1), coefficients)
            order = np.argsort(table)
            above = np.clip(np.searchsorted(table[order], value), 1, len(table) - 1)
            left, right = table[order][above - 1], table[order][above]
            codes = low + order[np.where(value - left < right - value, above - 1, above)].astype(np.float64)
    return np.clip(np.rint(codes), low, high).astype(np.int64).view(np.uint64)


def _time_code(kind: ParameterType, time: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Counts (n,) of the type's tick since its epoch: CUC (CCSDS 301.0-B-4, 3.2) or a mission's own counter."""
    assert kind.tick is not None, "a time type has a tick"
    return count_ticks(time - kind.epoch, round(1 / kind.tick))


def count_ticks(since: NDArray[np.int64], rate: int) -> NDArray[np.uint64]:
    """``since`` (n,) ns as counts of 1/``rate`` s, rounded to the nearest; seconds apart, so that nothing overflows."""
    seconds, rest = np.divmod(since, _SECOND)
    return np.asarray(seconds * rate + (rest * rate + _SECOND // 2) // _SECOND, dtype=np.uint64)
