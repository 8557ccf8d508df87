"""The command line: one entry point, one function a command. The composition root."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from ground import decode
from ground.errors import GroundError
from ground.mission import load_mission, mission_names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ground.decoder import Event

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0 done, 1 failed with a message, 2 wrong usage, 130 interrupted."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return int(options.command(options) or 0)
    except GroundError as error:
        err.print(f"ground {options.name}: {error}", style="red", markup=False)
        return 1
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ground", description="Mission telemetry from ground station to browser.")
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace], object], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        command.set_defaults(command=run)
        return command

    command = add(
        "decode", _decode, "decode a file of raw frames to CSV, JSON lines or Parquet, or count what is in it"
    )
    command.add_argument("file", type=Path, help="whole transfer frames, back to back")
    command.add_argument("--mission", required=True, help="whose frames they are: ground missions lists them")
    command.add_argument("--format", choices=decode.FORMATS, help="write one table for each container")
    command.add_argument(
        "--output", type=Path, metavar="DIR", help="where the tables go (default: beside you, by file name)"
    )
    command.add_argument("--summary", action="store_true", help="print the counts (default without --format)")
    command.add_argument("--json", action="store_true", help="print the counts as JSON")

    command = add("missions", _missions, "list the missions, or check the definitions of one")
    command.add_argument(
        "mission", nargs="?", help="a mission's name or folder: compile its XTCE and list its containers"
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _decode(options: argparse.Namespace) -> int:
    mission = load_mission(options.mission)
    if not options.file.is_file():
        raise GroundError(f"{options.file}: no such file")
    output = (options.output or Path(f"{options.file.stem}-decoded")) if options.format else None
    seen: dict[str, int] = {}

    def report(event: Event) -> None:
        seen[event.text] = seen.get(event.text, 0) + 1

    columns = TextColumn("decoding"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    bar = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
    with bar:
        task = bar.add_task("", total=options.file.stat().st_size)
        ledger = decode.decode_file(
            options.file,
            mission,
            output=output,
            file_format=options.format or "csv",
            progress=lambda octets: bar.advance(task, octets),
            report=report,
        )
    counts = decode.summary(ledger, mission)
    if options.json:
        print(json.dumps(counts))  # noqa: T201
    elif options.summary or output is None:
        _print_summary(options.file, mission.title, counts)
    for reason, n in ledger.undecoded.items():
        err.print(f"{options.file}: {n} packets not decoded: {reason}", style="yellow")
    for reason, n in ledger.rejected.items():
        err.print(f"{options.file}: {n} {'frame' if n == 1 else 'frames'} rejected: {reason}", style="yellow")
    if output is not None:
        err.print(f"{ledger.decoded} packets of {len(ledger.rows)} containers written to {output}/")
    return 0


def _print_summary(file: Path, title: str, counts: dict[str, object]) -> None:
    vcs, time, rejected = counts["vcs"], counts["time"], counts["rejected"]
    assert isinstance(vcs, dict)
    assert isinstance(time, dict)
    assert isinstance(rejected, dict)
    why = ", ".join(f"{reason} {n}" for reason, n in rejected.items() if n) or "none"
    out.print(f"{title}: {file}")
    out.print(f"frames {counts['frames']}; rejected: {why}")
    out.print(f"onboard time {time['first'] or 'not absolute'} to {time['last'] or 'not absolute'}")
    table = Table("VC", "frames", "first", "last", "gaps", "lost", "packets", "APIDs", box=None)
    for vcid, vc in vcs.items():
        cells = [vc[key] for key in ("frames", "first", "last", "gaps", "lost", "packets")]
        table.add_row(vcid, *(str(cell) for cell in cells), str(len(vc["apids"])))
    out.print(table)


def _missions(options: argparse.Namespace) -> int:
    from ground.xtce import plan, read  # noqa: PLC0415  compiling XTCE is only wanted here

    if options.mission is None:
        missions = [load_mission(name) for name in mission_names()]
        if options.json:
            print(json.dumps([{"name": m.name, "title": m.title, "simulated": m.simulated} for m in missions]))  # noqa: T201
            return 0
        table = Table("mission", "title", "frames", "description", box=None)
        for m in missions:
            table.add_row(m.name, m.title, f"{m.link.frame.upper()} {m.link.length}", m.description)
        out.print(table)
        return 0
    mission = load_mission(options.mission)
    compiled = plan.compile(read.load(mission.telemetry))
    if options.json:
        containers = {c.name: [p.name for p in c.parameters] for c in compiled.containers.values()}
        print(json.dumps({"mission": mission.name, "containers": containers}))  # noqa: T201
        return 0
    out.print(f"{mission.title}: {mission.telemetry} is good")
    table = Table("container", "parameters", "description", box=None)
    for container in compiled.containers.values():
        table.add_row(container.name, str(len(container.parameters)), container.description)
    out.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
