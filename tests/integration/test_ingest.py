"""The ingest service in a process of its own, with real brokers, a real pass, and real trouble."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ground.link.address import parse_broker_url
from ground.link.mqtt import Client, Outgoing
from ground.mission import load_mission
from ground.publish import publish_file
from ground.stores.duckdb import DuckdbStore
from tests.integration.service import Service, ground, ledger_when, settled
from tests.real_data import recording, requires_real_data

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The published table of the pass: 3075 frames of which one is another spacecraft's, 21280 + 2 packets.
FRAMES = {"in": 3075, "good": 3074, "duplicate": 0, "rejected": {"version": 1}}
VC1 = {"frames": 3072, "gaps": 17, "lost": 50, "unheard": 0, "dropped": 17, "packets": 21280}
VC2 = {"frames": 2, "gaps": 0, "lost": 0, "unheard": 0, "dropped": 0, "packets": 2}


class Ingest(Service):
    def __init__(self, folder: Path, broker: str) -> None:
        super().__init__(folder / "ingest.log", "ingest", "--broker", broker, "--data", str(folder / "data"))


@pytest.fixture
def ingest(tmp_path: Path, broker: str) -> Iterator[Ingest]:
    service = Ingest(tmp_path, broker)
    yield service
    service.end()


def assert_is_the_pass(ledger: dict[str, Any], *, duplicate: int = 0) -> None:
    assert ledger["balanced"]
    change5 = ledger["missions"]["change5"]
    assert change5["frames"] == {**FRAMES, "in": 3075 + duplicate, "duplicate": duplicate}
    assert change5["vcs"] == {"miyun/1": VC1, "miyun/2": VC2}
    assert change5["packets"] == {"in": 21282, "decoded": 21282, "idle": 0, "repeated": 0, "undecoded": {}}
    assert change5["rows"] == {"stored": 21282, "repeated": 0}
    assert (change5["pending"], change5["missing"]) == (0, 0)


def recorded_beyond(position: int, ledger: dict[str, Any]) -> bool:
    return bool(ledger["position"]["recorded"] > position)


def all_stored(ledger: dict[str, Any]) -> bool:
    rows = ledger["missions"].get("change5", {}).get("rows", {})
    return rows.get("stored") == 21282 and len(set(ledger["position"].values())) == 1


async def stored_rows(data: Path) -> int:
    store = await DuckdbStore.open(data / "store")
    try:
        return sum(count.stored for count in (await store.counts("change5")).values())
    finally:
        await store.close()


@requires_real_data
async def test_a_real_pass_at_full_speed(ingest: Ingest, broker: str, tmp_path: Path) -> None:
    await ingest.said("connected")
    arguments = ["--mission", "change5", "--broker", broker, "--station", "miyun", "--frames-per-message", "4"]
    ground("publish", str(recording("change5")), "--speed", "max", *arguments)
    ledger = await ledger_when(
        broker,
        lambda seen: (
            seen["missions"].get("change5", {}).get("frames", {}).get("in") == 3075
            and settled(seen["position"]["recorded"])(seen)
        ),
    )
    assert_is_the_pass(ledger)
    ingest.stop()
    assert await stored_rows(tmp_path / "data") == 21282


@requires_real_data
async def test_kill_9_in_the_middle_costs_and_doubles_nothing(ingest: Ingest, broker: str, tmp_path: Path) -> None:
    await ingest.said("connected")
    async with Client(parse_broker_url(broker), "station") as client:
        publishing = asyncio.create_task(
            publish_file(recording("change5"), load_mission("change5"), client, "miyun", None, 1)
        )
        for at in (300, 1500):
            await ledger_when(broker, partial(recorded_beyond, at))
            ingest.kill()
            ingest = Ingest(tmp_path, broker)
        published = await publishing
    try:
        assert published.frames == 3075
        ledger = await ledger_when(broker, all_stored)
        # What was recorded but not yet acknowledged when the process died came again, and is counted as such.
        assert_is_the_pass(ledger, duplicate=ledger["position"]["recorded"] - 3075)
        await ingest.said("connected")
        ingest.stop()
    finally:
        ingest.end()
    assert await stored_rows(tmp_path / "data") == 21282


@requires_real_data
async def test_every_message_sent_twice(ingest: Ingest, broker: str) -> None:
    await ingest.said("connected")
    octets = recording("change5").read_bytes()
    messages = [
        Outgoing("tm/change5/miyun/1", octets[i * 220 : i * 220 + 220], (("run", "a"), ("seq", str(i))))
        for i in range(3075)
        for _ in range(2)
    ]
    async with Client(parse_broker_url(broker), "station") as client:
        await client.publish_many(messages)
    assert_is_the_pass(await ledger_when(broker, settled(6150)), duplicate=3075)
    ingest.stop()


@requires_real_data
async def test_damage_is_counted_and_the_good_frames_around_it_are_all_there(ingest: Ingest, broker: str) -> None:
    await ingest.said("connected")
    octets = recording("change5").read_bytes()
    random = np.random.default_rng(5)

    def noise(n: int) -> bytes:
        return random.integers(0, 256, n, np.uint8).tobytes()

    bad = [
        Outgoing("tm/change5/kashi/1", b""),
        Outgoing("tm/change5/kashi/1", octets[:219]),
        Outgoing("tm/change5/kashi/1", bytes(220 * 3)),
        Outgoing("tm/change5/kashi/1", noise(10_000_000)),
        Outgoing("tm/apollo/kashi/1", octets[:220]),
        Outgoing("tm/change5/1", octets[:220]),
        Outgoing("tm/change5/kashi/1", octets[:220], (("seq", "many"), ("ert", "soon"), ("run", "x"))),
        Outgoing("tm/mars2020/goldstone/0", octets[:1115]),
        Outgoing("tm/danuri/kashi/33", noise(2200)),
    ]
    good = [
        Outgoing("tm/change5/miyun/1", octets[i * 220 : i * 220 + 220], (("run", "a"), ("seq", str(i))))
        for i in range(3075)
    ]
    messages = [*good[:1000], *bad[:5], *good[1000:2000], *bad[5:], *good[2000:]]
    async with Client(parse_broker_url(broker), "station") as client:
        await client.publish_many(messages)
    ledger = await ledger_when(broker, settled(len(messages)))
    assert ledger["balanced"]
    change5 = ledger["missions"]["change5"]
    assert change5["vcs"]["miyun/1"] == VC1
    assert change5["rows"]["stored"] >= 21282
    assert change5["rows"]["stored"] + change5["rows"]["repeated"] == change5["packets"]["decoded"]
    # The empty one, the short one and the last piece of the noise are no frames; zeros are another version.
    assert change5["frames"]["rejected"]["length"] == 3
    assert change5["frames"]["rejected"]["version"] > 3
    assert ledger["unrouted"] == {"unknown mission": 1, "topic is not tm/<mission>/<station>/<vcid>": 1}
    assert ledger["missions"]["mars2020"]["frames"]["rejected"] == {"fecf": 1}
    ingest.stop()
