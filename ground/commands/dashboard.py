"""``ground dashboard``."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from dashboard.access import Access
from dashboard.app import create_app, serve
from dashboard.heard import HeardLedger
from ground.commands.children import end_with_parent
from ground.commands.stack import open_store, start_with_usable
from ground.commands.terminal import log_to_terminal, out, port, run_until_stopped
from ground.ingest import LEDGER_TOPIC
from ground.link.mqtt import Client, parse_broker_url

if TYPE_CHECKING:
    import argparse


def add(command: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    command.add_argument("--broker", default="mqtt://127.0.0.1:1883", metavar="URL", help="MQTT 5 (%(default)s)")
    command.add_argument("--store", required=True, metavar="URL", help="influxdb://HOST:PORT/ORG/BUCKET")
    command.add_argument("--host", default="127.0.0.1", help="where to listen (default: %(default)s)")
    command.add_argument("--port", type=port, default=8000, help="0 takes a free one (default: %(default)s)")
    command.add_argument("--name", action="append", default=[], help="by which browsers call it, besides --host")
    command.add_argument("--journal", type=Path, metavar="FILE", help="keeps events and alarms over a restart")


def run(options: argparse.Namespace) -> None:
    """Serve until stopped."""
    end_with_parent()
    log_to_terminal()
    run_until_stopped(_serve(options))


async def _serve(options: argparse.Namespace) -> None:
    access = Access.configured(options.host, options.name)
    address = parse_broker_url(options.broker)
    store = await open_store(options.store, Path("data"))
    ledger = HeardLedger()
    try:
        app = create_app(
            [mission for mission, _ in start_with_usable()],
            store,
            ledger,
            address,
            access=access,
            journal=options.journal,
        )
        name = f"ground-dashboard-{secrets.token_hex(4)}"
        async with Client(address, name, subscriptions=((LEDGER_TOPIC, 0),)) as client, asyncio.TaskGroup() as tasks:
            tasks.create_task(_keep_ledger(client, ledger), name="ledger")
            await serve(app, options.host, options.port, lambda url: out.print(f"Perilune Ground  {url}"))
    finally:
        await store.close()


async def _keep_ledger(client: Client, ledger: HeardLedger) -> None:
    """What ingest says of itself, as it says it."""
    while True:
        delivery = await client.receive()
        for packet in delivery.packets:
            ledger.take(bytes(packet.payload))
        client.ack(delivery)
