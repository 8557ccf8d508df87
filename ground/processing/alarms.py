"""The stage that keeps alarms, by parameter, as ANSI/ISA-18.2 has them: what is out of limits, who has seen it, and
what came back without anybody having seen it.

Operators' messages are recorded like telemetry and take effect at their place in the log, so that a restart and a
replay end in the same states.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from ground.processing.levels import SEVERITIES
from ground.stores import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ground.processing.limits import Change

ACTIONS: Final = ("acknowledge", "shelve", "unshelve", "comment")
_LONGEST: Final = {"parameter": 1_000, "user": 100, "comment": 1_000, "until": 100}
"""Characters of what an operator may say at once. An entry of the journal has room for what is kept of it."""


@dataclass(frozen=True, slots=True)
class Action:
    """What an operator does, from the message at ``position``. ``parameter``: empty for all of the mission."""

    position: int
    action: str
    parameter: str
    user: str
    comment: str
    until: str


def parse_action(position: int, payload: bytes) -> Action | str:
    """An operator's message, or what is wrong with it in words."""
    try:
        values = json.loads(payload)
    except (ValueError, RecursionError):
        return "not JSON"
    if not isinstance(values, dict) or values.get("action") not in ACTIONS:
        return f"the action should be one of {', '.join(ACTIONS)}"
    texts = {name: "" if values.get(name) is None else values[name] for name in _LONGEST}
    for name, text in texts.items():
        if not isinstance(text, str) or len(text) > _LONGEST[name] or not _is_text(text):
            return f"{name} should be a text of at most {_LONGEST[name]} characters"
    return Action(position, values["action"], **texts)


def _is_text(text: str) -> bool:
    """Whether databases and pages can hold it: no zero octets, no halves of surrogate pairs."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


@dataclass(slots=True)
class Alarm:
    """How one parameter stands. ``state``: normal, unacknowledged, acknowledged, returned (unacknowledged), shelved.

    ``raised``: SCET at which it left its limits; ``since``: of the last change of severity, ns since 1970 UTC.
    ``position``: of the message that brought the last change. ``hidden``: the state that shelving hides. ``label``:
    what a text was, or the label of the code ``value``, where the parameter isn't a number.
    """

    parameter: str
    state: str = "normal"
    severity: str = "normal"
    previous: str = "normal"
    value: float = math.nan
    low: float | None = None
    high: float | None = None
    since: int = 0
    raised: int = 0
    operator: str = ""
    comment: str = ""
    until: str = ""
    position: int = 0
    hidden: str = ""
    label: str = ""

    def to_json(self) -> dict[str, Any]:
        """As pages and scripts are told it: 64-bit integers and what isn't finite are strings."""
        values = asdict(self)
        del values["hidden"]
        for name in ("since", "raised", "position"):
            values[name] = str(values[name])
        return values | {"value": number_to_json(self.value)}


def number_to_json(value: float) -> float | str:
    """JSON has no numbers for what isn't finite: its name then."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


class Alarms:
    """The alarms of one mission."""

    def __init__(self) -> None:
        self._alarms: dict[str, Alarm] = {}

    def process(self, changes: Iterable[Change], actions: Iterable[Action]) -> list[Entry]:
        """Let changes of severity and operators' actions take effect in the order of the log: a line of the journal for
        each alarm that they change.
        """
        ordered: list[tuple[int, int, str, Change | Action]] = [(c.position, c.place, c.parameter, c) for c in changes]
        ordered += [(a.position, -1, str(i), a) for i, a in enumerate(actions)]
        entries: list[Entry] = []
        for position, _, _, item in sorted(ordered, key=lambda one: one[:3]):
            changed = self._act(item) if isinstance(item, Action) else [self._change(item)]
            for alarm in changed:
                alarm.position = position
                place = entries[-1].place + 1 if entries and entries[-1].position == position else 0
                entries.append(Entry("alarm", position, place, alarm.since, alarm.parameter, alarm.to_json()))
        return entries

    def current(self) -> list[dict[str, Any]]:
        """All that aren't normal, the worst first, JSON-ready."""
        standing = [alarm for alarm in self._alarms.values() if alarm.state != "normal"]
        standing.sort(key=lambda alarm: (-SEVERITIES.index(alarm.severity), alarm.parameter))
        return [alarm.to_json() for alarm in standing]

    def known(self) -> list[dict[str, Any]]:
        """All that ever were out of limits, also those that are normal now, JSON-ready."""
        return [alarm.to_json() for alarm in self._alarms.values()]

    def _change(self, change: Change) -> Alarm:
        alarm = self._alarms.setdefault(change.parameter, Alarm(change.parameter))
        state = alarm.hidden or alarm.state
        if change.severity == "normal":
            state = {"acknowledged": "normal", "unacknowledged": "returned"}.get(state, state)
        else:
            if state in {"normal", "returned"}:
                alarm.raised, alarm.operator, alarm.comment = change.time, "", ""
            worse = SEVERITIES.index(change.severity) > SEVERITIES.index(change.previous)
            state = "unacknowledged" if worse or state != "acknowledged" else state
        self._put(alarm, state)
        alarm.severity, alarm.previous, alarm.value, alarm.since = (
            change.severity,
            change.previous,
            change.value,
            change.time,
        )
        alarm.label = change.label
        limit = change.limit
        alarm.low, alarm.high = (limit.low, limit.high) if limit else (None, None)
        return alarm

    def _act(self, action: Action) -> list[Alarm]:
        named = [action.parameter] if action.parameter else sorted(self._alarms)
        changed = []
        for parameter in named:
            alarm = self._alarms.get(parameter)
            if alarm is None or not self._apply(action, alarm):
                continue
            alarm.operator = action.user or alarm.operator
            alarm.comment = action.comment or alarm.comment
            changed.append(alarm)
        return changed

    def _apply(self, action: Action, alarm: Alarm) -> bool:
        """Whether the action changes the alarm."""
        state = alarm.hidden or alarm.state
        if action.action == "acknowledge":
            after = {"unacknowledged": "acknowledged", "returned": "normal"}.get(state)
            if after is None:
                return False
            self._put(alarm, after)
        elif action.action == "shelve":
            alarm.hidden, alarm.state, alarm.until = state, "shelved", action.until
        elif action.action == "unshelve":
            if not alarm.hidden:
                return False
            alarm.state, alarm.hidden, alarm.until = alarm.hidden, "", ""
        return True

    @staticmethod
    def _put(alarm: Alarm, state: str) -> None:
        if alarm.hidden:
            alarm.hidden = state
        else:
            alarm.state = state

    def state(self) -> list[dict[str, Any]]:
        """Every parameter that was ever out of limits, JSON-ready; infinities as Python's json writes them."""
        return [asdict(alarm) for _, alarm in sorted(self._alarms.items())]

    def restore(self, state: Sequence[dict[str, Any]]) -> None:
        """Go on from what :meth:`state` gave."""
        self._alarms = {values["parameter"]: Alarm(**values) for values in state}
