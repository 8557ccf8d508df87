"""How bad each value of a column is: its severity, and the one that hysteresis still holds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from ground.xtce.declarations import Alarm, Limit

SEVERITIES: Final = ("normal", "watch", "warning", "distress", "critical", "severe")
"""Alarm severities in ascending order (XTCE 1.2, StaticAlarmRanges)."""

Levels: TypeAlias = "NDArray[np.int8]"
"""Severities as indices into :data:`SEVERITIES`."""


def severity_levels(values: NDArray[np.float64], ranges: Iterable[Limit]) -> Levels:
    """The severity of each of ``values``, float64 (n,), as an index into :data:`SEVERITIES`, int8 (n,).

    The worst of the ranges that a value is outside of; a value on a range's end is inside, an infinity outside of all.
    """
    level = np.zeros(len(values), np.int8)
    infinite = np.isinf(values)
    for limit in ranges:
        outside = infinite.copy()
        if limit.low is not None:
            outside |= values < limit.low
        if limit.high is not None:
            outside |= values > limit.high
        np.maximum(level, np.where(outside, np.int8(SEVERITIES.index(limit.severity)), 0), out=level)
    return level


def narrowed(limit: Limit, hysteresis: float) -> Limit:
    """The range into which a value has to return before the severity of ``limit`` falls."""
    low = None if limit.low is None else limit.low + hysteresis
    high = None if limit.high is None else limit.high - hysteresis
    return replace(limit, low=low, high=high)


def code_levels(codes: NDArray[np.integer], alarm: Alarm) -> Levels:
    """The severity of each of an enumeration's ``codes``, or of a boolean's 0 and 1, (n,): int8 (n,)."""
    level = np.full(len(codes), SEVERITIES.index(alarm.otherwise), np.int8)
    fits = np.iinfo(codes.dtype)
    for code, severity in alarm.codes.items():
        if fits.min <= code <= fits.max:
            level[codes == code] = SEVERITIES.index(severity)
    return level


def text_levels(texts: pa.Array[Any], alarm: Alarm) -> Levels:
    """The severity of each of ``texts`` (n,), none null: the worst whose pattern is the whole text, int8 (n,)."""
    encoded = texts.dictionary_encode()
    different = encoded.dictionary
    level = np.full(len(different), -1, np.int8)
    for pattern, severity in alarm.patterns:
        # Of two patterns the worse one counts, also where the better one is "normal".
        found = pc.match_substring_regex(different, rf"\A(?s:{pattern})\z").to_numpy(zero_copy_only=False)
        np.maximum(level, np.where(found, np.int8(SEVERITIES.index(severity)), -1), out=level)
    level[level < 0] = SEVERITIES.index(alarm.otherwise)
    found_levels: Levels = level[encoded.indices.to_numpy()]
    return found_levels
