"""The names of MQTT topics, made and taken apart in one place."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from ground.errors import LinkError

_LEVEL: Final = re.compile(r"[^/+#\0]+")


class Telemetry(NamedTuple):
    """Where transfer frames come from: ``tm/<mission>/<station>/<vcid>``."""

    mission: str
    station: str
    vcid: int


def telemetry(mission: str, station: str, vcid: int) -> str:
    """The topic of transfer frames. Raises :class:`~ground.errors.LinkError` for a name that no topic can carry."""
    for name in (mission, station):
        if not _LEVEL.fullmatch(name):
            raise LinkError(f"{name!r} cannot be part of a topic: it must not be empty or have any of / + #")
    return f"tm/{mission}/{station}/{vcid}"


def operator(mission: str) -> str:
    """The topic of what operators do with a mission: recorded first, like telemetry."""
    return f"operator/{mission}"


def parse_operator(topic: str) -> str | None:
    """The mission of ``operator/<mission>``; None where ``topic`` isn't one of these."""
    levels = topic.split("/")
    return levels[1] if len(levels) == 2 and levels[0] == "operator" and levels[1] else None


def parse_telemetry(topic: str) -> Telemetry | None:
    """Take ``tm/<mission>/<station>/<vcid>`` apart; None where ``topic`` isn't one of these."""
    levels = topic.split("/")
    if len(levels) != 4 or levels[0] != "tm" or not re.fullmatch(r"[0-9]{1,2}", levels[3]) or not all(levels):
        return None
    return Telemetry(levels[1], levels[2], int(levels[3]))
