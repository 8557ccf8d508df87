"""Onboard time codes over columns: counters of any length, byte order, resolution and epoch (CUC among them), and
CDS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ground.blocks import NO_TIME, Nanoseconds, Octets

if TYPE_CHECKING:
    from ground.mission import TimeField

_SECOND = 1_000_000_000
_DAY = 86_400 * _SECOND
_LATEST = np.iinfo(np.int64).max


def read_time(field: TimeField, octets: Octets) -> Nanoseconds:
    """Decode the time code ``field`` from ``octets``, uint8 (n, field.length).

    Returns int64 (n,): ns since 1970 UTC, a fraction of a nanosecond cut off. A count that lies beyond the year 2262
    (where int64 ends) gives ``NO_TIME``, which only a damaged field can do. CCSDS 301.0-B-4, sections 3.2 (CUC) and
    3.3 (CDS).
    """
    if field.code == "cds":
        return _read_cds(field, octets)
    count = unsigned(octets, field.byte_order)
    period, parts = field.lsb.numerator, np.uint64(field.lsb.denominator)
    whole, rest = np.divmod(count, parts)
    fraction = rest.astype(np.int64) * (period * _SECOND) // field.lsb.denominator
    return _since_epoch(field.epoch, whole, period * _SECOND, fraction)


def _read_cds(field: TimeField, octets: Octets) -> Nanoseconds:
    day = unsigned(octets[:, :2], "big")
    millisecond = unsigned(octets[:, 2:6], "big").astype(np.int64)
    rest = unsigned(octets[:, 6:], "big").astype(np.int64) if field.length > 6 else 0
    fine = rest // 1000 if field.length == 10 else rest * 1000
    return _since_epoch(field.epoch, day, _DAY, millisecond * 1_000_000 + fine)


def _since_epoch(epoch: int, whole: np.ndarray, unit: int, fraction: np.ndarray) -> Nanoseconds:
    """``epoch + whole * unit + fraction`` in ns, NO_TIME where that leaves int64."""
    representable = whole < np.uint64((_LATEST - max(epoch, 0)) // unit - 1)
    time = epoch + np.where(representable, whole, 0).astype(np.int64) * unit + fraction
    return np.where(representable, time, NO_TIME)


def unsigned(octets: Octets, byte_order: str) -> np.ndarray:
    """The unsigned integers in ``octets``, uint8 (n, 1..8), as uint64 (n,)."""
    n, width = octets.shape
    padded = np.zeros((n, 8), np.uint8)
    if byte_order == "big":
        padded[:, 8 - width :] = octets
        return padded.view(">u8")[:, 0].astype(np.uint64)
    padded[:, :width] = octets
    return padded.view("<u8")[:, 0].astype(np.uint64)
