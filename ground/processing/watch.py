"""The stage that looks at what came in real time: mission time, limits, alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ground.blocks import NO_TIME

if TYPE_CHECKING:
    from ground.mission import Mission
    from ground.processing.messages import Part
    from ground.processing.step import Step
    from ground.xtce.plan import Plan


class Watch:
    """What is watched of one mission."""

    def __init__(self, mission: Mission, plan: Plan) -> None:
        self.newest = NO_TIME

    def process(self, step: Step, part: Part) -> None:
        """Look at the telemetry of ``step`` and put the alarms that follow into it."""
        for item in step.telemetry:
            if item.realtime and item.rows.batch.num_rows:
                time = item.rows.batch.column("time").view("int64").to_numpy(zero_copy_only=False)
                self.newest = max(self.newest, int(np.max(time)))

    def current(self) -> list[dict[str, Any]]:
        return []

    def state(self) -> Any:
        return self.newest

    def restore(self, state: Any) -> None:
        self.newest = state
