"""What a container's rows are in InfluxDB: a measurement, field keys, and the Arrow types that their values came from.

InfluxDB knows five types (float64, int64, uint64, boolean, text), so each container's Arrow schema is kept as a record.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from ground.errors import StoreError
from ground.stores.influxdb.minutes import EVERY, Minutes
from ground.stores.influxdb.records import LAST, Key, Record, select
from ground.stores.influxdb.server import identifier, literal
from ground.stores.longtable import IDENTITY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ground.stores.influxdb.lineprotocol import Strings

_MEASUREMENT = "perilune.container"
_OWN_TAGS = {"mission", "twin", "time"}


@dataclass(frozen=True, slots=True)
class Container:
    """One container of one mission.

    ``schema``: columns with their metadata; it only ever grows at its end. ``keys``: column name to InfluxDB field key.
    ``newest``: the timestamp up to which a query looks. ``dirty``: the minutes whose roll-ups must not be used.
    """

    key: Key
    schema: pa.Schema
    keys: Mapping[str, str]
    newest: int = LAST
    dirty: Minutes = EVERY

    @property
    def source(self) -> str:
        """The measurement as a FROM clause of InfluxQL, with the condition that selects the mission."""
        mission, container = self.key
        return f"FROM {identifier(container)} WHERE mission = {literal(mission)} AND time <= {self.newest}"

    def grown(self, schema: pa.Schema, others: Iterable[Container]) -> Container:
        """The container with room for ``schema``'s columns; metadata is that of the newest schema.

        ``others``: containers of the same name in other missions. They share a measurement, in which a field key has
        one type: a parameter whose plain name is taken with another type has the type added (``voltage~float``). Raises
        StoreError naming the column whose type changed or isn't stored.
        """
        where = "/".join(self.key)
        for needed in IDENTITY:
            if needed.name not in schema.names or schema.field(needed.name).type != needed.type:
                raise StoreError(f"{where}: column {needed.name} should be there as {needed.type}")
        taken = {name: kind(other.schema.field(column).type) for other in others for column, name in other.keys.items()}
        fields = {known.name: known for known in self.schema}
        keys = dict(self.keys)
        for new in schema:
            if schema.names.count(new.name) > 1:
                raise StoreError(f"{where}: column {new.name} is there twice")
            if not kind(new.type):
                raise StoreError(f"{where}: column {new.name} has the type {new.type}, which is not stored")
            known = fields.get(new.name)
            if known is not None and known.type != new.type:
                raise StoreError(
                    f"{where}: column {new.name} is stored as {known.type} and arrived as {new.type}; "
                    "a parameter keeps its type: give the new one another name, or start a new store"
                )
            fields[new.name] = new
            if new.name != "time" and new.name not in keys:
                plain = new.name not in _OWN_TAGS and taken.get(new.name, kind(new.type)) == kind(new.type)
                keys[new.name] = new.name if plain else f"{new.name}~{kind(new.type)}"
        wider = pa.schema(list(fields.values())).with_metadata(schema.metadata)
        return replace(self, schema=wider, keys=keys)

    def line(self) -> Strings:
        """Its record."""
        mission, container = self.key
        tags = {"mission": mission, "container": container}
        return Record(tags, dict(self.keys), self.schema.serialize().to_pybytes()).line(_MEASUREMENT)

    @classmethod
    def parse(cls, record: Record) -> Container:
        """From the answer to :func:`containers`."""
        schema = pa.ipc.read_schema(pa.py_buffer(record.body))
        return cls((record.tags["mission"], record.tags["container"]), schema, record.header)


def unseen(key: Key) -> Container:
    """A container of which nothing is stored."""
    return Container(key, pa.schema([]), {})


def containers(mission: str = "", names: Iterable[str] = ()) -> str:
    """The statement for the containers of a mission that have these names; empty: of all missions, all names."""
    conditions = [f"mission = {literal(mission)}"] if mission else []
    either = " OR ".join(f"container = {literal(name)}" for name in names)
    conditions += [f"({either})"] if either else []
    return select(_MEASUREMENT, " AND ".join(conditions), "mission, container")


def kind(column: pa.DataType) -> str:
    """The InfluxDB type of an Arrow type; empty for one that isn't stored."""
    if pa.types.is_floating(column) and not pa.types.is_float16(column):
        return "float"
    if pa.types.is_uint64(column):
        return "unsigned"
    if pa.types.is_integer(column) or column == IDENTITY.field("time").type:
        return "integer"
    if pa.types.is_boolean(column):
        return "boolean"
    if pa.types.is_string(column) or column == pa.binary():
        return "text"
    return ""
