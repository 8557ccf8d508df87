"""Send a file of raw transfer frames into the broker, as a station would."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np

from ground.blocks import NO_TIME
from ground.ccsds.frames import read_frames
from ground.errors import ConfigError
from ground.link.mqtt import Outgoing
from ground.link.topics import telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from ground.blocks import Nanoseconds, Octets
    from ground.link.mqtt import Client
    from ground.mission import LinkFormat, Mission

_FRAMES_AT_A_TIME: Final = 4096
_SECOND: Final = 1_000_000_000
_LONGEST_STEP: Final = 6 * 3600 * _SECOND
"""Frame times further apart than this are taken for damage, not waited for; so are steps back."""


@dataclass(slots=True)
class Published:
    """What was sent, under which ``run``; ``frames`` are whole ones, ``rest`` the octets of a last incomplete one.

    ``unheard``: messages that the broker took and dropped, because nobody is subscribed to them.
    """

    run: str
    messages: int = 0
    frames: int = 0
    rest: int = 0
    unheard: int = 0


async def publish_file(
    path: Path,
    mission: Mission,
    client: Client,
    station: str = "file",
    speed: float | None = None,
    frames_per_message: int = 32,
    progress: Callable[[int], None] = lambda octets: None,
) -> Published:
    """Publish the frames in ``path`` to ``tm/<mission>/<station>/<vcid>`` and return when the broker has them all.

    Consecutive frames of one virtual channel share a message, up to ``frames_per_message``. An incomplete last frame is
    sent too, so that the ground counts it. ``run`` and ``seq`` go along as user properties.

    ``speed``: None sends as fast as the broker takes it; the earth receive time is then that of the receipt. Otherwise
    frames are sent one by one at ``speed`` times the pace of the mission's frame times (one a second where it has
    none), and their earth receive time ``ert`` is the frame time where that is absolute, else the time of sending.

    ``progress`` is called with the number of octets just taken. Raises :class:`~ground.errors.ConfigError` where the
    file cannot be read, :class:`~ground.errors.LinkError` for what the broker refuses.
    """
    if mission.link.frame == "none":
        raise ConfigError(f"{mission.title} has a link without frames: a file of packets cannot be sent as frames")
    published = Published(run=secrets.token_hex(4))
    unheard = client.counts.unheard
    try:
        with path.open("rb") as file:
            if speed is None:
                messages = _messages(file, mission, station, published, frames_per_message, progress)
                await client.publish_many(message for _, message in messages)
            else:
                messages = _messages(file, mission, station, published, 1, progress)
                await _publish_paced(client, messages, speed, mission)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    published.unheard = client.counts.unheard - unheard
    return published


async def _publish_paced(
    client: Client, messages: Iterator[tuple[int, Outgoing]], speed: float, mission: Mission
) -> None:
    """Publish each message when it is due; those that are due already go out together."""
    start = time.monotonic()
    elapsed = 0
    previous = NO_TIME
    due: list[Outgoing] = []
    for at, message in messages:
        if mission.frame_time is None:
            elapsed += _SECOND
        elif at != NO_TIME:
            step = at - previous if previous != NO_TIME else 0
            elapsed += step if 0 <= step <= _LONGEST_STEP else 0
            previous = at
        wait = start + elapsed / _SECOND / speed - time.monotonic()
        if wait > 0 or len(due) >= 100:
            await client.publish_many(due)
            due = []
            await asyncio.sleep(max(wait, 0))
        ert = at if at != NO_TIME and mission.absolute_time else time.time_ns()
        due.append(message._replace(properties=(("ert", str(ert)), *message.properties)))
    await client.publish_many(due)


def _messages(
    file: BinaryIO,
    mission: Mission,
    station: str,
    published: Published,
    frames_per_message: int,
    progress: Callable[[int], None],
) -> Iterator[tuple[int, Outgoing]]:
    """The messages of a file with the time of their first frame (ns since 1970 UTC); counts into ``published``."""
    length = mission.link.length

    def message(vcid: int, payload: bytes) -> Outgoing:
        properties = (("run", published.run), ("seq", str(published.frames)))
        published.messages += 1
        published.frames += len(payload) // length
        published.rest += len(payload) % length
        progress(len(payload))
        return Outgoing(telemetry(mission.name, station, vcid), payload, properties)

    vcid = 0
    while block := file.read(_FRAMES_AT_A_TIME * length):
        n = len(block) // length
        frames = np.frombuffer(block, np.uint8, n * length).reshape(n, length)
        vcids = _virtual_channels(mission.link, frames)
        times = _times(mission, frames)
        for first, last in _spans(vcids, frames_per_message):
            vcid = int(vcids[first])
            yield int(times[first]), message(vcid, block[first * length : last * length])
        if rest := block[n * length :]:
            header = np.frombuffer(rest, np.uint8)[np.newaxis]
            vcid = int(_virtual_channels(mission.link, header)[0]) if len(rest) > 1 else vcid
            yield NO_TIME, message(vcid, rest)


def _virtual_channels(link: LinkFormat, frames: Octets) -> NDArray[np.uint8]:
    """The virtual channel of each frame, uint8 (n, at least 2): CCSDS 732.0-B-4, 4.1.2.3, and 132.0-B-3, 4.1.2.3."""
    octet = frames[:, 1]
    return octet & np.uint8(0x3F) if link.frame == "aos" else octet >> np.uint8(1) & np.uint8(0x7)


def _times(mission: Mission, frames: Octets) -> Nanoseconds:
    """The frame times, int64 (n,); NO_TIME for frames that are not the mission's, whose times mean nothing."""
    good, _ = read_frames(mission, frames, np.full(len(frames), NO_TIME))
    times = np.full(len(frames), NO_TIME)
    times[good.row] = good.time
    return times


def _spans(vcids: NDArray[np.uint8], longest: int) -> Iterator[tuple[int, int]]:
    """(first, last + 1) of runs of one virtual channel, at most ``longest`` long."""
    edges = [0, *(np.flatnonzero(np.diff(vcids)) + 1).tolist(), len(vcids)]
    for start, end in pairwise(edges):
        for first in range(start, end, longest):
            yield first, min(first + longest, end)
