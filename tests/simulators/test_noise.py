from __future__ import annotations

import numpy as np

from simulators import noise

TIME = np.arange(100_000, dtype=np.int64) * 125_000_000


def test_the_same_instant_always_has_the_same_noise() -> None:
    everything = noise.normal(7, "bus", TIME)
    np.testing.assert_array_equal(noise.normal(7, "bus", TIME[500:600]), everything[500:600])
    assert not np.array_equal(noise.normal(8, "bus", TIME[:10]), everything[:10])
    assert not np.array_equal(noise.normal(7, "battery", TIME[:10]), everything[:10])


def test_it_is_standard_normal_and_white() -> None:
    values = noise.normal(7, "bus", TIME)
    assert abs(values.mean()) < 0.02
    assert abs(values.std() - 1) < 0.02
    assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.02
    assert abs(np.corrcoef(values, noise.normal(7, "battery", TIME))[0, 1]) < 0.02
    assert noise.uniform(7, "bus", TIME).min() > 0


def test_drift_is_continuous_and_of_the_asked_size() -> None:
    values = noise.smooth(7, "bus", TIME, 10_000_000_000)
    assert np.abs(np.diff(values)).max() < 0.15
    assert 0.7 < values.std() < 1.0
