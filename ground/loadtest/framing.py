"""Packets into the transfer frames of a mission, AOS (CCSDS 732.0-B-4) or TM (CCSDS 132.0-B-3), by columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ground.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ground.blocks import Octets
    from ground.mission import Mission

_PRIMARY_HEADER: Final = 6
_NO_PACKET_STARTS: Final = 0x7FF
_LAST_START: Final = 0x7FD
_CLCW: Final = bytes([0x01, 0x00, 0x00, 0x00])
"""Operational control field: COP-1 in effect, nothing received (CCSDS 232.0-B-4, 4.2)."""


class Framing:
    """The frames of a mission's link. ``start``, ``zone``: where the octets of packets begin in each, and how many.

    Raises :class:`~ground.errors.ConfigError` for a link without frames. Where the header has an error control field of
    its own (AOS), that is zeros.
    """

    def __init__(self, mission: Mission) -> None:
        link = self._link = mission.link
        if link.frame == "none":
            raise ConfigError(f"{mission.name} has no transfer frames: a load test needs a link with frame aos or tm")
        self._aos = link.frame == "aos"
        self.one_per_frame = link.packets == "one_per_frame"
        start = _PRIMARY_HEADER + 2 * link.header_error_control + link.insert_zone + 2 * self._aos
        self._pointer = start - 2 if self._aos else 4
        if self.one_per_frame:
            start, self.zone = link.packet_offset, link.packet_length
        else:
            self.zone = link.length - 4 * link.ocf - 2 * link.fecf - start
        self.start = start
        self._clock = mission.frame_time

    @property
    def delicate(self) -> int:
        """How many of a frame's first bits are such that a receiver sees one that is wrong: all of them with an error
        control field, else those of version and spacecraft.
        """
        return 8 * self._link.length if self._link.fecf else 10 if self._aos else 12

    def frames(
        self, vcid: int, count: NDArray[np.int64], packets: Octets, start: NDArray[np.int64], time: Octets | None
    ) -> Octets:
        """Frames (n, length) with ``packets``, uint8 (n, zone), and virtual channel frame counts ``count`` (n,); their
        error control field is left out.

        ``start``: octets from the beginning of each zone to the first packet that begins in it or later, int64 (n,).
        ``time``: codes of the frames' clock, uint8 (n, octets), None without one.
        """
        link = self._link
        frames = np.zeros((len(packets), link.length), np.uint8)
        if self._aos:
            frames[:, :2] = _octets(0b01 << 14 | link.spacecraft_id << 6 | vcid)
            frames[:, 2:5] = (count & 0xFF_FFFF).astype(">u4").view(np.uint8).reshape(-1, 4)[:, 1:]
        else:
            frames[:, :2] = _octets(link.spacecraft_id << 4 | vcid << 1 | link.ocf)
            frames[:, 2:4] = (count & 0xFF).astype(np.uint8)[:, None]
            # Secondary header flag, no synchronisation, segment length identifier 3 (132.0-B-3, 4.1.2.7).
            frames[:, 4:6] = _octets((link.insert_zone > 0) << 15 | 0b11 << 11)
            if link.insert_zone:
                frames[:, _PRIMARY_HEADER] = link.insert_zone - 1
        if not self.one_per_frame:
            pointer = np.where(start < self.zone, start, _NO_PACKET_STARTS)
            if ((pointer > _LAST_START) & (pointer < _NO_PACKET_STARTS)).any():
                raise ConfigError("the packets are too long for the first header pointer of the mission's frames")
            frames[:, self._pointer : self._pointer + 2] |= pointer.astype(">u2").view(np.uint8).reshape(-1, 2)
        if self._clock is not None and time is not None:
            frames[:, self._clock.offset : self._clock.offset + self._clock.length] = time
        frames[:, self.start : self.start + self.zone] = packets
        if link.ocf:
            end = link.length - 2 * link.fecf
            frames[:, end - 4 : end] = np.frombuffer(_CLCW, np.uint8)
        return frames


def _octets(word: int) -> Octets:
    return np.frombuffer(word.to_bytes(2, "big"), np.uint8)
