"""Space packets (CCSDS 133.0-B-2) out of the frames of one virtual channel, across frame and block boundaries.

The first header pointers let every frame be searched at the same time: each frame's chain of packets starts at its own
pointer, and all chains take their next step together. What a chain says of a packet's end and what the next pointer
says must agree, or the packet is dropped. The outcome depends on the frames alone, not on how they were cut into
blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from ground.blocks import NO_TIME, Nanoseconds, Octets, Packets
from ground.ccsds.frames import NO_PACKET_START, ONLY_IDLE_DATA, Frames, count_modulus, packet_zone
from ground.ccsds.timecodes import read_time

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ground.mission import Mission

HEADER: Final = 6
"""Octets of a packet's primary header (CCSDS 133.0-B-2, 4.1.3)."""

IDLE_APID: Final = 2047
"""The APID of idle packets (CCSDS 133.0-B-2, 4.1.3.3.4.4)."""

UNFIT: Final = ("version", "telecommand", "segment")
"""Why a packet isn't decoded, whatever its APID (CCSDS 133.0-B-2): another packet version (4.1.3.2), a telecommand
(4.1.3.3.2), or a segment of a longer unit of data, whose other segments are in other packets (4.1.3.4.2)."""

_NEVER = np.iinfo(np.int64).max

SILENCE = 60 * 10**9
"""ns of earth receive time without a frame after which a station is taken not to have listened."""


@dataclass(frozen=True, slots=True)
class ChannelState:
    """All that one virtual channel of one station needs to remember between two blocks.

    ``vcfc``: the last frame's count, None before the first. ``partial``: the octets so far of the packet in progress.
    ``time``, ``ert``: SCET and earth receive time (ns since 1970 UTC) of the frame in which that packet began.
    ``heard``: earth receive time of the last frame, NO_TIME where it isn't known.
    """

    vcfc: int | None = None
    partial: bytes = b""
    time: int = NO_TIME
    ert: int = NO_TIME
    heard: int = NO_TIME

    def without_packet(self) -> ChannelState:
        """The same without a packet in progress."""
        return ChannelState(self.vcfc, heard=self.heard)


@dataclass(frozen=True, slots=True)
class Continuity:
    """What happened to a virtual channel in a block.

    ``gaps``: places where the frame count isn't the one before plus one. ``lost``: frames missing there; a count that
    goes backwards by less than half its range (AOS) is a gap that says nothing of how many. ``unheard``: frames missing
    after a silence of more than :data:`SILENCE`, as between two passes; that is no gap. ``dropped``: packets begun but
    lost to a gap or to a header pointer that contradicts their length. ``breaks``, ``missing``: int64 (gaps,), before
    which frames the gaps are and how many are missing there.
    """

    frames: int
    gaps: int
    lost: int
    unheard: int
    dropped: int
    breaks: NDArray[np.int64]
    missing: NDArray[np.int64]


def read_packets(mission: Mission, frames: Frames, state: ChannelState) -> tuple[Packets, Continuity, ChannelState]:
    """The packets that end in ``frames``, good frames of one virtual channel in order of receipt, in the order in which
    they end.

    Idle packets are among them. Times: a packet's own time field, else its frame's, else (in a mission that has
    neither) its earth receive time; NO_TIME where the field that should be there is cut off or damaged.
    """
    breaks, silent, missing = _breaks(mission, frames, state)
    last = int(frames.vcfc[-1]) if len(frames) else state.vcfc
    if mission.link.packets == "one_per_frame":
        packets, after, dropped = _one_per_frame(mission, frames), ChannelState(last), 0
    else:
        packets, after, dropped = _reassemble(mission, frames, breaks, state, last)
    gaps = np.flatnonzero(breaks & ~silent)
    seen = Continuity(
        len(frames), len(gaps), int(missing[~silent].sum()), int(missing[silent].sum()), dropped, gaps, missing[gaps]
    )
    return packets, seen, replace(after, heard=int(frames.ert[-1]) if len(frames) else state.heard)


def read_bare_packets(
    mission: Mission, data: Octets, start: NDArray[np.int64], length: NDArray[np.int64], ert: Nanoseconds
) -> tuple[Packets, NDArray[np.int64], NDArray[np.bool_]]:
    """The packets of a link without frames: n messages of packets back to back, at ``start``, ``length``, ``ert`` (n,).

    Returns the packets, how many of them each message has, int64 (n,), and which messages end in something else (n,).
    """
    starts: list[int] = []
    count = np.zeros(len(start), np.int64)
    odd = np.zeros(len(start), np.bool_)
    octets = memoryview(data)  # type: ignore[arg-type]
    for i, (at, end) in enumerate(zip(start.tolist(), (start + length).tolist(), strict=True)):
        while at + HEADER < end and (after := at + (octets[at + 4] << 8 | octets[at + 5]) + 7) <= end:
            starts.append(at)
            count[i] += 1
            at = after
        odd[i] = at != end or not count[i]
    begin = np.array(starts, np.int64)
    time = np.full(len(begin), NO_TIME, np.int64)
    message = np.repeat(np.arange(len(count)), count)
    return _with_headers(mission, data, begin, _length_at(data, begin), time, ert[message], message), count, odd


def unfit(packets: Packets) -> dict[str, NDArray[np.bool_]]:
    """Which packets, bool (n,), a mission's definition doesn't describe, under the first reason of :data:`UNFIT`.

    Reasons that no packet has are left out. Idle packets are fit whatever their header says: nobody decodes them.
    """
    first, flags = packets.data[packets.start], packets.data[packets.start + 2]
    odd = (first & 0xF0 != 0) | (flags < 0xC0)
    if not odd.any():
        return {}
    odd &= packets.apid != IDLE_APID
    version = odd & (first >> 5 != 0)
    telecommand = odd & ~version & (first & 0x10 != 0)
    segment = odd & ~version & ~telecommand
    masks = zip(UNFIT, (version, telecommand, segment), strict=True)
    return {reason: mask for reason, mask in masks if mask.any()}


def _breaks(
    mission: Mission, frames: Frames, state: ChannelState
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int64]]:
    """Where the count breaks, and before which frames was silence, bool (n,); how many frames are missing there."""
    modulus, vcfc = count_modulus(mission.link), frames.vcfc
    first = (state.vcfc + 1 if state.vcfc is not None else int(vcfc[0])) if len(vcfc) else 0
    missing = (vcfc - np.concatenate(([first], vcfc[:-1] + 1))) % modulus
    before = np.concatenate(([state.heard], frames.ert[:-1]))[: len(vcfc)]
    silent = (before != NO_TIME) & (frames.ert - before > SILENCE)
    known = missing <= modulus // 2 if modulus > 256 else np.ones(len(missing), np.bool_)
    return missing != 0, silent, np.where(known, missing, 0)


def _one_per_frame(mission: Mission, frames: Frames) -> Packets:
    zone = packet_zone(mission.link)
    width = zone.stop - zone.start
    data = np.ascontiguousarray(frames.raw[:, zone]).reshape(-1)
    start = np.arange(len(frames), dtype=np.int64) * width
    length = np.minimum(_length_at(data, start), width)
    return _with_headers(mission, data, start, length, frames.time, frames.ert, np.arange(len(frames)))


def _reassemble(
    mission: Mission, frames: Frames, breaks: NDArray[np.bool_], state: ChannelState, last: int | None
) -> tuple[Packets, ChannelState, int]:
    dropped = int(bool(state.partial) and bool(breaks[:1].any()))
    partial = b"" if dropped else state.partial
    run = np.cumsum(breaks)
    current = int(run[-1]) if len(run) else 0
    busy = np.flatnonzero(frames.pointer != ONLY_IDLE_DATA)
    if len(busy) < len(frames):
        frames, run = frames.select(busy), run[busy]

    # One stream of octets: the packet in progress, then every frame's packet zone. Frame 0 is the packet in progress.
    zone = packet_zone(mission.link)
    width = zone.stop - zone.start
    head = len(partial)
    stream = np.empty(head + len(frames) * width, np.uint8)
    stream[:head] = np.frombuffer(partial, np.uint8)
    stream[head:].reshape(-1, width)[...] = frames.raw[:, zone]
    frame_end = head + np.arange(len(frames) + 1, dtype=np.int64) * width
    pointer = np.concatenate(([0 if head else NO_PACKET_START], frames.pointer))
    run = np.concatenate(([0], run))
    has_start = (pointer != NO_PACKET_START) & (pointer < width)
    begin = np.where(np.arange(len(pointer)) == 0, 0, frame_end - width)
    # A run of frames without a gap ends where the next begins.
    run_end = frame_end[np.searchsorted(run, run, side="right") - 1]

    anchors = np.flatnonzero(has_start)
    at = begin[anchors] + pointer[anchors]
    following = np.concatenate((at[1:], [_NEVER])) if len(at) else at
    same_run = np.concatenate((run[anchors][1:] == run[anchors][:-1], [False])) if len(at) else np.empty(0, np.bool_)
    next_at = np.where(same_run, following, _NEVER)
    start, end, frame, tail, bad = _follow_chains(
        stream, at, anchors, frame_end[anchors], run_end[anchors], next_at, head, width
    )

    final = tail & (run[frame] == current)
    whole = ~(tail | bad)
    dropped += int(bad.sum() + tail.sum() - final.sum())
    time = np.concatenate(([state.time], frames.time))
    ert = np.concatenate(([state.ert], frames.ert))
    if final.any():
        f = int(np.flatnonzero(final)[-1])
        after = ChannelState(last, stream[start[f] :].tobytes(), int(time[frame[f]]), int(ert[frame[f]]))
    else:
        after = ChannelState(last)
    kept = _in_order(frame)
    kept = kept[whole[kept]]
    start, end, frame = start[kept], end[kept], frame[kept]
    ended_in = busy[(end - 1 - head) // width]
    packets = _with_headers(mission, stream, start, end - start, time[frame], ert[frame], ended_in)
    return packets, after, dropped


def _follow_chains(
    stream: Octets,
    at: NDArray[np.int64],
    frame: NDArray[np.intp],
    frame_end: NDArray[np.int64],
    run_end: NDArray[np.int64],
    next_at: NDArray[np.int64],
    head: int,
    width: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.intp], NDArray[np.bool_], NDArray[np.bool_]]:
    """Walk all frames' chains of packets in step.

    ``at``: first packet start of each frame that has one. Returns for each packet begun its start, its end, the index
    of its frame, whether it is cut off by the end of its run (``tail``), and whether the pointers contradict it.
    """
    found: list[tuple[np.ndarray, ...]] = []
    while len(at):
        complete_header = at + HEADER <= run_end
        end = np.where(complete_header, at + _length_at(stream, np.minimum(at, max(len(stream) - HEADER, 0))), _NEVER)
        inside = end < frame_end
        on_boundary = (end - head) % width == 0
        agrees = inside | (end == next_at) | ((next_at > end) & on_boundary)
        tail = (end > run_end) & (next_at == _NEVER)
        found.append((at, end, frame, tail, ~agrees & ~tail))
        more = inside
        at, frame, frame_end, run_end, next_at = end[more], frame[more], frame_end[more], run_end[more], next_at[more]
    if not found:
        none = np.empty(0, np.int64)
        return none, none, none, np.empty(0, np.bool_), np.empty(0, np.bool_)
    start, end, frame, tail, bad = (np.concatenate(column) for column in zip(*found, strict=True))
    return start, end, frame, tail, bad


def _in_order(frame: NDArray[np.intp]) -> NDArray[np.intp]:
    """The order in which packets begin and, since whole ones don't overlap, end: indices (n,) into what
    :func:`_follow_chains` found, which is all frames' first packets, then all their second ones, and so on, each time
    by frames. Counted, not sorted: that is several times faster.
    """
    number = np.bincount(frame)
    depth = np.zeros(len(frame), np.int64)
    depth[1:] = np.diff(frame) <= 0
    place = (np.cumsum(number) - number)[frame] + np.cumsum(depth)
    order = np.empty(len(frame), np.intp)
    order[place] = np.arange(len(frame))
    return order


def _length_at(data: Octets, start: NDArray[np.int64]) -> NDArray[np.int64]:
    """Total octets of the packets whose headers lie at ``start``: the packet data length field plus 7."""
    if len(data) < HEADER:
        return np.full(len(start), _NEVER // 2, np.int64)
    return (data[start + 4].astype(np.int64) << 8 | data[start + 5]) + 7


def _with_headers(
    mission: Mission,
    data: Octets,
    start: NDArray[np.int64],
    length: NDArray[np.int64],
    frame_time: Nanoseconds,
    ert: Nanoseconds,
    frame: NDArray[np.int64],
) -> Packets:
    word = data[start].astype(np.int64) << 8 | data[start + 1]
    apid = (word & 0x7FF).astype(np.uint16)
    seq = ((data[start + 2].astype(np.int64) << 8 | data[start + 3]) & 0x3FFF).astype(np.uint16)
    packets = Packets(data, start, length, apid, seq, frame_time, ert, frame)
    return replace(packets, time=_packet_time(mission, packets, (word & 0x0800) != 0))


def _packet_time(mission: Mission, packets: Packets, has_secondary_header: NDArray[np.bool_]) -> Nanoseconds:
    if mission.frame_time is None and not mission.packet_times:
        return packets.ert
    time = packets.time.copy()
    open_ = np.ones(len(packets), np.bool_)
    for field in mission.packet_times:
        applies = open_ & np.isin(packets.apid, list(field.apids)) if field.apids is not None else open_.copy()
        if field.secondary_header is not None:
            applies &= has_secondary_header == field.secondary_header
        open_ &= ~applies
        rows = np.flatnonzero(applies & (packets.length >= field.offset + field.length))
        octets = packets.data[(packets.start[rows] + field.offset)[:, None] + np.arange(field.length)]
        time[np.flatnonzero(applies)] = NO_TIME
        time[rows] = read_time(field, octets)
    return time
