"""What has happened: the last events and alarms of each mission, for pages that are opened later."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

Entry: TypeAlias = dict[str, Any]
"""``{"type": "event" or "alarm", "mission", "received", "data"}``, as pages are sent it. ``received``: when it came,
ns since 1970 UTC by this machine's clock, as a decimal string: missions live in different years, and this orders them.
"""

KEPT: Final = 500
"""Events, and alarms, of a mission: a value that flutters about its limit does not push out what else happened."""

_log = logging.getLogger(__name__)

_SEVERITIES: Final = {
    "event": ("info", "warning", "error"),
    "alarm": ("normal", "watch", "warning", "distress", "critical", "severe"),
}


class Journal:
    """The newest :data:`KEPT` events and as many alarms of each mission.

    With ``path`` they outlive a restart, as of the last :meth:`save`.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._entries: dict[tuple[str, str], deque[Entry]] = {}
        self._changed = False
        for entry in _read(path) if path else ():
            self._keep(entry)

    def enter(self, kind: str, mission: str, data: Any) -> Entry:
        """Keep the ``data`` of an event or alarm. Raises ValueError where it isn't one that a page could show."""
        entry = {"type": kind, "mission": mission, "received": str(time.time_ns()), "data": data}
        _check(entry)
        self._keep(entry)
        self._changed = True
        return entry

    def entries(self) -> list[Entry]:
        """All that is kept; of one sort and mission the oldest first."""
        return [entry for kept in self._entries.values() for entry in kept]

    async def save(self) -> None:
        """Replace the file by what is kept now, unless nothing was entered since. A disk that refuses is only logged:
        the entries can be had again from the recording.
        """
        if self._path is None or not self._changed:
            return
        self._changed = False
        try:
            await asyncio.to_thread(_write, self._path, self.entries())
        except OSError as error:
            _log.warning("events and alarms are not kept over a restart: %s", error)

    def _keep(self, entry: Entry) -> None:
        self._entries.setdefault((entry["mission"], entry["type"]), deque(maxlen=KEPT)).append(entry)


def _write(path: Path, entries: list[Entry]) -> None:
    beside = path.with_suffix(".new")
    path.parent.mkdir(parents=True, exist_ok=True)
    beside.write_text("".join(json.dumps(entry) + "\n" for entry in entries), "utf-8")
    os.replace(beside, path)  # noqa: PTH105 - the call that POSIX guarantees to be atomic


def _read(path: Path) -> list[Entry]:
    """The entries in the file; a line that isn't one is left out."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        _log.warning("earlier events and alarms cannot be read: %s", error)
        return []
    entries = []
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            _check(entry)
        except (ValueError, RecursionError) as error:
            _log.warning("%s, line %d is left out: %s", path, number, error)
        else:
            entries.append(entry)
    return entries


def _check(entry: Any) -> None:
    """Raise ValueError where a page would stumble over ``entry``."""
    match entry:
        case {"mission": str(), "type": "event" as kind, "data": {"source": str(), "text": str()} as data}:
            pass
        case {"mission": str(), "type": "alarm" as kind, "data": {"parameter": str()} as data}:
            pass
        case _:
            raise ValueError("an event has a source and a text, an alarm a parameter")
    if data.get("severity") not in _SEVERITIES[kind]:
        raise ValueError(f"severity = {data.get('severity')!r} should be one of {', '.join(_SEVERITIES[kind])}")
    for name, value in (("time", data.get("time")), ("received", entry.get("received"))):
        if not re.fullmatch(r"-?\d{1,19}", str(value), re.ASCII):
            raise ValueError(f"{name} = {value!r} should be ns since 1970 UTC as a decimal string")
