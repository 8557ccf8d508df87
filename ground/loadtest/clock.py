"""An onboard clock as the generator sets it: steps, their time codes, and the times that these mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ground.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ground.blocks import Nanoseconds, Octets
    from ground.mission import TimeField

_SECOND: Final = 1_000_000_000
_MILLISECOND: Final = 1_000_000
_DAY: Final = 86_400 * _SECOND

LATEST: Final = 1 << 62
"""Times before this are sent, ns since 1970 UTC: in the year 2116."""

_STEP: Final = 100_000
"""ns from one step to the next, at least: a database may use the ns below to tell equal times apart."""

_ENOUGH: Final = 10_000_000
"""Steps that a clock must have left from now on; one that hasn't begins at its epoch."""


class Clock:
    """``field`` from ``now``, ns since 1970 UTC, on, in steps of at least 0.1 ms and a whole number of its counts.

    ``steps``: how many it has before it ends. CCSDS 301.0-B-4, sections 3.2 (CUC) and 3.3 (CDS).
    """

    def __init__(self, field: TimeField, now: int) -> None:
        self._field = field
        self._cds = field.code == "cds"
        if self._cds:
            # Counted in ns here; the shortest form has ms only.
            top, bottom, end = 1, 1, min(_DAY << 16, LATEST - field.epoch)
            self._step = _MILLISECOND if field.length == 6 else _STEP
        else:
            top, bottom = field.lsb.numerator * _SECOND, field.lsb.denominator
            end = min(256**field.length, (LATEST - field.epoch) * bottom // top, LATEST)
            self._step = max(1, -(-_STEP * bottom // top))
        first = max(0, (now - field.epoch) * bottom // top // self._step * self._step)
        self._first = first if (end - first) // self._step >= _ENOUGH else 0
        self._top, self._bottom = top, bottom
        self.steps = (end - self._first) // self._step

    def octets(self, step: NDArray[np.int64]) -> Octets:
        """The time codes of steps (n,), uint8 (n, octets of the field).

        Raises :class:`~ground.errors.ConfigError` where the field is too small for them.
        """
        if len(step) and step.max() >= self.steps:
            raise ConfigError(
                f"the mission's clock of {self._field.length} octets ends after {self.steps:,} steps, one for every "
                "packet of a container or every frame: send fewer (--packets, --duration)"
            )
        count = self._first + step * self._step
        if not self._cds:
            octets = _big_endian(count, self._field.length)
            return octets[:, ::-1] if self._field.byte_order == "little" else octets
        day, rest = np.divmod(count, _DAY)
        millisecond, rest = np.divmod(rest, _MILLISECOND)
        parts = [_big_endian(day, 2), _big_endian(millisecond, 4)]
        if self._field.length > 6:
            parts.append(_big_endian(rest // 1000, 2) if self._field.length == 8 else _big_endian(rest * 1000, 4))
        return np.concatenate(parts, axis=1)

    def time(self, step: NDArray[np.int64]) -> Nanoseconds:
        """Onboard times of steps (n,), int64 (n,), ns since 1970 UTC, a fraction of a ns cut off."""
        whole, rest = np.divmod(self._first + step * self._step, self._bottom)
        return np.asarray(self._field.epoch + whole * self._top + rest * self._top // self._bottom)


def _big_endian(values: NDArray[np.int64], octets: int) -> Octets:
    """Unsigned integers as octets, most significant first, uint8 (n, octets)."""
    return values.astype(">i8").view(np.uint8).reshape(-1, 8)[:, 8 - octets :]
