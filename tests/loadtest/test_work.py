"""What the generator makes of a mission is what the ground decodes: every value, through frames of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ground.errors import ConfigError
from ground.loadtest.stream import GROUP, Stream
from ground.loadtest.verify import verify
from ground.mission import load_mission
from ground.stores.duckdb import DuckdbStore
from ground.xtce import read
from tests.loadtest.path import standard, store_first, work_of
from tests.xtce.definition import container, document, equals, integer_type

if TYPE_CHECKING:
    from ground.loadtest.traffic import Traffic
    from ground.loadtest.verify import Comparison

SHIPPED = ("change5", "danuri", "hera", "luna26", "mars2020", "stereo-a", "tianwen1", "tianwen2")
PROBE = Path(__file__).parents[1] / "integration" / "missions" / "probe"


def all_of(*comparisons: str) -> str:
    return f"<ComparisonList>{''.join(comparisons)}</ComparisonList>"


async def read_back(folder: Path, work: Traffic, sent: list[int]) -> Comparison:
    store = await DuckdbStore.open(folder / "store")
    found = await verify(store, work, sent)
    await store.close()
    return found


@pytest.mark.parametrize("name", [*SHIPPED, str(PROBE)])
async def test_every_mission(name: str, tmp_path: Path) -> None:
    work = work_of(name, publishers=2)
    sent, ledger = await store_first(tmp_path, work, 700)
    found = await read_back(tmp_path, work, sent)
    assert found.equal, found.named
    assert found.stored == sum(sent) > 1000
    containers = {one.name for one in read.load(work.mission.telemetry).containers.values() if not one.abstract}
    assert {kind.name.rpartition("_")[0] or kind.name for kind in work.kinds} | {
        k.name for k in work.kinds
    } >= containers
    # Two groups are begun: each publisher has sent two damaged messages and one again, of two frames.
    rejected = ledger["frames"]["rejected"]
    assert (sum(rejected.values()), ledger["frames"]["duplicate"], ledger["missing"]) == (8, 4, 0)
    assert not any(channel["lost"] or channel["dropped"] for channel in ledger["vcs"].values())
    assert not ledger["packets"]["undecoded"]


async def test_a_packet_of_every_shape(tmp_path: Path) -> None:
    """Sizes that other fields say, restrictions at several levels, floats and integers of any place and order."""
    little = ' byteOrder="leastSignificantByteFirst"'
    types = (
        integer_type("u3", 3)
        + integer_type("u5", 5)
        + integer_type("u8", 8)
        + integer_type("s11", 11, "twosComplement")
        + integer_type("s24", 24, "twosComplement", little)
        + integer_type("u64", 64)
        + '<FloatParameterType name="f16" sizeInBits="32"><FloatDataEncoding sizeInBits="16"/></FloatParameterType>'
        + f'<FloatParameterType name="f64"><FloatDataEncoding sizeInBits="64"{little}/></FloatParameterType>'
        + '<EnumeratedParameterType name="mode"><IntegerDataEncoding sizeInBits="8"/><EnumerationList>'
        '<Enumeration value="3" label="SAFE"/><Enumeration value="200" label="SCIENCE"/>'
        '<Enumeration value="9" label="IDLE"/></EnumerationList>'
        "</EnumeratedParameterType>"
        '<BinaryParameterType name="blob"><BinaryDataEncoding><SizeInBits><DynamicValue>'
        '<ParameterInstanceRef parameterRef="size"/><LinearAdjustment slope="8" intercept="16"/></DynamicValue>'
        "</SizeInBits></BinaryDataEncoding></BinaryParameterType>"
        '<StringParameterType name="text"><StringDataEncoding encoding="UTF-8"><SizeInBits>'
        "<Fixed><FixedValue>96</FixedValue></Fixed><LeadingSize sizeInBitsOfSizeTag='8'/></SizeInBits>"
        "</StringDataEncoding></StringParameterType>"
    )
    parameters = [
        *(("a", "u3"), ("b", "u5"), ("size", "u8"), ("blob", "blob"), ("c", "s11"), ("pad", "u5"), ("d", "s24")),
        *(("e", "u64"), ("f", "f16"), ("g", "f64"), ("mode", "mode"), ("text", "text"), ("h", "u8"), ("i", "u8")),
    ]
    science = equals("mode", "SCIENCE")
    containers = (
        container("Base", ["a", "b", "mode"], equals("PKT_APID", 7), base="CCSDSPacket")
        + container("Safe", ["size", "blob", "c", "pad", "d"], equals("mode", "SAFE"), base="Base")
        + container("Science", ["e", "f", "g"], all_of(science, equals("b", 20, "<")), base="Base")
        + container("Text", ["text"], all_of(equals("b", 30, ">="), equals("a", 5, "!=")), base="Long")
        + container("Long", ["h"], all_of(science, equals("b", 20, ">=")), base="Base")
        + container(
            "Any", ["i"], all_of(equals("PKT_APID", 7, "!="), equals("PKT_APID", 2047, "!=")), base="CCSDSPacket"
        )
    )
    folder = tmp_path / "shapes"
    folder.mkdir()
    (folder / "telemetry.xml").write_text(document(types, parameters, containers))
    link = 'frame = "tm"\nlength = 61\nspacecraft_id = 900\ninsert_zone = 6\nfecf = true\nocf = true\n'
    time = 'offset = 7\nlength = 5\nlsb = "1/256"\nbyte_order = "little"\n'
    (folder / "mission.toml").write_text(f'title = "Shapes"\n[link]\n{link}[time.frame]\n{time}')
    work = work_of(str(folder))
    assert [kind.name.partition("_")[0] for kind in work.kinds] == [
        "Base",
        "Safe",
        "Science",
        "Text",
        "Long",
        *["Any"] * 4,
    ]
    sent, ledger = await store_first(tmp_path, work, 1200, frames=3)
    found = await read_back(tmp_path, work, sent)
    assert found.equal, found.named
    assert found.stored == sum(sent)
    assert not ledger["packets"]["undecoded"]


def test_a_clock_that_ends_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "short"
    folder.mkdir()
    (folder / "telemetry.xml").write_text(load_mission("change5").telemetry.read_text())
    link = "length = 100\nspacecraft_id = 1\ninsert_zone = 4\n"
    (folder / "mission.toml").write_text(
        f'title = "Short"\n[link]\n{link}[time.frame]\noffset = 6\nlength = 1\nepoch = "2020-01-01"\n'
    )
    with pytest.raises(ConfigError, match="clock of 1 octets ends after 256 steps"):
        Stream(work_of(str(folder)), 0, 1).group(0)


def test_damage_is_what_a_receiver_can_see() -> None:
    for name, bits in (("change5", 10), ("hera", 12), ("luna26", 892 * 8)):
        work = work_of(name)
        assert work.delicate == bits
        payload, seq = Stream(work, 0, 3).group(1)
        wrong = np.unpackbits(payload[100] ^ payload[99]).reshape(3, -1)
        assert wrong.sum(axis=1).tolist() == [1, 1, 1]
        assert wrong.argmax(axis=1).max() < bits
        assert (payload[200] == payload[50]).all()
        assert seq[200] == seq[50]
        assert sorted({*seq.tolist()}) == [3 * number for number in range(GROUP - 1, 2 * (GROUP - 1))]


@pytest.mark.parametrize("name", ["luna26", "danuri", "tianwen1"])
def test_a_stream_knows_what_it_carries(name: str) -> None:
    stream = Stream(work_of(name), 0, 3)
    for packets in (1, 297, 299, 301, 600, 1500, 1501, 4000):
        messages = stream.messages(packets)
        assert stream.packets(messages) >= packets > stream.packets(messages - 1)


def test_frames_are_the_same_however_they_are_asked_for(tmp_path: Path) -> None:
    for work in (work_of("luna26", 2), standard(tmp_path, 5, 3, 2)):
        whole = work.frames(1, 0, 50)
        assert (np.concatenate([work.frames(1, 0, 13), work.frames(1, 13, 37)]) == whole).all()
        assert (work.frames(0, 0, 50) != whole).any()


def test_a_mission_that_cannot_be_told_apart_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    folder.mkdir()
    (folder / "telemetry.xml").write_text(load_mission("change5").telemetry.read_text())
    (folder / "mission.toml").write_text('title = "Bare"\n[link]\nframe = "none"\n')
    with pytest.raises(ConfigError, match="bare has no transfer frames"):
        work_of(str(folder))
    (folder / "mission.toml").write_text('title = "Bare"\n[link]\nlength = 100\nspacecraft_id = 1\n')
    with pytest.raises(ConfigError, match="neither packet nor frame has an onboard time"):
        work_of(str(folder))
