from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from math import floor
from typing import Literal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ground.blocks import NO_TIME
from ground.ccsds.timecodes import read_time
from ground.mission import TimeField

ORDER = st.sampled_from(["big", "little"])
LSB = st.sampled_from(
    [Fraction(1), Fraction(1, 8), Fraction(1, 256), Fraction(1, 10_000), Fraction(1, 2**24), Fraction(60)]
)


@given(
    st.lists(st.binary(min_size=8, max_size=8), max_size=6),
    st.integers(1, 8),
    ORDER,
    LSB,
    st.integers(-(10**18), 10**18),
)
def test_a_counter_is_exact_or_has_no_time(
    fields: list[bytes], length: int, order: Literal["big", "little"], lsb: Fraction, epoch: int
) -> None:
    field = TimeField(0, length, epoch, byte_order=order, lsb=lsb)
    octets = np.frombuffer(b"".join(f[:length] for f in fields), np.uint8).reshape(-1, length)
    for raw, time in zip(fields, read_time(field, octets).tolist(), strict=True):
        exact = epoch + floor(int.from_bytes(raw[:length], order) * lsb * 10**9)
        if time == NO_TIME:
            assert exact > 9_000_000_000 * 10**9
        else:
            assert time == exact


@given(st.integers(0, 0xFFFF), st.integers(0, 86_399_999), st.integers(0, 999), st.sampled_from([6, 8, 10]))
def test_day_segmented_time(day: int, millisecond: int, microsecond: int, length: int) -> None:
    fine = {6: b"", 8: microsecond.to_bytes(2, "big"), 10: (microsecond * 1_000_000).to_bytes(4, "big")}[length]
    octets = np.frombuffer(day.to_bytes(2, "big") + millisecond.to_bytes(4, "big") + fine, np.uint8)[None]
    epoch = (datetime(1958, 1, 1) - datetime(1970, 1, 1)) // timedelta(microseconds=1) * 1000
    time = read_time(TimeField(0, length, epoch, code="cds"), octets)[0]
    spent = timedelta(days=day, milliseconds=millisecond, microseconds=microsecond if length > 6 else 0)
    assert time == epoch + spent // timedelta(microseconds=1) * 1000
