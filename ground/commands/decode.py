"""``ground decode``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from ground.commands.terminal import err, out
from ground.decode import FORMATS, decode_file, summary
from ground.errors import GroundError
from ground.mission import load_mission

if TYPE_CHECKING:
    import argparse


def add(command: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    command.add_argument("file", type=Path, help="whole transfer frames, back to back")
    command.add_argument("--mission", required=True, help="whose frames they are: ground missions lists them")
    command.add_argument("--format", choices=FORMATS, help="write one table for each container")
    command.add_argument(
        "--output", type=Path, metavar="DIR", help="where the tables go (default: FILE's name-decoded)"
    )
    command.add_argument("--summary", action="store_true", help="print the counts (default without --format)")
    command.add_argument("--json", action="store_true", help="print the counts as JSON")


def run(options: argparse.Namespace) -> int:
    """Decode, then say what was in the file and what was wrong with it."""
    mission = load_mission(options.mission)
    if not options.file.is_file():
        raise GroundError(f"{options.file}: no such file")
    output = (options.output or Path(f"{options.file.stem}-decoded")) if options.format else None
    columns = TextColumn("decoding"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    bar = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
    with bar:
        task = bar.add_task("", total=options.file.stat().st_size)
        ledger = decode_file(
            options.file,
            mission,
            output=output,
            file_format=options.format or "csv",
            progress=lambda octets: bar.advance(task, octets),
        )
    counts = summary(ledger, mission)
    if options.json:
        out.print(json.dumps(counts), markup=False)
    elif options.summary or output is None:
        _print_summary(options.file, mission.title, counts)
    for what, reasons in (("packet", ledger.undecoded), ("frame", ledger.rejected)):
        verb = "not decoded" if what == "packet" else "rejected"
        for reason, n in reasons.items():
            err.print(f"{options.file}: {n} {what}{'' if n == 1 else 's'} {verb}: {reason}", style="yellow")
    if output is not None:
        err.print(f"{ledger.decoded} packets of {len(ledger.rows)} containers written to {output}/")
    return 0


def _print_summary(file: Path, title: str, counts: dict[str, Any]) -> None:
    why = ", ".join(f"{reason} {n}" for reason, n in counts["rejected"].items() if n) or "none"
    first, last = (counts["time"][end] or "not known" for end in ("first", "last"))
    out.print(f"{title}: {file}")
    out.print(f"frames {counts['frames']}; rejected: {why}")
    out.print(f"onboard time {first} to {last}")
    table = Table("VC", "frames", "first", "last", "gaps", "lost", "packets", "APIDs", box=None)
    for vcid, vc in counts["vcs"].items():
        cells = [vc[key] for key in ("frames", "first", "last", "gaps", "lost", "packets")]
        table.add_row(vcid, *(str(cell) for cell in cells), str(len(vc["apids"])))
    out.print(table)
