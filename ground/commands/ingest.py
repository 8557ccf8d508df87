"""``ground ingest``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ground.commands.children import end_with_parent
from ground.commands.stack import start_with_usable, store_for_ingest, use_plain_allocator
from ground.commands.terminal import log_to_terminal, run_until_stopped
from ground.ingest import Ingest
from ground.link.mqtt import parse_broker_url

if TYPE_CHECKING:
    import argparse


def add(command: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    command.add_argument("--broker", default="mqtt://127.0.0.1:1883", metavar="URL", help="MQTT 5 (%(default)s)")
    command.add_argument(
        "--data", type=Path, default=Path("data"), metavar="DIR", help="recording and store (default: data)"
    )
    command.add_argument(
        "--store",
        default="duckdb",
        metavar="URL",
        help="duckdb[:FOLDER], influxdb://HOST:PORT/ORG/BUCKET",
    )


def run(options: argparse.Namespace) -> None:
    """Ingest until stopped."""
    end_with_parent()
    log_to_terminal()
    use_plain_allocator()
    run_until_stopped(_ingest(options))


async def _ingest(options: argparse.Namespace) -> None:
    missions = start_with_usable()
    store = await store_for_ingest(options.store, options.data)
    try:
        await Ingest(missions, parse_broker_url(options.broker), options.data, store).run()
    finally:
        await store.close()
