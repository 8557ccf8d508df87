"""The stage from frames to space packets: each channel's packets, with their place in the log and their digest."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ground.blocks import NO_TIME
from ground.ccsds.digest import digests
from ground.ccsds.frames import AOS_IDLE_CHANNEL
from ground.ccsds.packets import IDLE_APID, ChannelState, read_bare_packets, read_packets, unfit
from ground.processing.order import Stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ground.blocks import Packets
    from ground.mission import Mission
    from ground.processing.account import Account
    from ground.processing.frames import Channel, FrameStage
    from ground.processing.ledger import ChannelLedger
    from ground.processing.messages import Messages

NO_FRAMES = np.empty(0, np.int64)

_PLACES = np.int64(1 << 16)
"""More packets than can end in one frame: its longest is 65,536 octets, a packet's shortest 7."""


class PacketStage:
    """Channels of good frames in, streams of packets that may be decoded out."""

    def __init__(self, mission: Mission, account: Account) -> None:
        self._mission = mission
        self._account = account
        self._channels: dict[tuple[str, int], ChannelState] = {}

    def process(self, channel: Channel) -> Stream:
        """The packets that end in these frames."""
        mission, frames = self._mission, channel.frames
        key = channel.station, channel.vcid
        packets, seen, after = read_packets(mission, frames, self._channels.get(key, ChannelState()))
        mode = mission.channel(channel.vcid).mode
        if mode == "idle" or (channel.vcid == AOS_IDLE_CHANNEL and mission.link.frame == "aos"):
            packets, after = packets.select(slice(0, 0)), after.without_packet()
        self._channels[key] = after
        ledger = self._account.ledger.channel(*key)
        ledger.first = int(frames.vcfc[0]) if ledger.first is None else ledger.first
        ledger.last = int(frames.vcfc[-1])
        ledger.frames += seen.frames
        ledger.gaps += seen.gaps
        ledger.lost += seen.lost
        ledger.unheard += seen.unheard
        ledger.dropped += seen.dropped
        self._account.gaps(*key, channel.position[seen.breaks], seen.missing)
        self._account.saw_times(frames.time)
        position = channel.position[packets.frame]
        place = channel.number[packets.frame] * _PLACES + _rank(packets.frame)
        return self._stream(ledger, f"{key[0]}, VC{key[1]}", packets, position, place, realtime=mode == "realtime")

    def bare(self, station: str, messages: Messages, frames: FrameStage, *, numbered: bool) -> Stream:
        """The packets of a link without frames: in the ledger each packet is its own frame, of channel 0."""
        where = messages.data, messages.start, messages.length, messages.ert
        packets, count, odd = read_bare_packets(self._mission, *where)
        self._account.frames_in(len(packets) + int(odd.sum()))
        self._account.reject(station, "length", messages.position[odd])
        if numbered:
            new = np.repeat(frames.new(station, messages, count + odd), count)
            self._account.duplicate(int(len(new) - new.sum()))
            packets = packets if new.all() else packets.select(new)
        ledger = self._account.ledger.channel(station, 0)
        ledger.frames += len(packets)
        return self._stream(
            ledger, station, packets, messages.position[packets.frame], _rank(packets.frame), realtime=True
        )

    def _stream(
        self,
        ledger: ChannelLedger,
        source: str,
        packets: Packets,
        position: NDArray[np.int64],
        place: NDArray[np.int64],
        *,
        realtime: bool,
    ) -> Stream:
        account = self._account
        numbers = np.bincount(packets.apid)
        apids = np.flatnonzero(numbers)
        ledger.packets += len(packets)
        ledger.apids.update(dict(zip(apids.tolist(), numbers[apids].tolist(), strict=True)))
        account.ledger.packets_in += len(packets)
        account.saw_times(packets.time)
        idle = packets.apid == IDLE_APID
        account.ledger.idle += int(np.count_nonzero(idle))
        usable = ~idle
        for reason, rows in unfit(packets).items():
            account.undecoded(source, reason, position[rows & usable])
            usable &= ~rows
        if not usable.all():
            packets, position, place = packets.select(usable), position[usable], place[usable]
        # A packet without a time of its own or of its frame has that of its receipt.
        timeless = packets.time == NO_TIME
        time = np.where(timeless, packets.ert, packets.time) if timeless.any() else packets.time
        digest = digests(packets.data, packets.start, packets.length)
        return Stream(
            source,
            realtime,
            replace(packets, time=time, frame=NO_FRAMES, position=position, place=place, digest=digest),
        )

    def state(self) -> list[Any]:
        """What is remembered of each channel, JSON-ready."""
        return [
            [station, vcid, c.vcfc, base64.b64encode(c.partial).decode(), c.time, c.ert, c.heard]
            for (station, vcid), c in sorted(self._channels.items(), key=lambda one: one[0])
        ]

    def restore(self, state: list[Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self._channels = {
            (station, vcid): ChannelState(vcfc, base64.b64decode(partial), *times)
            for station, vcid, vcfc, partial, *times in state
        }


def _rank(group: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of each element among its equals, int64 (n,); equals stand together."""
    index = np.arange(len(group))
    begins = np.ones(len(group), np.bool_)
    begins[1:] = group[1:] != group[:-1]
    first: NDArray[np.int64] = np.maximum.accumulate(np.where(begins, index, 0))
    return index - first
