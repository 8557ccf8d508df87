"""Transfer frames: AOS (CCSDS 732.0-B-4, 4.1) and TM (CCSDS 132.0-B-3, 4.1), a block of them at a time.

A frame is rejected before anything else looks at it when its error control field, its version or its spacecraft is not
the mission's: then nothing in it can be believed, its virtual channel included.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ground.blocks import NO_TIME, Nanoseconds, Octets
from ground.ccsds.timecodes import read_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ground.mission import LinkFormat, Mission

REJECTS: Final = ("length", "fecf", "version", "spacecraft")
"""Why a frame is rejected, in the order in which it is looked at: not a whole frame, bad frame error control field,
another transfer frame version, another spacecraft identifier."""

NO_PACKET_START: Final = 0x7FF
"""First header pointer of a frame in which no packet starts (CCSDS 732.0-B-4, 4.1.4.2.2.4; 132.0-B-3, 4.1.2.7.6)."""

ONLY_IDLE_DATA: Final = 0x7FE
"""First header pointer of a frame with only idle data."""

AOS_IDLE_CHANNEL: Final = 63
"""The virtual channel of AOS frames that carry only idle data (CCSDS 732.0-B-4, 4.1.4.1.4)."""


@dataclass(frozen=True, slots=True)
class Frames:
    """A block of n good frames of one station.

    ``raw``: uint8 (n, length), the whole frames. ``vcid``: uint8 (n,). ``vcfc``: int64 (n,), virtual channel frame
    count, 24 bits in AOS and 8 in TM. ``pointer``: int64 (n,), first header pointer (0 on one-packet-per-frame links).
    ``time``: int64 (n,), SCET of the frame in ns since 1970 UTC or NO_TIME. ``ert``: int64 (n,), earth receive time.
    ``row``: int64 (n,), which of the frames that were read each is.
    """

    raw: Octets
    vcid: NDArray[np.uint8]
    vcfc: NDArray[np.int64]
    pointer: NDArray[np.int64]
    time: Nanoseconds
    ert: Nanoseconds
    row: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.raw)

    def select(self, rows: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Frames:
        """The frames that a mask, an index array or a slice names."""
        return Frames(
            self.raw[rows],
            self.vcid[rows],
            self.vcfc[rows],
            self.pointer[rows],
            self.time[rows],
            self.ert[rows],
            self.row[rows],
        )

    def by_channel(self) -> Iterator[tuple[int, Frames]]:
        """The frames of each virtual channel, in their order; channels by number."""
        if len(self) and (self.vcid == self.vcid[0]).all():
            yield int(self.vcid[0]), self
            return
        for vcid in np.unique(self.vcid):
            yield int(vcid), self.select(np.flatnonzero(self.vcid == vcid))


def count_modulus(link: LinkFormat) -> int:
    """The number at which the virtual channel frame count starts again at 0."""
    return 1 << (24 if link.frame == "aos" else 8)


def packet_zone(link: LinkFormat) -> slice:
    """Where packets lie in a frame: after headers and M_PDU pointer, before OCF and FECF."""
    if link.packets == "one_per_frame":
        return slice(link.packet_offset, link.packet_offset + link.packet_length)
    start = 6 + 2 * link.header_error_control + link.insert_zone + (2 if link.frame == "aos" else 0)
    return slice(start, link.length - 4 * link.ocf - 2 * link.fecf)


def read_frames(mission: Mission, raw: Octets, ert: Nanoseconds) -> tuple[Frames, dict[str, NDArray[np.int64]]]:
    """Read ``raw``, uint8 (n, link.length), received at ``ert``, int64 (n,) ns since 1970 UTC.

    Returns the good frames in their order, and the rows (k,) of those that were rejected for each of :data:`REJECTS`.
    """
    link = mission.link
    rejected = {}
    row = np.arange(len(raw))
    if link.fecf:
        good = _fecf_is_right(raw)
        rejected["fecf"] = row[~good]
        raw, ert, row = (raw, ert, row) if good.all() else (raw[good], ert[good], row[good])
    word = raw[:, 0].astype(np.int64) << 8 | raw[:, 1]
    version_is_right = word >> 14 == (1 if link.frame == "aos" else 0)
    spacecraft = word >> 6 & 0xFF if link.frame == "aos" else word >> 4 & 0x3FF
    good = version_is_right & (spacecraft == link.spacecraft_id)
    rejected["version"] = row[~version_is_right]
    rejected["spacecraft"] = row[version_is_right & ~good]
    if not good.all():
        raw, ert, word, row = raw[good], ert[good], word[good], row[good]
    pointer_at = packet_zone(link).start - 2 if link.frame == "aos" else 4
    if link.packets == "one_per_frame":
        pointer = np.zeros(len(raw), np.int64)
    else:
        pointer = (raw[:, pointer_at].astype(np.int64) << 8 | raw[:, pointer_at + 1]) & 0x7FF
    if link.frame == "aos":
        vcid = (word & 0x3F).astype(np.uint8)
        vcfc = raw[:, 2].astype(np.int64) << 16 | raw[:, 3].astype(np.int64) << 8 | raw[:, 4]
    else:
        vcid = (word >> 1 & 0x7).astype(np.uint8)
        vcfc = raw[:, 3].astype(np.int64)
    clock = mission.frame_time
    if clock is None:
        time = np.full(len(raw), NO_TIME, np.int64)
    else:
        time = read_time(clock, raw[:, clock.offset : clock.offset + clock.length])
    return Frames(raw, vcid, vcfc, pointer, time, ert, row), rejected


def _fecf_is_right(raw: Octets) -> NDArray[np.bool_]:
    """Whether the CRC-16 of each frame, FECF included, is zero (CCSDS 732.0-B-4, 4.1.6: polynomial 0x1021, from all
    ones; the standard library's ``crc_hqx`` is that polynomial).
    """
    n, length = raw.shape
    octets, crc = memoryview(np.ascontiguousarray(raw).reshape(-1)), binascii.crc_hqx  # type: ignore[arg-type]
    # Slices of octets: a row of an array takes as long to make as half its check.
    ends = range(length, n * length + 1, length)
    return np.fromiter((crc(octets[end - length : end], 0xFFFF) == 0 for end in ends), np.bool_, n)
