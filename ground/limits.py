"""Limits and alarm state: which parameter went out of which static alarm range, and when.

The state is small and explicit (the severity of each parameter that isn't normal), so it travels in the checkpoint and
alarms are, like rows, a function of the recording.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

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
class Alarm:
    """A parameter (``container/parameter``) whose severity changed at ``time`` (SCET, ns since 1970 UTC)."""

    mission: str
    time: int
    parameter: str
    severity: str
    previous: str
    value: float
    limit: Limit | None

    def to_json(self) -> dict[str, Any]:
        """The payload of ``alarm/<mission>``."""
        return {
            "time": str(self.time),
            "parameter": self.parameter,
            "severity": self.severity,
            "previous": self.previous,
            "value": self.value,
            "low": self.limit.low if self.limit else None,
            "high": self.limit.high if self.limit else None,
        }


class AlarmState:
    """The severity of every parameter of one mission.

    ``limits``: for each container, the parameters that have limits.
    """

    def __init__(self, mission: str, limits: Mapping[str, Mapping[str, Iterable[Limit]]]) -> None:
        self.mission = mission
        self.limits = {c: {p: tuple(ranges) for p, ranges in named.items()} for c, named in limits.items()}
        self.severity: dict[str, str] = {}

    def check(self, container: str, batch: pa.RecordBatch) -> list[Alarm]:
        """The changes of severity in ``batch``, in order of time within each parameter. Nulls and NaN change
        nothing.
        """
        alarms: list[Alarm] = []
        for name, ranges in self.limits.get(container, {}).items():
            column = batch.column(name).cast(pa.float64(), safe=False)
            values = column.to_numpy(zero_copy_only=False)
            rows = np.flatnonzero(np.isfinite(values))
            if not len(rows):
                continue
            parameter = f"{container}/{name}"
            level = severity_levels(values[rows], ranges)
            before = SEVERITIES.index(self.severity.get(parameter, "normal"))
            levels = np.concatenate(([before], level))
            for i in np.flatnonzero(levels[1:] != levels[:-1]).tolist():
                severity = SEVERITIES[levels[i + 1]]
                alarms.append(
                    Alarm(
                        mission=self.mission,
                        time=batch.column("time")[int(rows[i])].value,
                        parameter=parameter,
                        severity=severity,
                        previous=SEVERITIES[levels[i]],
                        value=float(values[rows[i]]),
                        limit=next((limit for limit in ranges if limit.severity == severity), None),
                    )
                )
            self._note(parameter, SEVERITIES[levels[-1]])
        return alarms

    def _note(self, parameter: str, severity: str) -> None:
        if severity == "normal":
            self.severity.pop(parameter, None)
        else:
            self.severity[parameter] = severity


def severity_levels(values: NDArray[np.float64], ranges: Iterable[Limit]) -> NDArray[np.int64]:
    """The severity of each of ``values``, float64 (n,), as an index into :data:`SEVERITIES`, int64 (n,).

    The worst of the ranges that a value is outside of; a value on a range's end is inside.
    """
    level = np.zeros(len(values), np.int64)
    for limit in ranges:
        outside = np.zeros(len(values), np.bool_)
        if limit.low is not None:
            outside |= values < limit.low
        if limit.high is not None:
            outside |= values > limit.high
        np.maximum(level, np.where(outside, SEVERITIES.index(limit.severity), 0), out=level)
    return level
