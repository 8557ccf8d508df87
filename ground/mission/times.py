"""The onboard clocks of ``mission.toml``: ``[time.frame]`` and ``[[time.packet]]``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Final, get_args

from ground.mission.declarations import LinkFormat, Scale, TimeField

if TYPE_CHECKING:
    from ground.mission.table import Table

FRAME_KEYS: Final = ("code", "offset", "length", "byte_order", "lsb", "epoch", "scale")
PACKET_KEYS: Final = (*FRAME_KEYS, "apids", "secondary_header")

LONGEST_PACKET: Final = 65_542
"""Octets of the longest space packet (CCSDS 133.0-B-2, 4.1.2)."""

# Seconds from a uniform scale's epoch to UTC's are one leap-second table away; ERT and SCET here are UTC, and since
# 2017-01-01 the offsets are constant: TAI-UTC = 37 s, GPS-UTC = 18 s, TT-UTC = 69.184 s.
_SCALE_OFFSET_NS: Final[dict[str, int]] = {
    "utc": 0,
    "tai": 37_000_000_000,
    "gps": 18_000_000_000,
    "tt": 69_184_000_000,
}
_EPOCH: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]([0-9]{2}:[0-9]{2})(?:(:[0-9]{2})(?:[.,]([0-9]+))?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_YEARS: Final = (1678, 2261)
"""The whole years that int64 ns since 1970 hold, so that there is room for the largest step of a clock, 11 days."""

# Written out before it is a number: "1e999999999" is a short text and a number that fills the memory.
_LSB: Final = re.compile(r"[0-9]+(/[0-9]+)?|[0-9]*\.?[0-9]*([eE][+-]?[0-9]{1,2})?", re.ASCII)
_LONGEST_LSB: Final = 40


def read_frame_time(table: Table, link: LinkFormat) -> TimeField:
    """The clock of a frame. Raises :class:`~ground.errors.ConfigError`."""
    table.check_keys()
    field = _time_field(table, None, None)
    _check_reach(table, field, link.length, "frame")
    return field


def read_packet_time(table: Table, link: LinkFormat) -> TimeField:
    """The clock of packets. Raises :class:`~ground.errors.ConfigError`."""
    table.check_keys()
    field = _time_field(table, _apids(table), table.take("secondary_header", bool, None))
    if link.packets == "one_per_frame":
        _check_reach(table, field, link.packet_length, "packet")
    else:
        _check_reach(table, field, LONGEST_PACKET, "longest packet")
    return field


def _check_reach(table: Table, field: TimeField, end: int, what: str) -> None:
    if field.offset < 0:
        raise table.wrong("offset", f"should not be negative: it counts octets from the first of the {what}")
    if field.offset + field.length > end:
        raise table.wrong("offset", f"and length = {field.length} reach beyond the {what}'s {end} octets")


def _time_field(table: Table, apids: frozenset[int] | None, secondary_header: bool | None) -> TimeField:
    code = table.choose("code", ("counter", "cds"), "counter")
    if code == "cds":
        table.refuse(("lsb", "byte_order"), "is fixed in the time code cds (CCSDS 301.0-B, 3.3)")
    length = table.take("length", int)
    if length not in ((6, 8, 10) if code == "cds" else range(1, 9)):
        fits = "6, 8 or 10 octets in" if code == "cds" else "1 to 8 octets in"
        raise table.wrong("length", f"should be {fits} the time code {code}")
    return TimeField(
        offset=table.take("offset", int),
        length=length,
        epoch=_epoch(table) - _SCALE_OFFSET_NS[table.choose("scale", get_args(Scale), "utc")],
        code=code,
        byte_order=table.choose("byte_order", ("big", "little"), "big"),
        lsb=_lsb(table),
        apids=apids,
        secondary_header=secondary_header,
    )


def _epoch(table: Table) -> int:
    """ns since 1970 in the epoch's own scale. A text without a zone is in UTC's."""
    text = table.take("epoch", str, "1970-01-01T00:00:00")
    example = "should be a date and time (ISO 8601), like 2000-01-01T12:00:00 or 2000-01-01T20:00:00.5+08:00"
    found = _EPOCH.fullmatch(text)
    if not found:
        raise table.wrong("epoch", example)
    date, minutes, seconds, fraction, zone = found.groups("")
    if len(fraction) > 9:
        raise table.wrong("epoch", "is finer than a nanosecond: give up to 9 decimals")
    try:
        # Without the fraction: a datetime holds no more than microseconds of it.
        time = datetime.fromisoformat(f"{date}T{minutes or '00:00'}{seconds or ':00'}{zone or 'Z'}")
    except ValueError as error:
        raise table.wrong("epoch", f"is no date and time: {error}") from error
    if not _YEARS[0] <= time.year <= _YEARS[1]:
        raise table.wrong("epoch", f"should be in the years {_YEARS[0]} to {_YEARS[1]}")
    since = (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    return since * 1_000_000_000 + int(fraction.ljust(9, "0"))


def _lsb(table: Table) -> Fraction:
    """Seconds of one step of a counter."""
    text = table.take("lsb", str, "1")
    if len(text) > _LONGEST_LSB or not _LSB.fullmatch(text):
        raise table.wrong("lsb", 'should be seconds as a fraction, like "1/65536", or with decimals, like "0.1"')
    try:
        period = Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise table.wrong("lsb", 'should be seconds as a fraction, like "1/65536", or decimal, like "0.1"') from error
    if not 0 < period.numerator * period.denominator < 1 << 33 or period.numerator > 1_000_000:
        raise table.wrong("lsb", "should be between 2^-32 s and a million seconds")
    return period


def _apids(table: Table) -> frozenset[int] | None:
    apids = table.take("apids", list, None)
    if apids is None:
        return None
    if not apids:
        raise table.wrong("apids", "should name at least one APID; without the key a time is for all others")
    for apid in apids:
        if not isinstance(apid, int) or isinstance(apid, bool) or not 0 <= apid <= 2047:
            raise table.wrong("apids", "should be APIDs from 0 to 2047")
    return frozenset(apids)
