"""Points into the bucket, with a few requests in flight."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import numpy as np

from ground.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from ground.stores.influxdb.container import Container
    from ground.stores.influxdb.points import Points
    from ground.stores.influxdb.server import Server

_log = logging.getLogger(__name__)

_IN_FLIGHT = 2
"""Requests under way at a time: the server parses one while the next is encoded."""


async def insert(server: Server, container: Container, points: Points, twin: NDArray[np.int64]) -> tuple[int, int]:
    """Send the points; returns how many the server refused, and how many values were not finite.

    ``twin``: their ordinals (n,). Raises StoreError where a request fails. Points may be stored then.
    """
    work: Iterable[tuple[Points, int]] = iter(
        [(piece, int(ordinal)) for ordinal in np.unique(twin) for piece in points.take(twin == ordinal).slices()]
    )
    refused = nonfinite = 0

    async def send() -> None:
        nonlocal refused, nonfinite
        for piece, ordinal in work:
            lines = await asyncio.to_thread(piece.lines, container, ordinal)
            for group in await server.write(lines.text):
                refused += group.lines
                _log.error(
                    "%s: %d rows of %s refused: %s: %s",
                    server.address,
                    group.lines,
                    "/".join(container.key),
                    group.reason,
                    group.line,
                )
            nonfinite += lines.nonfinite

    try:
        async with asyncio.TaskGroup() as tasks:
            for number in range(_IN_FLIGHT):
                tasks.create_task(send(), name=f"influxdb-write-{number}")
    except* StoreError as errors:
        raise _first(errors) from errors
    return refused, nonfinite


def _first(errors: BaseExceptionGroup[StoreError]) -> StoreError:
    """One of the errors of requests that failed together: they say the same."""
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
