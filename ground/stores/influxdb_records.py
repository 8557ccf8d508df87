"""What the store keeps in the bucket besides telemetry: the Arrow schema of each container, and the checkpoint.

InfluxDB knows five types (float64, int64, uint64, boolean, text), so the schema says which Arrow type a field has.
A record is one point: a JSON header, a newline and some octets, in base64, cut into fields that fit InfluxDB Cloud's
64 KB for a text. Its measurement has a dot in its name, which no XTCE name has. It is written over by the next one of
the same UTC day: the bucket doesn't grow, and a finite retention never catches up with it.
"""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

from ground.errors import StoreError
from ground.stores import Checkpoint
from ground.stores.influxdb_server import identifier, literal
from ground.stores.lineprotocol import encode, prefix
from ground.stores.longtable import IDENTITY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ground.stores.influxdb_server import Series
    from ground.stores.lineprotocol import Strings

Key: TypeAlias = tuple[str, str]
"""(mission, container)"""

FIRST, LAST = -(2**63) + 2, 2**63 - 2
"""The times that InfluxDB can hold, in ns since 1970 UTC (influxdb v2.8, models/time.go)."""

ANNOUNCEMENT = "perilune.append"
CHECKPOINT = "perilune.checkpoint"
CONTAINER = "perilune.container"

_PIECE = 60_000
_DAY = 86_400 * 10**9
_OWN_TAGS = {"mission", "twin", "time"}


def record(measurement: str, tags: Mapping[str, str], header: Any, body: bytes) -> Strings:
    """The line (1,) of a record."""
    text = base64.b64encode(json.dumps(header, separators=(",", ":")).encode() + b"\n" + body).decode()
    pieces = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
    fields: list[tuple[str, pa.Array[Any]]] = [("pieces", pa.array([len(pieces)]))]
    fields += [(f"piece_{number}", pa.array([piece])) for number, piece in enumerate(pieces)]
    today = time.time_ns() // _DAY * _DAY
    return encode(prefix(measurement, tags), fields, np.array([today])).text


def select(measurement: str, condition: str = "", group: str = "") -> str:
    """The statement that finds the newest record, one for each combination of the tags in ``group``."""
    where = f"time >= 0 AND time <= {LAST}{condition and ' AND '}{condition}"
    newest = f"{group and ' GROUP BY '}{group} ORDER BY time DESC LIMIT 1"
    return f"SELECT * FROM {identifier(measurement)} WHERE {where}{newest}"  # noqa: S608 (all of it is quoted)


def parse(series: Series) -> tuple[Any, bytes]:
    """Header and body of a record."""
    pieces = (series.column(f"piece_{number}")[0] for number in range(series.column("pieces")[0]))
    header, _, body = base64.b64decode("".join(pieces)).partition(b"\n")
    return json.loads(header), body


@dataclass(frozen=True, slots=True)
class Container:
    """One container of one mission.

    ``schema``: columns with their metadata; it only ever grows at its end. ``keys``: column name to InfluxDB field key.
    ``newest``: the timestamp up to which a query looks.
    """

    key: Key
    schema: pa.Schema
    keys: Mapping[str, str]
    newest: int = LAST

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
        """The record of this container."""
        mission, container = self.key
        tags = {"mission": mission, "container": container}
        return record(CONTAINER, tags, dict(self.keys), self.schema.serialize().to_pybytes())

    @classmethod
    def parse(cls, series: Series) -> Container:
        """A container from the answer to :func:`containers`."""
        keys, body = parse(series)
        return cls((series.tags["mission"], series.tags["container"]), pa.ipc.read_schema(pa.py_buffer(body)), keys)


def unseen(key: Key) -> Container:
    """A container of which nothing is stored."""
    return Container(key, pa.schema([]), {})


def containers(mission: str = "", names: Iterable[str] = ()) -> str:
    """The statement for the containers of a mission that have these names; empty: of all missions, all names."""
    conditions = [f"mission = {literal(mission)}"] if mission else []
    either = " OR ".join(f"container = {literal(name)}" for name in names)
    conditions += [f"({either})"] if either else []
    return select(CONTAINER, " AND ".join(conditions), "mission, container")


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


@dataclass(frozen=True, slots=True)
class Tally:
    """What is known of a container's rows.

    ``found``: rows of an append that was not completed which lie in the bucket, are not in ``stored`` yet, and will be
    handed over again. ``newest``: the greatest timestamp in the bucket (time + seq), None where that isn't known.
    """

    stored: int = 0
    repeated: int = 0
    found: int = 0
    newest: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """The checkpoint record: position and decoder state, and the counts that are durable together with them.

    ``appends``: how many have been completed.
    """

    checkpoint: Checkpoint
    appends: int
    tallies: Mapping[Key, Tally]

    @classmethod
    def before_the_first(cls) -> Progress:
        """Of an empty bucket."""
        return cls(Checkpoint(0, b""), 0, {})

    @property
    def found(self) -> Mapping[Key, int]:
        """``Tally.found`` of each container that has some."""
        return {key: tally.found for key, tally in self.tallies.items() if tally.found}

    def with_found(self, found: Mapping[Key, int]) -> Progress:
        """The same with other ``found``, and so with a ``newest`` that isn't known."""
        tallies = {
            key: replace(self.tallies.get(key, Tally()), found=found.get(key, 0), newest=None)
            for key in {**self.tallies, **found}
        }
        return replace(self, tallies=tallies)

    def line(self) -> Strings:
        """The record."""
        counts = [
            [*key, tally.stored, tally.repeated, tally.found, tally.newest] for key, tally in self.tallies.items()
        ]
        header = {"position": self.checkpoint.position, "appends": self.appends, "counts": counts}
        return record(CHECKPOINT, {}, header, self.checkpoint.state)

    @classmethod
    def parse(cls, answer: list[Series]) -> Progress | None:
        """From the answer to ``select(CHECKPOINT)``; None where there is no checkpoint."""
        if not answer:
            return None
        header, state = parse(answer[0])
        tallies = {(mission, container): Tally(*counts) for mission, container, *counts in header["counts"]}
        return cls(Checkpoint(header["position"], state), header["appends"], tallies)


@dataclass(frozen=True, slots=True)
class Span:
    """Timestamps [first, last] in which ``before`` points of a container lay."""

    first: int
    last: int
    before: int


@dataclass(frozen=True, slots=True)
class Announcement:
    """What the append of number ``append`` was about to do."""

    append: int
    spans: Sequence[tuple[Key, Span]]
    found: Mapping[Key, int]

    def line(self) -> Strings:
        """The record."""
        spans = [[*key, span.first, span.last, span.before] for key, span in self.spans]
        found = [[*key, count] for key, count in self.found.items()]
        return record(ANNOUNCEMENT, {}, {"append": self.append, "spans": spans, "found": found}, b"")

    @classmethod
    def parse(cls, answer: list[Series]) -> Announcement | None:
        """From the answer to ``select(ANNOUNCEMENT)``; None where there is none."""
        if not answer:
            return None
        header, _ = parse(answer[0])
        spans = [((mission, container), Span(*span)) for mission, container, *span in header["spans"]]
        return cls(header["append"], spans, {(mission, container): n for mission, container, n in header["found"]})
