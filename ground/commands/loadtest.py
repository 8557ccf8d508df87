"""``ground loadtest``."""

from __future__ import annotations

import asyncio
import json
import math
import os
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.live import Live
from rich.text import Text

from dashboard.app import create_app, serve
from ground.commands.children import start, stop
from ground.commands.stack import open_store
from ground.commands.terminal import err, out, run_until_stopped
from ground.errors import ConfigError, GroundError
from ground.ingest import LEDGER_TOPIC
from ground.link.broker import EmbeddedBroker
from ground.link.mqtt import Client, parse_broker_url
from ground.loadtest.report import report, text
from ground.loadtest.run import Load, Outcome, Progress, run_load
from ground.loadtest.verify import Comparison, verify
from ground.loadtest.viewer import Viewer
from ground.loadtest.watch import Watch
from ground.loadtest.work import MISSION, Work
from ground.mission import load_mission

if TYPE_CHECKING:
    import argparse

    from ground.link.address import Address

_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 10.0


def add(command: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    command.add_argument("--broker", metavar="URL", help="MQTT 5; nobody else may ingest there (default: our own)")
    command.add_argument(
        "--store", default="duckdb", metavar="URL", help="of the ingest, without rows in it (default: %(default)s)"
    )
    command.add_argument("--rate", type=float, metavar="N", help="packets/s offered (default: what the path takes)")
    command.add_argument("--frames-per-message", type=int, default=1, metavar="N", help="(default: %(default)s)")
    command.add_argument("--packets", type=int, metavar="N", help="stop after so many packets")
    command.add_argument("--duration", type=float, metavar="S", help=f"of offering, in seconds (default: {_SECONDS:g})")
    command.add_argument("--publishers", type=int, default=1, metavar="N", help="(default: %(default)s)")
    command.add_argument("--parameters", type=int, default=32, metavar="N", help="float32 in a packet (%(default)s)")
    command.add_argument("--containers", type=int, default=4, metavar="N", help="kinds of packet (%(default)s)")
    command.add_argument(
        "--find-knee",
        action="store_true",
        help="raise the rate, from --rate on, by a quarter every --duration until storing falls behind",
    )
    command.add_argument(
        "--data", type=Path, metavar="DIR", help="keep recording and store here (default: a scratch folder)"
    )
    command.add_argument("--json", action="store_true", help="print the report as JSON")


def run(options: argparse.Namespace) -> int:
    """Load, verify, report: 0 when all that was offered is stored as it was sent."""
    for name in ("rate", "frames_per_message", "packets", "duration", "publishers", "parameters", "containers"):
        value = getattr(options, name)
        if value is not None and not 0 < value < math.inf:
            raise ConfigError(f"--{name.replace('_', '-')} = {value} should be above 0")
    return run_until_stopped(_loadtest(options)) or 0


async def _loadtest(options: argparse.Namespace) -> int:
    work = Work(
        time.time_ns(), parameters=options.parameters, containers=options.containers, publishers=options.publishers
    )
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
        address = parse_broker_url(options.broker or await _own_broker(scratch, stack))
        work.write_mission(scratch)
        await _is_empty(options.store, data)
        outcome = await _offer(options, load, work, data, scratch, address)
        store = await open_store(options.store, data)
        stack.push_async_callback(store.close)
        err.print("reading everything back ...")
        found = await verify(store, work, outcome.sent)
    values = report(outcome, found, work)
    out.print(json.dumps(values) if options.json else text(values), markup=False)
    return _judge(outcome, found)


async def _own_broker(scratch: Path, stack: AsyncExitStack) -> str:
    broker = EmbeddedBroker(scratch / "broker")
    await asyncio.to_thread(broker.start)
    stack.push_async_callback(asyncio.to_thread, broker.stop)
    return broker.url


async def _is_empty(url: str, data: Path) -> None:
    store = await open_store(url, data)
    try:
        if await store.checkpoint() is not None:
            raise ConfigError(f"--store {url} follows another recording already; a load test needs one without rows")
    finally:
        await store.close()


async def _offer(
    options: argparse.Namespace, load: Load, work: Work, data: Path, scratch: Path, address: Address
) -> Outcome:
    """The ingest in a process of its own, so that its CPU time is its own; the dashboard in ours."""
    missions = os.pathsep.join(filter(None, (str(scratch), os.environ.get("GROUND_MISSIONS"))))
    broker = options.broker or str(address)
    arguments = ("ingest", "--broker", broker, "--data", str(data), "--store", options.store)
    await _forget_ledger(address)
    process = await start(*arguments, GROUND_MISSIONS=missions)
    page = await open_store("duckdb", scratch / "page")
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    watch = Watch(data / "recording", process.pid, address, lambda: process.returncode is not None)
    app = create_app([load_mission(str(scratch / MISSION))], page, lambda: watch.ledger, address)
    serving = asyncio.create_task(serve(app, "127.0.0.1", 0, url.set_result))
    try:
        viewer = Viewer(await url, work.names)
        with Live(console=err, transient=True, auto_refresh=False) as screen:

            def show(progress: Progress) -> None:
                if err.is_terminal:
                    screen.update(Text(_line(progress)), refresh=True)

            return await run_load(load, work, address, data / "recording", watch, viewer, show)
    finally:
        serving.cancel()
        await asyncio.wait([serving])
        await stop(process)
        await page.close()


async def _forget_ledger(address: Address) -> None:
    """The broker must not show us the ledger of an earlier ingest."""
    async with Client(address, f"ground-loadtest-{os.getpid()}") as client:
        await client.connected(_CONNECT_SECONDS)
        await client.publish(LEDGER_TOPIC, b"", retain=True)


def _line(progress: Progress) -> str:
    counts = ("offered", "recorded", "decoded", "stored")
    numbers = "  ".join(f"{name} {getattr(progress, name):,}" for name in counts)
    return f"{numbers}  lag {progress.lag_s:.1f} s  CPU {progress.cpu_percent:.0f} %  RSS {progress.rss_mb:.0f} MB"


def _judge(outcome: Outcome, found: Comparison) -> int:
    """Say what is wrong; the exit status."""
    if not outcome.kept_pace:
        err.print("the path held the generator up: less was offered than --rate asked for", style="yellow")
    problems = list(found.named)
    if not found.equal:
        counts = f"{found.missing} packets missing, {found.unexpected} rows unexpected, {found.different} values differ"
        problems.insert(0, counts)
    if not outcome.settled:
        problems.append("the ledger never said that all is stored")
    elif not outcome.ledger.get("balanced"):
        problems.append("the ledger does not balance")
    if outcome.ledger.get("missions", {}).get(MISSION, {}).get("missing"):
        problems.append(f"the broker lost {outcome.ledger['missions'][MISSION]['missing']} frames")
    for problem in problems:
        err.print(problem, style="red", markup=False)
    if problems:
        raise GroundError("what is stored is not what was sent")
    err.print(f"{found.stored:,} packets are stored as they were sent, every value", style="green")
    return 0
