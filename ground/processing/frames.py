"""The stage from messages to good transfer frames, each once: whole frames, of this spacecraft, not received before."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ground.blocks import NO_TIME, Nanoseconds, Octets
from ground.ccsds.frames import ONLY_IDLE_DATA, Frames, count_modulus, read_frames
from ground.duplicates import RecentFrames, RunningNumbers, checksums

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ground.mission import Mission
    from ground.processing.account import Account
    from ground.processing.messages import Messages

_RUNS_REMEMBERED: Final = 8


@dataclass(frozen=True, slots=True)
class Channel:
    """Frames of one virtual channel as one station received them, in order of receipt.

    ``position``, ``number``: int64 (n,), the message that brought each frame and the frame's number in it.
    """

    station: str
    vcid: int
    frames: Frames
    position: NDArray[np.int64]
    number: NDArray[np.int64]

    def select(self, rows: NDArray[np.bool_]) -> Channel:
        """Those that a mask names."""
        if rows.all():
            return self
        return Channel(self.station, self.vcid, self.frames.select(rows), self.position[rows], self.number[rows])


@dataclass(slots=True)
class _Station:
    recent: dict[int, RecentFrames] = field(default_factory=dict)
    runs: dict[str, RunningNumbers] = field(default_factory=dict)


class FrameStage:
    """Messages of any station in, channels of good frames out. What is left out is counted in ``account``."""

    def __init__(self, mission: Mission, account: Account) -> None:
        self._mission = mission
        self._account = account
        self._stations: dict[str, _Station] = {}

    def process(self, station: str, messages: Messages) -> Iterator[Channel]:
        """The good frames of one station's messages that were not received before."""
        for part, numbered in messages.by_numbering():
            raw, ert, position, number = self._whole(station, part, numbered=numbered)
            frames, rejected = read_frames(self._mission, raw, ert)
            for reason, rows in rejected.items():
                self._account.reject(station, reason, position[rows])
            for vcid, block in frames.by_channel():
                channel = Channel(station, vcid, block, position[block.row], number[block.row])
                channel = channel.select(self._once(channel))
                if len(channel.frames):
                    yield channel

    def new(self, station: str, messages: Messages, frames: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of a station's messages with running numbers, of ``frames`` (m,) each, are new, bool (m,)."""
        runs = self._stations.setdefault(station, _Station()).runs
        new = np.ones(len(frames), np.bool_)
        names = messages.run.dictionary_encode()
        code = names.indices.to_numpy()
        checksum = checksums(messages.data, messages.start, messages.length)
        for i, name in enumerate(map(str, names.dictionary.to_pylist())):
            numbers = runs.pop(name, None) or RunningNumbers()
            of_run = np.flatnonzero(code == i)
            before = numbers.missing
            taken = numbers.take(messages.seq[of_run], frames[of_run], checksum[of_run])
            new[of_run] = taken.new
            self._account.numbered(numbers.missing - before, int(taken.implausible.sum()), taken.restarts)
            runs[name] = numbers
        while len(runs) > _RUNS_REMEMBERED:
            del runs[next(iter(runs))]
        return new

    def _whole(
        self, station: str, messages: Messages, *, numbered: bool
    ) -> tuple[Octets, Nanoseconds, NDArray[np.int64], NDArray[np.int64]]:
        """The whole frames of messages not received before, (n, length), their earth receive times, the positions of
        their messages and their numbers in those, (n,).
        """
        length = self._mission.link.length
        frames = messages.length // length
        rest = messages.length % length != 0
        odd = rest | (messages.length == 0)
        self._account.frames_in(int(frames.sum()) + int(odd.sum()))
        self._account.reject(station, "length", messages.position[odd])
        rows = np.flatnonzero(frames > 0)
        if numbered:
            new = self.new(station, messages, frames + rest)
            self._account.duplicate(int(frames[~new].sum()))
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
        return raw, ert, np.repeat(messages.position[rows], count), number

    def _once(self, channel: Channel) -> NDArray[np.bool_]:
        """Which of the frames are no repeats, bool (n,)."""
        frames = channel.frames
        recent = self._stations.setdefault(channel.station, _Station()).recent.setdefault(channel.vcid, RecentFrames())
        modulus = count_modulus(self._mission.link)
        new = recent.take(frames.raw, frames.vcfc, modulus, frames.pointer == ONLY_IDLE_DATA)
        self._account.duplicate(int(len(new) - np.count_nonzero(new)))
        return new

    def state(self) -> dict[str, Any]:
        """What is remembered of each station, JSON-ready."""
        return {
            name: {
                "recent": {str(vcid): recent.state() for vcid, recent in station.recent.items()},
                "runs": [[run, numbers.state()] for run, numbers in station.runs.items()],
            }
            for name, station in self._stations.items()
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self._stations = {
            name: _Station(
                recent={int(vcid): RecentFrames.restored(recent) for vcid, recent in station["recent"].items()},
                runs={run: RunningNumbers.restored(numbers) for run, numbers in station["runs"]},
            )
            for name, station in state.items()
        }
