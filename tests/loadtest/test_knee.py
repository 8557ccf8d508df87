"""The search for the knee, on a path whose capacity is known."""

from __future__ import annotations

import numpy as np
import pytest

from ground.errors import GroundError
from ground.loadtest.knee import Step, judge, knee, search


def lags(rate: float, capacity: float, seconds: float = 10.0) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Of a path that stores at most ``capacity`` packets/s, in appends of a second that take 0.2 s each."""
    time_s = np.arange(0, seconds, 0.05)
    stored = np.minimum(1.0, capacity / rate) * np.maximum((time_s - 0.2) // 1, 0)
    return np.stack((time_s, time_s - stored), axis=1)


@pytest.mark.parametrize(
    ("capacity", "kept_up"), [(5000, True), (1100, True), (1000, True), (920, False), (500, False), (1, False)]
)
def test_a_step_is_behind_when_its_lag_grows(capacity: float, kept_up: bool) -> None:
    step = judge(1000, lags(1000, capacity), None)
    assert step.kept_up == kept_up
    assert step.stored_per_s == pytest.approx(min(capacity, 1000), abs=40)


def test_a_rate_that_was_not_offered_was_not_kept_up_with() -> None:
    assert not judge(1000, lags(1000, 5000), "generator").kept_up


@pytest.mark.parametrize("capacity", [3.0, 900.0, 2000.0, 47_000.0])
async def test_the_knee_is_found_from_below_and_from_above(capacity: float) -> None:
    async def step(rate: float) -> Step:
        return judge(rate, lags(rate, capacity), None)

    for first in (1500.0, 12_000.0):
        steps = await search(step, first)
        found = knee(steps)
        assert found
        # Doubled, then the distance halved three times, as a ratio: within a twelfth, and the trend's own tolerance.
        assert 0.9 * capacity < found.rate < 1.08 * capacity
        assert len(steps) < 40


@pytest.mark.parametrize("stalled", [{2}, {0, 1}, {2, 3, 7}])
async def test_a_stall_is_no_knee(stalled: set[int]) -> None:
    steps: list[Step] = []

    async def step(rate: float) -> Step:
        steps.append(judge(rate, lags(rate, 100 if len(steps) in stalled else 10_000), None))
        return steps[-1]

    found = knee(await search(step, 2000))
    assert found
    assert found.rate > 9000
    assert len(steps) < 25


async def test_a_path_that_stores_nothing_is_an_error() -> None:
    async def step(rate: float) -> Step:
        return judge(rate, lags(rate, 0.01), None)

    with pytest.raises(GroundError, match=r"not even .* packets/s are stored in time"):
        await search(step, 100)
