"""A mission is a folder: ``mission.toml`` (link, times, stations) beside ``telemetry.xml`` (XTCE).

Folders are looked for in the directories of ``GROUND_MISSIONS`` (separated by ``:``), then among those that ship in
``ground/missions``. Nothing about a mission is code.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ground.errors import ConfigError

SHIPPED = Path(__file__).parent / "missions"

FrameKind: TypeAlias = Literal["aos", "tm", "none"]
PacketKind: TypeAlias = Literal["m_pdu", "one_per_frame"]
Scale: TypeAlias = Literal["utc", "tai", "gps", "tt"]

# Seconds from a uniform scale's epoch to UTC's are one leap-second table away; ERT and SCET here are UTC, and since
# 2017-01-01 the offsets are constant: TAI-UTC = 37 s, GPS-UTC = 18 s, TT-UTC = 69.184 s.
_SCALE_OFFSET_NS: dict[str, int] = {"utc": 0, "tai": 37_000_000_000, "gps": 18_000_000_000, "tt": 69_184_000_000}


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

    @property
    def telemetry(self) -> Path:
        """The XTCE file with the mission's containers."""
        return self.folder / "telemetry.xml"

    def channel(self, vcid: int) -> VirtualChannel:
        """The virtual channel ``vcid``; one that the mission doesn't list is real time."""
        return self.channels.get(vcid) or VirtualChannel(vcid, f"VC{vcid}")


def search_path() -> list[Path]:
    """The directories that hold mission folders, first match wins."""
    extra = os.environ.get("GROUND_MISSIONS", "")
    return [*(Path(part) for part in extra.split(os.pathsep) if part), SHIPPED]


def mission_names() -> list[str]:
    """The names of all missions on the search path, sorted."""
    found = {toml.parent.name for directory in search_path() for toml in directory.glob("*/mission.toml")}
    return sorted(found)


def load_mission(name: str) -> Mission:
    """Read a mission by name, or by the path of its folder.

    Raises :class:`~ground.errors.ConfigError` naming the file and the key where something is missing or wrong.
    """
    for folder in [directory / name for directory in search_path()] + ([Path(name)] if os.sep in name else []):
        if (folder / "mission.toml").is_file():
            return _read(folder)
    raise ConfigError(f"there is no mission {name!r}; known: {', '.join(mission_names())}")


class _Table:
    """One TOML table, read key by key so that what is missing, mistyped or unknown can be named."""

    def __init__(self, values: dict[str, Any], where: str) -> None:
        self.values = dict(values)
        self.where = where

    def take(self, key: str, kind: type, default: Any = ...) -> Any:
        if key not in self.values:
            if default is ...:
                raise ConfigError(f"{self.where}: {key} is missing")
            return default
        value = self.values.pop(key)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ConfigError(f"{self.where}: {key} = {value!r} should be a {kind.__name__}")
        return value

    def choose(self, key: str, allowed: tuple[str, ...], default: str) -> Any:
        value = self.take(key, str, default)
        if value not in allowed:
            raise ConfigError(f"{self.where}: {key} = {value!r} should be one of {', '.join(allowed)}")
        return value

    def table(self, key: str) -> _Table:
        return _Table(self.take(key, dict, {}), f"{self.where} [{key}]")

    def done(self) -> None:
        if self.values:
            raise ConfigError(f"{self.where}: unknown key {', '.join(sorted(self.values))}")


def _read(folder: Path) -> Mission:
    path = folder / "mission.toml"
    try:
        top = _Table(tomllib.loads(path.read_text("utf-8")), str(path))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    clock = top.table("time")
    absolute = clock.take("absolute", bool, True)
    frame_time = _time_field(clock.table("frame"), frame=True) if "frame" in clock.values else None
    packet_times = [
        _time_field(_Table(entry, f"{path} [[time.packet]]"), frame=False) for entry in clock.take("packet", list, [])
    ]
    clock.done()
    mission = Mission(
        name=folder.name,
        title=top.take("title", str),
        description=top.take("description", str, ""),
        folder=folder,
        link=_link(top.table("link")),
        channels=_channels(top.table("vc")),
        frame_time=frame_time,
        packet_times=tuple(sorted(packet_times, key=lambda field: field.apids is None)),
        absolute_time=absolute,
        stations={
            name: _station(top.table("station").where, name, entry)
            for name, entry in top.take("station", dict, {}).items()
        },
        simulated=top.take("simulated", bool, False),
    )
    top.done()
    return mission


def _link(table: _Table) -> LinkFormat:
    frame = table.choose("frame", ("aos", "tm", "none"), "aos")
    link = LinkFormat(
        frame=frame,
        length=0 if frame == "none" else table.take("length", int),
        spacecraft_id=0 if frame == "none" else table.take("spacecraft_id", int),
        insert_zone=table.take("insert_zone", int, 0),
        header_error_control=table.take("header_error_control", bool, False),
        ocf=table.take("ocf", bool, False),
        fecf=table.take("fecf", bool, False),
        packets=table.choose("packets", ("m_pdu", "one_per_frame"), "m_pdu"),
        packet_offset=table.take("packet_offset", int, 0),
        packet_length=table.take("packet_length", int, 0),
    )
    table.done()
    if frame != "none" and not 16 <= link.length <= 65536:
        raise ConfigError(f"{table.where}: length = {link.length} should be between 16 and 65536 octets")
    if link.packets == "one_per_frame" and link.packet_offset + link.packet_length > link.length:
        raise ConfigError(f"{table.where}: packet_offset + packet_length reach beyond the frame's {link.length} octets")
    return link


def _channels(table: _Table) -> dict[int, VirtualChannel]:
    channels = {}
    for key in list(table.values):
        entry = table.table(key)
        if not key.isdecimal() or int(key) > 63:
            raise ConfigError(f"{table.where}: {key!r} should be a virtual channel number from 0 to 63")
        mode = entry.choose("mode", ("realtime", "playback", "idle"), "realtime")
        channels[int(key)] = VirtualChannel(int(key), entry.take("name", str, f"VC{key}"), mode)
        entry.done()
    return channels


def _time_field(table: _Table, *, frame: bool) -> TimeField:
    code = table.choose("code", ("counter", "cds"), "counter")
    lsb = table.take("lsb", str, "1")
    try:
        period = Fraction(lsb)
    except (ValueError, ZeroDivisionError) as error:
        raise ConfigError(f'{table.where}: lsb = {lsb!r} should be seconds as a fraction, like "1/65536"') from error
    epoch_text = table.take("epoch", str, "1970-01-01T00:00:00")
    scale = table.choose("scale", tuple(_SCALE_OFFSET_NS), "utc")
    try:
        epoch = datetime.fromisoformat(epoch_text).replace(tzinfo=UTC)
    except ValueError as error:
        raise ConfigError(f"{table.where}: epoch = {epoch_text!r} should be a date and time (ISO 8601)") from error
    seconds = round((epoch - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    apids = None if frame else table.take("apids", list, None)
    field = TimeField(
        offset=table.take("offset", int),
        length=table.take("length", int),
        epoch=seconds * 1_000_000_000 - _SCALE_OFFSET_NS[scale],
        code=code,
        byte_order=table.choose("byte_order", ("big", "little"), "big"),
        lsb=period,
        apids=None if apids is None else frozenset(apids),
        secondary_header=None if frame else table.take("secondary_header", bool, None),
    )
    table.done()
    if field.length not in ((6, 8, 10) if code == "cds" else range(1, 9)):
        raise ConfigError(f"{table.where}: length = {field.length} octets does not fit the time code {code}")
    if not 0 < period.numerator * period.denominator < 1 << 33 or period.numerator > 1_000_000:
        raise ConfigError(f"{table.where}: lsb = {lsb!r} should be between 2^-32 s and a million seconds")
    return field


def _station(where: str, name: str, values: dict[str, Any]) -> Station:
    table = _Table(values, f"{where}.{name}")
    station = Station(
        name=name,
        title=table.take("title", str, name),
        latitude=table.take("latitude", float),
        longitude=table.take("longitude", float),
        height=table.take("height", float, 0.0),
        dish=table.take("dish", float, 35.0),
        mask=table.take("mask", float, 5.0),
    )
    table.done()
    return station
