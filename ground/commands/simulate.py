"""``ground simulate``."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import TYPE_CHECKING

from ground.commands.children import end_with_parent
from ground.commands.terminal import err, speed
from simulators.faults import KINDS
from simulators.run import SPACECRAFT, simulate

if TYPE_CHECKING:
    import argparse


def add(command: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    command.add_argument("mission", choices=sorted(SPACECRAFT))
    command.add_argument("--broker", default="mqtt://127.0.0.1:1883", metavar="URL", help="MQTT 5 (%(default)s)")
    command.add_argument("--speed", type=speed, default=1.0, metavar="X", help="times real time, or max (default: 1)")
    begin = command.add_mutually_exclusive_group()
    begin.add_argument("--start", metavar="TIME", help="when a fresh simulation begins, ISO 8601 UTC")
    begin.add_argument(
        "--at",
        metavar="EVENT",
        help="begin at launch, tcm1, tcm2, dsm, tcm3, tcm4 or insertion (tianwen1), low or high (luna26)",
    )
    command.add_argument("--duration", type=float, metavar="S", help="stop after so many seconds of mission time")
    command.add_argument(
        "--data", type=Path, default=Path("data"), metavar="DIR", help="state is kept here (default: data)"
    )
    command.add_argument("--station", action="append", metavar="NAME", help="only this station; may be given again")
    command.add_argument("--seed", type=int, default=26, help="of the noise: same seed, same bytes (default: 26)")
    command.add_argument(
        "--fault",
        action="append",
        metavar="F",
        help="KIND[:TARGET][=VALUE][@START][+SECONDS], as heater-on:tank@600+3600; may be given again. Kinds: "
        + ", ".join(KINDS),
    )
    command.add_argument("--scenario", type=Path, metavar="FILE", help="a TOML file of [[fault]] tables")
    command.add_argument(
        "--vectors", type=Path, metavar="FILE", help="send the state vectors in FILE as they are (tianwen1)"
    )


def run(options: argparse.Namespace) -> None:
    """Simulate until stopped. The simulation takes SIGINT and SIGTERM by itself."""
    end_with_parent()
    asyncio.run(
        simulate(
            options.mission,
            options.broker,
            state_dir=options.data / "simulators",
            speed=math.inf if options.speed is None else options.speed,
            start=options.start,
            at=options.at,
            duration=options.duration,
            stations=options.station,
            vectors=options.vectors,
            seed=options.seed,
            faults=options.fault or (),
            scenario=options.scenario,
            report=lambda line: err.print(f"{options.mission}: {line}", markup=False),
        )
    )
