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

from ground.processing.limits import SEVERITIES
from ground.stores import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ground.processing.limits import Change

ACTIONS: Final = ("acknowledge", "shelve", "unshelve", "comment")
_LONGEST: Final = 1_000
"""Characters of what an operator may say at once."""


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
    texts = [values.get(name) or "" for name in ("parameter", "user", "comment", "until")]
    if not all(isinstance(text, str) and len(text) <= _LONGEST for text in texts):
        return f"parameter, user, comment and until should be texts of at most {_LONGEST} characters"
    return Action(position, values["action"], *texts)


@dataclass(slots=True)
class Alarm:
    """How one parameter stands. ``state``: normal, unacknowledged, acknowledged, returned (unacknowledged), shelved.

    ``raised``: SCET at which it left its limits; ``since``: of the last change of severity, ns since 1970 UTC.
    ``position``: of the message that brought the last change. ``hidden``: the state that shelving hides.
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

    def to_json(self) -> dict[str, Any]:
        """As pages and scripts are told it: 64-bit integers and what isn't finite are strings."""
        values = asdict(self)
        del values["hidden"]
        for name in ("since", "raised", "position"):
            values[name] = str(values[name])
        if not math.isfinite(self.value):
            values["value"] = "NaN" if math.isnan(self.value) else "Infinity" if self.value > 0 else "-Infinity"
        return values


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
        limit = change.limit
        alarm.low, alarm.high = (limit.low, limit.high) if limit else (None, None)
        return alarm

    def _act(self, action: Action) -> list[Alarm]:
        named = [action.parameter] if action.parameter else [*self._alarms]
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
