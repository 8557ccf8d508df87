from __future__ import annotations

import struct
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ground.blocks import NO_TIME
from ground.mission import SHIPPED
from ground.xtce import plan, read
from ground.xtce.decode import Decoded, decode
from tests.xtce.definition import block, container, document, equals, integer_type, packet, values

if TYPE_CHECKING:
    from pathlib import Path

    from ground.xtce.plan import Plan

TYPES = (
    integer_type("u8", 8)
    + integer_type("u16", 16)
    + '<FloatParameterType name="f32"><FloatDataEncoding sizeInBits="32"/></FloatParameterType>'
    + '<BooleanParameterType name="flag" zeroStringValue="OFF" oneStringValue="ON">'
    + '<IntegerDataEncoding sizeInBits="8" encoding="unsigned"/></BooleanParameterType>'
)
BLOB = (
    '<BinaryParameterType name="blob"><BinaryDataEncoding><SizeInBits><DynamicValue>'
    '<ParameterInstanceRef parameterRef="PKT_LENGTH"/><LinearAdjustment slope="8" intercept="8"/>'
    "</DynamicValue></SizeInBits></BinaryDataEncoding></BinaryParameterType>"
)


def compiled(folder: Path, types: str, parameters: list[tuple[str, str]], containers: str) -> Plan:
    path = folder / "telemetry.xml"
    path.write_text(document(types, parameters, containers))
    return plan.compile(read.load(path))


@pytest.fixture
def tree(tmp_path: Path) -> Plan:
    """APID 1: A. APID 2: B, which is abstract; BA where b is 5, BB where it is above 7. APID 3: C and D both."""
    return compiled(
        tmp_path,
        TYPES,
        [("a", "u16"), ("b", "u8"), ("value", "f32"), ("switch", "flag")],
        container("A", ["a"], equals("PKT_APID", 1), base="CCSDSPacket")
        + container("AA", ["b"], equals("a", 0x0101), base="A")
        + container("B", ["b"], equals("PKT_APID", 2), abstract=True, base="CCSDSPacket")
        + container("BA", ["value"], equals("b", 5), base="B")
        + container("BB", ["switch"], equals("b", 7, ">"), base="B")
        + container("BC", [], equals("b", 300), base="B")
        + container("C", ["a"], equals("PKT_APID", 3), base="CCSDSPacket")
        + container("D", ["b"], equals("PKT_APID", 3), base="CCSDSPacket"),
    )


def rows(decoded: Decoded) -> dict[str, list[dict[str, Any]]]:
    return {name: values(batch) for name, batch in decoded.batches}


def test_packets_find_their_containers_and_keep_their_order(tree: Plan) -> None:
    decoded = decode(
        tree,
        block(
            [
                packet(b"\x00\x07", 1),
                packet(b"\x09\x02", 2),
                packet(b"\x00\x08", 1),
                packet(b"\x01\x01\x42", 1),
                packet(b"\x05\x3f\x80\x00\x00", 2),
                packet(b"\x08\x00", 2),
            ]
        ),
    )
    assert rows(decoded) == {
        "A": [{"seq": 0, "a": 7}, {"seq": 2, "a": 8}],
        "AA": [{"seq": 3, "a": 257, "b": 0x42}],
        "BA": [{"seq": 4, "b": 5, "value": 1.0}],
        "BB": [{"seq": 1, "b": 9, "switch": True}, {"seq": 5, "b": 8, "switch": False}],
    }
    assert decoded.undecoded == {}


def test_packets_without_a_row_are_counted_by_reason_and_apid(tree: Plan) -> None:
    decoded = decode(
        tree,
        block(
            [
                packet(b"\x07", 2),  # neither BA nor BB
                packet(b"\x00", 9),  # no such APID
                packet(b"\x00\x00", 3),  # C and D
                packet(b"\x01", 1),  # A has two octets
                packet(b"\x05\x00", 2),  # BA has five
                packet(b"\x01\x01", 1),  # AA has three
                packet(b"", 1),  # nothing behind the header
                b"\x00\x01\xc0",  # not even a header
                packet(b"\x00\x01", 1),
            ]
        ),
    )
    assert rows(decoded) == {"A": [{"seq": 8, "a": 1}]}
    assert decoded.undecoded == {"too short": 5, "no container": 2, "ambiguous": 1}
    assert decoded.apids == {"too short": {1: 4, 2: 1}, "no container": {2: 1, 9: 1}, "ambiguous": {3: 1}}


@pytest.mark.parametrize(
    ("restriction", "chosen"),
    [
        (equals("switch", "ON"), [1, 2]),
        (equals("switch", "true"), [1, 2]),
        (equals("switch", "ON", "!="), [0]),
        (equals("switch", 2, calibrated=False), [2]),
        (equals("value", 0.1, ">="), [0, 1]),
        (equals("value", 0.1), []),  # 0.1 as float32 is not 0.1
        (equals("value", 0.5), [1]),
    ],
)
def test_restrictions_on_engineering_and_raw_values(tmp_path: Path, restriction: str, chosen: list[int]) -> None:
    built = compiled(
        tmp_path,
        TYPES,
        [("value", "f32"), ("switch", "flag")],
        container("Base", ["value", "switch"], equals("PKT_APID", 1), base="CCSDSPacket")
        + container("Child", [], restriction, base="Base"),
    )
    packets = [packet(struct.pack(">fB", value, switch), 1) for switch, value in enumerate([0.1, 0.5, -3])]
    found = rows(decode(built, block(packets)))
    assert [row["seq"] for row in found.get("Child", [])] == chosen
    assert [row["seq"] for row in found.get("Base", [])] == [i for i in range(3) if i not in chosen]


def test_times_come_through_as_they_are(tree: Plan) -> None:
    packets = block([packet(b"\x00\x07", 1)] * 3)
    time = np.array([1_606_558_141_123_456_789, NO_TIME, -5], np.int64)
    given_times = replace(packets, time=time, ert=time + 1)
    [(_, batch)] = decode(tree, given_times).batches
    assert batch.schema.field("time").type == pa.timestamp("ns", "UTC")
    assert batch.column("time").cast(pa.int64()).to_pylist() == [1_606_558_141_123_456_789, None, -5]
    assert batch.column("ert").cast(pa.int64()).to_pylist() == [1_606_558_141_123_456_790, NO_TIME + 1, -4]


def test_a_container_of_any_apid_gives_a_batch_each(tmp_path: Path) -> None:
    built = compiled(tmp_path, BLOB, [("blob", "blob")], container("Raw", ["blob"], base="CCSDSPacket"))
    decoded = decode(built, block([packet(b"abc", 40), packet(b"d", 7), packet(b"ef", 40)]))
    assert rows(decoded) == {
        "Raw_7": [{"seq": 1, "blob": b"d"}],
        "Raw_40": [{"seq": 0, "blob": b"abc"}, {"seq": 2, "blob": b"ef"}],
    }
    for name, batch in decoded.batches:
        assert batch.schema.metadata == {b"container": name.encode()}


def test_a_packet_length_field_that_says_too_much(tmp_path: Path) -> None:
    built = compiled(tmp_path, BLOB, [("blob", "blob")], container("Raw", ["blob"], base="CCSDSPacket"))
    whole = packet(b"abcdef", 40)
    assert decode(built, block([whole[:-1], whole])).undecoded == {"too short": 1}


def test_a_size_below_nothing_is_too_short(tmp_path: Path) -> None:
    parameters = [("a", "u16"), ("blob", "blob"), ("b", "u8")]
    entries = container("C", ["a", "blob", "b"], equals("PKT_APID", 1), base="CCSDSPacket")
    types = TYPES + BLOB.replace('intercept="8"', 'intercept="-16"')  # behind a: the length field, less 2
    built = compiled(tmp_path, types, parameters, entries)
    decoded = decode(built, block([packet(b"\0\1\2", 1), packet(b"\0\1", 1), packet(b"\0\1\2\3", 1)]))
    assert rows(decoded) == {
        "C": [{"seq": 0, "a": 1, "blob": b"", "b": 2}, {"seq": 2, "a": 1, "blob": b"\2", "b": 3}],
    }
    assert decoded.undecoded == {"too short": 1}


def test_packets_at_equal_distances_come_out_like_others(tree: Plan) -> None:
    packets = [packet(bytes([0, i]), 1) for i in range(50)]
    regular, irregular = decode(tree, block(packets)), decode(tree, block(packets, [i % 3 for i in range(50)]))
    assert regular.batches[0][1].equals(irregular.batches[0][1])


def test_no_packets(tree: Plan) -> None:
    assert decode(tree, block([])) == Decoded()


anything = st.binary(max_size=40)
likely = st.builds(packet, st.binary(max_size=40), st.sampled_from([0, 1, 2, 3, 0x507, 2046]))
SHIPPED_FILES = sorted(SHIPPED.glob("*/telemetry.xml"))


@pytest.mark.parametrize("path", SHIPPED_FILES, ids=[path.parent.name for path in SHIPPED_FILES])
def test_random_octets_never_raise_and_none_is_forgotten(path: Path) -> None:
    built = plan.compile(read.load(path))
    apids = {condition.value for child in built.root.children for condition in child.conditions}
    assigned = st.builds(packet, st.binary(max_size=200), st.sampled_from(sorted(apids, key=str) or [1]))

    @settings(max_examples=30, deadline=None)
    @given(st.lists(anything | likely | assigned, max_size=20), st.lists(st.integers(0, 2), min_size=20, max_size=20))
    def check(packets: list[bytes], gaps: list[int]) -> None:
        decoded = decode(built, block(packets, gaps[: len(packets)]))
        for _, batch in decoded.batches:
            batch.validate(full=True)
        assert sum(batch.num_rows for _, batch in decoded.batches) + sum(decoded.undecoded.values()) == len(packets)
        assert {reason: sum(apids.values()) for reason, apids in decoded.apids.items()} == decoded.undecoded

    check()


@settings(max_examples=60, deadline=None)
@given(st.lists(likely, min_size=1, max_size=20), st.data())
def test_batching_makes_no_difference(
    tmp_path_factory: pytest.TempPathFactory, packets: list[bytes], data: st.DataObject
) -> None:
    built = compiled(
        tmp_path_factory.getbasetemp(),
        TYPES + BLOB,
        [("a", "u16"), ("b", "u8"), ("blob", "blob")],
        container("A", ["a", "b"], equals("PKT_APID", 1), base="CCSDSPacket")
        + container("AA", [], equals("b", 128, ">"), base="A")
        + container("Raw", ["blob"], equals("PKT_APID", 1, ">"), base="CCSDSPacket"),
    )
    whole = block(packets)
    together = decode(built, whole)
    cut = data.draw(st.integers(0, len(packets)))
    for cuts in ([0, cut, len(packets)], list(range(len(packets) + 1))):
        parts: dict[str, list[pa.RecordBatch]] = {}
        undecoded: dict[str, int] = {}
        for first, end in pairwise(cuts):
            decoded = decode(built, whole.select(np.arange(first, end)))
            for name, batch in decoded.batches:
                parts.setdefault(name, []).append(batch)
            for reason, n in decoded.undecoded.items():
                undecoded[reason] = undecoded.get(reason, 0) + n
        assert undecoded == together.undecoded
        assert parts.keys() == dict(together.batches).keys()
        for name, batch in together.batches:
            joined = pa.Table.from_batches(parts[name])
            assert joined.equals(pa.Table.from_batches([batch]), check_metadata=True)
