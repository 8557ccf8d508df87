"""``ground loadtest``."""

from __future__ import annotations

import asyncio
import json
import math
import os
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from rich.live import Live
from rich.text import Text

from ground.commands.children import start, stop
from ground.commands.stack import open_store
from ground.commands.terminal import err, out, run_until_stopped
from ground.errors import ConfigError, GroundError
from ground.ingest import LEDGER_TOPIC
from ground.link.broker import EmbeddedBroker
from ground.link.mqtt import Client, parse_broker_url
from ground.loadtest.knee import LEAST_SECONDS
from ground.loadtest.report import report, text
from ground.loadtest.run import Load, Outcome, run_load
from ground.loadtest.traffic import Traffic
from ground.loadtest.verify import Comparison, verify
from ground.loadtest.viewer import Viewer
from ground.loadtest.watch import Watch
from ground.loadtest.work import CONTAINERS, MISSION, PARAMETERS, write_mission
from ground.mission import load_mission
from ground.processing.router import GROUND
from ground.xtce import read

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from ground.link.address import Address
    from ground.loadtest.progress import Progress

_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 10.0
_LINE_SECONDS: Final = 10.0


def add(command: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    command.add_argument("--broker", metavar="URL", help="MQTT 5; nobody else may ingest there (default: our own)")
    command.add_argument(
        "--store", default="duckdb", metavar="URL", help="of the ingest, without rows in it (default: %(default)s)"
    )
    command.add_argument(
        "--mission", metavar="NAME", help="whose packets and frames are sent (default: made-up ones of float32)"
    )
    command.add_argument("--parameters", type=int, metavar="N", help=f"float32 in a made-up packet ({PARAMETERS})")
    command.add_argument("--containers", type=int, metavar="N", help=f"kinds of made-up packet ({CONTAINERS})")
    command.add_argument("--rate", type=float, metavar="N", help="packets/s offered (default: what the path takes)")
    command.add_argument("--frames-per-message", type=int, default=1, metavar="N", help="(default: %(default)s)")
    command.add_argument("--packets", type=int, metavar="N", help="stop after so many packets")
    command.add_argument("--duration", type=float, metavar="S", help=f"of offering, in seconds (default: {_SECONDS:g})")
    command.add_argument("--publishers", type=int, default=1, metavar="N", help="(default: %(default)s)")
    command.add_argument(
        "--find-knee",
        action="store_true",
        help="look for the highest rate, from --rate on and --duration at each, at which storing keeps up; then offer "
        "70 %% of it",
    )
    command.add_argument(
        "--data", type=Path, metavar="DIR", help="keep recording and store here (default: a scratch folder)"
    )
    command.add_argument(
        "--trace", type=Path, metavar="FILE", help="write what is shown meanwhile, a line of JSON each"
    )
    command.add_argument("--json", action="store_true", help="print the report as JSON")


def run(options: argparse.Namespace) -> int:
    """Load, verify, report: 0 when all that was offered is stored as it was sent."""
    for name in ("rate", "frames_per_message", "packets", "duration", "publishers", "parameters", "containers"):
        value = getattr(options, name)
        if value is not None and not 0 < value < math.inf:
            raise ConfigError(f"--{name.replace('_', '-')} = {value} should be above 0")
    if options.mission and (options.parameters or options.containers):
        raise ConfigError("--parameters and --containers are of the made-up mission; leave them out with --mission")
    if options.find_knee and options.packets:
        raise ConfigError("--find-knee goes by --duration; leave --packets out")
    if options.find_knee and options.duration is not None and options.duration < LEAST_SECONDS:
        raise ConfigError(f"--duration {options.duration:g} is too short to see a trend: {LEAST_SECONDS:g} s or more")
    return run_until_stopped(_loadtest(options)) or 0


async def _loadtest(options: argparse.Namespace) -> int:
    load = Load(
        rate=options.rate,
        seconds=options.duration or (None if options.packets else _SECONDS),
        packets=options.packets,
        frames_per_message=options.frames_per_message,
        knee=options.find_knee,
    )
    async with AsyncExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="perilune-loadtest-")))
        data = options.data or scratch / "data"
        if (data / "recording").exists():
            raise ConfigError(f"--data {data} has a recording already; a load test begins with an empty one")
        traffic = _traffic(options, scratch)
        address = parse_broker_url(options.broker or await _own_broker(scratch, stack))
        await _is_empty(options.store, data)
        try:
            trace = stack.enter_context(options.trace.open("w", encoding="utf-8")) if options.trace else None
        except OSError as error:
            raise ConfigError(f"--trace {options.trace}: {error.strerror}") from error
        outcome = await _offer(options, load, traffic, data, scratch, address, trace)
        store = await open_store(options.store, data)
        stack.push_async_callback(store.close)
        err.print(f"reading {sum(outcome.sent):,} packets back ...")
        found = await verify(store, traffic, outcome.sent)
    values = report(outcome, found, traffic)
    out.print(json.dumps(values) if options.json else text(values), markup=False)
    return _judge(outcome, found, traffic.mission.name)


def _traffic(options: argparse.Namespace, scratch: Path) -> Traffic:
    """Of the mission that is asked for, or of one of our own that is written to ``scratch``."""
    mission = options.mission
    if mission is None:
        parameters, containers = options.parameters or PARAMETERS, options.containers or CONTAINERS
        write_mission(scratch, parameters, containers)
        mission = str(scratch / MISSION)
    loaded = load_mission(mission)
    return Traffic(loaded, read.load(loaded.telemetry), time.time_ns(), options.publishers)


async def _own_broker(scratch: Path, stack: AsyncExitStack) -> str:
    broker = EmbeddedBroker(scratch / "broker")
    await asyncio.to_thread(broker.start)
    stack.push_async_callback(asyncio.to_thread, broker.stop)
    return broker.url


async def _is_empty(url: str, data: Path) -> None:
    store = await open_store(url, data)
    try:
        if await store.checkpoint(GROUND) is not None:
            raise ConfigError(f"--store {url} follows another recording already; a load test needs one without rows")
    finally:
        await store.close()


async def _offer(
    options: argparse.Namespace,
    load: Load,
    traffic: Traffic,
    data: Path,
    scratch: Path,
    address: Address,
    trace: IO[str] | None,
) -> Outcome:
    """Ingest and dashboard in processes of their own: the ingest's CPU time is its own, and ours goes to the load."""
    # Ours first: the mission may be one that nobody else knows.
    missions = os.pathsep.join(filter(None, (str(traffic.mission.folder.parent), os.environ.get("GROUND_MISSIONS"))))
    broker = options.broker or str(address)
    await _forget_ledger(address)
    async with AsyncExitStack() as stack:
        arguments = ("ingest", "--broker", broker, "--data", str(data), "--store", options.store)
        ingest = await start(*arguments, GROUND_MISSIONS=missions)
        stack.push_async_callback(stop, ingest)
        url = await _dashboard(broker, scratch, missions, stack)
        watch = Watch(data / "recording", ingest.pid, address, lambda: ingest.returncode is not None)
        viewer = Viewer(url, traffic.mission.name, [kind.name for kind in traffic.kinds])
        with Live(console=err, transient=True, auto_refresh=False) as screen:
            return await run_load(load, traffic, address, data / "recording", watch, viewer, _shown(screen, trace))


async def _dashboard(broker: str, scratch: Path, missions: str, stack: AsyncExitStack) -> str:
    """Its URL. It has a store of its own, an empty one: live telemetry is all that is looked at."""
    arguments = ("dashboard", "--broker", broker, "--store", f"duckdb:{scratch / 'page'}", "--port", "0")
    process = await start(*arguments, stdout=asyncio.subprocess.PIPE, GROUND_MISSIONS=missions)
    stack.push_async_callback(stop, process)
    assert process.stdout is not None
    if not (words := (await process.stdout.readline()).decode().split()):
        raise GroundError("the dashboard has ended; its last words are above")
    return words[-1]


async def _forget_ledger(address: Address) -> None:
    """The broker must not show us the ledger of an earlier ingest."""
    async with Client(address, f"ground-loadtest-{os.getpid()}") as client:
        await client.connected(_CONNECT_SECONDS)
        await client.publish(LEDGER_TOPIC, b"", retain=True)


def _shown(screen: Live, trace: IO[str] | None) -> Callable[[Progress], None]:
    """Shows progress: in place on a terminal, a line now and then elsewhere, every time in the trace."""
    last = -_LINE_SECONDS

    def show(progress: Progress) -> None:
        nonlocal last
        if trace is not None:
            trace.write(json.dumps(asdict(progress)) + "\n")
            trace.flush()
        if err.is_terminal:
            screen.update(Text(progress.text()), refresh=True)
        elif progress.time_s - last >= _LINE_SECONDS:
            err.print(progress.line(), markup=False)
            last = progress.time_s

    return show


def _judge(outcome: Outcome, found: Comparison, mission: str) -> int:
    """Say what is wrong; the exit status."""
    late = outcome.kept.late_s
    if outcome.kept.broken_by == "path":
        err.print(f"the path held the generator up: it ended {late:.1f} s behind its rate", style="yellow")
    elif outcome.kept.broken_by == "generator":
        err.print(f"this machine had no time for the generator: it ended {late:.1f} s behind its rate", style="yellow")
    problems = list(found.named)
    if not found.equal:
        counts = f"{found.missing} packets missing, {found.unexpected} rows unexpected, {found.different} values differ"
        problems.insert(0, counts)
    if not outcome.settled:
        reason = (outcome.ledger.get("store") or {}).get("error")
        problems.append(f"the ledger never said that all is stored{f': {reason}' if reason else ''}")
    elif not outcome.ledger.get("balanced"):
        problems.append("the ledger does not balance")
    if lost := outcome.ledger.get("missions", {}).get(mission, {}).get("missing"):
        problems.append(f"the broker lost {lost} frames")
    for problem in problems:
        err.print(problem, style="red", markup=False)
    if problems:
        raise GroundError("what is stored is not what was sent")
    err.print(f"{found.stored:,} packets are stored as they were sent, every value", style="green")
    return 0
