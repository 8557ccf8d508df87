"""The stage that looks at what came in real time: mission time, limits, alarms. Playback changes none of them:
excursions that only it has are told of, as recorded on board.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ground.processing.alarms import Action, Alarms, parse_action
from ground.processing.limits import Limits
from ground.processing.recorded import Recorded

if TYPE_CHECKING:
    from ground.mission import Mission
    from ground.processing.account import Account
    from ground.processing.messages import Part
    from ground.processing.step import Step
    from ground.xtce.plan import Plan


class Watch:
    """What is watched of one mission."""

    def __init__(self, mission: Mission, plan: Plan, account: Account) -> None:
        self._account = account
        self._limits = Limits(plan.alarms, mission.hysteresis)
        self._recorded = Recorded(Limits(plan.alarms, mission.hysteresis))
        self._alarms = Alarms()

    def process(self, step: Step, part: Part) -> None:
        """Look at the telemetry of ``step`` and at what operators did, and put the alarms that follow into it."""
        changes = [change for item in step.telemetry if item.realtime for change in self._limits.check(item)]
        entries = self._alarms.process(changes, self._actions(part)) if changes or part.operator else []
        playback = [item for item in step.telemetry if not item.realtime]
        step.alarms = entries + self._recorded.process(playback, changes, entries)

    def _actions(self, part: Part) -> list[Action]:
        actions = []
        for position, payload in part.operator:
            action = parse_action(position, payload)
            if isinstance(action, Action):
                actions.append(action)
            else:
                self._account.event(
                    "warning", "operator", f"{{amount}} messages ignored: {action}", np.array([position])
                )
        return actions

    def current(self) -> list[dict[str, Any]]:
        """Every alarm that isn't normal, JSON-ready."""
        return self._alarms.current()

    def known(self) -> list[dict[str, Any]]:
        """Every alarm that there ever was, as it stands, JSON-ready."""
        return self._alarms.known()

    def state(self) -> dict[str, Any]:
        """All that is remembered, JSON-ready."""
        return {"limits": self._limits.state(), "alarms": self._alarms.state(), "recorded": self._recorded.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self._limits.restore(state["limits"])
        self._alarms.restore(state["alarms"])
        self._recorded.restore(state["recorded"])
