"""A simulation that is flown for a while, and what its receiver has of it."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import pytest

from ground.mission import load_mission
from simulators.downlink import STEP
from simulators.ephemeris import SECOND
from simulators.luna26 import LUNA26
from simulators.orbit import instant
from simulators.simulation import Simulation, Step
from simulators.state import State
from simulators.tianwen1 import TIANWEN1
from tests.simulators.receiver import Receiver

if TYPE_CHECKING:
    from simulators.orbit import Trajectory
    from simulators.spacecraft import Spacecraft

CRAFT = pytest.mark.parametrize("craft", [LUNA26, TIANWEN1], ids=lambda craft: craft.name)


@cache
def path_of(craft: str) -> Trajectory:
    one = LUNA26 if craft == "luna26" else TIANWEN1
    path = one.trajectory(load_mission(craft).folder, one.start, None)
    path.at(one.start + 6 * 3600 * SECOND)
    return path


def begin(craft: Spacecraft, start: str | None = None) -> Simulation:
    time = craft.start if start is None else instant(start)
    if start is None or craft.name == "luna26":  # integrated once for all tests
        craft = replace(craft, trajectory=lambda folder, time, saved: copy(path_of(craft.name)))
    return Simulation(load_mission(craft.name), craft, State(craft.name, 1, time, time, run="r"))


def run(simulation: Simulation, seconds: float, batch: int = 40) -> list[Step]:
    steps: list[Step] = []
    until = simulation.state.time + round(seconds * SECOND)
    while simulation.state.time < until:
        steps += simulation.advance(min(batch, (until - simulation.state.time) // STEP))
    return steps


def received(simulation: Simulation, steps: list[Step]) -> Receiver:
    receiver = Receiver(simulation.mission)
    for step in steps:
        for message in step.messages:
            receiver.feed(message.payload, check_fecf=False)
    return receiver
