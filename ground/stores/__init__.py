"""The contract between the pipeline, the dashboard and a telemetry database.

A store keeps rows and the checkpoint that says which recorded messages they came from. It is handed decoded Arrow
record batches, never samples. One contract suite (``tests/stores``) runs on every implementation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Rows:
    """Decoded packets of one container on their way to a store.

    ``batch``: Arrow record batch with the columns ``time`` timestamp[ns, UTC] (SCET), ``ert`` timestamp[ns, UTC],
    ``seq`` uint16, ``digest`` int64 (over the packet's octets), then one column per parameter in engineering values.
    The identity of a row is (mission, container, time, seq, digest): it is stored once however often it is handed over,
    and two rows that differ in their digest alone are two rows.
    """

    mission: str
    container: str
    batch: pa.RecordBatch


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The position in the recording up to which (exclusive) all of a mission is stored, and its partition's state.

    ``recording``: the identity of the recording that ``position`` belongs to. ``state`` is opaque to the store: it
    comes back octet for octet.
    """

    position: int
    state: bytes
    recording: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a mission's journal: a change of an alarm, or an event.

    ``kind``: ``alarm`` or ``event``. (mission, kind, ``position``, ``place``) is its identity, the place in the
    recording that it comes from; handed over again, the newer content replaces the older (an event that repeats counts
    up).
    ``time``: SCET, ns since 1970 UTC. ``subject``: the parameter (``container/parameter``) or the event's source.
    ``values``: JSON-ready content, at most 16 KiB as JSON.
    """

    kind: str
    position: int
    place: int
    time: int
    subject: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Count:
    """What became of a container's rows over all time: each that was handed over is stored, repeated or refused.

    ``repeated``: handed over again. ``alike``: stored though a row of the same time and seq was (their octets differ).
    ``refused``: rows that the database has no room for, such as a time beyond its range. ``nonfinite``: NaN and
    infinities that it has no number for; they are stored as nulls. ``unfit``: values that are stored as nulls since
    their column has another type, by parameter.
    """

    stored: int
    repeated: int
    alike: int = 0
    refused: int = 0
    nonfinite: int = 0
    unfit: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class History:
    """What a plot or a table needs of a time window.

    ``table``: Arrow long table, one parameter after another, each ordered by time (then seq), with the columns

    ======== ==================== ============================================================================
    column   type                 content
    ======== ==================== ============================================================================
    parameter string              ``container/parameter``
    time     timestamp[ns, UTC]   start of the bucket; the sample's own SCET where ``raw``
    count    int64                samples in the bucket that are not null
    min      float64              smallest finite value (null for text)
    mean     float64              mean of the finite values (null for text)
    max      float64              largest finite value (null for text)
    last     float64              last value in the bucket; a boolean is 0 or 1, an enumeration its integer code
    text     string               the last value exactly, for what float64 cannot carry: text, 64-bit integers,
                                  base64 of binary; null otherwise
    changes  int64                places in the bucket where the value differs from the one before it in the
                                  window, for enumerations, booleans and text; null otherwise
    raw      bool                 the row is one sample, not a bucket
    ======== ==================== ============================================================================

    A bucket that holds no sample has no row. ``through``: the checkpoint position that the answer covers.
    ``width``: bucket width in ns. ``rollup``: the length in ns of the roll-ups that the answer is made from in part,
    else 0. Buckets begin at whole multiples of it then (the first one with the window), and there are more than were
    asked for, fewer than twice as many.
    """

    table: pa.Table
    through: int
    width: int
    rollup: int = 0


class Store(Protocol):
    """A telemetry database. All times are int64 ns since 1970 UTC; windows are half open, [start, stop)."""

    async def append(
        self, mission: str, rows: Sequence[Rows], entries: Sequence[Entry], checkpoint: Checkpoint
    ) -> None:
        """Store ``rows`` and ``entries``, all of ``mission``, and its ``checkpoint``; return when all are durable.
        Repeating a call does no harm.

        A parameter whose type was widened goes on in its column, widened. One whose type changed otherwise is stored as
        nulls and counted in :attr:`Count.unfit`; the rest of its rows is stored.

        Raises :class:`~ground.errors.StoreError` with nothing stored; the same call may be tried again. A
        :class:`~ground.errors.RefusedError` says that trying again cannot help.
        """
        ...

    async def checkpoint(self, mission: str) -> Checkpoint | None:
        """The newest durable checkpoint of a mission, or None where nothing of it is stored."""
        ...

    async def counts(self, mission: str) -> Mapping[str, Count]:
        """Rows by container; durable together with the mission's checkpoint."""
        ...

    async def entries(
        self,
        mission: str,
        kind: str,
        *,
        subject: str | None = None,
        before: tuple[int, int] | None = None,
        limit: int = 500,
    ) -> Sequence[Entry]:
        """The newest ``limit`` entries of a kind, newest first by (position, place), all before ``before``; of one
        ``subject`` or of all.
        """
        ...

    async def containers(self, mission: str) -> Mapping[str, pa.Schema]:
        """The containers of which rows are stored, and their columns."""
        ...

    async def history(self, mission: str, parameters: Sequence[str], start: int, stop: int, buckets: int) -> History:
        """Samples of ``parameters`` (``container/parameter``) in [start, stop), reduced to ``buckets`` equal buckets.

        A parameter with no more than ``buckets`` samples in the window comes back sample by sample (``raw``). A
        parameter or container that isn't stored has no rows, nor have the identity's columns. Raises ``ValueError``
        where stop <= start or buckets < 1.
        """
        ...

    async def last(self, mission: str, parameters: Sequence[str]) -> pa.Table:
        """The newest sample (by SCET) of each parameter: the columns parameter, time, ert, last, text of
        :class:`History`.
        """
        ...

    async def rows(self, mission: str, container: str, start: int, stop: int) -> pa.Table:
        """Every row of a container in the window exactly as it was stored, ordered by time, seq, digest.

        A container that isn't stored has no rows and the identity's columns only.
        """
        ...

    async def close(self) -> None:
        """Release files and connections."""
        ...
