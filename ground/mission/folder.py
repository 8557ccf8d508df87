"""Reading a mission's folder, checked against everything that can be known before its first frame."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ground.errors import ConfigError
from ground.mission.declarations import LinkFormat, Mission, Station, VirtualChannel
from ground.mission.table import Source, Table, name_for_people
from ground.mission.times import FRAME_KEYS, PACKET_KEYS, read_frame_time, read_packet_time

if TYPE_CHECKING:
    from pathlib import Path

_KEYS: Final = ("title", "description", "simulated", "link", "vc", "time", "station", "hysteresis")
_LINK_KEYS: Final = (
    "frame",
    "length",
    "spacecraft_id",
    "insert_zone",
    "header_error_control",
    "ocf",
    "fecf",
    "packets",
    "packet_offset",
    "packet_length",
)
_STATION_KEYS: Final = ("title", "latitude", "longitude", "height", "dish", "mask")

_LAST_SPACECRAFT: Final = {"aos": 255, "tm": 1023}
"""Of 8 bits in AOS, 10 in TM (CCSDS 732.0-B-4, 4.1.2.2.3; 132.0-B-3, 4.1.2.2.3)."""
_LAST_CHANNEL: Final = {"aos": 63, "tm": 7, "none": 63}
"""Of 6 bits in AOS, 3 in TM; without frames the topic says it."""
_PRIMARY_HEADER: Final = 6
_SHORTEST_PACKET: Final = 7
"""A packet's header and one octet of data (CCSDS 133.0-B-2, 4.1.2)."""
_LONGEST_SECONDARY_HEADER: Final = 64
"""Of a TM frame (CCSDS 132.0-B-3, 4.1.3.1)."""
_LONGEST_NAME: Final = 100


def read_folder(folder: Path) -> Mission:
    """The mission of ``folder``; its ``telemetry.xml`` isn't looked at.

    Raises :class:`~ground.errors.ConfigError` naming the file, the line and the key where something is missing or
    wrong.
    """
    name = folder.absolute().name
    if reason := unusable_name(name):
        raise ConfigError(
            f"{name_for_people(folder)}: a mission cannot be called {name!r}: {reason}; rename its folder"
        )
    source = Source(folder / "mission.toml")
    top = Table(source, source.values, (), _KEYS)
    title, simulated = top.text("title"), top.take("simulated", bool, False)
    description = top.text("description", "", lines=True)
    top.check_keys()
    link = _link(top.table("link", _LINK_KEYS))
    clock = top.table("time", ("absolute", "frame", "packet"))
    clock.check_keys()
    if "frame" in clock and link.frame == "none":
        raise clock.error("frame", 'frame: a link with frame = "none" has no frames that could carry a time')
    frame_time = read_frame_time(clock.table("frame", FRAME_KEYS), link) if "frame" in clock else None
    packet_times = [read_packet_time(table, link) for table in clock.tables("packet", PACKET_KEYS)]
    stations = top.table("station")
    return Mission(
        name=name,
        title=title,
        description=description,
        folder=folder,
        link=link,
        channels=_channels(top.table("vc"), link),
        frame_time=frame_time,
        packet_times=tuple(sorted(packet_times, key=lambda field: field.apids is None)),
        absolute_time=clock.take("absolute", bool, True),
        stations={name: _station(stations, name) for name in stations},
        simulated=simulated,
        hysteresis=_hysteresis(top.table("hysteresis")),
    )


def unusable_name(name: str) -> str | None:
    """Why ``name`` can't be a mission's or a station's, None if it can: it is a level of MQTT topics (MQTT 5, 4.7), a
    word on the command line and a part of file names and addresses.
    """
    if not name:
        return "it is empty"
    if len(name.encode("utf-8", "surrogateescape")) > _LONGEST_NAME:
        return f"it is longer than {_LONGEST_NAME} octets"
    if not name.isprintable() or any(character in " +#/\\" for character in name):
        return "no topic can carry blanks, control characters or any of + # / \\ in a name"
    if name[0] in ".-$":
        return f"a name cannot begin with {name[0]}"
    return None


def _link(table: Table) -> LinkFormat:
    frame = table.choose("frame", ("aos", "tm", "none"), "aos")
    if frame == "none":
        table.check_keys()
        table.refuse(_LINK_KEYS[1:], 'belongs to transfer frames, and this link has frame = "none"; valid keys: frame')
        return LinkFormat(frame=frame, length=0, spacecraft_id=0)
    length = table.number("length", 16, 65536, " octets")
    spacecraft = table.number("spacecraft_id", 0, _LAST_SPACECRAFT[frame], f" in {frame.upper()} frames")
    table.check_keys()
    if frame == "tm":
        table.refuse(["header_error_control"], "belongs to AOS frames; TM frames have none")
    zone_end = length if frame == "aos" else _LONGEST_SECONDARY_HEADER
    link = LinkFormat(
        frame=frame,
        length=length,
        spacecraft_id=spacecraft,
        insert_zone=table.number("insert_zone", 0, zone_end, " octets", 0),
        header_error_control=table.take("header_error_control", bool, False),
        ocf=table.take("ocf", bool, False),
        fecf=table.take("fecf", bool, False),
        packets=table.choose("packets", ("m_pdu", "one_per_frame"), "m_pdu"),
        packet_offset=table.take("packet_offset", int, 0),
        packet_length=table.take("packet_length", int, 0),
    )
    start = _PRIMARY_HEADER + 2 * link.header_error_control + link.insert_zone
    end = length - 4 * link.ocf - 2 * link.fecf
    if link.packets == "one_per_frame":
        _check_packet(table, link, start, end)
    else:
        table.refuse(("packet_offset", "packet_length"), 'belongs to links with packets = "one_per_frame"')
        start += 2 if frame == "aos" else 0  # the M_PDU header
    if start >= end:
        taken = f"headers and insert_zone ({start} octets) and trailers ({length - end})"
        key = "insert_zone" if "insert_zone" in table else "length"
        raise table.wrong(key, f"is impossible: {taken} leave no room for packets in a frame of {length} octets")
    return link


def _check_packet(table: Table, link: LinkFormat, start: int, end: int) -> None:
    """Whether the packet of a ``one_per_frame`` link lies between the frame's headers and trailers."""
    for key in ("packet_offset", "packet_length"):
        table.take(key, int)
    if link.packet_offset < start:
        raise table.wrong("packet_offset", f"should be at least {start}, behind the frame's headers")
    if link.packet_length < _SHORTEST_PACKET:
        raise table.wrong("packet_length", f"should be at least {_SHORTEST_PACKET} octets, the shortest packet")
    if link.packet_offset + link.packet_length > end:
        where = f"the frame's {link.length} octets" if end == link.length else f"octet {end}, where the trailers begin"
        raise table.wrong("packet_length", f"and packet_offset = {link.packet_offset} reach beyond {where}")


def _channels(table: Table, link: LinkFormat) -> dict[int, VirtualChannel]:
    channels = {}
    last = _LAST_CHANNEL[link.frame]
    for key in table:
        if not re.fullmatch("0|[1-9][0-9]?", key) or int(key) > last:
            frames = f" in {link.frame.upper()} frames" if link.frame != "none" else ""
            raise table.error(key, f"{key!r:.40} should be a virtual channel number from 0 to {last}{frames}")
        entry = table.table(key, ("name", "mode"))
        entry.check_keys()
        mode = entry.choose("mode", ("realtime", "playback", "idle"), "realtime")
        channels[int(key)] = VirtualChannel(int(key), entry.text("name", f"VC{key}"), mode)
    return channels


def _hysteresis(table: Table) -> dict[str, float]:
    found = {}
    for key in table:
        container, slash, parameter = key.partition("/")
        if not container or not slash or not parameter:
            raise table.error(key, f'{key!r:.60} should be "Container/parameter", in quotes')
        found[key] = table.quantity(key, 0, 1e300, "in the parameter's unit")
    return found


def _station(stations: Table, name: str) -> Station:
    if reason := unusable_name(name):
        raise stations.error(name, f"a station cannot be called {name!r:.60}: {reason}; its title can be any text")
    table = stations.table(name, _STATION_KEYS)
    station = Station(
        name=name,
        title=table.text("title", name),
        latitude=table.quantity("latitude", -90, 90, "degrees"),
        longitude=table.quantity("longitude", -180, 360, "degrees, east positive"),
        height=table.quantity("height", -500, 10_000, "metres", 0.0),
        dish=table.quantity("dish", 0.1, 1000, "metres", 35.0),
        mask=table.quantity("mask", 0, 89, "degrees of elevation", 5.0),
    )
    table.check_keys()
    return station
