"""``ground rebuild``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from ground.commands.stack import open_store, start_with_usable, use_plain_allocator
from ground.commands.terminal import err, log_to_terminal, run_until_stopped
from ground.errors import ConfigError, GroundError
from ground.processing.follow import Follower
from ground.processing.router import GROUND
from ground.recording.read import Recording
from ground.recording.segment import segment_positions
from ground.stores.duckdb import FILE

if TYPE_CHECKING:
    import argparse


def add(command: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    command.add_argument(
        "--data", type=Path, default=Path("data"), metavar="DIR", help="recording and store (default: data)"
    )
    command.add_argument(
        "--store",
        default="duckdb",
        metavar="URL",
        help="duckdb[:FOLDER], whose old file is kept beside it, or an empty influxdb://HOST:PORT/ORG/BUCKET",
    )


def run(options: argparse.Namespace) -> None:
    """Store all of a recording anew. Ingest must not run meanwhile."""
    log_to_terminal()
    use_plain_allocator()
    run_until_stopped(_rebuild(options.data, options.store))


async def _rebuild(data: Path, url: str) -> None:
    folder = data / "recording"
    if not segment_positions(folder):
        raise ConfigError(f"{folder}: no recording here (a folder with *.arrows segments)")
    missions = start_with_usable()
    kind, _, place = url.partition(":")
    if kind == "duckdb":
        _set_aside((Path(place) if place else data / "store") / FILE)
    store = await open_store(url, data)
    try:
        if await store.checkpoint(GROUND) is not None:
            raise ConfigError(f"--store {url} holds telemetry already: name an empty bucket")
        recording = Recording(folder)
        follower = Follower(missions, recording, store)
        await follower.start(recording.first())
        await follower.run()
    finally:
        await store.close()
    report = follower.report()
    rows = sum(mission["rows"]["stored"] for mission in report["missions"].values())
    err.print(f"{rows} rows from {report['position']['stored']} messages are stored anew in {url}", markup=False)
    stands = [f"{name} stands still: {m['reason']}" for name, m in report["missions"].items() if m["reason"]]
    if stands:
        raise GroundError("; ".join(stands))


def _set_aside(file: Path) -> None:
    """Keep the old database, with its log, under another name."""
    for old in (file, file.with_name(file.name + ".wal")):
        if old.exists():
            kept = old.with_name(f"{old.name}.before-{time.strftime('%Y%m%dT%H%M%S')}")
            try:
                old.rename(kept)
            except OSError as error:
                raise ConfigError(f"{old}: cannot be set aside ({error.strerror})") from error
            err.print(f"the old database is kept as {kept}", markup=False)
