"""Which rows are new, which are stored already, and which are alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ground.stores.influxdb.points import Points


@dataclass(frozen=True, slots=True)
class Known:
    """Stored points (m,): timestamps, packet sequence counts, digests, and the ordinals of twins (0 of those that are
    none).
    """

    stamps: NDArray[np.int64]
    seq: NDArray[np.uint16]
    digest: NDArray[np.int64]
    twin: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.stamps)

    @classmethod
    def of(cls, pieces: Sequence[Known]) -> Known:
        """The pieces as one."""
        kinds = {"stamps": np.int64, "seq": np.uint16, "digest": np.int64, "twin": np.int64}
        return cls(
            **{
                name: np.concatenate([np.empty(0, kind), *(getattr(piece, name) for piece in pieces)])
                for name, kind in kinds.items()
            }
        )


@dataclass(frozen=True, slots=True)
class ToldApart:
    """Rows that arrived (n,).

    ``fresh``: those to be stored; ``twin``: their ordinals. ``found``: those that an append which broke off has stored
    and nobody has counted. All others are repeated. ``alike``: how many of the fresh and found ones are stored though
    another row of their time and seq is.
    """

    fresh: NDArray[np.bool_]
    twin: NDArray[np.int64]
    found: NDArray[np.bool_]
    alike: int


def told_apart(points: Points, known: Known, found: int) -> ToldApart:
    """``known``: all stored points that share a timestamp with one of ``points``. ``found``: how many of the stored
    ones nobody has counted; the newest ones are taken for these.
    """
    n, m = len(points), len(known)
    nothing, none = np.zeros(n, np.int64), np.zeros(n, np.bool_)
    if not m and (points.stamps[1:] > points.stamps[:-1]).all():
        return ToldApart(~none, nothing, none, 0)
    stamps = np.concatenate([known.stamps, points.stamps])
    seq = np.concatenate([known.seq, points.rows["seq"].to_numpy()])
    digest = np.concatenate([known.digest, points.rows["digest"].to_numpy()])
    # Stored ones come first and sorting is stable: of equals, the first one stays.
    order = np.lexsort((digest, seq, stamps))
    stamps, seq, digest = stamps[order], seq[order], digest[order]
    same_stamp = np.append(False, stamps[1:] == stamps[:-1])[: n + m]
    same_place = same_stamp & np.append(False, seq[1:] == seq[:-1])[: n + m]
    again = same_place & np.append(False, digest[1:] == digest[:-1])[: n + m]
    arrived = order >= m
    fresh = arrived & ~again
    met = np.flatnonzero(again & arrived & np.append(False, ~arrived[:-1])[: n + m])
    ours = np.zeros(n + m, np.bool_)
    ours[met[max(len(met) - found, 0) :]] = True
    # What is new and what was there before, by time and seq.
    place = np.cumsum(~same_place) - 1
    new = np.bincount(place, fresh | ours)
    before = np.bincount(place, ~again) - new
    alike = int(new.sum()) - int(np.count_nonzero((new > 0) & (before == 0)))
    # Ordinals follow those that are taken.
    taken = np.full(n + m, -1, np.int64)
    taken[~arrived] = known.twin[order[~arrived]]
    heads = np.flatnonzero(~same_stamp)
    stamp = np.cumsum(~same_stamp) - 1
    count = np.cumsum(fresh)
    rank = count - (count[heads] - fresh[heads])[stamp]
    twin = np.maximum.reduceat(taken, heads)[stamp] + rank
    at = order[arrived] - m
    result = ToldApart(none.copy(), nothing, none.copy(), alike)
    result.fresh[at], result.found[at], result.twin[at] = fresh[arrived], ours[arrived], twin[arrived]
    return result
