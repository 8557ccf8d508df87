"""What a parameter can hold in a valid packet: its raw codes, the bits in which they lie, the values that they mean.

Written from the declarations alone. The decoder under test shares no code with this: a mistake of either shows.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from ground.xtce.declarations import FloatEncoding, IntegerEncoding, Polynomial, StringEncoding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ground.blocks import Octets
    from ground.xtce.declarations import BinaryEncoding, Calibrator, Comparison, ParameterType

Codes: TypeAlias = "NDArray[Any]"
"""Raw values (n,): uint64 or int64 of integers, float16, float32 or float64 of floats."""

_SECOND: Final = 1_000_000_000
_LATEST: Final = np.iinfo(np.int64).max
_TRIED: Final = 4096
_PRINTABLE: Final = np.arange(0x20, 0x7F, dtype=np.uint8)
_OPERATORS: Final = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def choices(kind: ParameterType, comparisons: Sequence[Comparison], random: np.random.Generator) -> Codes:
    """Codes of a number that have a value and meet all ``comparisons``, within the type's limits if there are any.

    Empty where none was found. Out of limits every packet would be an alarm, which no real telemetry is.
    """
    with np.errstate(all="ignore"):
        codes = _some(kind, comparisons, random)
        values = engineering(kind, codes)
        if values.dtype.kind == "f":
            usable = np.isfinite(values)
        else:
            usable = np.ones(len(codes), np.bool_) if kind.tick is None else np.abs(values) < _LATEST
        for comparison in comparisons:
            usable &= meets(comparison, kind, codes)
        inside = usable.copy()
        for limit in kind.limits:
            inside &= (limit.low is None or values >= limit.low) & (limit.high is None or values <= limit.high)
        inside &= ~np.isin(values, [code for code, level in kind.alarm.codes.items() if level != "normal"])
    found: Codes = codes[inside if inside.any() else usable]
    return found


def _some(kind: ParameterType, comparisons: Sequence[Comparison], random: np.random.Generator) -> Codes:
    """Codes of all magnitudes; where they are few, or have labels, all of them."""
    encoding = kind.encoding
    spread = random.uniform(-1, 1, _TRIED) * 2.0 ** random.uniform(-10, 20, _TRIED)
    if isinstance(encoding, FloatEncoding):
        return spread.astype(f"f{encoding.bits // 8}")
    assert isinstance(encoding, IntegerEncoding)
    dtype: np.dtype[Any]
    dtype, low, high = np.dtype(np.uint64), 0, (1 << encoding.bits) - 1
    if encoding.signed == "twosComplement":
        dtype, low, high = np.dtype(np.int64), -(1 << encoding.bits - 1), (1 << encoding.bits - 1) - 1
    if kind.labels and kind.kind == "enumeration":
        return np.array([code for code in kind.labels if low <= code <= high], dtype)
    if encoding.bits <= 12:
        return np.arange(low, high + 1).astype(dtype)
    small = np.clip(spread, max(low, -(1 << 20)), min(high, 1 << 20))
    named = [int(c.value) for c in comparisons if c.value.lstrip("-").isdecimal() and low <= int(c.value) <= high]
    anywhere = random.integers(low, high, _TRIED, dtype, endpoint=True)
    return np.concatenate([anywhere, small.astype(np.int64).astype(dtype), np.array(named, dtype)])


def meets(comparison: Comparison, kind: ParameterType, codes: Codes) -> NDArray[np.bool_]:
    """Which codes (n,) a container's restriction lets pass."""
    compare = _OPERATORS[comparison.operator]
    value: float
    if comparison.calibrated and kind.kind == "enumeration":
        named = [code for code, label in kind.labels.items() if label == comparison.value]
        return np.asarray(np.isin(codes.astype(np.int64), named) == (comparison.operator == "=="), np.bool_)
    if comparison.calibrated and kind.kind == "boolean":
        labels = {label.lower(): code for code, label in kind.labels.items()}
        value = ({"false": 0, "true": 1} | labels)[comparison.value.lower()]
        return np.asarray(compare((codes != 0).astype(np.int64), value), np.bool_)
    value = float(comparison.value)
    if codes.dtype.kind in "iu" and (not comparison.calibrated or kind.calibrator is None):
        value = int(comparison.value)
    return np.asarray(compare(engineering(kind, codes) if comparison.calibrated else codes, value), np.bool_)


def engineering(kind: ParameterType, codes: Codes) -> NDArray[Any]:
    """The values (n,) of codes (n,). Times are ns since 1970 UTC, a fraction cut off. NaN where a spline ends."""
    if kind.tick is not None:
        period = kind.tick * _SECOND
        exact = codes.astype(object) * period.numerator // period.denominator + kind.epoch
        return np.asarray(np.clip(exact, -_LATEST, _LATEST), np.int64)
    if kind.calibrator is not None:
        return _calibrated(kind.calibrator, codes)
    if kind.kind == "boolean":
        return np.asarray(codes != 0)
    if isinstance(kind.encoding, IntegerEncoding):
        return codes.astype(np.float64) if kind.kind == "float" else codes
    return codes.astype(np.float32) if codes.dtype == np.float16 else codes


def _calibrated(calibrator: Calibrator, codes: Codes) -> NDArray[np.float64]:
    if isinstance(calibrator, Polynomial):
        total = np.zeros(len(codes))
        for exponent, coefficient in calibrator.terms:
            total += coefficient * _power(codes, exponent)
        return total
    x, y = np.array(calibrator.points).T
    values = np.interp(codes, x, y) if calibrator.order else y[np.maximum(np.searchsorted(x, codes, "right") - 1, 0)]
    return np.where((codes >= x[0]) & (codes < x[-1]), values, np.nan)


def _power(codes: Codes, exponent: int) -> NDArray[np.float64]:
    """Exact, then rounded once."""
    if exponent < 2:
        return codes.astype(np.float64) if exponent else np.ones(len(codes))

    def power(code: float) -> float:
        try:
            return float(code**exponent)
        except OverflowError:
            return np.inf

    return np.array([power(code) for code in codes.tolist()], np.float64)


def number_bits(encoding: IntegerEncoding | FloatEncoding, codes: Codes) -> Octets:
    """The bits of codes (n,), most significant first, uint8 (n, bits)."""
    size = (encoding.bits + 7) // 8
    octets = codes.astype(codes.dtype.newbyteorder(">")).view(np.uint8).reshape(len(codes), -1)[:, -size:]
    return np.unpackbits(octets[:, ::-1] if encoding.little_endian else octets, axis=1)[:, 8 * size - encoding.bits :]


def buffers(
    encoding: StringEncoding | BinaryEncoding, size: int, n: int, random: np.random.Generator
) -> tuple[Octets, NDArray[np.object_]]:
    """``n`` fields of ``size`` octets, drawn by lot: the octets, uint8 (n, size), and the texts or blobs (n,)."""
    values = np.empty(n, object)
    octets = random.integers(0, 256, (n, size), np.uint8)
    if not isinstance(encoding, StringEncoding):
        values[:] = [row.tobytes() for row in octets]
        return octets, values
    tag = encoding.leading // 8
    letters = _PRINTABLE[encoding.terminator != _PRINTABLE]
    room = size - tag
    length = random.integers(0, room, n, endpoint=True) if tag or encoding.terminator is not None else np.full(n, room)
    for i, count in enumerate(length.tolist()):
        text = random.choice(letters, count)
        octets[i, tag : tag + count] = text
        if encoding.terminator is not None and count < room:
            octets[i, tag + count] = encoding.terminator
        if tag:
            octets[i, :tag] = np.frombuffer((8 * count).to_bytes(tag, "big"), np.uint8)
        values[i] = text.tobytes().decode("ascii")
    return octets, values
