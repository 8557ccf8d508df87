"""How long it took from when a message was due until it was recorded, stored, shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypedDict

import numpy as np

from ground.recording.read import Recording

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from ground.loadtest.seen import Seen

_BIN: Final = 100_000
"""ns: latencies are told apart by tenths of a ms."""

_LONGEST: Final = 6_000_000
"""Bins: ten minutes, and all that took longer in the last."""


class Latency(TypedDict):
    """Milliseconds, rounded up to tenths; None where nothing was seen."""

    p50: float | None
    p99: float | None
    max: float | None


def measure(recording: Path, seen: Mapping[str, Seen], first: int = 0) -> dict[str, Latency]:
    """The latency of each kind that was ``seen``, of the messages from position ``first`` on.

    Every message in ``recording`` carries as its ``ert`` when it was due by the clock of this machine.
    """
    columns = {kind: one.columns() for kind, one in seen.items()}
    counts = {kind: np.zeros(0, np.int64) for kind in seen}
    for block in Recording(recording).read(first):
        for kind, (times, reached) in columns.items():
            found = latencies(block.position, block.ert, times, reached)
            binned = np.bincount(np.clip(-(-found // _BIN), 0, _LONGEST), minlength=len(counts[kind]))
            binned[: len(counts[kind])] += counts[kind]
            counts[kind] = binned
    return {kind: _summary(of) for kind, of in counts.items()}


def latencies(
    first: int, due: NDArray[np.int64], times: NDArray[np.int64], reached: NDArray[np.int64]
) -> NDArray[np.int64]:
    """ns (k,), of those of the messages from position ``first`` on that came, which were ``due``, int64 (n,).

    ``times``, ``reached``: int64 (m,), never decreasing: up to which position (exclusive) it had come by when. Of
    several times with one position the last counts: all that belongs to it is there then.
    """
    last = np.flatnonzero(np.append(reached[1:] > reached[:-1], [True]))
    which = np.searchsorted(reached[last], np.arange(first, first + len(due)), side="right")
    came = which < len(last)
    found: NDArray[np.int64] = times[last][which[came]] - due[came]
    return found


def _summary(counts: NDArray[np.int64]) -> Latency:
    if not counts.any():
        return Latency(p50=None, p99=None, max=None)
    below = np.cumsum(counts)
    p50, p99, longest = (int(np.searchsorted(below, share * below[-1])) * _BIN / 1e6 for share in (0.5, 0.99, 1))
    return Latency(p50=p50, p99=p99, max=longest)
