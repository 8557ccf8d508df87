"""``ground passes``: when the stations hear a simulated spacecraft."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE
from rich.progress import Progress
from rich.table import Table

from ground.commands.terminal import err, out, utc_time
from ground.errors import ConfigError
from ground.mission import load_mission
from simulators.passes import find
from simulators.run import SPACECRAFT

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from ground.mission import Mission
    from simulators.passes import Pass, Spell

_DAY = 86_400 * 10**9


def add(command: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    command.add_argument("--mission", required=True, choices=sorted(SPACECRAFT))
    command.add_argument(
        "--from", dest="begin", type=utc_time, metavar="TIME", help="UTC (default: the mission's start)"
    )
    command.add_argument("--to", dest="end", type=utc_time, metavar="TIME", help="UTC (default: a day later)")
    command.add_argument("--station", action="append", metavar="NAME", help="only this station; may be given again")
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for scripts; times are ns since 1970 UTC")
    form.add_argument("--ics", action="store_true", help="as an iCalendar file, for calendars")


def run(options: argparse.Namespace) -> None:
    """Print the passes; all times are earth receive times."""
    mission = load_mission(options.mission)
    craft = SPACECRAFT[mission.name]
    begin = craft.start if options.begin is None else options.begin
    end = begin + _DAY if options.end is None else options.end
    if end <= begin:
        raise ConfigError("--to should be later than --from")
    unknown = sorted(set(options.station or ()) - set(mission.stations))
    if unknown:
        raise ConfigError(f"{mission.name} has no station {', '.join(unknown)}; it has {', '.join(mission.stations)}")
    stations = {name: one for name, one in mission.stations.items() if not options.station or name in options.station}
    # A light time before there is a path yet: what is heard from `begin` on was sent earlier.
    trajectory = craft.trajectory(mission.folder, begin - 3600 * 10**9, None)
    if trajectory.begin > begin:
        raise ConfigError(f"{mission.name} is known only from {_iso(trajectory.begin)} on")
    with Progress(console=err, transient=True) as progress:
        task = progress.add_task(f"{mission.title}: orbit and stations", total=1.0)
        passes = find(craft, trajectory, stations, begin, end, lambda done: progress.update(task, completed=done))
    if options.json:
        out.print_json(json.dumps([_as_json(mission, one) for one in passes]))
    elif options.ics:
        out.print("".join(calendar(mission, passes)), end="", markup=False)
    else:
        out.print(_table(mission, passes, begin, end))


def _as_json(mission: Mission, one: Pass) -> dict[str, Any]:
    return {
        "station": one.station,
        "title": mission.stations[one.station].title,
        "aos": str(one.aos),
        "los": str(one.los),
        "culmination": str(one.culmination),
        "max_elevation_deg": round(one.elevation, 3),
        "interruptions": [
            {"begin": str(gap.begin), "end": str(gap.end), "reason": gap.reason} for gap in one.interruptions
        ],
    }


def _table(mission: Mission, passes: list[Pass], begin: int, end: int) -> Table:
    table = Table(title=f"{mission.title}, {_iso(begin)} to {_iso(end)}, earth receive time (UTC)", box=SIMPLE)
    for column in ("Station", "AOS", "LOS", "Highest"):
        table.add_column(column, no_wrap=True)
    table.add_column("Interrupted")
    for one in passes:
        reasons = dict.fromkeys(gap.reason for gap in one.interruptions)
        spells = {reason: [_spell(gap) for gap in one.interruptions if gap.reason == reason] for reason in reasons}
        table.add_row(
            mission.stations[one.station].title,
            _iso(one.aos)[5:],
            _iso(one.los)[5:],
            f"{one.elevation:4.1f}° {_iso(one.culmination)[11:16]}",
            "\n".join(f"{reason} {', '.join(times)}" for reason, times in spells.items()),
        )
    return table


def calendar(mission: Mission, passes: Iterable[Pass]) -> list[str]:
    """Lines of an iCalendar object (RFC 5545) with an event for each pass, CRLF at their ends, folded to 75 octets."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Perilune Ground//ground passes//EN"]
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    for one in passes:
        station = mission.stations[one.station]
        gaps = [_gap(gap.begin, gap.end, gap.reason) for gap in one.interruptions]
        text = [f"Highest at {_iso(one.culmination)[11:]} UTC: {one.elevation:.1f} degrees", *gaps]
        lines += [
            "BEGIN:VEVENT",
            f"UID:{mission.name}-{one.station}-{one.aos}@perilune-ground",
            f"DTSTAMP:{now}",
            f"DTSTART:{_basic(one.aos)}",
            f"DTEND:{_basic(one.los)}",
            f"SUMMARY:{_escaped(f'{mission.title} over {station.title}')}",
            f"DESCRIPTION:{_escaped(chr(10).join(text))}",
            f"GEO:{station.latitude};{station.longitude}",
            "END:VEVENT",
        ]
    return [f"{_folded(line)}\r\n" for line in [*lines, "END:VCALENDAR"]]


def _escaped(text: str) -> str:
    """TEXT values (RFC 5545, 3.3.11)."""
    for character in "\\;,":
        text = text.replace(character, f"\\{character}")
    return text.replace("\n", "\\n")


def _folded(line: str) -> str:
    """A content line in pieces of at most 75 octets (RFC 5545, 3.1)."""
    pieces, rest = [], line.encode()
    while rest:
        size = 74
        while size < len(rest) and rest[size] & 0xC0 == 0x80:  # not inside a character of UTF-8
            size -= 1
        pieces.append(rest[:size].decode())
        rest = rest[size:]
    return "\r\n ".join(pieces)


def _spell(gap: Spell) -> str:
    return f"{_iso(gap.begin)[11:16]}-{_iso(gap.end)[11:16]}"


def _gap(begin: int, end: int, reason: str) -> str:
    return f"{_iso(begin)[11:]} to {_iso(end)[11:]} {reason}"


def _iso(time: int) -> str:
    return datetime.fromtimestamp(round(time / 1e9), UTC).strftime("%Y-%m-%d %H:%M:%S")


def _basic(time: int) -> str:
    return datetime.fromtimestamp(round(time / 1e9), UTC).strftime("%Y%m%dT%H%M%SZ")
