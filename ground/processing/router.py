"""Who gets which recorded message: by topic, a part for each mission."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ground.blocks import NO_TIME
from ground.link.topics import parse_operator, parse_telemetry
from ground.processing.events import Events
from ground.processing.messages import Messages, Part
from ground.processing.step import Step

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from ground.recording.read import RecordedBlock

GROUND: Final = "ground"
"""The name under which what belongs to no mission is accounted for."""


def route(block: RecordedBlock, missions: Collection[str]) -> dict[str, Part]:
    """The part of each of ``missions`` of which ``block`` has messages, and of :data:`GROUND` where it has others."""
    topics = block.topic.dictionary_encode()
    code = topics.indices.to_numpy()
    telemetry: dict[str, dict[str, list[int]]] = {}
    operator: dict[str, int] = {}
    unrouted: dict[str, NDArray[np.int64]] = {}
    names = [*map(str, topics.dictionary.to_pylist())]
    for i, topic in enumerate(names):
        source = parse_telemetry(topic)
        if source is not None and source.mission in missions:
            telemetry.setdefault(source.mission, {}).setdefault(source.station, []).append(i)
        elif (of := parse_operator(topic)) is not None and of in missions:
            operator[of] = i
        else:
            unrouted[topic] = block.position + np.flatnonzero(code == i)
    everything = _messages(block)
    whole = len(names) == sum(len(codes) for stations in telemetry.values() for codes in stations.values())
    parts = {}
    if unrouted:
        parts[GROUND] = Part(block.position, block.received, everything.ert, unrouted=unrouted)
    for mission in {**telemetry, **operator}:
        stations = telemetry.get(mission, {})
        alone = whole and len(telemetry) == len(stations) == 1
        parts[mission] = Part(
            block.position,
            block.received,
            everything.ert,
            {
                station: everything if alone else everything.select(np.flatnonzero(np.isin(code, codes)))
                for station, codes in stations.items()
            },
            _payloads(block, np.flatnonzero(code == operator[mission])) if mission in operator else (),
        )
    return parts


def _messages(block: RecordedBlock) -> Messages:
    return Messages(
        block.payload,
        block.offset[:-1],
        np.diff(block.offset),
        np.where(block.ert == NO_TIME, block.received, block.ert),
        block.dt,
        block.run,
        block.seq,
        np.arange(block.position, block.end),
    )


def _payloads(block: RecordedBlock, rows: NDArray[np.intp]) -> tuple[tuple[int, bytes], ...]:
    spans = zip(rows.tolist(), block.offset[rows].tolist(), block.offset[rows + 1].tolist(), strict=True)
    return tuple((block.position + row, block.payload[a:b].tobytes()) for row, a, b in spans)


class Unrouted:
    """The account of what belongs to no mission. It has a checkpoint of its own, as a mission has."""

    def __init__(self, position: int = 0, state: bytes = b"") -> None:
        self.position = position
        self.received = 0
        self.before = 0
        self.counts: Counter[str] = Counter()
        self._events = Events(GROUND)
        if state:
            values = json.loads(state)
            self.received = values["received"]
            self.counts = Counter(values["counts"])
            self._events.restore(values["events"])

    def process(self, part: Part) -> Step:
        """Count what nobody took."""
        for topic, positions in part.unrouted.items():
            known = parse_telemetry(topic) or parse_operator(topic)
            reason = "unknown mission" if known else "topic is not tm/<mission>/<station>/<vcid>"
            self.counts[reason] += len(positions)
            text = "{amount} messages not decoded: " + reason
            at = part.received[positions - part.start]
            self._events.add("warning", topic, text, positions, at, at)
        if len(part.received):
            self.received = int(part.received[-1])
        self.position = part.stop
        return Step(events=self._events.take())

    def state(self) -> bytes:
        """All that has to be remembered at :attr:`position`."""
        values: dict[str, Any] = {
            "received": self.received,
            "counts": dict(self.counts),
            "events": self._events.state(),
        }
        return json.dumps(values, separators=(",", ":")).encode()
