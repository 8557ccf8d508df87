"""The stage that holds numbers against their limits: where in the log a parameter's severity changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from ground.processing.step import Telemetry

SEVERITIES: Final = ("normal", "watch", "warning", "distress", "critical", "severe")
"""Alarm severities in ascending order (XTCE 1.2, StaticAlarmRanges)."""


class Limit(Protocol):
    """A range of engineering values outside of which a severity holds."""

    @property
    def severity(self) -> str:
        """One of :data:`SEVERITIES`."""
        ...

    @property
    def low(self) -> float | None:
        """The lower end; None is open."""
        ...

    @property
    def high(self) -> float | None:
        """The upper end; None is open."""
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """The severity of ``parameter`` (``container/parameter``) changed with the packet at ``position``, ``place``.

    ``time``: SCET, ns since 1970 UTC.
    """

    position: int
    place: int
    parameter: str
    time: int
    severity: str
    previous: str
    value: float
    limit: Limit | None


class Limits:
    """The severities of one mission's parameters. ``ranges``: those of each container's parameters.

    A container that is published for each APID has its limits under each of those names.
    """

    def __init__(self, ranges: Mapping[str, Mapping[str, Iterable[Limit]]]) -> None:
        self._ranges = {c: {p: tuple(found) for p, found in named.items()} for c, named in ranges.items()}
        self._severity: dict[str, str] = {}

    def check(self, telemetry: Telemetry) -> list[Change]:
        """Where in a container's rows severities change. NaN and null change nothing; infinities are out of limits."""
        container, batch = telemetry.rows.container, telemetry.rows.batch
        changes: list[Change] = []
        for name, ranges in self._of(container).items():
            values = batch.column(name).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
            rows: NDArray[np.intp] | slice = slice(None)
            if np.isnan(values).any():
                rows = np.flatnonzero(~np.isnan(values))
                values = values[rows]
            if not len(values):
                continue
            parameter = f"{container}/{name}"
            level = severity_levels(values, ranges)
            before = SEVERITIES.index(self._severity.get(parameter, "normal"))
            levels = np.concatenate(([before], level))
            for i in np.flatnonzero(levels[1:] != levels[:-1]).tolist():
                row = i if isinstance(rows, slice) else int(rows[i])
                severity = SEVERITIES[levels[i + 1]]
                changes.append(
                    Change(
                        int(telemetry.position[row]),
                        int(telemetry.place[row]),
                        parameter,
                        batch.column("time")[row].value,
                        severity,
                        SEVERITIES[levels[i]],
                        float(values[i]),
                        next((limit for limit in ranges if limit.severity == severity), None),
                    )
                )
            self._severity[parameter] = SEVERITIES[levels[-1]]
        return changes

    def _of(self, container: str) -> Mapping[str, tuple[Limit, ...]]:
        found = self._ranges.get(container)
        general, _, apid = container.rpartition("_")
        return found if found is not None else self._ranges.get(general, {}) if apid.isdecimal() else {}

    def state(self) -> dict[str, str]:
        """The severities that aren't normal, JSON-ready."""
        return {parameter: severity for parameter, severity in self._severity.items() if severity != "normal"}

    def restore(self, state: dict[str, str]) -> None:
        """Go on from what :meth:`state` gave."""
        self._severity = dict(state)


def severity_levels(values: NDArray[np.float64], ranges: Iterable[Limit]) -> NDArray[np.int64]:
    """The severity of each of ``values``, float64 (n,), as an index into :data:`SEVERITIES`, int64 (n,).

    The worst of the ranges that a value is outside of; a value on a range's end is inside, an infinity outside of all.
    """
    level = np.zeros(len(values), np.int64)
    infinite = np.isinf(values)
    for limit in ranges:
        outside = infinite.copy()
        if limit.low is not None:
            outside |= values < limit.low
        if limit.high is not None:
            outside |= values > limit.high
        np.maximum(level, np.where(outside, SEVERITIES.index(limit.severity), 0), out=level)
    return level
