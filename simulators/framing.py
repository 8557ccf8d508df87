"""Packets into AOS transfer frames (CCSDS 732.0-B-4): M_PDU, frame counts, insert zone, OCF, FECF, idle data."""

from __future__ import annotations

from binascii import crc_hqx
from typing import TYPE_CHECKING

import numpy as np

from simulators.encoder import PRIMARY_HEADER, count_ticks, primary_header

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ground.mission import Mission
    from simulators.sampling import Packets

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
        trailer = CLCW if self._link.ocf else b""
        self._idle_crcs = _through(ONLY_IDLE_DATA.to_bytes(2, "big") + bytes([fill]) * self.zone + trailer)

    def count(self, octets: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many frames so many ``octets`` of packets take, the idle packet that fills the last one included."""
        spare = -octets % self.zone
        return (octets + spare) // self.zone + ((spare > 0) & (spare < PRIMARY_HEADER + 1))

    def filled(
        self, packets: Packets, cuts: NDArray[np.int64], idle: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64], int]:
        """Packet zones (k, zone) with their first header pointers (k,), and how many idle packets are among them.

        Packets ``cuts[i]`` to ``cuts[i + 1]``, exclusive, begin with a frame's zone; an idle packet (133.0-B-2,
        4.1.3.2.5.3) fills up their last frame, so that nothing is kept back. ``idle``: sequence count of the first one.
        """
        edges = packets.edges[cuts]
        used = np.diff(edges)
        room = self.count(used) * self.zone
        place = np.cumsum(room) - room
        data = np.full(int(room.sum()), self._fill, np.uint8)
        for at, begin, end in zip(place.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            data[at : at + end - begin] = packets.data[begin:end]
        short = np.flatnonzero(used < room)
        filling = place[short] + used[short]
        headers = primary_header(IDLE_APID, idle + np.arange(len(short)), room[short] - used[short], secondary=False)
        data[filling[:, None] + np.arange(PRIMARY_HEADER)] = headers
        starts = packets.edges[cuts[0] : cuts[-1]] + np.repeat(place - edges[:-1], np.diff(cuts))
        starts = np.append(np.sort(np.concatenate([starts, filling])), len(data))
        begins = np.arange(0, len(data), self.zone)
        offset = starts[np.searchsorted(starts, begins)] - begins
        return data.reshape(-1, self.zone), np.where(offset < self.zone, offset, NO_PACKET_STARTS), len(short)

    def frames(
        self,
        vcid: int,
        count: int,
        time: NDArray[np.int64],
        zones: NDArray[np.uint8] | None = None,
        pointer: NDArray[np.int64] | None = None,
    ) -> NDArray[np.uint8]:
        """Frames (k, length) of virtual channel ``vcid``, sent at ``time`` (k,) ns since 1970 UTC.

        ``count``: VC frame count of the first.

        ``zones``, ``pointer``: see :meth:`filled`; without them, frames of only idle data.
        """
        link, n = self._link, len(time)
        frames = np.empty((n, link.length), np.uint8)
        frames[:, :HEADER] = 0
        identity = 0b01 << 14 | link.spacecraft_id << 6 | vcid
        frames[:, 0], frames[:, 1] = identity >> 8, identity & 0xFF
        frames[:, 2:5] = ((count + np.arange(n)) & 0xFF_FFFF).astype(">u4").view(np.uint8).reshape(n, 4)[:, 1:]
        frames[:, HEADER : self._start] = 0
        if self._clock is not None:
            ticks = count_ticks(time - self._clock.epoch, round(1 / self._clock.lsb)).astype(">u8")
            stop = self._clock.offset + self._clock.length
            frames[:, self._clock.offset : stop] = ticks.view(np.uint8).reshape(n, 8)[:, 8 - self._clock.length :]
            frames[:, stop : stop + len(self._tail)] = np.frombuffer(self._tail, np.uint8)
        first = np.full(n, ONLY_IDLE_DATA) if pointer is None else pointer
        frames[:, self._start : self._start + 2] = first.astype(">u2").view(np.uint8).reshape(n, 2)
        frames[:, self._start + 2 : self._end] = self._fill if zones is None else zones
        if link.ocf:
            frames[:, self._end : self._end + 4] = np.frombuffer(CLCW, np.uint8)
        if link.fecf:
            check = self._idle_check(frames) if zones is None else _check(frames)
            frames[:, -2:] = check.astype(">u2").view(np.uint8).reshape(n, 2)
        return frames

    def _idle_check(self, frames: NDArray[np.uint8]) -> NDArray[np.uint16]:
        """What :func:`_check` gives, from headers and insert zones alone: the rest is the same in all idle frames."""
        register = np.full(len(frames), 0xFFFF, np.uint16)
        for octet in frames[:, : self._start].T:
            register = register << 8 ^ _CRCS[(register >> 8) ^ octet]
        return self._idle_crcs[register]


def _check(frames: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Frame error control (732.0-B-4, 4.1.6): CRC-16 of all but the last two octets of each frame (k, length)."""
    octets, length = memoryview(frames.tobytes()), frames.shape[1]
    starts = range(0, len(octets), length)
    return np.array([crc_hqx(octets[at : at + length - 2], 0xFFFF) for at in starts], np.uint16)


def _through(octets: bytes) -> NDArray[np.uint16]:
    """CRC-16 after ``octets`` by the register before them, (65536,): it is linear, so 16 of them give all."""
    table = np.array([crc_hqx(octets, 0)], np.uint16)
    for bit in range(16):
        table = np.concatenate([table, table ^ table[0] ^ np.uint16(crc_hqx(octets, 1 << bit))])
    return table


_CRCS: NDArray[np.uint16] = np.array([crc_hqx(bytes([octet]), 0) for octet in range(256)], np.uint16)
