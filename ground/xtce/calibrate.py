"""From raw to engineering values, a whole column at a time: polynomials, splines, absolute times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ground.blocks import NO_TIME, Nanoseconds
from ground.xtce.declarations import Calibrator, Polynomial, Spline

if TYPE_CHECKING:
    from fractions import Fraction

    from numpy.typing import NDArray

    from ground.xtce.extract import Numbers

_SECOND = 1_000_000_000
_INT64 = np.iinfo(np.int64)


def calibrate(calibrator: Calibrator, raw: Numbers) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
    """Engineering values float64 (n,) and where there is none, bool (n,), or None for "nowhere".

    Every operation is the double-precision one that the formula says, in its order, so that other readers of the same
    file come to the same bits.
    """
    if isinstance(calibrator, Polynomial):
        return _polynomial(calibrator, raw), None
    return _spline(calibrator, raw.astype(np.float64))


def _polynomial(calibrator: Polynomial, raw: Numbers) -> NDArray[np.float64]:
    total = np.zeros(len(raw))
    for exponent, coefficient in calibrator.terms:
        if exponent == 0:
            total += coefficient
        elif exponent == 1:
            total += coefficient * raw.astype(np.float64)
        else:
            total += coefficient * _power(raw, exponent)
    return total


def _power(raw: Numbers, exponent: int) -> NDArray[np.float64]:
    """``raw ** exponent``, exact, then rounded once. float64 (n,), infinite where it leaves float64."""
    if not len(raw):
        return np.zeros(0)
    if raw.dtype == np.float32 and exponent == 2:  # 48 bits of mantissa: exact
        return np.square(raw.astype(np.float64))
    if raw.dtype.kind in "iu":
        largest = max(abs(int(raw.min())), abs(int(raw.max())))
        if largest**exponent <= _INT64.max:
            return (raw.astype(np.int64) ** exponent).astype(np.float64)
    # Rare and slow: wide integers to high powers, and float encodings beyond a straight line. numpy's own power
    # depends on the processor in its last bit.
    return np.fromiter((_float_power(value, exponent) for value in raw.tolist()), np.float64, len(raw))


def _float_power(value: float, exponent: int) -> float:
    try:
        return float(value**exponent)
    except OverflowError:
        return -np.inf if value < 0 and exponent % 2 else np.inf


def _spline(calibrator: Spline, raw: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
    x, y = (np.array(axis) for axis in zip(*calibrator.points, strict=True))
    below = np.searchsorted(x, raw, side="right") - 1
    if calibrator.order == 0:
        values = y[np.clip(below, 0, len(x) - 1)]
    else:
        i = np.clip(below, 0, len(x) - 2)
        slope = np.diff(y) / np.diff(x)
        values = slope[i] * (raw - x[i]) + y[i]
    inside = ~np.isnan(raw) if calibrator.extrapolate else (raw >= x[0]) & (raw <= x[-1])
    return values, None if inside.all() else ~inside


def absolute_time(raw: Numbers, tick: Fraction, epoch: int) -> Nanoseconds:
    """ns since 1970 UTC, int64 (n,), of integer counts of ``tick`` seconds since ``epoch`` ns; fractions are cut off.

    A count beyond what int64 holds (the years 1678 to 2262) gives :data:`~ground.blocks.NO_TIME`.
    """
    period = tick * _SECOND
    top, bottom = period.numerator, period.denominator
    lowest = max(-((epoch - _INT64.min - 1) * bottom // top), _INT64.min)
    highest = min((_INT64.max - epoch) * bottom // top, _INT64.max)
    usable = (raw >= lowest) & (raw <= highest)
    count = np.where(usable, raw, 0).astype(np.int64)
    if top * bottom <= _INT64.max:
        whole, part = np.divmod(count, bottom)
        since = whole * top + part * top // bottom
    else:  # a scale with very many digits
        since = (count.astype(object) * top // bottom).astype(np.int64)
    return np.where(usable, since + epoch, NO_TIME)
