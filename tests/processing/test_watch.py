"""What operators send takes effect on the alarms of their mission; what is no action is told, not raised."""

from __future__ import annotations

import numpy as np

from ground.processing.account import Account
from ground.processing.messages import Part
from ground.processing.step import Step
from ground.processing.watch import Watch
from tests.processing.telemetry import loaded
from tests.processing.test_recorded import PLAN, telemetry


def test_operators_messages_act_and_mistakes_become_events() -> None:
    mission, _ = loaded("luna26")
    account = Account("m")
    watch = Watch(mission, PLAN, account)
    at = np.arange(10, dtype=np.int64)
    part = Part(0, at, at, operator=((3, b'{"action": "acknowledge", "user": "Wu"}'), (5, b"{"), (6, b"["), (7, b"{}")))
    account.begin(part)
    step = Step(telemetry=[telemetry([(2, 100, 9.0)], realtime=True)])
    watch.process(step, part)
    assert [(e.position, e.values["state"], e.values["operator"]) for e in step.alarms] == [
        (2, "unacknowledged", ""),
        (3, "acknowledged", "Wu"),
    ]
    assert [(e.position, e.subject, e.values["text"][:30]) for e in account.events.take()] == [
        (5, "operator", "2 messages ignored: not JSON"),
        (7, "operator", "1 messages ignored: the action"),
    ]
    again = Watch(mission, PLAN, Account("m"))
    again.restore(watch.state())
    assert again.current() == watch.current() != []
