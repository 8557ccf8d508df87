from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from ground.errors import DefinitionError
from ground.xtce import plan, read
from ground.xtce.declarations import Limit
from tests.xtce.definition import container, document, equals, integer_type

if TYPE_CHECKING:
    from pathlib import Path

    from ground.xtce.plan import Plan

TYPES = (
    integer_type("u4", 4)
    + integer_type("u8", 8)
    + integer_type("s12", 12, "twosComplement")
    + integer_type("u64", 64)
    + '<FloatParameterType name="f16"><FloatDataEncoding sizeInBits="16" encoding="IEEE754_1985"/></FloatParameterType>'
    + '<FloatParameterType name="f32"><UnitSet><Unit>V</Unit></UnitSet><FloatDataEncoding sizeInBits="32"/>'
    + '<DefaultAlarm><StaticAlarmRanges><WatchRange minInclusive="-1.5"/></StaticAlarmRanges></DefaultAlarm>'
    + "</FloatParameterType>"
    + '<FloatParameterType name="f64"><FloatDataEncoding sizeInBits="64"/></FloatParameterType>'
    + '<FloatParameterType name="counts"><IntegerDataEncoding sizeInBits="8" encoding="unsigned"/></FloatParameterType>'
    + '<EnumeratedParameterType name="mode"><IntegerDataEncoding sizeInBits="8" encoding="unsigned"/>'
    + '<EnumerationList><Enumeration value="1" label="LÄUFT"/></EnumerationList></EnumeratedParameterType>'
    + '<BooleanParameterType name="flag"><IntegerDataEncoding sizeInBits="8"/></BooleanParameterType>'
    + '<BinaryParameterType name="blob"><BinaryDataEncoding><SizeInBits><DynamicValue>'
    + '<ParameterInstanceRef parameterRef="size"/><LinearAdjustment slope="8"/>'
    + "</DynamicValue></SizeInBits></BinaryDataEncoding></BinaryParameterType>"
    + '<StringParameterType name="text"><StringDataEncoding><SizeInBits><Fixed><FixedValue>16</FixedValue></Fixed>'
    + "</SizeInBits></StringDataEncoding></StringParameterType>"
    + '<AbsoluteTimeParameterType name="clock"><Encoding><IntegerDataEncoding sizeInBits="32" encoding="unsigned"/>'
    + "</Encoding><ReferenceTime><Epoch>UNIX</Epoch></ReferenceTime></AbsoluteTimeParameterType>"
)


def compiled(folder: Path, parameters: list[tuple[str, str]], containers: str) -> Plan:
    path = folder / "telemetry.xml"
    path.write_text(document(TYPES, parameters, "\n" + containers))
    return plan.compile(read.load(path))


def test_columns_are_engineering_values_behind_the_primary_header(tmp_path: Path) -> None:
    kinds = ["u4", "s12", "u64", "f16", "f32", "f64", "counts", "mode", "flag", "text", "clock"]
    parameters = [(f"a_{kind}", kind) for kind in kinds]
    columns = container("C", [name for name, _ in parameters], equals("PKT_APID", 1), base="CCSDSPacket")
    built = compiled(tmp_path, parameters, columns).containers["C"]
    assert [(field.name, field.type) for field in built.schema] == [
        ("time", pa.timestamp("ns", "UTC")),
        ("ert", pa.timestamp("ns", "UTC")),
        ("seq", pa.uint16()),
        ("digest", pa.int64()),
        ("a_u4", pa.uint8()),
        ("a_s12", pa.int16()),
        ("a_u64", pa.uint64()),
        ("a_f16", pa.float32()),
        ("a_f32", pa.float32()),
        ("a_f64", pa.float64()),
        ("a_counts", pa.float64()),
        ("a_mode", pa.uint8()),
        ("a_flag", pa.bool_()),
        ("a_text", pa.string()),
        ("a_clock", pa.timestamp("ns", "UTC")),
    ]
    assert built.schema.metadata == {b"container": b"C"}
    assert built.schema.field("a_f32").metadata == {b"kind": b"float", b"unit": b"V"}
    assert built.schema.field("a_mode").metadata == {b"kind": b"enumeration", b"labels": '{"1": "LÄUFT"}'.encode()}
    assert [(info.name, info.arrow_type) for info in built.parameters] == [
        (field.name, field.type) for field in list(built.schema)[4:]
    ]


def test_limits_by_container_and_parameter(tmp_path: Path) -> None:
    entries = ["volts", "plain"]
    both = container("A", entries, equals("PKT_APID", 1), base="CCSDSPacket")
    built = compiled(
        tmp_path,
        [("volts", "f32"), ("plain", "u8")],
        both + container("B", ["plain"], equals("PKT_APID", 2), base="CCSDSPacket"),
    )
    limits = {c: {name: info.limits for name, info in named.items()} for c, named in built.alarms.items()}
    assert limits == {"A": {"volts": (Limit("watch", -1.5, None),)}}


@pytest.mark.parametrize(
    ("restriction", "per_apid"),
    [
        (equals("PKT_APID", 5), False),
        (equals("PKT_APID", 5, calibrated=False), False),
        (f"<ComparisonList>{equals('PKT_SHF', 0)}{equals('PKT_APID', 5)}</ComparisonList>", False),
        (equals("PKT_APID", 5, ">="), True),
        (equals("PKT_VERSION", 0), True),
        ("", True),
    ],
)
def test_a_container_that_is_not_tied_to_an_apid_is_published_by_apid(
    tmp_path: Path, restriction: str, per_apid: bool
) -> None:
    middle = container("Middle", [], restriction, abstract=True, base="CCSDSPacket")
    built = compiled(tmp_path, [("a", "u8")], middle + container("C", ["a"], base="Middle"))
    assert built.containers["C"].per_apid is per_apid


def test_a_name_that_could_be_that_of_an_apid_is_refused(tmp_path: Path) -> None:
    twins = container("C", ["a"], base="CCSDSPacket") + container("C_12", ["b"], equals("a", 1), base="C")
    with pytest.raises(DefinitionError, match="C_12"):
        compiled(tmp_path, [("a", "u8"), ("b", "u8")], twins)


CHILD = [("size", "u8"), ("mode", "mode"), ("flag", "flag"), ("value", "f32"), ("at", "clock"), ("text", "text")]


@pytest.mark.parametrize(
    ("restriction", "says"),
    [
        (equals("later", 1), "later, which is not in the base container"),
        (equals("text", "ab"), "text, which is not a number"),
        (equals("size", "1.5"), "not a whole number"),
        (equals("value", "high"), "not a number"),
        (equals("mode", "STEHT"), "'STEHT' is no label"),
        (equals("mode", "LÄUFT", ">"), "only be compared with == and !="),
        (equals("flag", "maybe"), "'maybe' is no label"),
        (equals("at", "2020-01-01"), "useCalibratedValue"),
    ],
)
def test_a_restriction_that_cannot_hold_is_refused(tmp_path: Path, restriction: str, says: str) -> None:
    base = container("Base", [name for name, _ in CHILD], equals("PKT_APID", 1), base="CCSDSPacket")
    child = container("Child", ["later"], f"\n{restriction}\n", base="Base")
    with pytest.raises(DefinitionError, match=says) as caught:
        compiled(tmp_path, [*CHILD, ("later", "u8")], f"{base}\n{child}")
    lines = (tmp_path / "telemetry.xml").read_text().splitlines()
    assert caught.value.line is not None
    assert "<Comparison" in lines[caught.value.line - 1]


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        (["nibble", "size", "blob"], "does not begin on an octet"),
        (["blob", "size"], "size, which is not before it"),
        (["size", "size"], "comes twice"),
    ],
)
def test_a_layout_that_cannot_be_is_refused(tmp_path: Path, entries: list[str], says: str) -> None:
    parameters = [("nibble", "u4"), ("size", "u8"), ("blob", "blob")]
    with pytest.raises(DefinitionError, match=says):
        compiled(tmp_path, parameters, container("C", entries, equals("PKT_APID", 1), base="CCSDSPacket"))


@pytest.mark.parametrize("kind", ["u64", "s12", "mode", "f32"])
def test_a_size_is_a_plain_unsigned_integer(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DefinitionError, match="not an unsigned integer"):
        compiled(
            tmp_path,
            [("size", kind), ("pad", "u4"), ("blob", "blob")],
            container("C", ["size", *(["pad"] if kind == "s12" else []), "blob"], base="CCSDSPacket"),
        )


@pytest.mark.parametrize("name", ["time", "ert", "seq"])
def test_the_names_of_the_common_columns_are_taken(tmp_path: Path, name: str) -> None:
    with pytest.raises(DefinitionError, match=f"cannot be called {name}"):
        compiled(tmp_path, [(name, "u8")], container("C", [name], base="CCSDSPacket"))


def test_a_parameter_in_base_and_child_is_refused(tmp_path: Path) -> None:
    base = container("Base", ["a"], equals("PKT_APID", 1), base="CCSDSPacket")
    with pytest.raises(DefinitionError, match="a comes twice"):
        compiled(tmp_path, [("a", "u8")], base + container("Child", ["a"], equals("a", 1), base="Base"))
