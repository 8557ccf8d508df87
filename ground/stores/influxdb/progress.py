"""A mission's checkpoint as records: the decoder state, the counts, and what an append was about to do."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ground.errors import StoreError
from ground.stores import Checkpoint, Count
from ground.stores.influxdb.minutes import NONE, Minutes, union
from ground.stores.influxdb.records import Record, select
from ground.stores.influxdb.server import literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ground.stores.influxdb.lineprotocol import Strings

_ANNOUNCEMENT = "perilune.append"
_PROGRESS = "perilune.progress"
_STATE = "perilune.state"

DIRTY = 64
"""Intervals of minutes that are kept of a container, at most."""

PROGRESSES = select(_PROGRESS, group="mission")
"""The statement for the progress of every mission."""


def progress_of(mission: str) -> str:
    """The statement for a mission's progress, and for that of a bucket of the older format, which names no mission."""
    return select(_PROGRESS, f"(mission = {literal(mission)} OR mission = '')", "mission")


def announcement_of(mission: str) -> str:
    """The statement for what a mission's last append was about to do."""
    return select(_ANNOUNCEMENT, f"mission = {literal(mission)}")


def state_of(mission: str) -> str:
    """The statement for a mission's checkpoint."""
    return select(_STATE, f"mission = {literal(mission)}")


def state_line(mission: str, checkpoint: Checkpoint) -> Strings:
    """The record of a checkpoint: with the state, which may be large, and so apart from what every query reads."""
    header = {"position": checkpoint.position, "recording": checkpoint.recording}
    return Record({"mission": mission}, header, checkpoint.state).line(_STATE)


def checkpoint_from(records: Sequence[Record]) -> Checkpoint | None:
    """From the answer to :func:`state_of`; None where there is none."""
    return (
        Checkpoint(records[0].header["position"], records[0].body, records[0].header["recording"]) if records else None
    )


@dataclass(frozen=True, slots=True)
class Tally:
    """What is known of a container's rows.

    ``found``: rows of an append that was not completed which lie in the bucket, are not in ``stored`` yet, and will be
    handed over again. ``newest``: the greatest timestamp in the bucket (time + seq), None where that isn't known.
    ``dirty``: minutes whose rows have changed since their roll-ups were made. The others as in
    :class:`~ground.stores.Count`.
    """

    stored: int = 0
    repeated: int = 0
    found: int = 0
    newest: int | None = None
    refused: int = 0
    nonfinite: int = 0
    alike: int = 0
    unfit: Mapping[str, int] = field(default_factory=dict)
    dirty: Minutes = NONE

    @classmethod
    def parse(cls, numbers: Sequence[Any]) -> Tally:
        """From its record."""
        *counts, dirty = numbers
        return replace(cls(*counts), dirty=tuple((first, end) for first, end in dirty))

    @property
    def count(self) -> Count:
        """As the contract has it."""
        return Count(self.stored, self.repeated, self.alike, self.refused, self.nonfinite, self.unfit)

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
    """The position in the recording up to which all of a mission is stored, and the counts that are durable together
    with it, by container.

    ``appends``: how many have been completed.
    """

    mission: str
    position: int = 0
    appends: int = 0
    tallies: Mapping[str, Tally] = field(default_factory=dict)

    @property
    def found(self) -> Mapping[str, int]:
        """``Tally.found`` of each container that has some."""
        return {container: tally.found for container, tally in self.tallies.items() if tally.found}

    def with_found(self, found: Mapping[str, int], dirty: Mapping[str, Minutes]) -> Progress:
        """The same with other ``found``, and so with a ``newest`` that isn't known, and with more that is dirty."""
        tallies = {}
        for container in {**self.tallies, **found}:
            tally = self.tallies.get(container, Tally())
            unclean = union([*tally.dirty, *dirty.get(container, NONE)], DIRTY)
            tallies[container] = replace(tally, found=found.get(container, 0), newest=None, dirty=unclean)
        return replace(self, tallies=tallies)

    def with_dirty(self, dirty: Mapping[str, Minutes]) -> Progress:
        """The same with other minutes that are dirty in these containers."""
        changed = {container: replace(self.tallies[container], dirty=minutes) for container, minutes in dirty.items()}
        return replace(self, tallies={**self.tallies, **changed})

    def line(self) -> Strings:
        """The record."""
        counts = [[container, *astuple(tally)] for container, tally in self.tallies.items()]
        header = {"position": self.position, "appends": self.appends, "counts": counts}
        return Record({"mission": self.mission}, header, b"").line(_PROGRESS)

    @classmethod
    def parse(cls, record: Record, where: object) -> Progress:
        """From its record; ``where`` is for the error. Raises StoreError for one of the older format."""
        mission = record.tags["mission"]
        if not mission:
            raise StoreError(
                f"{where} was written by an older version, in a format that is no longer read: delete the bucket, make "
                "it again with `ground influx setup`, and run `ground rebuild`, which stores all of the recording anew"
            )
        tallies = {container: Tally.parse(numbers) for container, *numbers in record.header["counts"]}
        return cls(mission, record.header["position"], record.header["appends"], tallies)

    @classmethod
    def of(cls, mission: str, records: Sequence[Record], where: object) -> Progress:
        """From the answer to :func:`progress_of` (see :meth:`parse`); that of an empty bucket where there is none."""
        return [cls(mission), *(cls.parse(record, where) for record in records)][-1]


@dataclass(frozen=True, slots=True)
class Span:
    """Timestamps [first, last] in which ``before`` points of a container lay."""

    first: int
    last: int
    before: int


@dataclass(frozen=True, slots=True)
class Announcement:
    """What the append of number ``append`` of a mission was about to do; the rest is by container."""

    mission: str
    append: int = 0
    spans: Sequence[tuple[str, Span]] = ()
    found: Mapping[str, int] = field(default_factory=dict)

    def line(self) -> Strings:
        """The record."""
        spans = [[container, *astuple(span)] for container, span in self.spans]
        header = {"append": self.append, "spans": spans, "found": dict(self.found)}
        return Record({"mission": self.mission}, header, b"").line(_ANNOUNCEMENT)

    @classmethod
    def of(cls, mission: str, records: Sequence[Record]) -> Announcement:
        """From the answer to :func:`announcement_of`; one of nothing where there is none."""
        for record in records:
            spans = [(container, Span(*span)) for container, *span in record.header["spans"]]
            return cls(mission, record.header["append"], spans, record.header["found"])
        return cls(mission)
