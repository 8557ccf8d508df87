"""The checkpoint as records: the decoder state, the counts, and what an append was about to do."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from ground.stores import Checkpoint
from ground.stores.influxdb.minutes import EVERY, NONE, Minutes, union
from ground.stores.influxdb.records import Key, Record, select

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ground.stores.influxdb.lineprotocol import Strings

_ANNOUNCEMENT = "perilune.append"
_PROGRESS = "perilune.progress"
_STATE = "perilune.state"

DIRTY = 64
"""Intervals of minutes that are kept of a container, at most."""

ANNOUNCEMENT, PROGRESS, STATE = select(_ANNOUNCEMENT), select(_PROGRESS), select(_STATE)
"""The statements for these records."""


def state_line(checkpoint: Checkpoint) -> Strings:
    """The record of a checkpoint: with the state, which may be large, and so apart from what every query reads."""
    return Record({}, {"position": checkpoint.position}, checkpoint.state).line(_STATE)


def checkpoint_of(records: Sequence[Record]) -> Checkpoint | None:
    """From the answer to :data:`STATE`; None where there is none."""
    return Checkpoint(records[0].header["position"], records[0].body) if records else None


@dataclass(frozen=True, slots=True)
class Tally:
    """What is known of a container's rows.

    ``found``: rows of an append that was not completed which lie in the bucket, are not in ``stored`` yet, and will be
    handed over again. ``newest``: the greatest timestamp in the bucket (time + seq), None where that isn't known.
    ``refused``, ``nonfinite`` as in :class:`~ground.stores.Count`. ``dirty``: minutes whose rows have changed since
    their roll-ups were made.
    """

    stored: int = 0
    repeated: int = 0
    found: int = 0
    newest: int | None = None
    refused: int = 0
    nonfinite: int = 0
    dirty: Minutes = NONE

    @classmethod
    def parse(cls, numbers: Sequence[Any]) -> Tally:
        """From its record. One that was written before there were roll-ups says nothing of them."""
        *counts, dirty = numbers if len(numbers) == len(fields(cls)) else [*numbers, EVERY]
        return replace(cls(*counts), dirty=tuple((first, end) for first, end in dirty))

    def inserted(self, refused: int, nonfinite: int) -> Tally:
        """The same when so many rows of those counted as stored were refused, so many values were not finite."""
        return replace(
            self,
            stored=self.stored - refused,
            refused=self.refused + refused,
            nonfinite=self.nonfinite + nonfinite,
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """The position in the recording up to which all is stored, and the counts that are durable together with it.

    ``appends``: how many have been completed.
    """

    position: int = 0
    appends: int = 0
    tallies: Mapping[Key, Tally] = field(default_factory=dict)

    @property
    def found(self) -> Mapping[Key, int]:
        """``Tally.found`` of each container that has some."""
        return {key: tally.found for key, tally in self.tallies.items() if tally.found}

    def with_found(self, found: Mapping[Key, int], dirty: Mapping[Key, Minutes]) -> Progress:
        """The same with other ``found``, and so with a ``newest`` that isn't known, and with more that is dirty."""
        tallies = {}
        for key in {**self.tallies, **found}:
            tally = self.tallies.get(key, Tally())
            unclean = union([*tally.dirty, *dirty.get(key, NONE)], DIRTY)
            tallies[key] = replace(tally, found=found.get(key, 0), newest=None, dirty=unclean)
        return replace(self, tallies=tallies)

    def with_dirty(self, dirty: Mapping[Key, Minutes]) -> Progress:
        """The same with other minutes that are dirty in these containers."""
        changed = {key: replace(self.tallies[key], dirty=minutes) for key, minutes in dirty.items()}
        return replace(self, tallies={**self.tallies, **changed})

    def line(self) -> Strings:
        """The record."""
        counts = [[*key, *astuple(tally)] for key, tally in self.tallies.items()]
        header = {"position": self.position, "appends": self.appends, "counts": counts}
        return Record({}, header, b"").line(_PROGRESS)

    @classmethod
    def parse(cls, records: Sequence[Record]) -> Progress:
        """From the answer to :data:`PROGRESS`; that of an empty bucket where there is none."""
        for record in records:
            counts = record.header["counts"]
            tallies = {(mission, container): Tally.parse(numbers) for mission, container, *numbers in counts}
            return cls(record.header["position"], record.header["appends"], tallies)
        return cls()


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
        return Record({}, {"append": self.append, "spans": spans, "found": found}, b"").line(_ANNOUNCEMENT)

    @classmethod
    def parse(cls, records: Sequence[Record]) -> Announcement:
        """From the answer to :data:`ANNOUNCEMENT`; one of nothing where there is none."""
        for record in records:
            header = record.header
            spans = [((mission, container), Span(*span)) for mission, container, *span in header["spans"]]
            return cls(header["append"], spans, {(mission, container): n for mission, container, n in header["found"]})
        return cls(0, [], {})
