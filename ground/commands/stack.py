"""What the services are composed of: the missions with their compiled definitions, and the store by its URL."""

from __future__ import annotations

import logging
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from ground.errors import ConfigError, GroundError
from ground.mission import load_mission, mission_names
from ground.processing.limits import check_hysteresis
from ground.stores.duckdb import DuckdbStore
from ground.stores.influxdb import Address, InfluxdbStore, Server, token_from
from ground.stores.late import LateStore
from ground.xtce import plan, read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ground.mission import Mission
    from ground.stores import Store
    from ground.xtce.plan import Plan

log = logging.getLogger("ground.missions")


def compiled_missions(names: Sequence[str] | None = None) -> list[tuple[Mission, Plan]]:
    """The missions ``names``, or all on the search path, compiled: for whoever can do nothing without all of them.

    Raises :class:`~ground.errors.GroundError` naming the file and the line of what is wrong in the first that is.
    """
    return [_compiled(name) for name in (mission_names() if names is None else names)]


def usable_missions(names: Sequence[str] | None = None) -> tuple[list[tuple[Mission, Plan]], dict[str, str]]:
    """Every mission on the search path (or those of ``names``), compiled; and of those that can't be used, by name, why
    not, with file and line. One mission's mistake stops no other, nor does a defect of ours that it brings to light.
    """
    usable: list[tuple[Mission, Plan]] = []
    unusable: dict[str, str] = {}
    for name in mission_names() if names is None else names:
        try:
            usable.append(_compiled(name))
        except GroundError as error:
            unusable[name] = str(error)
        except Exception as error:
            unusable[name] = f"its definitions cannot be read ({error!r:.200}): a defect of Perilune Ground, report it"
    return usable, unusable


def start_with_usable() -> list[tuple[Mission, Plan]]:
    """What :func:`usable_missions` finds, with a warning in the log for each mission that it has to leave out."""
    usable, unusable = usable_missions()
    for name, reason in unusable.items():
        log.warning("mission %s is left out: %s", ascii(name)[1:-1], reason)
    return usable


def _compiled(name: str) -> tuple[Mission, Plan]:
    mission = load_mission(name)
    compiled = plan.compile(read.load(mission.telemetry))
    check_hysteresis(mission, compiled)
    return mission, compiled


def use_plain_allocator() -> None:
    """Have Arrow take its memory from the C library. Its own allocator gives pages back so soon that a fifth of the
    ingest's CPU time went into getting them again, and all the same holds 60 MB more.
    """
    pa.set_memory_pool(pa.system_memory_pool())


async def store_for_ingest(url: str, data: Path) -> Store:
    """As :func:`open_store`, but a DuckDB file is opened later, and as often as need be: an ingest records whatever its
    database does. (InfluxDB isn't asked for anything here.)
    """
    if url.partition(":")[0] == "duckdb":
        return LateStore(partial(open_store, url, data))
    return await open_store(url, data)


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
