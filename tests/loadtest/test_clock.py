"""The generator's time codes mean to the decoder what they mean to the generator."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ground.ccsds.timecodes import read_time
from ground.errors import ConfigError
from ground.loadtest.clock import Clock
from ground.mission import TimeField

SECOND = 1_000_000_000

counters = st.builds(
    TimeField,
    offset=st.just(0),
    length=st.integers(2, 8),
    epoch=st.integers(-(10**9), 2 * 10**9).map(lambda seconds: seconds * SECOND),
    byte_order=st.sampled_from(["big", "little"]),
    lsb=st.sampled_from([1, 256, 1000, 10_000, 65536, 1 << 24, 1 << 32, SECOND]).map(lambda n: Fraction(1, n)),
)
days = st.builds(
    TimeField,
    offset=st.just(0),
    length=st.sampled_from([6, 8, 10]),
    epoch=st.just(-378_691_200 * SECOND),  # CCSDS: 1958-01-01
    code=st.just("cds"),
)


@given(counters | days, st.integers(0, 2 * 10**9), st.integers(0, 10**9))
def test_every_code_is_read_as_it_was_meant(field: TimeField, now: int, step: int) -> None:
    clock = Clock(field, now * SECOND)
    steps = np.array([0, 1, 2, step, clock.steps - 1], np.int64)
    steps = steps[(steps >= 0) & (steps < clock.steps)]
    time = clock.time(steps)
    assert (read_time(field, clock.octets(steps)) == time).all()
    assert (np.diff(np.unique(time)) >= 100_000).all()
    assert len(np.unique(time)) == len(np.unique(steps))


def test_it_begins_now_where_it_can() -> None:
    wide = TimeField(0, 4, 0)
    assert Clock(wide, 1_800_000_000 * SECOND).time(np.array([0])) == 1_800_000_000 * SECOND
    narrow = TimeField(0, 2, 0)
    clock = Clock(narrow, 1_800_000_000 * SECOND)
    assert clock.time(np.array([0])) == 0
    with pytest.raises(ConfigError, match="clock of 2 octets ends after 65,536 steps"):
        clock.octets(np.array([65_536]))
