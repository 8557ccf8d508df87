"""What a container's rows are in InfluxDB: a measurement, field keys, and the Arrow types that their values came from.

InfluxDB knows five types (float64, int64, uint64, boolean, text), so each container's Arrow schema is kept as a record.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ground.stores.influxdb.minutes import EVERY, Minutes
from ground.stores.influxdb.records import LAST, Key, Record, select
from ground.stores.influxdb.server import identifier, literal
from ground.stores.longtable import TIME
from ground.stores.schemas import fitted, merged

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from ground.stores.influxdb.lineprotocol import Strings

_MEASUREMENT = "perilune.container"
_OWN_TAGS = {"mission", "twin", "time"}


@dataclass(frozen=True, slots=True)
class Container:
    """One container of one mission.

    ``schema``: columns with their metadata; it only ever grows at its end. ``keys``: column name to InfluxDB field key;
    ``kinds``: field key to its InfluxDB type. ``former``: the keys that a column had before its type was widened to one
    of another InfluxDB type; older points have their values in them. ``newest``: the timestamp up to which a query
    looks. ``dirty``: the minutes whose roll-ups must not be used.
    """

    key: Key
    schema: pa.Schema
    keys: Mapping[str, str]
    kinds: Mapping[str, str] = field(default_factory=dict)
    former: Mapping[str, Sequence[str]] = field(default_factory=dict)
    newest: int = LAST
    dirty: Minutes = EVERY

    @property
    def source(self) -> str:
        """The measurement as a FROM clause of InfluxQL, with the condition that selects the mission."""
        mission, container = self.key
        return f"FROM {identifier(container)} WHERE mission = {literal(mission)} AND time <= {self.newest}"

    def all_keys(self, column: str) -> list[str]:
        """The field keys that hold values of a column, the newest first."""
        return [self.keys[column], *self.former.get(column, ())]

    def grown(self, schema: pa.Schema, others: Iterable[Container]) -> Container:
        """The container with room for ``schema``'s columns (see :mod:`ground.stores.schemas`).

        ``others``: containers of the same name in other missions. They share a measurement, in which a field key has
        one type: a parameter whose plain name is taken with another type has the type added (``voltage~float``).
        """
        wide = merged(self.schema, schema)
        taken = {name: own for other in others for name, own in other.kinds.items()}
        keys, kinds = dict(self.keys), dict(self.kinds)
        former = {column: list(names) for column, names in self.former.items()}
        for column in wide:
            name, kept, own = column.name, keys.get(column.name), kind(column.type)
            if name == "time" or (kept is not None and kinds[kept] == own):
                continue
            if kept is not None:
                former[name] = [kept, *former.get(name, ())]
            plain = kept is None and name not in _OWN_TAGS and taken.get(name, own) == own
            keys[name] = name if plain else f"{name}~{own}"
            kinds[keys[name]] = own
        return replace(self, schema=wide, keys=keys, kinds=kinds, former=former)

    def conform(self, batches: Sequence[pa.RecordBatch]) -> tuple[pa.Table, dict[str, NDArray[np.bool_]]]:
        """The batches as one table, its columns of this container's types; of columns that none of them has, none.

        Also, by parameter, the rows (n,) whose value is unfit for its column and is null now.
        """
        n = sum(batch.num_rows for batch in batches)
        pieces = []
        unfit: dict[str, NDArray[np.bool_]] = {}
        start = 0
        for batch in batches:
            columns = []
            for name, values in zip(batch.schema.names, batch.columns, strict=True):
                wanted = self.schema.field(name).type
                fit = fitted(values, wanted)
                if fit is None:
                    lost = values.is_valid().to_numpy(zero_copy_only=False)
                    unfit.setdefault(name, np.zeros(n, np.bool_))[start : start + len(lost)] = lost
                    fit = pa.nulls(len(values), wanted)
                columns.append(fit)
            start += batch.num_rows
            pieces.append(pa.table(columns, names=batch.schema.names))
        return pa.concat_tables(pieces, promote_options="default"), unfit

    def line(self) -> Strings:
        """Its record."""
        mission, container = self.key
        tags = {"mission": mission, "container": container}
        header = {"keys": dict(self.keys), "kinds": dict(self.kinds), "former": dict(self.former)}
        return Record(tags, header, self.schema.serialize().to_pybytes()).line(_MEASUREMENT)

    @classmethod
    def parse(cls, record: Record) -> Container:
        """From the answer to :func:`containers`."""
        schema = pa.ipc.read_schema(pa.py_buffer(record.body))
        return cls((record.tags["mission"], record.tags["container"]), schema, **record.header)


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
    if pa.types.is_integer(column) or column == TIME:
        return "integer"
    if pa.types.is_boolean(column):
        return "boolean"
    if pa.types.is_string(column) or column == pa.binary():
        return "text"
    return ""
