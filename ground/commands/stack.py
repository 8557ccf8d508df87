"""What the services are composed of: the missions with their compiled definitions, and the store by its URL."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from ground.errors import ConfigError
from ground.mission import load_mission, mission_names
from ground.stores.duckdb import DuckdbStore
from ground.stores.influxdb import Address, InfluxdbStore, Server, token_from
from ground.xtce import plan, read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ground.mission import Mission
    from ground.stores import Store
    from ground.xtce.plan import Plan


def compiled_missions(names: Sequence[str] | None = None) -> list[tuple[Mission, Plan]]:
    """Every mission on the search path (or those named), compiled. One whose definitions are wrong stops the start.

    Raises :class:`~ground.errors.GroundError` naming the file and the line.
    """
    missions = [load_mission(name) for name in names or mission_names()]
    return [(mission, plan.compile(read.load(mission.telemetry))) for mission in missions]


def use_plain_allocator() -> None:
    """Have Arrow take its memory from the C library. Its own allocator gives pages back so soon that a fifth of the
    ingest's CPU time went into getting them again, and all the same holds 60 MB more.
    """
    pa.set_memory_pool(pa.system_memory_pool())


async def open_store(url: str, data: Path) -> Store:
    """``duckdb``: the file in ``data``; ``duckdb:FOLDER``: a file elsewhere; ``influxdb://HOST:PORT/ORG/BUCKET``: an
    InfluxDB 2 server, with the token of ``INFLUXDB_TOKEN`` or of the file that ``INFLUXDB_TOKEN_FILE`` names, which is
    read again when the server refuses the token.

    Raises :class:`~ground.errors.GroundError`.
    """
    kind, _, place = url.partition(":")
    if kind == "duckdb":
        return await DuckdbStore.open(Path(place) if place else data / "store")
    if kind == "influxdb":
        # Not asked here whether it answers: an ingest records while its database is away.
        token = partial(token_from, os.environ)
        return InfluxdbStore(Server(Address.parse(url), token(), renew=token, patience=5.0))
    raise ConfigError(f"--store {url!r} should be duckdb, duckdb:FOLDER or influxdb://HOST:PORT/ORG/BUCKET")
