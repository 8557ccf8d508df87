"""The one writer of a bucket: appends of each mission by its :class:`~ground.stores.influxdb.writer.Writer`, and what
is done between them: roll-ups (see :mod:`ground.stores.influxdb.rollups`).
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from ground.errors import StoreError
from ground.stores.influxdb.progress import PROGRESSES, Progress
from ground.stores.influxdb.records import fetch
from ground.stores.influxdb.registry import Registry
from ground.stores.influxdb.rollups import QUIET
from ground.stores.influxdb.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ground.stores import Checkpoint, Entry, Rows
    from ground.stores.influxdb.server import Server

_log = logging.getLogger(__name__)

_LOOK_SECONDS, _PAUSE_SECONDS = 5.0, 60.0
"""How often roll-ups are made, and when again after that failed."""


class Appender:
    """``roll_up``: whether it makes roll-ups by itself once it has appended."""

    def __init__(self, server: Server, *, roll_up: bool) -> None:
        self._server = server
        self._roll_up = roll_up
        self._keeper: asyncio.Task[None] | None = None
        self._registry = Registry(server)
        self._writers: dict[str, Writer] = {}

    async def append(
        self, mission: str, rows: Sequence[Rows], entries: Sequence[Entry], checkpoint: Checkpoint
    ) -> None:
        """See :meth:`ground.stores.Store.append`."""
        await self._writer(mission).append(rows, entries, checkpoint)
        if self._roll_up and (self._keeper is None or self._keeper.done()):
            self._keeper = asyncio.create_task(self._keep_rolling(), name="influxdb-roll-ups")

    async def roll_up(self, quiet: float) -> None:
        """Make the roll-ups of all minutes that are past and that no append has touched for ``quiet`` seconds."""
        for mission in await self._missions():
            await self._writer(mission).roll_up(quiet)

    async def spoil(self) -> None:
        """Make all roll-ups anew."""
        for mission in await self._missions():
            await self._writer(mission).spoil()

    async def close(self) -> None:
        """Make no more roll-ups: those that are due are made by the next appender of this bucket."""
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper

    def _writer(self, mission: str) -> Writer:
        if mission not in self._writers:
            self._writers[mission] = Writer(self._server, self._registry, mission, roll_up=self._roll_up)
        return self._writers[mission]

    async def _missions(self) -> list[str]:
        """Those of which anything is stored."""
        (records,) = await fetch(self._server, PROGRESSES)
        return [Progress.parse(record, self._server.address).mission for record in records]

    async def _keep_rolling(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for writer in [*self._writers.values()]:
                try:
                    if writer.ready:
                        await writer.roll_up(QUIET)
                except StoreError as error:
                    _log.info("roll-ups are made later: %s", error)
                    await asyncio.sleep(_PAUSE_SECONDS)
                except Exception:  # storing must not end for them: the minutes stay dirty, and are read as samples
                    _log.exception("roll-ups failed")
                    await asyncio.sleep(_PAUSE_SECONDS)
