"""``ground influx setup`` and ``ground influx roll-up``."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from ground.commands.terminal import err, out
from ground.errors import ConfigError
from ground.mission import load_missions
from ground.stores.influxdb import Address, InfluxdbStore, token_from
from ground.stores.influxdb.setup import FirstUser, set_up

if TYPE_CHECKING:
    import argparse

    from ground.mission import Mission


def add(command: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    command.add_argument(
        "action",
        choices=["setup", "roll-up"],
        help="setup makes what is missing and may be repeated; roll-up makes all roll-ups anew while no ingest runs",
    )
    command.add_argument("--store", required=True, metavar="URL", help="influxdb://HOST:PORT/ORG/BUCKET")
    command.add_argument("--retention", type=int, default=0, metavar="DAYS", help="of a new bucket (default: for ever)")
    command.add_argument("--user", metavar="NAME", help="first user of a fresh server; password in INFLUXDB_PASSWORD")


def run(options: argparse.Namespace) -> None:
    """Do it, and say what was done."""
    if options.action == "roll-up":
        asyncio.run(_roll_up(options.store))
        out.print("all roll-ups were made anew")
        return
    password = os.environ.get("INFLUXDB_PASSWORD", "")
    if options.user and not password:
        raise ConfigError("the first user needs a password: set INFLUXDB_PASSWORD")
    missions, unusable = load_missions()
    for name, reason in unusable.items():
        err.print(f"mission {ascii(name)[1:-1]} is left out: {reason}", style="yellow", markup=False)
    done = asyncio.run(
        set_up(
            Address.parse(options.store),
            token_from(os.environ),
            oldest={mission.name: _oldest(mission) for mission in missions},
            retention=options.retention * 86_400,
            first_user=FirstUser(options.user, password) if options.user else None,
        )
    )
    for line in done:
        out.print(line, markup=False)


async def _roll_up(url: str) -> None:
    store = await InfluxdbStore.open(url, token_from(os.environ))
    try:
        await store.spoil_rollups()
        await store.roll_up()
    finally:
        await store.close()


def _oldest(mission: Mission) -> int:
    """The earliest time that the mission's clocks can show, ns since 1970 UTC."""
    fields = [*mission.packet_times, *([mission.frame_time] if mission.frame_time else [])]
    return min((field.epoch for field in fields), default=0)
