"""``ground simulate``."""

from __future__ import annotations

import asyncio
import contextlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from rich.progress import Progress

from ground.commands.children import end_with_parent
from ground.commands.terminal import err, run_until_stopped, speed
from ground.errors import ConfigError
from ground.recording.write import Recorder
from simulators.faults import KINDS
from simulators.run import SPACECRAFT, generate, simulate

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from ground.link.outbox import Outgoing

_DAY = 86_400.0


class Recorded(NamedTuple):
    """A message as a recording takes it."""

    topic: str
    payload: bytes
    user_properties: list[tuple[str, str]]


def add(command: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    command.add_argument("mission", choices=sorted(SPACECRAFT))
    command.add_argument("--broker", default="mqtt://127.0.0.1:1883", metavar="URL", help="MQTT 5 (%(default)s)")
    command.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help="no broker, no --data, as fast as it goes: write what would be received in a day, or --duration, as a "
        "recording into the folder PATH, or as bare frames into the file PATH if it ends in .u8",
    )
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
    what: dict[str, Any] = {
        "start": options.start,
        "at": options.at,
        "stations": options.station,
        "seed": options.seed,
        "faults": options.fault or (),
        "scenario": options.scenario,
    }
    if options.output is not None:
        if options.vectors is not None:
            raise ConfigError("--vectors are sent to a broker; leave --output out")
        run_until_stopped(_write(options.output, options.mission, options.duration or _DAY, what))
        return
    end_with_parent()
    asyncio.run(
        simulate(
            options.mission,
            options.broker,
            state_dir=options.data / "simulators",
            speed=math.inf if options.speed is None else options.speed,
            duration=options.duration,
            vectors=options.vectors,
            report=lambda line: err.print(f"{options.mission}: {line}", markup=False),
            **what,
        )
    )


async def _write(path: Path, mission: str, duration: float, what: dict[str, Any]) -> None:
    """Write what the stations would receive in ``duration`` seconds to ``path``."""
    messages = octets = 0
    with Progress(console=err, transient=True) as progress:
        task, before = progress.add_task(f"{mission}: {path}", total=duration), 0
        async with _opened(path) as write:
            for time, part in generate(mission, duration, **what):
                await write(part, time)
                await asyncio.sleep(0)  # lets a signal stop it
                messages += len(part)
                octets += sum(len(message.payload) for message in part)
                progress.update(task, advance=(time - before) / 1e9 if before else 0.0)
                before = time
    err.print(f"{mission}: {messages:,} messages, {octets / 1e6:,.1f} MB in {path}", markup=False)


@contextlib.asynccontextmanager
async def _opened(path: Path) -> AsyncIterator[Callable[[Sequence[Outgoing], int], Awaitable[None]]]:
    """A function that writes messages which were received at a time, ns since 1970 UTC."""
    if path.suffix == ".u8":
        try:
            with path.open("wb") as file:

                async def frames(part: Sequence[Outgoing], _: int) -> None:
                    file.writelines(message.payload for message in part)

                yield frames
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written ({error.strerror})") from error
    else:
        async with Recorder(path) as recorder:

            async def record(part: Sequence[Outgoing], time: int) -> None:
                await recorder.append(
                    [Recorded(one.topic, one.payload, [*one.properties]) for one in part], np.full(len(part), time)
                )

            yield record
