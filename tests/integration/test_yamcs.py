"""Three readers of a definition file agree on every value of random packets: Yamcs, space-packet-parser, ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from sys import float_info
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from ground.mission import SHIPPED
from ground.xtce import decode, plan, read
from ground.xtce.declarations import FloatEncoding, IntegerEncoding, Polynomial, Spline, StringEncoding
from tests.services.yamcs.decoder import Yamcs, yamcs
from tests.xtce.definition import Oracle, block, container, document, equals, packet, same_float

if TYPE_CHECKING:
    from ground.xtce.declarations import Calibrator, ParameterType, SpaceSystem

__all__ = ["yamcs"]

DEFINITIONS = sorted(SHIPPED.glob("*/telemetry.xml")) + sorted(Path(__file__).parent.glob("missions/*/telemetry.xml"))
EACH = 100  # packets of each container: above a thousand for both simulated spacecraft
DATES = (1_577_836_800 * 10**9, 4_102_444_800 * 10**9)  # 2020 to 2099
PRIMARY_HEADER = 7  # fields
EPSILON = float_info.epsilon
UNIX = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def random_field(kind: ParameterType, random: Random) -> tuple[int, int]:
    """Bits of a field and their number: any, but that codes have a label, times a date, and text only letters."""
    encoding = kind.encoding
    if not isinstance(encoding, IntegerEncoding | FloatEncoding):
        # A size that varies is that of the whole packet, whose length is filled in at the end.
        assert encoding.size.parameter in {None, "packet_length"}
        octets = encoding.size.bits // 8 if encoding.size.parameter is None else random.randint(1, 300)
        content = random.randbytes(octets)
        if isinstance(encoding, StringEncoding):
            letters = bytes(random.choices(range(97, 123), k=random.randint(0, octets - 1)))
            content = letters.ljust(octets, bytes([encoding.terminator or 0]))
        return int.from_bytes(content, "big"), 8 * octets
    bits = encoding.bits
    raw = random.choice([0, 2**bits - 1]) if random.random() < 0.1 else random.getrandbits(bits)
    if kind.kind == "enumeration":
        raw = random.choice(list(kind.labels)) % 2**bits
    if kind.tick is not None:
        raw = int((random.randint(*DATES) - kind.epoch) / (kind.tick * 10**9))
    if encoding.little_endian:
        raw = int.from_bytes(raw.to_bytes(bits // 8, "little"), "big")
    return raw, bits


def random_packet(system: SpaceSystem, name: str, random: Random) -> bytes:
    """A packet that the restrictions of the container ``name`` pick."""
    chain = system.chain(name)
    restriction = [condition for link in chain for condition in link.restriction]
    demanded = {condition.parameter: int(condition.value) for condition in restriction if condition.operator == "=="}
    excluded = {(condition.parameter, int(condition.value)) for condition in restriction if condition.operator == "!="}
    assert len(demanded) + len(excluded) == len(restriction), "other comparisons are not thought of here"
    content = length = 0
    for parameter in (entry.parameter for link in chain for entry in link.entries):
        raw, bits = random_field(parameter.type, random)
        raw = demanded.get(parameter.name, raw)
        while (parameter.name, raw) in excluded:
            raw, bits = random_field(parameter.type, random)
        content, length = content << bits | raw, length + bits
    octets = (content << -length % 8).to_bytes((length + 7) // 8, "big")
    return octets[:4] + (len(octets) - 7).to_bytes(2, "big") + octets[6:]


def rounding(calibrator: Calibrator | None, raw: float) -> float:
    """How far apart two orders of evaluation may be: Yamcs takes Horner's, and splines over a common denominator.

    A straight line leaves no choice. The bound for a polynomial is Higham's (Accuracy and Stability of Numerical
    Algorithms, 5.1), for both sides: 2n roundings of half an epsilon each, of the sum of the terms' magnitudes.
    """
    if isinstance(calibrator, Polynomial):
        degree = len(calibrator.coefficients) - 1
        magnitude = sum(abs(coefficient * raw**exponent) for exponent, coefficient in calibrator.terms)
        return 2 * degree * EPSILON * magnitude if degree > 1 else 0.0
    if isinstance(calibrator, Spline):
        x, y = (max(abs(point[axis]) for point in calibrator.points) for axis in (0, 1))
        narrowest = min(b[0] - a[0] for a, b in pairwise(calibrator.points))
        return 8 * EPSILON * y * (abs(raw) + x) / narrowest
    return 0.0


def same(kind: ParameterType, ours: Any, parsed: Any, extracted: tuple[Any, Any]) -> bool:
    """Whether our value, space-packet-parser's, and Yamcs' (raw, engineering) are one."""
    raw, value = extracted
    agreed: bool
    match kind.kind:
        case "float":
            limit = rounding(kind.calibrator, raw)
            agreed = same_float(ours, float(parsed)) and (same_float(ours, value) or abs(ours - value) <= limit)
        case "time":
            # Yamcs keeps milliseconds, and computes them in floating point.
            assert kind.tick is not None
            expected = kind.epoch + raw * kind.tick * 10**9
            microseconds = (datetime.fromisoformat(value) - UNIX) // MICROSECOND
            near = abs(microseconds * 1000 - expected) <= 1_000_000
            agreed = near and raw == parsed.raw_value and ours == expected // 1
        case "enumeration":
            agreed = raw == parsed.raw_value == ours and value == str(parsed) == kind.labels[ours]
        case "binary":
            agreed = ours == bytes(parsed) == bytes.fromhex(value)
        case _:
            agreed = ours == parsed == value
    return agreed


def pylist(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows, times as ns since 1970 UTC."""
    columns = [column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names).to_pylist()


@pytest.mark.parametrize("definition", DEFINITIONS, ids=[path.parent.name for path in DEFINITIONS])
def test_the_three_agree(yamcs: Yamcs, definition: Path) -> None:
    system, random = read.load(definition), Random(5)
    names = [name for name, declared in system.containers.items() if not declared.abstract] * EACH
    packets = [random_packet(system, name, random) for name in names]

    extracted = yamcs.decode(definition, packets)
    assert [one.container for one in extracted] == names

    decoded = decode.decode(plan.compile(system), block(packets))
    assert decoded.undecoded == {}
    rows: dict[int, dict[str, Any]] = {}
    for name, batch in decoded.batches:
        for row in pylist(batch):
            rows[row["seq"]] = row
            expected, apid = names[row["seq"]], int.from_bytes(packets[row["seq"]][:2], "big") & 0x7FF
            assert name in {expected, f"{expected}_{apid}"}
    assert len(rows) == len(packets)

    oracle, header = Oracle(definition), {entry.parameter.name for entry in system.root.entries[:PRIMARY_HEADER]}
    for i, (name, octets) in enumerate(zip(names, packets, strict=True)):
        parsed, row = oracle.parse(octets), rows[i]
        parameters = {entry.parameter.name for link in system.chain(name) for entry in link.entries}
        assert extracted[i].values.keys() == parsed.keys() == parameters
        assert row.keys() - {"time", "ert", "seq", "digest"} == parameters - header
        for key, found in extracted[i].values.items():
            ours = row.get(key, found[1])  # the primary header is not kept
            where = f"{name}/{key}: ours {ours!r}, space-packet-parser {parsed[key]!r}, Yamcs {found}"
            assert same(system.parameters[key].type, ours, parsed[key], found), where


def test_named_epochs_count_the_same_leap_seconds(yamcs: Yamcs, tmp_path: Path) -> None:
    epochs = ["UNIX", "TAI", "GPS", "J2000"]
    clocks = "".join(
        f'<AbsoluteTimeParameterType name="{epoch}"><Encoding units="seconds" scale="0.001" offset="2">'
        '<IntegerDataEncoding sizeInBits="48" encoding="unsigned"/></Encoding>'
        f"<ReferenceTime><Epoch>{epoch}</Epoch></ReferenceTime></AbsoluteTimeParameterType>"
        for epoch in epochs
    )
    entries = container("Clocks", epochs, equals("PKT_APID", 1), base="CCSDSPacket")
    definition = tmp_path / "telemetry.xml"
    definition.write_text(document(clocks, zip(epochs, epochs, strict=True), entries))
    system = read.load(definition)
    now = datetime(2027, 1, 15, 8, 0, 0, 123_000, UTC)  # after the last leap second, which ours take for granted
    since_1970 = (now - UNIX) // MICROSECOND * 1000
    counts = [(since_1970 - system.types[epoch].epoch) // 10**6 for epoch in epochs]
    octets = packet(b"".join(count.to_bytes(6, "big") for count in counts), apid=1)

    [(_, batch)] = decode.decode(plan.compile(system), block([octets])).batches
    [row], [extracted] = pylist(batch), yamcs.decode(definition, [octets])
    for epoch in epochs:
        assert row[epoch] == since_1970
        assert datetime.fromisoformat(extracted.values[epoch][1]) == now
