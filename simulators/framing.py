"""Packets into AOS transfer frames (CCSDS 732.0-B-4): M_PDU, frame counts, insert zone, OCF, FECF, idle data."""

from __future__ import annotations

from binascii import crc_hqx
from typing import TYPE_CHECKING

import numpy as np

from simulators.encoder import PRIMARY_HEADER, count_ticks, primary_header

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ground.mission import Mission

HEADER = 6
IDLE_APID = 2047
NO_PACKET_STARTS = 0x7FF
ONLY_IDLE_DATA = 0x7FE
# COP-1 in effect, virtual channel 0, nothing wrong, nothing received yet (CCSDS 232.0-B-4, 4.2).
CLCW = bytes([0x01, 0x00, 0x00, 0x00])


class Framer:
    """Makes the frames of a mission's link. ``zone``: octets of packets in a frame.

    ``insert_tail``: what follows the time code in the insert zone. ``fill``: octet that fills idle frames.
    """

    def __init__(self, mission: Mission, *, insert_tail: bytes = b"", fill: int = 0x55) -> None:
        self._link = mission.link
        self._clock = mission.frame_time
        self._tail = insert_tail
        self._fill = fill
        self._start = HEADER + self._link.insert_zone
        self._end = self._link.length - 4 * self._link.ocf - 2 * self._link.fecf
        self.zone = self._end - self._start - 2

    def count(self, packets: Sequence[bytes]) -> int:
        """How many frames ``packets`` take, the idle packet that fills the last one included."""
        total = sum(map(len, packets))
        spare = -total % self.zone
        return (total + (spare + self.zone if 0 < spare <= PRIMARY_HEADER else spare)) // self.zone

    def packet_frames(
        self, vcid: int, count: int, packets: Sequence[bytes], idle_count: int, time: NDArray[np.int64]
    ) -> NDArray[np.uint8]:
        """Frames (k, length) that carry ``packets``, k = ``len(time)`` = :meth:`count`, at ``time`` ns since 1970 UTC.

        ``count``: VC frame count of the first. An idle packet (133.0-B-2, 4.1.3.2.5.3) with sequence count
        ``idle_count`` fills up the last frame: nothing is kept back for the next call.
        """
        filled = len(time) * self.zone - sum(map(len, packets))
        if filled:
            header = primary_header(IDLE_APID, idle_count, filled, secondary=False).tobytes()
            packets = [*packets, header + bytes([self._fill]) * (filled - PRIMARY_HEADER)]
        data = np.frombuffer(b"".join(packets), np.uint8).reshape(len(time), self.zone)
        starts = np.cumsum([0, *map(len, packets[:-1])])
        begin = np.arange(len(time)) * self.zone
        first = np.searchsorted(starts, begin)
        offset = np.append(starts, begin[-1] + self.zone)[first] - begin
        pointer = np.where(offset < self.zone, offset, NO_PACKET_STARTS)
        return self._frames(vcid, count, pointer, data, time)

    def idle_frames(self, vcid: int, count: int, time: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Frames (k, length) of only idle data, sent at ``time`` (k,); ``count``: VC frame count of the first."""
        return self._frames(vcid, count, np.full(len(time), ONLY_IDLE_DATA), np.uint8(self._fill), time)

    def _frames(
        self,
        vcid: int,
        count: int,
        pointer: NDArray[np.int64],
        data: NDArray[np.uint8] | np.uint8,
        time: NDArray[np.int64],
    ) -> NDArray[np.uint8]:
        link, n = self._link, len(time)
        frames = np.zeros((n, link.length), np.uint8)
        identity = 0b01 << 14 | link.spacecraft_id << 6 | vcid
        frames[:, 0], frames[:, 1] = identity >> 8, identity & 0xFF
        counts = ((count + np.arange(n)) & 0xFF_FFFF).astype(">u4")
        frames[:, 2:5] = counts.view(np.uint8).reshape(n, 4)[:, 1:]
        if self._clock is not None:
            ticks = count_ticks(time - self._clock.epoch, round(1 / self._clock.lsb)).astype(">u8")
            stop = self._clock.offset + self._clock.length
            frames[:, self._clock.offset : stop] = ticks.view(np.uint8).reshape(n, 8)[:, 8 - self._clock.length :]
            frames[:, stop : stop + len(self._tail)] = np.frombuffer(self._tail, np.uint8)
        frames[:, self._start : self._start + 2] = pointer.astype(">u2").view(np.uint8).reshape(n, 2)
        frames[:, self._start + 2 : self._end] = data
        if link.ocf:
            frames[:, self._end : self._end + 4] = np.frombuffer(CLCW, np.uint8)
        if link.fecf:
            for frame in frames:
                frame[-2:] = divmod(crc_hqx(frame[:-2].tobytes(), 0xFFFF), 256)
        return frames
