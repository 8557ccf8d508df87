"""The stage that holds values against their limits: where in the log a parameter's severity changes.

A severity holds once ``minViolations`` successive samples had it or a worse one, and falls once a value is back inside
by the mission's hysteresis. Both are one rule: every sample says between which two severities the parameter's must
be, the worst that all of the last samples had, and the worst that hysteresis still allows; the parameter's severity
moves no further than that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ground.blocks import NO_TIME
from ground.errors import ConfigError
from ground.processing.levels import (
    SEVERITIES,
    Levels,
    code_levels,
    narrowed,
    severity_levels,
    text_levels,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ground.mission import Mission
    from ground.processing.step import Telemetry
    from ground.xtce.declarations import Limit
    from ground.xtce.plan import ParameterInfo, Plan

_LONGEST_TEXT = 200
"""Characters of a text value that an alarm shows."""
_BOOLEAN = {0: "False", 1: "True"}


@dataclass(frozen=True, slots=True)
class Change:
    """The severity of ``parameter`` (``container/parameter``) changed with the packet at ``position``, ``place``.

    ``time``: SCET, ns since 1970 UTC. ``value``: NaN for texts; ``label``: a text's value, a code's label.
    """

    position: int
    place: int
    parameter: str
    time: int
    severity: str
    previous: str
    value: float
    limit: Limit | None
    label: str = ""


@dataclass(slots=True)
class _Standing:
    """How a parameter stands. ``recent``: the levels of the last samples, as many as ``violations`` less one."""

    level: int
    recent: Levels


class Limits:
    """The severities of one mission's parameters. ``parameters``: those with alarms, by container and name.

    ``hysteresis``: by how much a value of ``container/parameter`` must be back inside, in engineering units. A
    container that is published for each APID has its limits under each of those names.
    """

    def __init__(
        self, parameters: Mapping[str, Mapping[str, ParameterInfo]], hysteresis: Mapping[str, float] | None = None
    ) -> None:
        self._parameters = parameters
        self._hysteresis = hysteresis or {}
        self._standing: dict[str, _Standing] = {}

    def check(self, telemetry: Telemetry) -> list[Change]:
        """Where in a container's rows severities change. NaN and null change nothing; infinities are out of limits."""
        container, changes = telemetry.rows.container, []
        general, named = self._of(container)
        for name, info in named.items():
            column = telemetry.rows.batch.column(name)
            rows = np.arange(len(column)) if not column.null_count else np.flatnonzero(column.is_valid())
            column = column.drop_null()
            values: NDArray[Any] | None = None
            if pa.types.is_string(column.type):
                low = high = text_levels(column, info.alarm)
            elif info.alarm.limits:
                values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
                if np.isnan(values).any():
                    known = ~np.isnan(values)
                    rows, values = rows[known], values[known]
                low = high = severity_levels(values, info.alarm.limits)
                if back := self._hysteresis.get(f"{general}/{name}", 0.0):
                    inner = severity_levels(values, [narrowed(limit, back) for limit in info.alarm.limits])
                    high = np.maximum(high, inner)
            else:
                codes = column.cast(pa.uint8()) if pa.types.is_boolean(column.type) else column
                values = codes.to_numpy()
                low = high = code_levels(values, info.alarm)
            if len(rows):
                for i, before, after in self._move(f"{container}/{name}", low, high, info.alarm.violations):
                    value = math.nan if values is None else float(values[i])
                    text = _label(info, column[i].as_py() if values is None else value)
                    changes.append(
                        _change(telemetry, int(rows[i]), f"{container}/{name}", before, after, value, text, info)
                    )
        return changes

    def _move(self, parameter: str, low: Levels, high: Levels, violations: int) -> list[tuple[int, int, int]]:
        """Let samples take effect: (sample, level before, level after) of each change."""
        standing = self._standing.get(parameter)
        if standing is None:
            # A parameter that is always inside its limits, as nearly all are, leaves no trace.
            if not low.any():
                return []
            standing = self._standing[parameter] = _Standing(0, np.zeros(0, np.int8))
        if violations > 1:
            before = np.zeros(violations - 1, np.int8)
            known = standing.recent[-(violations - 1) :]
            before[len(before) - len(known) :] = known
            everything = np.concatenate((before, low))
            standing.recent = everything[-(violations - 1) :].copy()
            low = np.lib.stride_tricks.sliding_window_view(everything, violations).min(axis=1)
        elif len(standing.recent):  # the definition asked for more before
            standing.recent = standing.recent[:0]
        changes = []
        level = standing.level
        if (low > level).any() or (high < level).any():
            # What is between the same two levels as the sample before it moves nothing further.
            moves = np.flatnonzero((np.diff(low) != 0) | (np.diff(high) != 0)) + 1
            for i in (0, *moves.tolist()):
                after = min(max(level, int(low[i])), int(high[i]))
                if after != level:
                    changes.append((i, level, after))
                    level = after
            standing.level = level
        if not level and not standing.recent.any():
            del self._standing[parameter]
        return changes

    def watches(self, container: str) -> bool:
        """Whether any of a container's parameters has alarms."""
        return bool(self._of(container)[1])

    def _of(self, container: str) -> tuple[str, Mapping[str, ParameterInfo]]:
        """The parameters of a container with alarms, and the name under which the definition has it."""
        general, _, apid = container.rpartition("_")
        if container not in self._parameters and apid.isdecimal() and general in self._parameters:
            return general, self._parameters[general]
        return container, self._parameters.get(container, {})

    def state(self) -> dict[str, Any]:
        """What is out of limits or about to be, JSON-ready: severity and recent levels by parameter."""
        return {
            parameter: [SEVERITIES[standing.level], *standing.recent.tolist()]
            for parameter, standing in sorted(self._standing.items())
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self._standing = {
            parameter: _Standing(SEVERITIES.index(severity), np.array(recent, np.int8))
            for parameter, (severity, *recent) in state.items()
        }


def _change(
    telemetry: Telemetry,
    row: int,
    parameter: str,
    before: int,
    after: int,
    value: float,
    text: str,
    info: ParameterInfo,
) -> Change:
    batch = telemetry.rows.batch
    time = batch.column("time")[row].value
    limit = next((limit for limit in info.alarm.limits if limit.severity == SEVERITIES[after]), None)
    return Change(
        int(telemetry.position[row]),
        int(telemetry.place[row]),
        parameter,
        NO_TIME if time is None else time,
        SEVERITIES[after],
        SEVERITIES[before],
        value,
        limit,
        text,
    )


def _label(info: ParameterInfo, value: str | float) -> str:
    if isinstance(value, str):
        return value[:_LONGEST_TEXT]
    if info.alarm.limits:
        return ""
    labels = info.labels if info.kind == "enumeration" else {**_BOOLEAN, **info.labels}
    return labels.get(int(value), "")


def check_hysteresis(mission: Mission, plan: Plan) -> None:
    """Raises :class:`~ground.errors.ConfigError` where mission.toml's [hysteresis] names what has no limits, or leaves
    no value that is back inside.
    """
    for parameter, back in mission.hysteresis.items():
        container, _, name = parameter.partition("/")
        info = plan.alarms.get(container, {}).get(name)
        where = f"{mission.folder / 'mission.toml'}: [hysteresis] {parameter!r:.100}"
        if info is None or not info.limits:
            raise ConfigError(f"{where} is no number with alarm ranges in {mission.telemetry.name}")
        for limit in info.limits:
            inner = narrowed(limit, back)
            if inner.low is not None and inner.high is not None and inner.low > inner.high:
                raise ConfigError(
                    f"{where} = {back:g} leaves no value that is back inside the {limit.severity} range, "
                    f"{limit.low:g} to {limit.high:g}"
                )
