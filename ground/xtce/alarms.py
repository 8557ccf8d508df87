"""DefaultAlarm: from XML elements to :class:`~ground.xtce.declarations.Alarm`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

import pyarrow as pa
import pyarrow.compute as pc

from ground.xtce.declarations import Alarm, Kind, Level, Limit, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ground.xtce.elements import Element

_MOST_VIOLATIONS: Final = 1000
_BOOLEAN: Final = {0: "False", 1: "True"}
_LISTS: Final[dict[Kind, str]] = {
    "integer": "StaticAlarmRanges",
    "float": "StaticAlarmRanges",
    "enumeration": "EnumerationAlarmList",
    "boolean": "EnumerationAlarmList",
    "string": "StringAlarmList",
}


def read_alarm(element: Element, kind: Kind, labels: Mapping[int, str]) -> Alarm:
    """The alarm of a parameter type; an empty one where it has none.

    XTCE has no list for booleans: theirs is an EnumerationAlarmList of their labels, which other readers ignore.
    Raises :class:`~ground.errors.DefinitionError` at the first thing that is wrong or not supported.
    """
    if kind not in _LISTS or (alarm := element.child("DefaultAlarm")) is None:
        return Alarm()
    violations = alarm.integer("minViolations", 1, _MOST_VIOLATIONS, 1)
    inside = alarm.need(_LISTS[kind])
    if inside.name == "StaticAlarmRanges":
        found = Alarm(limits=_limits(inside), violations=violations)
    else:
        otherwise: Level = alarm.choose("defaultAlarmLevel", get_args(Level), "normal")
        if inside.name == "EnumerationAlarmList":
            codes = _codes(inside, labels if kind == "enumeration" else {**_BOOLEAN, **labels})
            found = Alarm(codes=codes, otherwise=otherwise, violations=violations)
        else:
            found = Alarm(patterns=_patterns(inside), otherwise=otherwise, violations=violations)
    inside.done()
    alarm.done()
    return found


def _limits(ranges: Element) -> tuple[Limit, ...]:
    ranges.choose("rangeForm", ("outside",), "outside")
    limits = []
    for severity in get_args(Severity):
        bounds = ranges.child(f"{severity.capitalize()}Range")
        if bounds is None:
            continue
        low, high = bounds.optional_number("minInclusive"), bounds.optional_number("maxInclusive")
        if low is not None and high is not None and low > high:
            raise bounds.error(f"minInclusive = {low:g} of <{bounds.name}> is above maxInclusive = {high:g}")
        bounds.done()
        if low is not None or high is not None:
            limits.append(Limit(severity, low, high))
    return tuple(limits)


def _codes(listed: Element, labels: Mapping[int, str]) -> dict[int, Level]:
    codes: dict[int, Level] = {}
    for entry in listed.children("EnumerationAlarm"):
        level: Level = entry.choose("alarmLevel", get_args(Level))
        label = entry.text("enumerationLabel")
        named = [code for code, known in labels.items() if known == label]
        if not named:
            raise entry.error(f"<EnumerationAlarm> names {label!r}; the labels are {', '.join(labels.values())}")
        if any(code in codes for code in named):
            raise entry.error(f"<EnumerationAlarm> {label!r} is given twice")
        codes |= dict.fromkeys(named, level)
        entry.done()
    return codes


def _patterns(listed: Element) -> tuple[tuple[str, Level], ...]:
    patterns: list[tuple[str, Level]] = []
    for entry in listed.children("StringAlarm"):
        level: Level = entry.choose("alarmLevel", get_args(Level))
        pattern = entry.text("matchPattern")
        try:
            # What comes from space is matched with RE2, whose time is linear; it refuses back-references.
            pc.match_substring_regex(pa.array([""]), rf"\A(?s:{pattern})\z")
        except pa.ArrowInvalid:
            raise entry.error(
                f"matchPattern = {pattern!r} of <StringAlarm> is not a regular expression (RE2)"
            ) from None
        patterns.append((pattern, level))
        entry.done()
    return tuple(patterns)
