"""``ground missions``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.table import Table

from ground.commands.terminal import out
from ground.mission import load_mission, mission_names
from ground.xtce import plan, read

if TYPE_CHECKING:
    import argparse


def add(command: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    command.add_argument("mission", nargs="?", help="a mission's name or folder: compile its XTCE, list its containers")
    command.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """List, or compile one."""
    if options.mission is None:
        missions = [load_mission(name) for name in mission_names()]
        if options.json:
            names = [{"name": m.name, "title": m.title, "simulated": m.simulated} for m in missions]
            out.print(json.dumps(names), markup=False)
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
        out.print(json.dumps({"mission": mission.name, "containers": containers}), markup=False)
        return 0
    out.print(f"{mission.title}: {mission.telemetry} is good")
    table = Table("container", "parameters", "description", box=None)
    for container in compiled.containers.values():
        table.add_row(container.name, str(len(container.parameters)), container.description)
    out.print(table)
    return 0
