"""ParameterTypeSet: from XML elements to :class:`~ground.xtce.declarations.ParameterType`."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from typing import TYPE_CHECKING

from ground.xtce.alarms import read_alarm
from ground.xtce.declarations import (
    Calibrator,
    Encoding,
    IntegerEncoding,
    Kind,
    ParameterType,
)
from ground.xtce.encodings import read_encoding

if TYPE_CHECKING:
    from ground.xtce.elements import Element

KINDS: dict[str, Kind] = {
    "IntegerParameterType": "integer",
    "FloatParameterType": "float",
    "EnumeratedParameterType": "enumeration",
    "BooleanParameterType": "boolean",
    "StringParameterType": "string",
    "BinaryParameterType": "binary",
    "AbsoluteTimeParameterType": "time",
}

_ENCODINGS: dict[Kind, tuple[str, ...]] = {
    "integer": ("IntegerDataEncoding",),
    "float": ("FloatDataEncoding", "IntegerDataEncoding"),
    "enumeration": ("IntegerDataEncoding",),
    "boolean": ("IntegerDataEncoding",),
    "string": ("StringDataEncoding",),
    "binary": ("BinaryDataEncoding",),
    "time": ("IntegerDataEncoding",),
}

_SECOND = 1_000_000_000
# Named epochs (XTCE 1.2, EpochTimeEnumsType) in ns since 1970 UTC. TAI, GPS and J2000 (TT) count without leap seconds;
# UTC times are made with the offsets that hold since 2017: TAI-UTC 37 s, GPS-UTC 18 s, TT-UTC 69.184 s.
_EPOCHS = {
    "UNIX": 0,
    "POSIX": 0,
    "TAI": (-378_691_200 - 37) * _SECOND,
    "GPS": (315_964_800 - 18) * _SECOND,
    "J2000": 946_728_000 * _SECOND - 69_184_000_000,
}


def read_type(element: Element) -> ParameterType:
    """One parameter type. Raises DefinitionError at the first thing that is wrong or not supported."""
    kind = KINDS.get(element.name)
    if kind is None:
        raise element.error(f"<{element.name}> is not supported; use {', '.join(KINDS)}")
    name = element.text("name")
    tick, epoch, encoding_parent = None, 0, element
    if kind == "time":
        encoding_parent = element.need("Encoding")
        tick, epoch = _clock(element, encoding_parent)
    encoded = encoding_parent.need(*_ENCODINGS[kind])
    encoding, calibrator = read_encoding(encoded, calibrated=kind in {"integer", "float"})
    if encoding_parent is not element:
        encoding_parent.done()
    labels: dict[int, str] = {}
    if kind == "enumeration":
        labels = _enumeration(element.need("EnumerationList"))
    elif kind == "boolean":
        zero, one = element.text("zeroStringValue", ""), element.text("oneStringValue", "")
        labels = {0: zero or "False", 1: one or "True"} if zero or one else {}
    elif kind in {"integer", "float"}:
        _engineering_size(element, kind, encoding, calibrator)
    result = ParameterType(
        name=name,
        kind=kind,
        encoding=encoding,
        line=element.line,
        unit=_unit(element),
        calibrator=calibrator,
        labels=labels,
        alarm=read_alarm(element, kind, labels),
        tick=tick,
        epoch=epoch,
    )
    element.done()
    return result


def _engineering_size(element: Element, kind: Kind, encoding: Encoding, calibrator: Calibrator | None) -> None:
    """sizeInBits and signed of the engineering value, where they are stated, must hold what the encoding delivers."""
    if kind == "float":
        element.choose("sizeInBits", ("32", "64"), "64")
        return
    size = element.integer("sizeInBits", 1, 64, 64)
    signed = element.flag("signed", default=True)
    if calibrator is None and isinstance(encoding, IntegerEncoding):
        if size < encoding.bits:
            raise element.error(f"sizeInBits = {size} of <{element.name}> cannot hold the {encoding.bits} bits encoded")
        if not signed and encoding.signed != "unsigned":
            raise element.error(f'<{element.name}> is signed="false", but its encoding is {encoding.signed}')


def _enumeration(element: Element) -> dict[int, str]:
    labels: dict[int, str] = {}
    for entry in element.children("Enumeration"):
        value = entry.integer("value", -(2**63), 2**64 - 1)
        if value in labels:
            raise entry.error(f"<Enumeration> {value} is given twice")
        labels[value] = entry.text("label")
        entry.done()
    if not labels:
        raise element.error("<EnumerationList> needs <Enumeration>")
    element.done()
    return labels


def _unit(element: Element) -> str:
    unit_set = element.child("UnitSet")
    if unit_set is None:
        return ""
    unit = unit_set.child("Unit")
    name = ""
    if unit is not None:
        name = unit.content()
        unit.text("description", "")
        unit.done()
    unit_set.done()
    return name


def _clock(element: Element, encoding: Element) -> tuple[Fraction, int]:
    """Seconds a count and the ns since 1970 UTC of count 0, both exact (a scale such as 1E-3 has no exact float)."""
    encoding.choose("units", ("seconds",), "seconds")
    scale, offset = (_fraction(encoding, *default) for default in (("scale", "1"), ("offset", "0")))
    if scale <= 0:
        raise encoding.error(f"scale = {scale} of <Encoding> should be above 0")
    reference = element.need("ReferenceTime")
    mark = reference.need("Epoch")
    text = mark.content()
    epoch = _EPOCHS.get(text)
    if epoch is None:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise mark.error(f"<Epoch> {text!r} is not {', '.join(_EPOCHS)} or a date and time (ISO 8601)") from None
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
        epoch = (since.days * 86_400 + since.seconds) * _SECOND + since.microseconds * 1000
    mark.done()
    reference.done()
    return scale, epoch + round(offset * _SECOND)


def _fraction(element: Element, attribute: str, default: str) -> Fraction:
    text = element.text(attribute, default)
    try:
        value = Fraction(text) if "/" not in text and len(text) < 40 else None
    except ValueError:
        value = None
    if value is None or abs(value) > 10**12 or 0 < abs(value) < Fraction(1, 10**18):
        raise element.error(f"{attribute} = {text!r} of <{element.name}> is not a number of seconds")
    return value
