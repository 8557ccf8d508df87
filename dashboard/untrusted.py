"""What anybody on the broker may have sent: read with limits, and checked as far as pages and requests rely on it.

All functions raise ValueError, whose text says what is wrong, and nothing else.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

import pyarrow as pa

from ground.processing.levels import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_REPORT: Final = 16_384
"""Octets of a clock, a station's report, an event or an alarm: hundreds are kept."""

LONGEST_LEDGER: Final = 4_000_000
LONGEST_SCHEMA: Final = 1_000_000

_DEEPEST: Final = 16


class DamagedError(ValueError):
    """What came isn't what the topic is for; the text says how."""


def read_json(payload: bytes, longest: int = LONGEST_REPORT) -> Any:
    """JSON of ``longest`` octets at most that browsers read too: no NaN, no infinity, nothing nested without end."""
    if len(payload) > longest:
        raise DamagedError(f"{len(payload)} octets are more than {longest}")
    try:
        values = json.loads(payload, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise DamagedError("nested too deeply") from None
    _measure(values, _DEEPEST)
    return values


def read_object(payload: bytes, longest: int = LONGEST_REPORT) -> dict[str, Any]:
    """As :func:`read_json`, of an object."""
    values = read_json(payload, longest)
    if not isinstance(values, dict):
        raise DamagedError(f"{str(values)[:40]!r} should be a JSON object")
    return values


def read_clock(payload: bytes) -> dict[str, Any]:
    """A mission's clock: times as decimal strings, and a rate."""
    clock = read_object(payload)
    for name in ("time", "wall"):
        _check_time(name, clock.get(name))
    rate = clock.get("rate")
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        raise DamagedError(f"rate = {rate!r} should be a number")
    return clock


def read_station(payload: bytes) -> dict[str, Any]:
    """What a station says of its link."""
    station = read_object(payload)
    _check_time("time", station.get("time"))
    if not isinstance(station.get("in_view"), bool):
        raise DamagedError(f"in_view = {station.get('in_view')!r} should be true or false")
    if (then := station.get("next")) is not None:
        if not isinstance(then, dict):
            raise DamagedError(f"next = {then!r} should be an object or null")
        _check_time("time of next", then.get("time"))
    return station


def read_ledger(payload: bytes) -> dict[str, Any]:
    """The ledger as ingest publishes it: missions by name, each with its counts, and whether all balances."""
    ledger = read_object(payload, LONGEST_LEDGER)
    missions = ledger.get("missions")
    if not isinstance(missions, dict) or not all(isinstance(counts, dict) for counts in missions.values()):
        raise DamagedError("a ledger has the counts of each mission")
    if not isinstance(ledger.get("balanced"), bool):
        raise DamagedError("a ledger says whether it is balanced")
    for name in ("position", "store", "link"):
        if not isinstance(ledger.get(name, {}), dict):
            raise DamagedError(f"{name} should be an object")
    for mission, counts in missions.items():
        for name in ("frames", "packets", "rows", "vcs"):
            if not isinstance(counts.get(name, {}), dict):
                raise DamagedError(f"{name} of {mission} should be an object")
        if not all(isinstance(channel, dict) for channel in counts.get("vcs", {}).values()):
            raise DamagedError(f"each virtual channel of {mission} should be an object")
    return ledger


def check_schema(payload: bytes) -> None:
    """An Arrow schema message whose names and metadata can be read: lists of parameters are made of them."""
    if len(payload) > LONGEST_SCHEMA:
        raise DamagedError(f"{len(payload)} octets are more than {LONGEST_SCHEMA}")
    try:
        schema = pa.ipc.read_schema(pa.py_buffer(payload))
        names = schema.names
        for field in schema:
            _check_field(field.metadata or {})
    except (pa.ArrowException, OSError, TypeError, NotImplementedError) as error:
        raise DamagedError(f"not an Arrow schema: {error}") from error
    if len(set(names)) != len(names):
        raise DamagedError("two columns of one name")


def _check_field(metadata: Mapping[bytes, bytes]) -> None:
    for key in (b"kind", b"unit"):
        metadata.get(key, b"").decode()
    if labels := metadata.get(b"labels"):
        read_object(labels, LONGEST_SCHEMA)


def _check_time(name: str, value: Any) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"-?\d{1,19}", value, re.ASCII):
        raise DamagedError(f"{name} = {str(value)[:40]!r} should be ns since 1970 UTC as a decimal string")


def _measure(values: Any, left: int) -> None:
    """What is kept is written again later, deeper inside of something else: it must not come near any limit then."""
    inside = values.values() if isinstance(values, dict) else values if isinstance(values, list) else ()
    if inside and not left:
        raise DamagedError("nested too deeply")
    for value in inside:
        _measure(value, left - 1)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise DamagedError(f"{text[:40]} is beyond what a float64 holds")
    return value


def _refuse(constant: str) -> NoReturn:
    raise DamagedError(f"{constant} is not JSON")


def read_state(payload: bytes) -> dict[str, Any]:
    """Whether a mission is processed, and why not."""
    values = read_object(payload)
    if not isinstance(values.get("running"), bool) or not isinstance(values.get("reason"), str | None):
        raise DamagedError("a state says whether it is running, and a reason or null")
    return {"running": values["running"], "reason": values["reason"]}


def read_alarm(payload: bytes, parameter: str) -> dict[str, Any]:
    """How the alarm of ``parameter`` stands."""
    values = read_object(payload)
    if values.get("parameter") != parameter or values.get("severity") not in SEVERITIES:
        raise DamagedError("an alarm has the parameter of its topic, and a severity")
    if values.get("state") not in {"unacknowledged", "acknowledged", "returned", "shelved"}:
        raise DamagedError(f"state = {values.get('state')!r}")
    numbers = [values.get(name) for name in ("since", "raised", "position")]
    if not all(isinstance(number, str) and re.fullmatch(r"-?[0-9]{1,20}", number) for number in numbers):
        raise DamagedError("since, raised and position should be decimal strings")
    return values
