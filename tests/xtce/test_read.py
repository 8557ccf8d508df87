from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from ground.errors import DefinitionError
from ground.mission import SHIPPED
from ground.xtce import plan, read
from ground.xtce.declarations import (
    BinaryEncoding,
    Comparison,
    FloatEncoding,
    IntegerEncoding,
    Limit,
    Polynomial,
    Size,
    Spline,
    StringEncoding,
)
from tests.xtce.definition import NAMESPACE, Oracle

SOUND = (Path(__file__).parent / "probe.xml").read_text()
"""Every construct that is understood."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "telemetry.xml"


def test_every_noun_is_read(file: Path) -> None:
    file.write_text(SOUND)
    system = read.load(file)
    types = system.types
    assert (system.name, system.description, system.path) == ("Probe", "A probe", str(file))
    assert types["u11"].encoding == IntegerEncoding(11)
    assert types["s16"].encoding == IntegerEncoding(16, "twosComplement", little_endian=True)
    assert types["volts"].unit == "V"
    assert types["volts"].calibrator == Polynomial(((1, 0.5), (0, -3.0)))
    assert types["volts"].limits == (Limit("warning", 20, 34), Limit("critical", 18.5, None))
    assert types["kelvin"].encoding == FloatEncoding(32)
    assert types["kelvin"].calibrator == Spline(((0, 1.5), (10, 2)), 1, extrapolate=True)
    assert types["mode"].labels == {0: "OFF", 1: "ON"}
    assert types["valve"].labels == {0: "CLOSED", 1: "OPEN"}
    assert types["text"].encoding == StringEncoding(Size(64), "US-ASCII", terminator=0)
    assert types["rest"].encoding == BinaryEncoding(Size(-16, "apid", 8))
    assert types["clock"].tick == Fraction(1, 1000)
    # 1980-01-06 is 315964800 s after 1970 began; GPS is 18 s ahead of UTC; the offset is 2 s.
    assert types["clock"].epoch == (315_964_800 - 18 + 2) * 1_000_000_000
    assert system.parameters["battery"].description == "Bus voltage"
    assert system.parameters["mode"].description == "What it is doing"
    assert system.parameters["mode"].type is types["mode"]
    power = system.containers["Power"]
    assert [entry.parameter.name for entry in power.entries] == ["battery", "first", "second", "mode"]
    assert [container.name for container in system.chain("Power")] == ["Root", "Power"]
    assert system.root.name == "Root"
    assert [
        (comparison.parameter, comparison.operator, comparison.value, comparison.calibrated)
        for comparison in power.restriction
    ] == [("apid", "==", "7", True), ("apid", "!=", "9", False)]
    assert isinstance(power.restriction[0], Comparison)
    assert SOUND.splitlines()[power.line - 1].strip().startswith('<SequenceContainer name="Power"')


def test_a_time_can_count_from_a_date(file: Path) -> None:
    for epoch, seconds in (("2020-01-01T00:00:00", 1_577_836_800), ("UNIX", 0), ("TAI", -378_691_237)):
        file.write_text(SOUND.replace("<Epoch>GPS<", f"<Epoch>{epoch}<"))
        assert read.load(file).types["clock"].epoch == (seconds + 2) * 1_000_000_000


WRONG = [
    # XML
    ("</EntryList>", "</EntryLost>", "not well-formed"),
    # attributes
    ('<Parameter name="battery"', '<Parameter name="bat/tery"', "bat/tery"),
    ('<Parameter name="second"', '<Parameter name="first"', "defined twice"),
    ('<EnumeratedParameterType name="mode"', '<EnumeratedParameterType name="volts"', "defined twice"),
    ('<SequenceContainer name="Pair"', '<SequenceContainer name="Root"', "defined twice"),
    ('"48" encoding="unsigned"', '"48" encoding="BCD"', "BCD"),
    ('"32" encoding="IEEE754_1985"', '"32" encoding="IBM"', "IBM"),
    ('"32" encoding="IEEE754_1985"', '"31" encoding="IEEE754_1985"', "31"),
    ('<IntegerDataEncoding sizeInBits="48"', '<IntegerDataEncoding sizeInBits="65"', "from 1 to 64"),
    ('<IntegerDataEncoding sizeInBits="48"', '<IntegerDataEncoding sizeInBits="many"', "whole number"),
    ('name="u11" sizeInBits="16"', 'name="u11" sizeInBits="8"', "cannot hold"),
    ('name="s16" sizeInBits="16" signed="true"', 'name="s16" sizeInBits="16" signed="false"', "signed"),
    ('"11" encoding="unsigned"', '"11" byteOrder="leastSignificantByteFirst"', "whole octets"),
    ('"4" encoding="unsigned"', '"4" bitOrder="leastSignificantBitFirst"', "bitOrder"),
    ('coefficient="0.5"', 'coefficient="NaN"', "finite"),
    ('exponent="1"', 'exponent="-1"', "exponent"),
    ('exponent="1"', "", "no exponent"),
    ('<SplineCalibrator order="1"', '<SplineCalibrator order="2"', "order"),
    ('parameterTypeRef="volts"', 'parameterTypeRef="amps"', "amps"),
    ('<ParameterRefEntry parameterRef="battery"/>', '<ParameterRefEntry parameterRef="batt"/>', "batt"),
    ('<ParameterRefEntry parameterRef="battery"/>', '<ParameterRefEntry parameterRef="first"/>', None),
    ('<ContainerRefEntry containerRef="Pair"/>', '<ContainerRefEntry containerRef="Pear"/>', "Pear"),
    ('<ContainerRefEntry containerRef="Pair"/>', '<ContainerRefEntry containerRef="Power"/>', "twice"),
    ('<BaseContainer containerRef="Root">', '<BaseContainer containerRef="Rood">', "Rood"),
    ('<BaseContainer containerRef="Root">', '<BaseContainer containerRef="Power">', "own base"),
    ('comparisonOperator="!="', 'comparisonOperator="=~"', "=~"),
    ('units="seconds"', 'units="days"', "days"),
    ('scale="0.001"', 'scale="0"', "above 0"),
    ('scale="0.001"', 'scale="1/3"', "1/3"),
    ("<Epoch>GPS", "<Epoch>yesterday", "yesterday"),
    ('slope="8"', 'slope="4"', "whole octets"),
    ('slope="8"', "", "slope"),
    ("<FixedValue>64<", "<FixedValue>63<", "whole octets"),
    ("<TerminationChar>00<", "<TerminationChar>0000<", "one octet"),
    ('encoding="US-ASCII"', 'encoding="UTF-16"', "UTF-16"),
    ('<Enumeration value="1"', '<Enumeration value="0"', "twice"),
    ('minInclusive="20" maxInclusive="34"', 'minInclusive="35" maxInclusive="34"', "above"),
    ('minInclusive="20" maxInclusive="34"', 'minExclusive="20"', "minExclusive"),
    # constructs that are not supported
    ("<StaticAlarmRanges>", '<StaticAlarmRanges rangeForm="inside">', "inside"),
    ('<SplinePoint raw="0"', '<SplinePoint raw="10"', None),
    ("<UnitSet><Unit>K</Unit></UnitSet>", "<UnitSet><Unit>K</Unit><Unit>s</Unit></UnitSet>", "<Unit>"),
    ("<ParameterSet>", "<ParameterSet><Shadow/>", "<Shadow>"),
    ("<EntryList>", "<EntryList><ArrayParameterRefEntry/>", "<ArrayParameterRefEntry>"),
    (
        '<ParameterRefEntry parameterRef="battery"/>',
        '<ParameterRefEntry parameterRef="battery"><IncludeCondition/></ParameterRefEntry>',
        "<IncludeCondition>",
    ),
    ("<ParameterTypeSet>", '<ParameterTypeSet><ArrayParameterType name="a"/>', "<ArrayParameterType>"),
    ("</TelemetryMetaData>", "</TelemetryMetaData><CommandMetaData/>", "<CommandMetaData>"),
    ("<UnitSet><Unit>V</Unit></UnitSet>", "<ValidRange/>", "<ValidRange>"),
    ('<EntryList>\n          <ParameterRefEntry parameterRef="apid"/>', "<EntryList>stray text", "stray text"),
    ("<Header ", '<Header xmlns="urn:other" ', "urn:other"),
]


@pytest.mark.parametrize(("right", "wrong", "says"), WRONG, ids=[f"{wrong[:40]}" for _, wrong, _ in WRONG])
def test_what_is_wrong_is_named_with_its_line(file: Path, right: str, wrong: str, says: str | None) -> None:
    assert right in SOUND
    before = SOUND[: SOUND.index(right)]
    file.write_text(SOUND.replace(right, wrong, 1))
    with pytest.raises(DefinitionError) as caught:
        read.load(file)
    assert caught.value.path == str(file)
    if says is None:
        return  # the mistake shows further down; the tests below look at it
    assert says in str(caught.value)
    assert caught.value.line is not None
    # A mistake may be noticed at the element around it, or at the end tag of one that isn't closed.
    assert abs(caught.value.line - 1 - before.count("\n")) <= 1


def test_the_second_place_of_a_parameter_is_the_one_named(file: Path) -> None:
    file.write_text(
        SOUND.replace('<ParameterRefEntry parameterRef="battery"/>', '<ParameterRefEntry parameterRef="first"/>')
    )
    with pytest.raises(DefinitionError, match="first comes twice") as caught:
        read.load(file)
    assert caught.value.line == 1 + SOUND[: SOUND.index('<ParameterRefEntry parameterRef="first"/>')].count("\n")


def test_spline_points_ascend(file: Path) -> None:
    file.write_text(SOUND.replace('<SplinePoint raw="0"', '<SplinePoint raw="10"'))
    with pytest.raises(DefinitionError, match="ascend"):
        read.load(file)


def test_a_container_that_no_packet_reaches(file: Path) -> None:
    file.write_text(SOUND.replace('<ContainerRefEntry containerRef="Pair"/>', ""))
    with pytest.raises(DefinitionError, match="Pair has no <BaseContainer>"):
        read.load(file)


@pytest.mark.parametrize(
    ("octets", "says"),
    [
        (b"", "not well-formed"),
        (b"\x00\xff\x00", "not well-formed"),
        (b"<SpaceSystem name='x'/>", "the root is"),
        (b"<html xmlns='http://www.omg.org/spec/XTCE/20180204'/>", "the root is <html>"),
        (SOUND.encode()[:1500], "not well-formed"),
    ],
)
def test_files_that_are_not_xtce(file: Path, octets: bytes, says: str) -> None:
    file.write_bytes(octets)
    with pytest.raises(DefinitionError, match=says):
        read.load(file)


def test_a_file_that_is_not_there(file: Path) -> None:
    with pytest.raises(DefinitionError, match="cannot be read"):
        read.load(file)


@pytest.mark.parametrize(
    "doctype",
    [
        "<!DOCTYPE SpaceSystem>",
        '<!DOCTYPE SpaceSystem [<!ENTITY secret SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE SpaceSystem [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>',
    ],
)
def test_document_types_are_refused(file: Path, doctype: str) -> None:
    head, body = SOUND.split("\n", 1)
    body = body.replace("A probe", "&c;") if "ENTITY c" in doctype else body
    file.write_text(f"{head}\n{doctype}\n{body}")
    with pytest.raises(DefinitionError, match="DOCTYPE"):
        read.load(file)


def test_both_versions_of_xtce(file: Path) -> None:
    file.write_text(SOUND.replace("20180204", "20061101"))
    assert read.load(file).name == "Probe"


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_file_is_an_error_or_still_a_definition(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    file = tmp_path_factory.getbasetemp() / "damaged.xml"
    octets = bytearray(SOUND.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(octets) - 1))
        octets[place : place + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=3))
    file.write_bytes(bytes(octets))
    try:
        plan.compile(read.load(file))
    except DefinitionError as error:
        assert str(file) in str(error)  # noqa: PT017  either outcome is right


SHIPPED_FILES = sorted(SHIPPED.glob("*/telemetry.xml"))


@pytest.mark.parametrize("path", SHIPPED_FILES, ids=[path.parent.name for path in SHIPPED_FILES])
def test_shipped_definitions_load_here_and_elsewhere(path: Path) -> None:
    system = read.load(path)
    assert plan.compile(system).containers
    assert Oracle(path).definition.containers.keys() == system.containers.keys()
    # Yamcs takes 32 bits and signed for what isn't said, and the first container for the root.
    for element in etree.parse(path).iter(f"{{{NAMESPACE}}}IntegerParameterType"):
        assert {"sizeInBits", "signed"} <= set(element.attrib), f"line {element.sourceline}"
    # It also ignores containers without a restriction.
    assert all(container.restriction for container in system.containers.values() if container is not system.root)


def test_missions_with_unknown_contents_keep_them_raw() -> None:
    for mission in ("change5", "danuri", "hera", "mars2020", "stereo-a", "tianwen2"):
        compiled = plan.compile(read.load(SHIPPED / mission / "telemetry.xml"))
        assert list(compiled.containers) == ["Packet"]
        assert compiled.containers["Packet"].per_apid
        assert [(info.name, info.kind) for info in compiled.containers["Packet"].parameters] == [("payload", "binary")]
