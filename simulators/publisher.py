"""What goes between a simulation and its broker: frames, station status and clock out, an operator's faults in.

And how fast: mission time against wall time.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from functools import cache
from typing import TYPE_CHECKING, Any

from ground.errors import ConfigError
from ground.link.mqtt import Client, Outgoing
from ground.link.topics import telemetry
from simulators.ephemeris import SECOND
from simulators.faults import from_table
from simulators.state import load_state

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ground.mission import Mission
    from simulators.simulation import Simulation, Step
    from simulators.state import State

_STATUS_SECONDS = 1.0
_GRACE_SECONDS = 1.0
_BEHIND = 2.0
"""Seconds of wall time that are caught up; after a longer stop (a broker away, a laptop asleep) mission time slips."""


class Pace:
    """Lets mission time run at ``rate`` times wall time from now on; ``math.inf`` never waits."""

    def __init__(self, mission: int, rate: float) -> None:
        self._rate = rate
        self._anchor = (mission, time.monotonic())

    async def reach(self, mission: int, stop: asyncio.Event) -> None:
        """Wait until mission time ``mission`` (ns since 1970 UTC) has come, or ``stop`` is set."""
        if math.isinf(self._rate):
            await asyncio.sleep(0)
            return
        began, wall = self._anchor
        wait = wall + (mission - began) / SECOND / self._rate - time.monotonic()
        if wait < -_BEHIND:
            self._anchor = (mission, time.monotonic())
        try:
            async with asyncio.timeout(max(wait, 0)):
                await stop.wait()
        except TimeoutError:
            pass


def outgoing(mission: Mission, run: str, steps: Iterable[Step]) -> Iterator[Outgoing]:
    """Every message of ``steps`` as it goes to a broker."""
    topic = cache(telemetry)
    for step in steps:
        for one in step.messages:
            properties = (("ert", str(one.ert)), ("dt", str(one.dt)), ("run", run), ("seq", str(one.seq)))
            yield Outgoing(topic(mission.name, one.station, one.vcid), one.payload, properties)


class Publisher:
    """Puts steps and status on their topics."""

    def __init__(self, client: Client, mission: Mission, state: State, speed: float, stop: asyncio.Event) -> None:
        self._client, self._mission, self._state, self._stop = client, mission, state, stop
        self._rate = 0.0 if math.isinf(speed) else speed
        self._station: str | None = None
        self._due = 0.0
        self._last = state.time

    async def frames(self, steps: list[Step]) -> None:
        """Every message of ``steps``; returns when the broker has them."""
        await self._send(outgoing(self._mission, self._state.run, steps))

    def listening(self, steps: list[Step]) -> list[str]:
        """What has changed about who listens, in words."""
        lines = []
        for step in steps:
            now = step.messages[0].station if step.messages else None
            before, self._station = self._station, now
            if before != now:
                lines += [f"{self._mission.stations[before].title}: loss of signal"] if before else []
                lines += [f"{self._mission.stations[now].title}: acquisition of signal"] if now else []
        return lines

    async def event(self, mission: int, text: str, severity: str = "info") -> None:
        """An entry of the event log at the ground's time ``mission``."""
        event = {"time": str(mission), "severity": severity, "source": "station", "text": text}
        await self._send([Outgoing(f"event/{self._mission.name}", json.dumps(event).encode())])

    async def status(self, mission: int, live: Simulation | None) -> None:
        """Clock and stations, once a second of wall time."""
        self._last = mission
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _STATUS_SECONDS
        status = {f"clock/{self._mission.name}": self._clock(mission, self._rate)}
        for name, values in (live.stations() if live else {}).items():
            status[f"station/{self._mission.name}/{name}"] = values
        await self._send(Outgoing(topic, json.dumps(values).encode(), retain=True) for topic, values in status.items())

    async def stopped(self) -> None:
        """Leave a clock behind that stands still."""
        self._stop.set()
        clock = json.dumps(self._clock(self._last, 0.0)).encode()
        await self._send([Outgoing(f"clock/{self._mission.name}", clock, retain=True)])

    async def _send(self, messages: Iterable[Outgoing]) -> None:
        """Publish and wait until the broker has it all, for ever; once the simulation is to stop, some moments only."""
        sending = asyncio.ensure_future(self._client.publish_many(messages))
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({sending, stopping}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({sending}, timeout=_GRACE_SECONDS)
            if sending.done():
                sending.result()
        finally:
            sending.cancel()
            stopping.cancel()

    def _clock(self, mission: int, rate: float) -> dict[str, Any]:
        """The mission's time on the ground: what is received now was sent a light time before."""
        return {"time": str(mission), "rate": rate, "wall": str(time.time_ns()), "epoch": str(self._state.epoch)}


async def obey(client: Client, live: Simulation, publisher: Publisher, path: Path) -> None:
    """Faults that an operator asks for on ``command/<mission>/fault``: a JSON object as in a scenario file.

    They are added to the state in the file at ``path``, which is otherwise a step behind.
    """
    while True:
        delivery = await client.receive()
        client.ack(delivery)
        for packet in delivery.packets:
            try:
                one = from_table(json.loads(packet.payload), live.state.time)
                live.inject(one)
            except (ConfigError, ValueError) as error:
                await publisher.event(live.ground, f"fault refused: {error}", "warning")
                continue
            kept = load_state(path)
            if kept is not None:
                kept.faults = live.state.faults
                kept.save(path)
            target = f" ({one.target})" if one.target else ""
            await publisher.event(live.ground, f"fault on request: {one.kind}{target}")
