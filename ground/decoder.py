"""From recorded messages to decoded telemetry: a pure function of the recording.

``MissionDecoder.process`` takes recorded messages in order and gives decoded rows; everything that it remembers between
two calls is in ``state()``, and a decoder restored from that goes on as if it had never stopped. How the messages were
cut into blocks makes no difference to what comes out.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ground.blocks import NO_TIME, Nanoseconds, Octets, Packets
from ground.ccsds.frames import AOS_IDLE_CHANNEL, ONLY_IDLE_DATA, count_modulus, read_frames
from ground.ccsds.packets import IDLE_APID, ChannelState, read_bare_packets, read_packets
from ground.duplicates import RecentFrames, RunningNumbers, checksums
from ground.ledger import ChannelLedger, MissionLedger
from ground.stores import Rows
from ground.xtce.decode import decode

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ground.ccsds.frames import Frames
    from ground.messages import Messages
    from ground.mission import Mission
    from ground.xtce.plan import Plan

_RUNS_REMEMBERED = 8


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Decoded rows and whether they came on a real-time channel (or in playback)."""

    rows: Rows
    realtime: bool


@dataclass(frozen=True, slots=True)
class Event:
    """Something an operator should read about: ``severity`` is info, warning or error."""

    mission: str
    severity: str
    source: str
    text: str


@dataclass(slots=True)
class StationState:
    """What is remembered of one station of one mission."""

    channels: dict[int, ChannelState] = field(default_factory=dict)
    recent: dict[int, RecentFrames] = field(default_factory=dict)
    runs: dict[str, RunningNumbers] = field(default_factory=dict)


class MissionDecoder:
    """One mission's frames to rows."""

    def __init__(self, mission: Mission, plan: Plan) -> None:
        self.mission = mission
        self.plan = plan
        self.stations: dict[str, StationState] = {}
        self.ledger = MissionLedger()

    def process(self, station: str, messages: Messages) -> tuple[list[Telemetry], list[Event]]:
        """Decode the messages of one station. Bad input is counted in the ledger and named in the events."""
        telemetry: list[Telemetry] = []
        events: list[Event] = []
        for part, numbered in messages.by_numbering():
            if self.mission.link.frame == "none":
                telemetry += self._bare_packets(station, part, numbered=numbered, events=events)
                continue
            raw, ert = self._whole_frames(station, part, numbered=numbered, events=events)
            frames, rejected = read_frames(self.mission, raw, ert)
            for reason, n in rejected.items():
                self._reject(station, reason, n, events)
            for vcid, block in frames.by_channel():
                telemetry += self._channel(station, vcid, block, events=events)
        return telemetry, events

    def _whole_frames(
        self, station: str, messages: Messages, *, numbered: bool, events: list[Event]
    ) -> tuple[Octets, Nanoseconds]:
        """The whole frames of messages not received before, (n, length), and their earth receive times (n,)."""
        length = self.mission.link.length
        frames = messages.length // length
        rest = messages.length % length != 0
        odd = rest | (messages.length == 0)
        self.ledger.frames_in += int(frames.sum()) + int(odd.sum())
        self._reject(station, "length", int(odd.sum()), events)
        rows = np.flatnonzero(frames > 0)
        if numbered:
            new = self._not_received_before(station, messages, frames + rest)
            self.ledger.duplicate += int(frames[~new].sum())
            rows = np.flatnonzero(new & (frames > 0))
        count = frames[rows]
        number = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        received = np.repeat(messages.ert[rows], count)
        ert = np.where(received == NO_TIME, NO_TIME, received + number * np.repeat(messages.dt[rows], count))
        start = np.repeat(messages.start[rows], count) + number * length
        if not len(start):
            raw = np.empty((0, length), np.uint8)
        elif (np.diff(start) == length).all():
            raw = messages.data[start[0] : start[-1] + length].reshape(-1, length)
        else:
            # Row by row: an index array of every octet takes eight times the memory and the time.
            raw = np.lib.stride_tricks.sliding_window_view(messages.data, length)[start]
        return raw, ert

    def _not_received_before(self, station: str, messages: Messages, frames: NDArray[np.int64]) -> NDArray[np.bool_]:
        runs = self._station(station).runs
        new = np.ones(len(frames), np.bool_)
        names = messages.run.dictionary_encode()
        code = names.indices.to_numpy()
        checksum = checksums(messages.data, messages.start, messages.length)
        for i, name in enumerate(map(str, names.dictionary.to_pylist())):
            numbers = runs.pop(name, None) or RunningNumbers()
            of_run = np.flatnonzero(code == i)
            before = numbers.missing
            new[of_run] = numbers.take(messages.seq[of_run], frames[of_run], checksum[of_run]).new
            self.ledger.missing += numbers.missing - before
            runs[name] = numbers
        while len(runs) > _RUNS_REMEMBERED:
            del runs[next(iter(runs))]
        return new

    def _station(self, name: str) -> StationState:
        return self.stations.setdefault(name, StationState())

    def _reject(self, station: str, reason: str, n: int, events: list[Event]) -> None:
        if n:
            self.ledger.rejected[reason] += n
            plural = "frame" if n == 1 else "frames"
            events.append(Event(self.mission.name, "warning", station, f"{n} {plural} rejected: {_WHY[reason]}"))

    def _channel(self, station: str, vcid: int, frames: Frames, *, events: list[Event]) -> list[Telemetry]:
        state = self._station(station)
        recent, modulus = state.recent.setdefault(vcid, RecentFrames()), count_modulus(self.mission.link)
        new = recent.take(frames.raw, frames.vcfc, modulus, frames.pointer == ONLY_IDLE_DATA)
        self.ledger.duplicate += int(len(new) - new.sum())
        frames = frames if new.all() else frames.select(new)
        if not len(frames):
            return []
        channel = self.mission.channel(vcid)
        packets, seen, state.channels[vcid] = read_packets(
            self.mission, frames, state.channels.get(vcid, ChannelState())
        )
        if channel.mode == "idle" or (vcid == AOS_IDLE_CHANNEL and self.mission.link.frame == "aos"):
            packets, state.channels[vcid] = packets.select(slice(0, 0)), state.channels[vcid].without_packet()
        ledger = self.ledger.channel(station, vcid)
        ledger.first = int(frames.vcfc[0]) if ledger.first is None else ledger.first
        ledger.last = int(frames.vcfc[-1])
        ledger.frames += seen.frames
        ledger.gaps += seen.gaps
        ledger.lost += seen.lost
        ledger.unheard += seen.unheard
        ledger.dropped += seen.dropped
        self._count_packets(ledger, packets)
        if seen.gaps:
            text = f"VC{vcid}: {seen.gaps} gaps in the frame count, {seen.lost} frames lost"
            events.append(Event(self.mission.name, "warning", station, text))
        self._note_times(frames.time)
        return self._packets(f"{station}, VC{vcid}", packets, realtime=channel.mode == "realtime", events=events)

    def _bare_packets(
        self, station: str, messages: Messages, *, numbered: bool, events: list[Event]
    ) -> list[Telemetry]:
        """A link without frames: in the ledger each packet is its own frame, of channel 0."""
        where = messages.data, messages.start, messages.length, messages.ert
        packets, count, odd = read_bare_packets(self.mission, *where)
        self.ledger.frames_in += len(packets) + int(odd.sum())
        self._reject(station, "length", int(odd.sum()), events)
        if numbered:
            new = np.repeat(self._not_received_before(station, messages, count + odd), count)
            self.ledger.duplicate += int(len(new) - new.sum())
            packets = packets if new.all() else packets.select(new)
        ledger = self.ledger.channel(station, 0)
        ledger.frames += len(packets)
        self._count_packets(ledger, packets)
        return self._packets(station, packets, realtime=True, events=events)

    def _count_packets(self, ledger: ChannelLedger, packets: Packets) -> None:
        ledger.packets += len(packets)
        numbers = np.bincount(packets.apid)
        apids = np.flatnonzero(numbers)
        ledger.apids.update(dict(zip(apids.tolist(), numbers[apids].tolist(), strict=True)))

    def _packets(self, source: str, packets: Packets, *, realtime: bool, events: list[Event]) -> list[Telemetry]:
        self._note_times(packets.time)
        self.ledger.packets_in += len(packets)
        idle = packets.apid == IDLE_APID
        timeless = ~idle & (packets.time == NO_TIME)
        self.ledger.idle += int(idle.sum())
        if timeless.any():
            self._undecoded(source, "no time", int(timeless.sum()), events)
        decoded = decode(self.plan, packets.select(~idle & ~timeless))
        for reason, n in decoded.undecoded.items():
            self._undecoded(source, reason, n, events)
        telemetry = []
        for container, batch in decoded.batches:
            self.ledger.rows[container] += batch.num_rows
            self.ledger.decoded += batch.num_rows
            telemetry.append(Telemetry(Rows(self.mission.name, container, batch), realtime))
        usable = packets.time[~idle & ~timeless]
        if realtime and len(usable):
            self.ledger.newest_realtime = max(self.ledger.newest_realtime, int(usable.max()))
        return telemetry

    def _undecoded(self, source: str, reason: str, n: int, events: list[Event]) -> None:
        if n:
            self.ledger.undecoded[reason] += n
            events.append(Event(self.mission.name, "warning", source, f"{n} packets not decoded: {reason}"))

    def _note_times(self, time: Nanoseconds) -> None:
        known = time[time != NO_TIME]
        if len(known):
            self.ledger.saw_times(int(known.min()), int(known.max()))

    def state(self) -> dict[str, Any]:
        """Everything that is remembered, JSON-ready."""
        return {
            "ledger": self.ledger.to_json(),
            "stations": {
                name: {
                    "channels": {
                        str(vcid): [c.vcfc, base64.b64encode(c.partial).decode(), c.time, c.ert, c.heard]
                        for vcid, c in station.channels.items()
                    },
                    "recent": {str(vcid): recent.state() for vcid, recent in station.recent.items()},
                    "runs": {run: numbers.state() for run, numbers in station.runs.items()},
                }
                for name, station in self.stations.items()
            },
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self.ledger = MissionLedger.from_json(state["ledger"])
        self.stations = {
            name: StationState(
                channels={
                    int(vcid): ChannelState(vcfc, base64.b64decode(partial), *times)
                    for vcid, (vcfc, partial, *times) in station["channels"].items()
                },
                recent={int(vcid): RecentFrames.restored(recent) for vcid, recent in station["recent"].items()},
                runs={run: RunningNumbers.restored(numbers) for run, numbers in station["runs"].items()},
            )
            for name, station in state["stations"].items()
        }


_WHY = {
    "length": "the message is not a whole number of frames",
    "fecf": "the frame error control field does not fit (damaged on the way)",
    "version": "another transfer frame version (a false decode, or the wrong mission)",
    "spacecraft": "another spacecraft identifier (a false decode, or the wrong mission)",
}
