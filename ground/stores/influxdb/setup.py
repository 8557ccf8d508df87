"""Organisation and bucket for the InfluxDB store, made once or as often as you like."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import aiohttp
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.rest import ApiException

from ground.errors import ConfigError, StoreError
from ground.stores.influxdb.server import message, refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from ground.stores.influxdb.address import Address

    Ask = Callable[..., Awaitable[dict[str, Any]]]

_SHORTEST = 2 * 86_400


@dataclass(frozen=True, slots=True)
class FirstUser:
    """Who a server that has no user yet is set up for; its token becomes the one that is given."""

    name: str
    password: str


async def set_up(
    address: Address,
    token: str,
    *,
    oldest: Mapping[str, int],
    retention: int = 0,
    first_user: FirstUser | None = None,
) -> list[str]:
    """Make what is missing of user, organisation and bucket; returns what was done, in words.

    ``oldest``: the earliest time of each mission, ns since 1970 UTC. ``retention``: seconds after which a new bucket
    drops points, 0 for never; it counts from the server's clock, not from the mission's. Raises ConfigError where the
    retention, or that of a bucket that exists, would drop a mission's telemetry; StoreError where the server is out
    of reach or refuses.
    """
    check_retention(retention, oldest, time.time_ns())
    timeout = aiohttp.ClientTimeout(total=30)
    async with InfluxDBClientAsync(address.url, token, timeout=timeout) as client:
        api: Any = client.api_client

        async def ask(method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
            """What the management API answers; empty where it does not find what is asked for."""
            headers = {"Content-Type": "application/json"}
            try:
                answer = await api.call_api(
                    f"/api/v2/{path}", method, header_params=headers, body=body, response_type=object
                )
            except ApiException as error:
                if method == "GET" and error.status == 404:
                    return {}
                raise
            return dict(answer)

        try:
            return await _set_up(ask, address, token, oldest, retention, first_user)
        except ApiException as error:
            raise StoreError(f"{address}: {refusal(error.status, message(error))}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise StoreError(f"{address}: {error}") from error


def check_retention(retention: int, oldest: Mapping[str, int], now: int) -> None:
    """ConfigError where a bucket that keeps ``retention`` seconds before ``now`` (ns) would drop telemetry."""
    if not retention:
        return
    if retention < _SHORTEST:
        raise ConfigError(f"a retention of {retention} s is too short: the store's own records need two days")
    for mission, first in oldest.items():
        if first < now - retention * 10**9:
            when = datetime.fromtimestamp(first / 1e9, UTC).strftime("%Y-%m-%d %H:%M")
            raise ConfigError(
                f"mission {mission} has telemetry from {when} on, and a bucket that keeps {retention / 86_400:g} days "
                "by the server's clock drops it: leave the retention infinite"
            )


async def _set_up(
    ask: Ask, address: Address, token: str, oldest: Mapping[str, int], retention: int, first_user: FirstUser | None
) -> list[str]:
    if (await ask("GET", "setup"))["allowed"]:
        if first_user is None:
            raise StoreError(f"{address}: the server has no user yet: give a name and a password for the first one")
        user = {"username": first_user.name, "password": first_user.password, "token": token}
        names = {"org": address.org, "bucket": address.bucket, "retentionPeriodSeconds": retention}
        await ask("POST", "setup", user | names)
        return [f"created user {first_user.name}, organisation {address.org} and bucket {address.bucket}"]
    done: list[str] = []
    orgs = (await ask("GET", f"orgs?org={quote(address.org, safe='')}")).get("orgs")
    if not orgs:
        orgs = [await ask("POST", "orgs", {"name": address.org})]
        done.append(f"created organisation {address.org}")
    org = orgs[0]["id"]
    buckets = (await ask("GET", f"buckets?orgID={org}&name={quote(address.bucket, safe='')}")).get("buckets")
    if buckets:
        rules = buckets[0].get("retentionRules")
        check_retention(rules[0]["everySeconds"] if rules else 0, oldest, time.time_ns())
        return [*done, f"bucket {address.bucket} is there"]
    rules = [{"type": "expire", "everySeconds": retention}] if retention else []
    await ask("POST", "buckets", {"orgID": org, "name": address.bucket, "retentionRules": rules})
    return [*done, f"created bucket {address.bucket}"]
