"""All missions' telemetry out of a recording: routing by topic, decoding, limits. A pure function with an explicit
state.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ground.blocks import NO_TIME
from ground.decoder import Event, MissionDecoder, Telemetry
from ground.limits import Alarm, AlarmState
from ground.link.topics import parse_telemetry
from ground.messages import Messages

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ground.mission import Mission
    from ground.recording.read import RecordedBlock
    from ground.xtce.plan import Plan


@dataclass(slots=True)
class Step:
    """What came out of one recorded block."""

    telemetry: list[Telemetry] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


class Processor:
    """Follows a recording from ``position`` on. Not thread-safe: one call at a time."""

    def __init__(
        self, missions: Iterable[tuple[Mission, Plan]], *, position: int = 0, state: bytes | None = None
    ) -> None:
        self.missions = [*missions]
        self.position = position
        self.messages = 0
        self.unrouted: Counter[str] = Counter()
        self.received = 0
        """When the newest processed message was received, ns since 1970 UTC by this machine's clock."""
        self.decoders = {mission.name: MissionDecoder(mission, plan) for mission, plan in self.missions}
        self.alarms = {
            mission.name: AlarmState(
                mission.name,
                {
                    container.name: {p.name: p.limits for p in container.parameters if p.limits}
                    for container in plan.containers.values()
                },
            )
            for mission, plan in self.missions
        }
        if state is not None:
            self._restore(json.loads(state))

    def process(self, block: RecordedBlock) -> Step:
        """Decode a block and move on to its end. Nothing in a block raises: what can't be used is counted and named."""
        step = Step()
        if block.position > self.position:
            text = f"positions {self.position} to {block.position - 1} are missing from the recording"
            step.events.append(Event("", "error", "recording", text))
        for mission, station, messages in self._by_station(block, step):
            telemetry, events = self.decoders[mission].process(station, messages)
            step.telemetry += telemetry
            step.events += events
        for item in step.telemetry:
            if item.realtime:
                step.alarms += self.alarms[item.rows.mission].check(item.rows.container, item.rows.batch)
        self.messages += len(block)
        self.position = block.end
        if len(block):
            self.received = int(block.received[-1])
        return step

    def _by_station(self, block: RecordedBlock, step: Step) -> list[tuple[str, str, Messages]]:
        start, length = block.offset[:-1], np.diff(block.offset)
        ert = np.where(block.ert == NO_TIME, block.received, block.ert)
        messages = Messages(block.payload, start, length, ert, block.dt, block.run, block.seq)
        topics = block.topic.dictionary_encode()
        code = topics.indices.to_numpy()
        group: dict[tuple[str, str], list[int]] = {}
        for i, topic in enumerate(map(str, topics.dictionary.to_pylist())):
            source = parse_telemetry(topic)
            if source is None or source.mission not in self.decoders:
                n = int((code == i).sum())
                reason = "unknown mission" if source else "topic is not tm/<mission>/<station>/<vcid>"
                self.unrouted[reason] += n
                step.events.append(Event("", "warning", topic, f"{n} messages not decoded: {reason}"))
                continue
            group.setdefault((source.mission, source.station), []).append(i)
        if len(group) == 1 and len(topics.dictionary) == len(next(iter(group.values()))):
            [(mission, station)] = group
            return [(mission, station, messages)]
        return [
            (mission, station, messages.select(np.flatnonzero(np.isin(code, codes))))
            for (mission, station), codes in group.items()
        ]

    def ledgers(self) -> dict[str, dict[str, Any]]:
        """The counts at :attr:`position` of every mission of which something came, JSON-ready."""
        return {name: d.ledger.report() for name, d in self.decoders.items() if d.ledger.frames_in}

    def state(self) -> bytes:
        """All that has to be remembered at :attr:`position`."""
        values: dict[str, Any] = {
            "messages": self.messages,
            "unrouted": dict(self.unrouted),
            "received": self.received,
            "decoders": {name: decoder.state() for name, decoder in self.decoders.items() if decoder.ledger.frames_in},
            "alarms": {name: alarms.severity for name, alarms in self.alarms.items() if alarms.severity},
        }
        return json.dumps(values, separators=(",", ":")).encode()

    def _restore(self, values: dict[str, Any]) -> None:
        self.messages = values["messages"]
        self.unrouted = Counter(values["unrouted"])
        self.received = values["received"]
        for name, state in values["decoders"].items():
            if name in self.decoders:
                self.decoders[name].restore(state)
        for name, severity in values["alarms"].items():
            if name in self.alarms:
                self.alarms[name].severity = dict(severity)
