"""``ground publish``."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from ground.commands.terminal import err, run_until_stopped, speed
from ground.errors import GroundError
from ground.link.mqtt import Client, parse_broker_url
from ground.mission import load_mission
from ground.publish import publish_file

if TYPE_CHECKING:
    import argparse

_CONNECT_SECONDS = 10


def add(command: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    command.add_argument("file", type=Path, help="whole transfer frames, back to back")
    command.add_argument("--mission", required=True, help="whose frames they are: ground missions lists them")
    command.add_argument("--broker", default="mqtt://127.0.0.1:1883", metavar="URL", help="MQTT 5 (%(default)s)")
    command.add_argument("--station", default="file", metavar="NAME", help="(default: %(default)s)")
    command.add_argument("--speed", type=speed, default=1.0, metavar="X", help="times real time, or max (default: 1)")
    command.add_argument("--frames-per-message", type=int, default=32, metavar="N", help="at full speed (%(default)s)")


def run(options: argparse.Namespace) -> int:
    """Publish; it is done when the broker has everything, and fails where the broker kept it for nobody."""
    return run_until_stopped(_publish(options)) or 0


async def _publish(options: argparse.Namespace) -> int:
    mission = load_mission(options.mission)
    if not options.file.is_file():
        raise GroundError(f"{options.file}: no such file")
    columns = TextColumn("publishing"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    bar = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
    address = parse_broker_url(options.broker)
    async with Client(address, f"ground-publish-{secrets.token_hex(4)}") as client:
        await client.connected(_CONNECT_SECONDS)
        with bar:
            task = bar.add_task("", total=options.file.stat().st_size)
            sent = await publish_file(
                options.file,
                mission,
                client,
                station=options.station,
                speed=options.speed,
                frames_per_message=options.frames_per_message,
                progress=lambda octets: bar.advance(task, octets),
            )
    rest = f" and a rest of {sent.rest} octets" if sent.rest else ""
    err.print(f"{options.file}: {sent.frames} frames{rest} in {sent.messages} messages, run {sent.run}")
    if sent.unheard:
        raise GroundError(
            f"{address}: nobody was subscribed to {sent.unheard} of the {sent.messages} messages, they are lost; start "
            "ground ingest with this broker, then publish again"
        )
    return 0
