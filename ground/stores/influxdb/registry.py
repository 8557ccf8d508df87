"""The containers of all missions in a bucket.

Missions share measurements, and in a measurement a field key has one type: whoever makes room for new columns must know
what the other missions have, and nobody else may do so meanwhile.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ground.stores.influxdb.container import Container, containers, unseen
from ground.stores.influxdb.records import Key, fetch, store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from ground.stores.influxdb.server import Server


class Registry:
    """What the bucket's one writing process knows of its containers."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._changing = asyncio.Lock()
        self._known: dict[Key, Container] = {}

    async def load(self) -> None:
        """See what the bucket has on record. Raises StoreError."""
        async with self._changing:
            (known,) = await fetch(self._server, containers())
            self._known = {container.key: container for container in map(Container.parse, known)}

    def of(self, mission: str) -> dict[str, Container]:
        """The containers of a mission by name."""
        return {key[1]: container for key, container in self._known.items() if key[0] == mission}

    async def make_room(self, mission: str, arriving: Mapping[str, Sequence[pa.Schema]]) -> dict[str, Container]:
        """Put all these columns on record, before the first row that has them. Raises StoreError."""
        async with self._changing:
            for name, schemas in arriving.items():
                key = (mission, name)
                known = wide = self._known.get(key, unseen(key))
                others = [other for other in self._known.values() if other.key[1] == name and other.key != key]
                for schema in schemas:
                    if not schema.equals(wide.schema, check_metadata=True):
                        wide = wide.grown(schema, others)
                if not wide.schema.equals(known.schema, check_metadata=True):
                    await store(self._server, wide.line())
                    self._known[key] = wide
            return {name: self._known[mission, name] for name in arriving}
