"""Whatever stands in a mission.toml, it is read or refused; and what is read can be used."""

from __future__ import annotations

import json
import math
import tomllib
from datetime import date, datetime, time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ground.blocks import NO_TIME
from ground.ccsds.frames import packet_zone, read_frames
from ground.ccsds.packets import ChannelState, read_packets
from ground.errors import ConfigError
from ground.mission import SHIPPED, Mission, load_mission
from ground.mission.lines import Place, find_lines

EDGES = [-1, 0, 1, 5, 6, 7, 8, 63, 64, 100, 219, 220, 255, 256, 1023, 1024, 2047, 2048, 65536, 65542, 2**63, 10**400]
anything = st.recursive(
    st.one_of(
        st.booleans(),
        st.sampled_from(EDGES),
        st.integers(),
        st.floats(),
        st.text(st.characters(exclude_categories=["Cs"])),
        st.datetimes(),
        st.dates(),
        st.times(),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b c", "1"]), inner, max_size=2),
    max_leaves=4,
)
edge = st.sampled_from(EDGES)
small = st.integers(0, 30)
clock = {
    "code": st.sampled_from(["counter", "counter", "cds"]),
    "byte_order": st.sampled_from(["big", "little"]),
    "scale": st.sampled_from(["utc", "tai", "gps", "tt"]),
    "lsb": st.just("1/256")
    | st.sampled_from(["1", "1/65536", "1e6", "0.001", "1e-9", "1e99", "1/0", "1e999999999", "-1", ".", "e5", ""]),
    "epoch": st.just("2000-01-01")
    | st.sampled_from(
        ["1678-01-01", "2261-12-31T23:59:59.999999999-23:59", "2000-01-01T00:00Z", "2000-01-01T24:00", "2000", ""]
    ),
    "apids": st.lists(st.integers(0, 2047) | edge, min_size=1, max_size=3),
    "secondary_header": st.booleans(),
}
place = {"offset": small, "length": st.sampled_from([4, 6, 8]) | st.integers(0, 11)}


def table(required: dict[str, st.SearchStrategy[Any]], optional: dict[str, st.SearchStrategy[Any]]) -> Any:
    """Mostly what a key should have, sometimes anything."""

    def loose(kind: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.integers(0, 30).flatmap(lambda number: anything if number == 17 else kind)

    return st.fixed_dictionaries(
        {key: loose(kind) for key, kind in required.items()},
        optional={key: loose(kind) for key, kind in optional.items()},
    )


frame_clock = table(place, {key: value for key, value in clock.items() if key not in ("apids", "secondary_header")})
link = table(
    {"length": st.just(220) | st.just(64) | edge, "spacecraft_id": small},
    {
        "frame": st.sampled_from(["aos", "tm", "none"]),
        "insert_zone": small,
        "header_error_control": st.booleans(),
        "ocf": st.booleans(),
        "fecf": st.booleans(),
    },
) | table(
    {
        "length": st.just(220),
        "spacecraft_id": small,
        "packets": st.just("one_per_frame"),
        "packet_offset": st.integers(4, 40),
        "packet_length": st.integers(0, 190),
    },
    {"frame": st.sampled_from(["aos", "tm"]), "insert_zone": small},
)
station = table(
    {"latitude": st.floats(-91, 91), "longitude": st.floats(-200, 400)}, {"mask": edge, "dish": edge, "height": edge}
)
documents = table(
    {"title": st.text("abc", min_size=1), "link": link},
    {
        "time": table(
            {}, {"absolute": st.booleans(), "frame": frame_clock, "packet": st.lists(table(place, clock), max_size=3)}
        ),
        "vc": st.dictionaries(st.sampled_from(["0", "7", "8", "63", "64", "x"]), table({}, {}), max_size=2),
        "station": st.dictionaries(st.sampled_from(["kashi", "a/b", ""]), station, max_size=2),
        "simulated": st.booleans(),
    },
)


def toml(value: object) -> str:
    """``value`` as TOML writes it, on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value.isoformat() if isinstance(value, date | datetime | time) else repr(value)


def read(text: str) -> Mission | None:
    """The mission that ``text`` describes, None where it is refused."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "probe").mkdir()
        (Path(folder) / "probe" / "mission.toml").write_bytes(text.encode())
        try:
            return load_mission(f"{folder}/probe")
        except ConfigError as error:
            says = str(error)
    assert "mission.toml" in says
    assert len(says) < 600
    return None


def use(mission: Mission) -> None:
    """Frames of noise, of zeros and of ones through a mission's frames and packets."""
    if mission.link.frame == "none":
        return
    length = mission.link.length
    raw = np.random.default_rng(1).integers(0, 256, (6, length), np.uint8)
    raw[0], raw[1] = 0, 255
    spacecraft = mission.link.spacecraft_id
    raw[:, 0] = 0x40 | spacecraft >> 2 if mission.link.frame == "aos" else spacecraft >> 4
    raw[:, 1] = (spacecraft & 3) << 6 if mission.link.frame == "aos" else (spacecraft & 15) << 4
    zone = packet_zone(mission.link)
    assert 6 <= zone.start < zone.stop <= length
    frames, _ = read_frames(mission, raw, np.arange(6, dtype=np.int64))
    assert len(frames.time) == len(frames)
    for _, some in frames.by_channel():
        packets, _, _ = read_packets(mission, some, ChannelState())
        assert (packets.time >= NO_TIME).all()


@settings(max_examples=400, deadline=None)
@given(documents)
def test_any_values_are_read_or_refused(values: dict[str, Any]) -> None:
    text = "".join(f"{toml(key)} = {toml(value)}\n" for key, value in values.items())
    mission = read(text)
    if mission is not None:
        use(mission)


@settings(max_examples=300, deadline=None)
@given(frame_clock, st.lists(table(place, clock), max_size=2), st.sampled_from(["m_pdu", "one_per_frame"]))
def test_any_clock_is_read_or_refused(frame: object, packet: object, packets: str) -> None:
    link = {"length": 220, "spacecraft_id": 1, "packets": packets}
    if packets == "one_per_frame":
        link |= {"packet_offset": 8, "packet_length": 40}
    mission = read(f'title = "Probe"\nlink = {toml(link)}\ntime = {toml({"frame": frame, "packet": packet})}\n')
    if mission is not None:
        use(mission)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(SHIPPED.glob("*/mission.toml"))), st.data())
def test_any_damage_to_a_file_is_read_or_refused(path: Path, data: st.DataObject) -> None:
    text = path.read_text("utf-8")
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 30)))
    put = data.draw(st.text(st.sampled_from("abc=[]{}\"'\\#.,-+0123456789\n\t \r\0é"), max_size=8))
    mission = read(text[:start] + put + text[end:])
    if mission is not None:
        use(mission)


def places(value: object, at: Place = ()) -> list[Place]:
    """Where something is in what tomllib read."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*([at] if at else []), *(place for key, one in inner for place in places(one, (*at, key)))]


@settings(max_examples=200, deadline=None)
@example({"a.b": "x # y", "c": ['"""', "'", {"d": "]\n["}]})
@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), anything, max_size=3))
def test_every_value_has_a_line(values: dict[str, Any]) -> None:
    text = "".join(f"{toml(key)} = {toml(value)}\n" for key, value in values.items())
    lines = find_lines(text)
    assert set(lines) == set(places(tomllib.loads(text)))
    assert [lines[(key,)] for key in values] == list(range(1, len(values) + 1))


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("a",), 2),
        (("b", "c"), 3),
        (("text",), 4),
        (("after",), 7),
        (("array", 0), 8),
        (("array", 1), 10),
        (("array", 1, "x"), 10),
        (("t",), 12),
        (("t", "u v"), 12),
        (("t", "u v", "k"), 13),
        (("many", 0, "k"), 15),
        (("many", 1), 16),
        (("many", 1, "sub", "k"), 18),
        (("many", 1, "deep", 1, "k"), 22),
    ],
)
def test_lines_of_all_ways_to_write_a_table(place: Place, line: int) -> None:
    text = '''\
# a = 1
a = 1 # a = 2
b.c = 2
text = """
[t]
k = \\""" """
after = 'a = """'
array = [1, # ]
  # comment
  { x = [1, "]"], 'y.z' = 2020-01-01T00:00:00Z },
]
[ t . "u v" ]
k = 1.5
[[many]]
k = 1
[[many]]
[many.sub]
k = 2
[[many.deep]]
k = 3
[[many.deep]]
k = 4
'''
    lines = find_lines(text)
    assert set(lines) == set(places(tomllib.loads(text)))
    assert lines[place] == line
