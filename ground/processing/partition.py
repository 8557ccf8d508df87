"""A partition: one mission's chain of stages behind the recording, with one state and one ledger.

``process`` takes parts of the recording in order and gives rows, alarms and events; everything that is remembered
between two calls is in ``state()``, and a partition restored from that goes on as if it had never stopped.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from ground.errors import StoreError
from ground.processing.account import Account
from ground.processing.frames import FrameStage
from ground.processing.ledger import MissionLedger
from ground.processing.order import OrderStage
from ground.processing.packets import PacketStage
from ground.processing.step import Step, Telemetry
from ground.processing.watch import Watch
from ground.stores import Rows
from ground.xtce.decode import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ground.blocks import Packets
    from ground.mission import Mission
    from ground.processing.messages import Messages, Part
    from ground.processing.order import Stream
    from ground.xtce.plan import Plan

STATIONS: Final = 64
"""Stations that mission.toml doesn't list and that are listened to all the same: each needs memory."""

_FORMAT: Final = 1


class Partition:
    """One mission from position ``position`` on. Not thread-safe: one call at a time."""

    def __init__(self, mission: Mission, plan: Plan, *, position: int = 0, state: bytes = b"") -> None:
        self.mission = mission
        self.plan = plan
        self.position = position
        self.received = 0
        """When the newest message before :attr:`position` was received, ns since 1970 UTC by the recorder's clock."""
        self.before = 0
        """Rows that the store was handed from other recordings, before this one."""
        self._account = Account(mission.name)
        self._frames = FrameStage(mission, self._account)
        self._packets = PacketStage(mission, self._account)
        self._order = OrderStage()
        self._watch = Watch(mission, plan, self._account)
        self._stations = dict.fromkeys(mission.stations)
        if state:
            self._restore(state)

    @property
    def ledger(self) -> MissionLedger:
        """The counts at :attr:`position`."""
        return self._account.ledger

    def process(self, part: Part) -> Step:
        """Move on to the end of ``part``. Nothing that was received raises: what is of no use is counted and named."""
        self._account.begin(part)
        streams = [s for station, messages in part.stations.items() for s in self._streams(station, messages)]
        streams = self._order.process(streams)
        self.ledger.repeated = self._order.repeated
        step = Step(telemetry=[*self._decoded(streams, realtime=True), *self._decoded(streams, realtime=False)])
        self._watch.process(step, part)
        if len(part.received):
            self.received = int(part.received[-1])
        self.position = part.stop
        step.events = self._account.events.take()
        return step

    def _streams(self, station: str, messages: Messages) -> Iterator[Stream]:
        if station not in self._stations:
            if len(self._stations) >= STATIONS + len(self.mission.stations):
                self._account.frames_in(len(messages))
                self._account.reject("other stations", "station", messages.position)
                return
            self._stations[station] = None
        if self.mission.link.frame == "none":
            for part, numbered in messages.by_numbering():
                yield self._packets.bare(station, part, self._frames, numbered=numbered)
        else:
            for channel in self._frames.process(station, messages):
                yield self._packets.process(channel)

    def _decoded(self, streams: list[Stream], *, realtime: bool) -> Iterator[Telemetry]:
        """Rows by container, in the order of the log whatever stream they came from."""
        found: dict[str, list[tuple[pa.RecordBatch, Packets]]] = {}
        for stream in streams:
            if stream.realtime is realtime and len(stream.packets):
                decoded = decode(self.plan, stream.packets)
                for reason, packets in decoded.dropped:
                    self._account.undecoded(stream.source, reason, packets.position)
                for (container, batch), packets in zip(decoded.batches, decoded.packets, strict=True):
                    found.setdefault(container, []).append((batch, packets))
        for container, pieces in found.items():
            batch, position, place = _in_log_order(pieces)
            self.ledger.rows[container] += batch.num_rows
            self.ledger.decoded += batch.num_rows
            yield Telemetry(Rows(self.mission.name, container, batch), realtime, position, place)

    def alarms(self) -> list[dict[str, Any]]:
        """Every alarm that there ever was, as it stands, JSON-ready."""
        return self._watch.known()

    def state(self) -> bytes:
        """All that has to be remembered at :attr:`position`: a line of JSON, then the packets known to the order."""
        values = {
            "format": _FORMAT,
            "received": self.received,
            "before": self.before,
            "ledger": self.ledger.to_json(),
            "events": self._account.events.state(),
            "frames": self._frames.state(),
            "packets": self._packets.state(),
            "watch": self._watch.state(),
            "stations": sorted(self._stations),
        }
        return json.dumps(values, separators=(",", ":"), sort_keys=True).encode() + b"\n" + self._order.state()

    def _restore(self, state: bytes) -> None:
        text, _, recent = state.partition(b"\n")
        values = json.loads(text)
        if values.get("format") != _FORMAT:
            raise StoreError(
                f"{self.mission.name}: the checkpoint in the store is of another version; ground rebuild makes it anew"
            )
        self.received, self.before = values["received"], values["before"]
        self._account.ledger = MissionLedger.from_json(values["ledger"])
        self._account.events.restore(values["events"])
        self._frames.restore(values["frames"])
        self._packets.restore(values["packets"])
        self._watch.restore(values["watch"])
        self._stations = dict.fromkeys([*self.mission.stations, *values["stations"]])
        self._order.restore(recent)
        self._order.repeated = self.ledger.repeated


def _in_log_order(
    pieces: list[tuple[pa.RecordBatch, Packets]],
) -> tuple[pa.RecordBatch, NDArray[np.int64], NDArray[np.int64]]:
    if len(pieces) == 1:
        [(batch, packets)] = pieces
        return batch, packets.position, packets.place
    position = np.concatenate([packets.position for _, packets in pieces])
    place = np.concatenate([packets.place for _, packets in pieces])
    order: NDArray[np.int64] = np.lexsort((place, position)).astype(np.int64)
    joined: pa.RecordBatch = pa.concat_batches([batch for batch, _ in pieces])  # type: ignore[attr-defined]
    return joined.take(order), position[order], place[order]
