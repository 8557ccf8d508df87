"""``ground missions``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from ground.commands.stack import compiled_missions, usable_missions
from ground.commands.terminal import out

if TYPE_CHECKING:
    import argparse


def add(command: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    command.add_argument(
        "mission", nargs="?", help="a mission's name or folder: check its mission.toml and XTCE, list its containers"
    )
    command.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """List all, those that can't be used too (then 1), or check one."""
    return _list(options) if options.mission is None else _check(options)


def _list(options: argparse.Namespace) -> int:
    usable, unusable = usable_missions()
    if options.json:
        entries = [{"name": m.name, "title": m.title, "simulated": m.simulated, "error": None} for m, _ in usable]
        bad = [{"name": name, "title": None, "simulated": None, "error": text} for name, text in unusable.items()]
        out.print(json.dumps(entries + bad), markup=False)
        return 1 if unusable else 0
    table = Table("mission", "title", "frames", "description", box=None)
    for mission, _ in usable:
        # As Text: a title in brackets is no markup.
        frames = f"{mission.link.frame.upper()} {mission.link.length or ''}"
        table.add_row(*map(Text, (mission.name, mission.title, frames, mission.description)))
    out.print(table)
    for name, reason in unusable.items():
        out.print(f"{ascii(name)[1:-1]} cannot be used: {reason}", style="red", markup=False)
    return 1 if unusable else 0


def _check(options: argparse.Namespace) -> int:
    ((mission, compiled),) = compiled_missions([options.mission])
    if options.json:
        containers = {c.name: [p.name for p in c.parameters] for c in compiled.containers.values()}
        out.print(json.dumps({"mission": mission.name, "containers": containers}), markup=False)
        return 0
    out.print(f"{mission.title}: {mission.folder / 'mission.toml'} and {mission.telemetry} are good", markup=False)
    table = Table("container", "parameters", "description", box=None)
    for container in compiled.containers.values():
        table.add_row(container.name, str(len(container.parameters)), Text(container.description))
    out.print(table)
    return 0
