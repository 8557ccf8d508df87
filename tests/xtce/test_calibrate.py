from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from ground.blocks import NO_TIME
from ground.xtce.calibrate import absolute_time, calibrate
from ground.xtce.declarations import Polynomial, Spline

STEPS = ((0.0, 1.0), (10.0, 2.0), (20.0, 4.0))


def test_powers_are_exact_and_rounded_once() -> None:
    raw = np.array([0, 1, 3, 2**31 - 1, 2**53 + 1, 2**64 - 1], np.uint64)
    for exponent in range(2, 9):
        values, missing = calibrate(Polynomial(((exponent, 1.0),)), raw)
        assert values.tolist() == [float(int(x) ** exponent) for x in raw.tolist()]
        assert missing is None


def test_the_most_negative_integer() -> None:
    raw = np.array([-(2**63), -(2**31)], np.int64)
    values, _ = calibrate(Polynomial(((2, 1.0),)), raw)
    assert values.tolist() == [2.0**126, 2.0**62]


def test_a_power_beyond_float64_is_infinite() -> None:
    values, _ = calibrate(Polynomial(((3, 1.0),)), np.array([1e200, -1e200, math.nan]))
    assert values.tolist()[:2] == [math.inf, -math.inf]
    assert math.isnan(values[2])


def test_terms_are_summed_in_the_order_of_the_file() -> None:
    raw = np.array([1], np.uint8)
    falling = Polynomial(((2, 1e16), (1, 1.0), (0, -1e16)))
    rising = Polynomial(((0, -1e16), (2, 1e16), (1, 1.0)))
    assert calibrate(falling, raw)[0].tolist() == [0.0]
    assert calibrate(rising, raw)[0].tolist() == [1.0]
    assert falling.coefficients == rising.coefficients == (-1e16, 1.0, 1e16)


@pytest.mark.parametrize(
    ("order", "raw", "expected"),
    [
        (0, [0, 9, 10, 19, 20], [1, 1, 2, 2, 4]),
        (1, [0, 5, 10, 15, 20], [1, 1.5, 2, 3, 4]),
    ],
)
def test_splines(order: int, raw: list[int], expected: list[float]) -> None:
    values, missing = calibrate(Spline(STEPS, order), np.array(raw, np.uint8))  # type: ignore[arg-type]
    assert values.tolist() == expected
    assert missing is None


@pytest.mark.parametrize(("order", "expected"), [(0, [1, 4]), (1, [0, 6])])
def test_splines_beyond_their_ends(order: int, expected: list[float]) -> None:
    raw = np.array([-10, 30], np.int8)
    _, missing = calibrate(Spline(STEPS, order), raw)  # type: ignore[arg-type]
    assert missing is not None
    assert missing.tolist() == [True, True]
    values, missing = calibrate(Spline(STEPS, order, extrapolate=True), raw)  # type: ignore[arg-type]
    assert values.tolist() == expected
    assert missing is None


def test_a_spline_has_no_value_for_nan() -> None:
    for extrapolate in (False, True):
        _, missing = calibrate(Spline(STEPS, extrapolate=extrapolate), np.array([math.nan, 1.0], np.float32))
        assert missing is not None
        assert missing.tolist() == [True, False]


def test_a_mission_counter() -> None:
    tick, epoch = Fraction(1, 10_000), 1_451_577_600_000_000_000
    count = np.array([0, 1, 2**45 + 12_345], np.uint64)
    assert absolute_time(count, tick, epoch).tolist() == [epoch + n * 100_000 for n in count.tolist()]


def test_times_beyond_int64_are_missing() -> None:
    for raw in (np.array([2**64 - 1, 2**63, 0], np.uint64), np.array([2**63 - 1, -(2**63), 0], np.int64)):
        assert absolute_time(raw, Fraction(1), 5).tolist() == [NO_TIME, NO_TIME, 5]
