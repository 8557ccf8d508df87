"""DefaultAlarm: ranges with minViolations, labels of enumerations and booleans, texts; mistakes are named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ground.errors import DefinitionError
from ground.xtce import read
from ground.xtce.declarations import Alarm, Limit
from tests.xtce.definition import container, document, equals

if TYPE_CHECKING:
    from pathlib import Path

OPEN = {
    "float": '<FloatParameterType name="x"><FloatDataEncoding sizeInBits="32"/>',
    "enumeration": '<EnumeratedParameterType name="x"><IntegerDataEncoding sizeInBits="8" encoding="unsigned"/>'
    '<EnumerationList><Enumeration value="0" label="OFF"/><Enumeration value="1" label="BAD"/>'
    '<Enumeration value="9" label="BAD"/></EnumerationList>',
    "boolean": '<BooleanParameterType name="x" oneStringValue="OPEN"><IntegerDataEncoding sizeInBits="1"/>',
    "string": '<StringParameterType name="x"><StringDataEncoding><SizeInBits><Fixed><FixedValue>16</FixedValue></Fixed>'
    "</SizeInBits></StringDataEncoding>",
    "binary": '<BinaryParameterType name="x"><BinaryDataEncoding><SizeInBits><FixedValue>8</FixedValue></SizeInBits>'
    "</BinaryDataEncoding>",
}


def load(folder: Path, kind: str, alarm: str) -> Alarm:
    tag = OPEN[kind][1 : OPEN[kind].index(" ")]
    text = document(
        f"{OPEN[kind]}{alarm}</{tag}>", [("p", "x")], container("C", ["p"], equals("PKT_APID", 1), base="CCSDSPacket")
    )
    path = folder / "telemetry.xml"
    path.write_text(text)
    return read.load(path).types["x"].alarm


def of_labels(entries: str, attributes: str = "") -> str:
    return f"<DefaultAlarm{attributes}><EnumerationAlarmList>{entries}</EnumerationAlarmList></DefaultAlarm>"


RANGES = '<DefaultAlarm{}><StaticAlarmRanges><WatchRange maxInclusive="3"/></StaticAlarmRanges></DefaultAlarm>'
BAD = '<EnumerationAlarm alarmLevel="critical" enumerationLabel="BAD"/>'


@pytest.mark.parametrize(
    ("kind", "text", "alarm"),
    [
        ("float", "", Alarm()),
        ("float", RANGES.format(' minViolations="4"'), Alarm((Limit("watch", None, 3),), violations=4)),
        ("enumeration", of_labels(BAD), Alarm(codes={1: "critical", 9: "critical"})),
        (
            "enumeration",
            of_labels(BAD, ' minViolations="2" defaultAlarmLevel="watch"'),
            Alarm(codes={1: "critical", 9: "critical"}, otherwise="watch", violations=2),
        ),
        ("boolean", of_labels(BAD.replace("BAD", "OPEN")), Alarm(codes={1: "critical"})),
        (
            "string",
            '<DefaultAlarm><StringAlarmList><StringAlarm alarmLevel="severe" matchPattern="E.*"/></StringAlarmList>'
            "</DefaultAlarm>",
            Alarm(patterns=(("E.*", "severe"),)),
        ),
    ],
)
def test_alarms_are_read(tmp_path: Path, kind: str, text: str, alarm: Alarm) -> None:
    found = load(tmp_path, kind, text)
    assert found == alarm
    assert bool(found) == bool(text)


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        ("float", RANGES.format(' minViolations="0"'), "minViolations = 0 .* should be from 1 to 1000"),
        ("float", RANGES.format(' defaultAlarmLevel="watch"'), "defaultAlarmLevel"),
        ("float", of_labels(BAD), "<DefaultAlarm> needs <StaticAlarmRanges>"),
        ("enumeration", of_labels(BAD.replace("BAD", "GOOD")), "'GOOD'; the labels are OFF, BAD, BAD"),
        ("enumeration", of_labels(BAD * 2), "given twice"),
        ("enumeration", of_labels(BAD.replace("critical", "awful")), "alarmLevel = 'awful'"),
        ("enumeration", of_labels(BAD.replace("/>", ' x="1"/>')), "attribute x"),
        ("boolean", of_labels(BAD), "'BAD'; the labels are False, OPEN"),
        (
            "string",
            '<DefaultAlarm><StringAlarmList><StringAlarm alarmLevel="severe" matchPattern="("/></StringAlarmList>'
            "</DefaultAlarm>",
            "is not a regular expression",
        ),
        ("binary", of_labels(BAD), "<DefaultAlarm> in <BinaryParameterType>"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, kind: str, text: str, says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        load(tmp_path, kind, text)
