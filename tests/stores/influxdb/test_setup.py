from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from ground.errors import ConfigError, StoreError
from ground.stores import Checkpoint, Rows
from ground.stores.influxdb import Address, InfluxdbStore
from ground.stores.influxdb.setup import FirstUser, check_retention, set_up
from tests.services.influxdb import influxd, influxdb
from tests.stores.telemetry import T0, batch, same

if TYPE_CHECKING:
    from tests.services.influxdb import Influxdb, Process

__all__ = ["influxd", "influxdb"]

DAY = 86_400
NOW = 1_800_000_000 * 10**9


async def test_a_new_server_once_and_again(influxd: Process) -> None:
    influxd.start()
    text = f"influxdb://{influxd.netloc}/ops%20room/telemetry"
    address, token = Address.parse(text), secrets.token_urlsafe(24)
    with pytest.raises(StoreError, match="no user yet"):
        await set_up(address, token, oldest={})
    first = FirstUser("operator", secrets.token_hex(8))
    done = await set_up(address, token, oldest={"change5": 0}, first_user=first)
    assert done == ["created user operator, organisation ops room and bucket telemetry"]
    assert await set_up(address, token, oldest={"change5": 0}, first_user=first) == ["bucket telemetry is there"]
    store = await InfluxdbStore.open(text, token)
    await store.append("luna26", [], [], Checkpoint(1, b"state"))
    assert await store.checkpoint("luna26") == Checkpoint(1, b"state")
    await store.close()


async def test_what_is_missing_is_made(influxdb: Influxdb) -> None:
    org = f"org-{secrets.token_hex(4)}"
    address = Address(f"http://{influxdb.netloc}", org, "one")
    assert await set_up(address, influxdb.token, oldest={}) == [f"created organisation {org}", "created bucket one"]
    second = Address(address.url, org, "two")
    assert await set_up(second, influxdb.token, oldest={}, retention=30 * DAY) == ["created bucket two"]
    assert await set_up(second, influxdb.token, oldest={}) == ["bucket two is there"]
    with pytest.raises(ConfigError, match=r"mission change5 has telemetry from 2020-11-23 00:00 on, .* keeps 30 days"):
        await set_up(second, influxdb.token, oldest={"change5": 1_606_089_600 * 10**9})


async def test_a_server_that_refuses_or_is_not_there(influxdb: Influxdb) -> None:
    with pytest.raises(StoreError, match="INFLUXDB_TOKEN"):
        await set_up(Address(f"http://{influxdb.netloc}", "o", "b"), "wrong", oldest={})
    with pytest.raises(StoreError, match="Cannot connect"):
        await set_up(Address("http://127.0.0.1:1", "o", "b"), "t", oldest={})


def test_retention_must_suit_the_missions() -> None:
    check_retention(0, {"old": 0}, NOW)
    check_retention(30 * DAY, {"now": NOW - 29 * DAY * 10**9, "later": NOW + 10**18}, NOW)
    with pytest.raises(ConfigError, match="mission old"):
        check_retention(30 * DAY, {"old": NOW - 31 * DAY * 10**9}, NOW)
    with pytest.raises(ConfigError, match="too short"):
        check_retention(3600, {}, NOW)


async def test_a_token_that_may_only_read_and_write_the_bucket_is_enough(influxdb: Influxdb) -> None:
    rows = batch([T0, T0 + 1], [1, 2], a=pa.array([1.5, None]))
    with influxdb.bucket() as address, influxdb.api() as api:
        (bucket,) = api.get("/api/v2/buckets", params={"name": address.rpartition("/")[2]}).json()["buckets"]
        resource = {"type": "buckets", "id": bucket["id"], "orgID": bucket["orgID"]}
        permissions = [{"action": action, "resource": resource} for action in ("read", "write")]
        made = api.post("/api/v2/authorizations", json={"orgID": bucket["orgID"], "permissions": permissions})
        store = await InfluxdbStore.open(address, made.raise_for_status().json()["token"])
        await store.append("luna26", [Rows("luna26", "Power", rows)], [], Checkpoint(1, b""))
        assert same(await store.rows("luna26", "Power", T0, T0 + 2), rows)
        await store.close()
