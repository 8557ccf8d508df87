"""``ground replay``."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from dashboard.access import Access
from dashboard.app import create_app, serve
from ground.commands.stack import open_store, start_with_usable, use_plain_allocator
from ground.commands.terminal import err, log_to_terminal, out, port, run_until_stopped, speed, utc_time
from ground.link.broker import EmbeddedBroker
from ground.link.mqtt import Client, parse_broker_url
from ground.replay import PREFIX, Replay, choose_span

if TYPE_CHECKING:
    import argparse


def add(command: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    command.add_argument("recording", type=Path, help="a recording's folder, like data/recording")
    command.add_argument("--speed", type=speed, default=1.0, metavar="X", help="times real time, or max (default: 1)")
    command.add_argument("--from", dest="since", type=utc_time, metavar="TIME", help="earth receive time, ISO 8601 UTC")
    command.add_argument("--to", dest="until", type=utc_time, metavar="TIME", help="earth receive time, ISO 8601 UTC")
    command.add_argument("--host", default="127.0.0.1", help="where the dashboard listens (default: %(default)s)")
    command.add_argument("--port", type=port, default=8001, help="of the dashboard, 0 takes a free one (default: 8001)")
    command.add_argument("--duration", type=float, metavar="S", help="stop after so many seconds")
    command.add_argument("--json", action="store_true", help="stop at the end of the recording and print the ledger")


def run(options: argparse.Namespace) -> None:
    """Replay, and stay up afterwards so that it can be looked at."""
    log_to_terminal()
    use_plain_allocator()
    run_until_stopped(_replay(options), options.duration)


async def _replay(options: argparse.Namespace) -> None:
    access = Access.configured(options.host)
    missions = start_with_usable()
    span = await asyncio.to_thread(choose_span, options.recording, options.since, options.until)
    pace = "full speed" if options.speed is None else f"{options.speed:g} times real time"
    banner = f"REPLAY of {options.recording}, {pace}"
    with tempfile.TemporaryDirectory(prefix="perilune-replay-") as scratch:
        broker = EmbeddedBroker(Path(scratch) / "broker")
        await asyncio.to_thread(broker.start)
        store = await open_store("duckdb", Path(scratch))
        try:
            address = parse_broker_url(broker.url)
            async with Client(address, "ground-replay") as client, asyncio.TaskGroup() as tasks:
                replay = Replay(missions, options.recording, span, options.speed, store, client)
                app = create_app(
                    [mission for mission, _ in missions],
                    store,
                    replay.report,
                    address,
                    prefix=PREFIX,
                    banner=banner,
                    access=access,
                )
                serving = tasks.create_task(
                    serve(app, options.host, options.port, lambda url: err.print(f"{banner}: {url}", markup=False))
                )
                await replay.run()
                err.print("the end of the recording is reached; Ctrl-C ends the replay")
                if options.json:
                    out.print(json.dumps(replay.report()), markup=False)
                    serving.cancel()
        finally:
            await store.close()
            await asyncio.to_thread(broker.stop)
