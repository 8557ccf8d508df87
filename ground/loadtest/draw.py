"""Draw the packets of every container of a mission by lot, as its definitions and its link allow."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import numpy as np

from ground.errors import ConfigError
from ground.loadtest.codes import buffers, choices, engineering, meets, number_bits
from ground.loadtest.kinds import HEADER, ROWS, Kind, Place
from ground.xtce.declarations import FloatEncoding, IntegerEncoding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ground.loadtest.codes import Codes
    from ground.mission import Mission, TimeField
    from ground.xtce.declarations import Comparison, SequenceContainer, SpaceSystem

_APID_AT, _APID_BITS, _IDLE_APID = 5, 11, 2047
_HEADER_BITS: Final = 8 * HEADER
_LONGEST: Final = 65542
"""Octets of a packet, at most (CCSDS 133.0-B-2, 4.1.2)."""

_UNCLAIMED: Final = 4
"""Kinds that are made of a container that any APID may have."""
_OPEN: Final = 64
"""Octets of a packet whose container leaves its length open; each further kind of it has 16 more."""
_FIELD_BITS: Final = 128
"""Of a field whose size another one says, if it can be."""


def draw(mission: Mission, system: SpaceSystem) -> list[Kind]:
    """Every kind of packet, in the order of the file. A container that isn't tied to an APID gives several.

    Raises :class:`~ground.errors.ConfigError` where no packet can be made, or none that could be told from the others.
    """
    return [
        _Drawing(mission, system, container, apid, number).kind()
        for container in system.containers.values()
        if not container.abstract
        for number, apid in enumerate(_apids(system, container))
    ]


def _apids(system: SpaceSystem, container: SequenceContainer) -> list[int | None]:
    """None where the restrictions say it; otherwise some that no other container claims."""
    root = _places((system.root,), defaultdict(int))
    apid = next((place for place in root if (place.at, place.bits) == (_APID_AT, _APID_BITS)), None)
    free = np.arange(1, _IDLE_APID, dtype=np.uint64)
    if apid is not None:
        comparisons = _compared(system.chain(container.name), apid.name)
        if any(comparison.operator == "==" for comparison in comparisons):
            return [None]
        claimed = [c for one in system.containers.values() for c in one.restriction if c.parameter == apid.name]
        for comparison in claimed:
            if comparison.operator == "==":
                free = free[~meets(comparison, apid.type, free)]
        for comparison in comparisons:
            free = free[meets(comparison, apid.type, free)]
    spread = np.linspace(0, len(free), _UNCLAIMED, endpoint=False).astype(int)
    return [*np.unique(free[spread]).tolist()] if len(free) else []


def _compared(chain: Sequence[SequenceContainer], parameter: str) -> list[Comparison]:
    """What the restrictions of a packet say of a parameter."""
    return [comparison for link in chain for comparison in link.restriction if comparison.parameter == parameter]


def _places(chain: Sequence[SequenceContainer], known: Mapping[str, int]) -> list[Place]:
    """Where everything lies; ``known``: the values that sizes depend on."""
    places: list[Place] = []
    at = 0
    for entry in (entry for link in chain for entry in link.entries):
        kind = entry.parameter.type
        if isinstance(kind.encoding, IntegerEncoding | FloatEncoding):
            bits = kind.encoding.bits
        else:
            size = kind.encoding.size
            bits = size.bits + (size.slope * known[size.parameter] if size.parameter else 0)
        places.append(Place(entry.parameter.name, kind, at, max(bits, 0)))
        at += max(bits, 0)
    return places


class _Drawing:
    """The drawing of one kind of packet."""

    def __init__(
        self, mission: Mission, system: SpaceSystem, container: SequenceContainer, apid: int | None, number: int
    ) -> None:
        self._mission = mission
        self._system = system
        self._chain = system.chain(container.name)
        self._name = container.name if apid is None else f"{container.name}_{apid}"
        self._random = np.random.default_rng(crc32(self._name.encode()))
        self._sizes = self._chosen_sizes()
        self._header = 0
        self._places: list[Place] = []
        self._clock: TimeField | None = None
        self._lay_out(apid or 0, _OPEN + 16 * number)

    def kind(self) -> Kind:
        """The kind with all its packets."""
        codes = self._codes()
        bits = np.zeros((ROWS, 8 * self._length), np.uint8)
        fixed: dict[str, NDArray[Any]] = {}
        written: list[Place] = []
        for place in self._places:
            encoding, span = place.type.encoding, slice(place.at, place.at + place.bits)
            if isinstance(encoding, IntegerEncoding | FloatEncoding):
                bits[:, span] = number_bits(encoding, codes[place.name])
                values = engineering(place.type, codes[place.name])
            else:
                octets, values = buffers(encoding, place.bits // 8, ROWS, self._random)
                bits[:, span] = np.unpackbits(octets, axis=1)
            if place.in_header:
                continue
            if not self._is_written_anew(place):
                fixed[place.name] = values
            elif place.readable:
                written.append(place)
            else:
                raise self._error(f"{place.name} lies where header or time are written, and is not a plain integer")
        packets = np.packbits(bits, axis=1)
        packets[:, :HEADER] = np.frombuffer(self._header.to_bytes(HEADER, "big"), np.uint8)
        return Kind(self._name, packets, fixed, tuple(written), self._clock)

    @property
    def _length(self) -> int:
        return (self._header & 0xFFFF) + HEADER + 1

    def _chosen_sizes(self) -> dict[str, int]:
        """The values of the parameters that sizes depend on; what the header says is put right afterwards."""
        chosen: dict[str, int] = {}
        for entry in (entry for link in self._chain for entry in link.entries):
            encoding = entry.parameter.type.encoding
            if isinstance(encoding, IntegerEncoding | FloatEncoding) or encoding.size.parameter is None:
                continue
            size, name = encoding.size, encoding.size.parameter
            codes = self._choices(name)
            bits = size.bits + size.slope * codes.astype(np.int64)
            chosen[name] = int(codes[np.argmin(np.where(bits < 0, _LONGEST * 8, abs(bits - _FIELD_BITS)))])
        return chosen

    def _lay_out(self, apid: int, open_length: int) -> None:
        """Find header, places and clock of a packet that is long enough for all that its container holds."""
        link = self._mission.link
        longest = link.packet_length if link.packets == "one_per_frame" else _LONGEST
        header_places = [place for place in _places(self._chain, self._sizes) if place.in_header]
        refers = [place.name for place in header_places if place.name in self._sizes]
        length = min(open_length, longest) if refers else HEADER + 1
        while length <= longest:
            self._header = self._primary_header(header_places, apid, length)
            self._sizes |= {place.name: _field(self._header, place) for place in header_places if place.name in refers}
            self._places = _places(self._chain, self._sizes)
            self._clock = self._own_clock()
            needed = (self._places[-1].at + self._places[-1].bits + 7) // 8
            if self._clock is not None:
                needed = max(needed, self._clock.offset + self._clock.length)
            if needed <= length:
                return
            length = needed
        raise self._error(f"a packet of it takes {length} octets, and the link has {longest} for one")

    def _primary_header(self, places: Sequence[Place], apid: int, length: int) -> int:
        """CCSDS 133.0-B-2, 4.1.3: telemetry with a secondary header, undivided, unless restrictions say otherwise."""
        header = 1 << 43 | apid << 32 | 0b11 << 30 | length - HEADER - 1
        for place in places:
            code = np.array([_field(header, place)], np.uint64)
            if not all(meets(one, place.type, code).all() for one in _compared(self._chain, place.name)):
                shift = _HEADER_BITS - place.at - place.bits
                header = header & ~((1 << place.bits) - 1 << shift) | int(self._choices(place.name)[0]) << shift
        return header

    def _own_clock(self) -> TimeField | None:
        """Where the packet's time lies; None where it has its frame's."""
        apid, flag = self._header >> 32 & 0x7FF, bool(self._header >> 43 & 1)
        for field in self._mission.packet_times:
            if (field.apids is None or apid in field.apids) and field.secondary_header in {None, flag}:
                return field
        if self._mission.frame_time is None:
            raise self._error("neither packet nor frame has an onboard time, so what is sent cannot be told apart")
        return None

    def _is_written_anew(self, place: Place) -> bool:
        spans = [(0, _HEADER_BITS)]
        if self._clock is not None:
            spans.append((8 * self._clock.offset, 8 * (self._clock.offset + self._clock.length)))
        return any(place.at < stop and start < place.at + place.bits for start, stop in spans)

    def _choices(self, parameter: str) -> Codes:
        found = choices(self._system.parameters[parameter].type, _compared(self._chain, parameter), self._random)
        if not len(found):
            raise self._error(f"no value of {parameter} was found that the restrictions let pass")
        return found

    def _codes(self) -> dict[str, Codes]:
        """The codes (ROWS,) of all numbers, of packets that belong to this container and to none beside or below it."""
        codes: dict[str, Codes] = {}
        for place in self._places:
            if place.in_header:
                codes[place.name] = np.full(2 * ROWS, _field(self._header, place), np.uint64)
            elif place.name in self._sizes:
                codes[place.name] = np.full(2 * ROWS, self._sizes[place.name], np.uint64)
            elif isinstance(place.type.encoding, IntegerEncoding | FloatEncoding):
                codes[place.name] = self._random.choice(self._choices(place.name), 2 * ROWS)
        types = {place.name: place.type for place in self._places}
        ours = {link.name for link in self._chain}
        strays = np.zeros(2 * ROWS, np.bool_)
        for other in self._system.containers.values():
            if other.base in ours and other.name not in ours:
                met = [meets(one, types[one.parameter], codes[one.parameter]) for one in other.restriction]
                strays |= np.logical_and.reduce(met) if met else True
        kept = np.flatnonzero(~strays)
        if not len(kept):
            raise self._error("every packet of it would be one of another container too")
        rows = np.resize(kept, ROWS)
        return {name: values[rows] for name, values in codes.items()}

    def _error(self, reason: str) -> ConfigError:
        return ConfigError(f"{self._system.path}: {self._name} cannot be load tested: {reason}")


def _field(header: int, place: Place) -> int:
    """What a primary header has at a place."""
    return header >> _HEADER_BITS - place.at - place.bits & (1 << place.bits) - 1
