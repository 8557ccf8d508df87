"""How long it took from when a message was due until it was recorded, stored, shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import numpy as np

from ground.recording.read import Recording

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


class Latency(TypedDict):
    """Milliseconds, rounded to tenths; None where nothing was seen."""

    p50: float | None
    p99: float | None
    max: float | None


def measure(recording: Path, seen: Mapping[str, Sequence[tuple[int, int]]]) -> dict[str, Latency]:
    """The latency of each kind that was ``seen``: (ns since 1970 UTC, position up to which it had come by then).

    Every message in ``recording`` carries as its ``ert`` when it was due by the clock of this machine.
    """
    reader = Recording(recording)
    due = np.concatenate([np.empty(0, np.int64), *(block.ert for block in reader.read(reader.first()))])
    return {kind: latency(due, np.array([*times], np.int64).reshape(-1, 2)) for kind, times in seen.items()}


def latency(due: NDArray[np.int64], seen: NDArray[np.int64]) -> Latency:
    """``due``: int64 (n,) ns by position. ``seen``: int64 (k, 2), times and positions, both never decreasing.

    Of several times with one position the last counts: all that belongs to it is there then.
    """
    position = seen[:, 1]
    last = np.flatnonzero(np.append(position[1:] > position[:-1], [True])) if len(seen) else np.empty(0, np.intp)
    reached, times = position[last], seen[last, 0]
    which = np.searchsorted(reached, np.arange(len(due)), side="right")
    shown = which < len(reached)
    if not shown.any():
        return Latency(p50=None, p99=None, max=None)
    took = (times[which[shown]] - due[shown]) / 1e6
    p50, p99 = np.percentile(took, (50, 99))
    return Latency(p50=round(float(p50), 1), p99=round(float(p99), 1), max=round(float(took.max()), 1))
