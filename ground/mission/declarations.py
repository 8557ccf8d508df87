"""What a mission is, as its folder describes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

FrameKind: TypeAlias = Literal["aos", "tm", "none"]
PacketKind: TypeAlias = Literal["m_pdu", "one_per_frame"]
Scale: TypeAlias = Literal["utc", "tai", "gps", "tt"]


@dataclass(frozen=True, slots=True)
class TimeField:
    """An onboard clock as it lies in a frame or a packet: an unsigned counter of ``lsb`` seconds since ``epoch``.

    ``offset``, ``length``: octets from the first octet of the frame or packet. ``epoch``: ns since 1970 UTC.
    A CUC time (CCSDS 301.0-B, 3.2) of c + f octets without its preamble is a big-endian counter of 256**-f s; ``cds``
    (3.3) is a 16-bit day, 32 bits of milliseconds and, where ``length`` is 8 or 10, 16 bits of microseconds or 32 bits
    of picoseconds of the millisecond. ``apids`` limits a packet's field to these APIDs; None means all others.
    """

    offset: int
    length: int
    epoch: int
    code: Literal["counter", "cds"] = "counter"
    byte_order: Literal["big", "little"] = "big"
    lsb: Fraction = Fraction(1)
    apids: frozenset[int] | None = None
    secondary_header: bool | None = None


@dataclass(frozen=True, slots=True)
class VirtualChannel:
    """A virtual channel: ``realtime`` ones drive latest values and alarms, ``playback`` ones fill history.

    ``idle`` channels carry fill and are counted but not searched for packets.
    """

    vcid: int
    name: str
    mode: Literal["realtime", "playback", "idle"] = "realtime"


@dataclass(frozen=True, slots=True)
class LinkFormat:
    """The transfer frames of a mission, AOS (CCSDS 732.0-B) or TM (CCSDS 132.0-B), all lengths in octets; or none,
    where messages are space packets back to back.

    ``insert_zone``: AOS insert zone or TM secondary header. ``packet_offset`` and ``packet_length`` belong to
    ``one_per_frame`` links, where a fixed-length packet lies at a fixed place.
    """

    frame: FrameKind
    length: int
    spacecraft_id: int
    insert_zone: int = 0
    header_error_control: bool = False
    ocf: bool = False
    fecf: bool = False
    packets: PacketKind = "m_pdu"
    packet_offset: int = 0
    packet_length: int = 0


@dataclass(frozen=True, slots=True)
class Station:
    """A ground station: geodetic latitude and longitude in degrees (WGS 84, east positive), height in metres."""

    name: str
    title: str
    latitude: float
    longitude: float
    height: float
    dish: float
    mask: float


@dataclass(frozen=True, slots=True)
class Mission:
    """One mission as its folder describes it.

    ``absolute_time``: False where the onboard epoch is not known; times are then counted from 1970-01-01.
    ``hysteresis``: by how much, in engineering units, a value of ``container/parameter`` must be back inside its
    limits before its alarm falls.
    """

    name: str
    title: str
    description: str
    folder: Path
    link: LinkFormat
    channels: dict[int, VirtualChannel]
    frame_time: TimeField | None
    packet_times: tuple[TimeField, ...]
    absolute_time: bool
    stations: dict[str, Station]
    simulated: bool
    hysteresis: dict[str, float] = field(default_factory=dict)

    @property
    def telemetry(self) -> Path:
        """The XTCE file with the mission's containers."""
        return self.folder / "telemetry.xml"

    def channel(self, vcid: int) -> VirtualChannel:
        """The virtual channel ``vcid``; one that the mission doesn't list is real time."""
        return self.channels.get(vcid) or VirtualChannel(vcid, f"VC{vcid}")
