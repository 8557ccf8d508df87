"""``ground up``: everything on one machine, for whoever wants to see it run."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dashboard.access import Access
from dashboard.app import create_app, serve
from ground.commands.children import keep_broker, keep_running
from ground.commands.stack import start_with_usable, store_for_ingest, use_plain_allocator
from ground.commands.terminal import log_to_terminal, out, port, run_until_stopped, speed
from ground.ingest import Ingest
from ground.link.broker import HOST, EmbeddedBroker
from ground.link.gate import Gate
from ground.link.mqtt import parse_broker_url

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ground.mission import Mission
    from ground.stores import Store
    from ground.xtce.plan import Plan

MQTT_PORT: Final = 1883
MQTT_V4_PORT: Final = 1884


def add(command: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    command.add_argument(
        "--data", type=Path, default=Path("data"), metavar="DIR", help="recording and store (default: data)"
    )
    command.add_argument("--host", default="127.0.0.1", help="where the dashboard listens (default: %(default)s)")
    command.add_argument(
        "--port", type=port, default=8000, help="of the dashboard, 0 for a free one (default: %(default)s)"
    )
    command.add_argument("--mqtt-port", type=port, metavar="N", help=f"of MQTT 5 (default: {MQTT_PORT}, or a free one)")
    command.add_argument(
        "--mqtt-v4-port", type=port, metavar="N", help=f"of MQTT 3.1.1 (default: {MQTT_V4_PORT}, or a free one)"
    )
    command.add_argument("--speed", type=speed, default=1.0, metavar="X", help="of the simulated missions (default: 1)")
    command.add_argument("--no-simulators", action="store_true", help="only what others publish")
    command.add_argument("--no-browser", action="store_true", help="do not open the page")
    command.add_argument("--duration", type=float, metavar="S", help="stop after so many seconds")


def run(options: argparse.Namespace) -> None:
    """Run until Ctrl-C, then stop every process in order."""
    log_to_terminal()
    use_plain_allocator()
    run_until_stopped(_up(options), options.duration)


async def _up(options: argparse.Namespace) -> None:
    access = Access.configured(options.host)
    missions = start_with_usable()
    broker = EmbeddedBroker(options.data / "broker")
    ports = _port(options.mqtt_port, MQTT_PORT), _port(options.mqtt_v4_port, MQTT_V4_PORT)
    # Ingest and page reach the broker itself, everyone who publishes comes by way of the gate.
    async with Gate(broker, *ports) as gate:
        try:
            await asyncio.to_thread(broker.start)
            store = await store_for_ingest("duckdb", options.data)
            try:
                await _run(options, missions, broker, gate, store, access)
            finally:
                await store.close()
        finally:
            await asyncio.to_thread(broker.stop)


async def _run(
    options: argparse.Namespace,
    missions: Sequence[tuple[Mission, Plan]],
    broker: EmbeddedBroker,
    gate: Gate,
    store: Store,
    access: Access,
) -> None:
    address = parse_broker_url(broker.url)
    ingest = Ingest(missions, address, options.data, store)
    journal = options.data / "journal.jsonl"
    app = create_app([m for m, _ in missions], store, ingest.report, address, access=access, journal=journal)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ingest.run(), name="ingest")
        tasks.create_task(keep_broker(broker, gate, ingest.subscribed), name="broker")
        await ingest.ready.wait()
        ready = asyncio.Event()

        def started(url: str) -> None:
            _say_what_runs(url, gate, options.data)
            ready.set()
            if not options.no_browser and _has_a_screen():
                tasks.create_task(asyncio.to_thread(webbrowser.open, url), name="browser")

        tasks.create_task(serve(app, options.host, options.port, started), name="dashboard")
        await ready.wait()
        for mission, _ in missions if not options.no_simulators else ():
            if mission.simulated:
                tasks.create_task(keep_running(*_simulate(mission, gate, options)), name=mission.name)


def _simulate(mission: Mission, gate: Gate, options: argparse.Namespace) -> list[str]:
    factor = "max" if options.speed is None else str(options.speed)
    return ["simulate", mission.name, "--broker", gate.url, "--data", str(options.data), "--speed", factor]


def _port(asked: int | None, usual: int) -> int:
    """The port that was asked for; the usual one if it is free; otherwise 0, which takes any."""
    if asked is not None:
        return asked
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, usual))
        except OSError:
            return 0
    return usual


def _has_a_screen() -> bool:
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _say_what_runs(url: str, gate: Gate, data: Path) -> None:
    out.print(f"\n[bold]Perilune Ground[/bold]  {url}")
    out.print(f"  MQTT 5      mqtt://{HOST}:{gate.port}")
    out.print(f"  MQTT 3.1.1  mqtt://{HOST}:{gate.port_v4}")
    out.print(f"  data        {data.resolve()}")
    out.print("  Ctrl-C stops everything; the next start goes on from here.\n")
