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
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from ground.xtce.read import Parameter, ParameterType, SpaceSystem

Values: TypeAlias = "Mapping[str, ArrayLike]"
"""Engineering values by parameter: arrays (n,), or one value for all n packets."""

PRIMARY_HEADER = 6
_SECOND = 1_000_000_000
_TABLE_BITS = 16


@dataclass(frozen=True)
class Word:
    """Parameters that fill whole octets together: at most 64 bits of numbers, or one string of octets.

    ``fields``: in order, each with its ``bits``; ``octets``: where they lie in the packet.
    """

    fields: tuple[tuple[Parameter, int], ...]
    octets: slice


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
        self._words: list[Word] = []
        fields: list[tuple[Parameter, int]] = []
        start = offset = 0
        for entry in (entry for link in chain for entry in link.entries):
            offset += (bits := _bits(entry.parameter.type, system.path))
            fields.append((entry.parameter, bits))
            if offset % 8 == 0:
                if start >= 8 * PRIMARY_HEADER:
                    _check(fields, offset - start, system.path)
                    self._words.append(Word(tuple(fields), slice(start // 8, offset // 8)))
                fields, start = [], offset
        if fields:
            raise DefinitionError(f"{container} ends inside an octet", path=system.path, line=chain[-1].line)
        self.length = offset // 8
        self.names = [one.name for word in self._words for one, _ in word.fields if one.name not in header]
        self._own_time = {one.name for word in self._words for one, _ in word.fields} - set(self.names)

    def encode(self, values: Values, time: NDArray[np.int64], count: ArrayLike) -> NDArray[np.uint8]:
        """Packets (n, length) of ``values`` taken at ``time`` (n,) ns since 1970 UTC.

        ``count``: packet sequence count of the first, or of each (n,). Values out of a field's range saturate. Raises
        ``KeyError`` for a parameter that isn't given.
        """
        n = len(time)
        packets = np.empty((n, self.length), dtype=np.uint8)
        for word in self._words:
            given = [time if one.name in self._own_time else values[one.name] for one, _ in word.fields]
            packets[:, word.octets] = _word_octets(word, given, n)
        counts = np.asarray(count) if np.ndim(count) else np.asarray(count) + np.arange(n)
        packets[:, :PRIMARY_HEADER] = primary_header(self.apid, counts, self.length, secondary=True)
        return packets


def encoders(path: Path) -> dict[str, PacketEncoder]:
    """An encoder for each concrete container of the definition file at ``path``, by container name."""
    system = load(path)
    return {name: PacketEncoder(system, name) for name, one in system.containers.items() if not one.abstract}


def primary_header(apid: int, count: ArrayLike, length: ArrayLike, *, secondary: bool) -> NDArray[np.uint8]:
    """Primary headers (n, 6) of unsegmented telemetry packets of ``length`` octets (CCSDS 133.0-B-2, 4.1.3)."""
    counts = np.atleast_1d(np.asarray(count, dtype=np.int64)) & 0x3FFF
    words = np.empty((len(counts), 3), dtype=">u2")
    words[:, 0] = secondary << 11 | apid
    words[:, 1] = 0b11 << 14 | counts
    words[:, 2] = np.asarray(length) - PRIMARY_HEADER - 1
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


def _check(fields: Sequence[tuple[Parameter, int]], bits: int, path: str) -> None:
    """Refuse fields that share octets and cannot."""
    for parameter, _ in fields:
        encoding = parameter.type.encoding
        string = isinstance(encoding, StringEncoding | BinaryEncoding)
        if (len(fields) > 1 and (string or _little_endian(parameter))) or (bits > 64 and not string):
            message = f"{parameter.name} cannot be simulated: it shares octets with its neighbours"
            raise DefinitionError(message, path=path, line=parameter.line)


def _word_octets(word: Word, given: Sequence[ArrayLike], n: int) -> NDArray[np.uint8]:
    """The octets (n, k) of a word, or (1, k) where they are always the same, of its fields' values."""
    length = word.octets.stop - word.octets.start
    encoding = word.fields[0][0].type.encoding
    if isinstance(encoding, StringEncoding | BinaryEncoding):
        values: list[Any] = [given[0]] if isinstance(given[0], str | bytes) else list(given[0])  # type: ignore[arg-type]
        charset = encoding.charset if isinstance(encoding, StringEncoding) else ""
        blobs = [one.encode(charset) if isinstance(one, str) else bytes(one) for one in values]
        whole = b"".join(blob[:length].ljust(length, b"\0") for blob in blobs)
        return np.frombuffer(whole, np.uint8).reshape(-1, length)
    codes = np.zeros(n, np.uint64)
    for (parameter, bits), value in zip(word.fields, given, strict=True):
        code = _code(parameter.type, np.broadcast_to(np.asarray(value), n))
        codes = code if len(word.fields) == 1 else codes << np.uint64(bits) | code & np.uint64((1 << bits) - 1)
    octets = codes.astype(">u8").view(np.uint8).reshape(n, 8)[:, 8 - length :]
    return octets[:, ::-1] if _little_endian(word.fields[0][0]) else octets


def _little_endian(parameter: Parameter) -> bool:
    encoding = parameter.type.encoding
    return isinstance(encoding, IntegerEncoding | FloatEncoding) and encoding.little_endian


def _code(kind: ParameterType, value: NDArray[Any]) -> NDArray[np.uint64]:
    """What is sent for ``value`` (n,), in the low bits of a word (n,)."""
    if isinstance(kind.encoding, FloatEncoding):
        return value.astype(f"f{kind.encoding.bits // 8}").view(f"u{kind.encoding.bits // 8}").astype(np.uint64)
    assert isinstance(kind.encoding, IntegerEncoding), "strings are no numbers"
    return _raw(kind, kind.encoding, value)


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
