from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from ground.errors import ConfigError
from ground.mission import load_mission, load_missions, mission_names

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
title = "Test"
[link]
frame = "aos"
length = 220
spacecraft_id = 1
[time.frame]
offset = 6
length = 6
lsb = "1/65536"
epoch = "2000-01-01T12:00:00"
"""
TM = GOOD.replace('frame = "aos"', 'frame = "tm"')
ONE_PACKET = GOOD.replace(
    "spacecraft_id = 1", 'spacecraft_id = 1\npackets = "one_per_frame"\npacket_offset = 8\npacket_length = 212'
)
BARE = 'title = "Bare"\n[link]\nframe = "none"\n'
STATION = GOOD + "[station.kashi]\nlatitude = 38.4\nlongitude = 76.7\n"
PACKET = GOOD + "[[time.packet]]\noffset = 6\nlength = 4\n[[time.packet]]\napids = [3]\noffset = 7\nlength = 4\n"
NOON = 946_728_000 * 10**9


def write(folder: Path, text: str, name: str = "probe") -> str:
    mission = folder / name
    mission.mkdir()
    (mission / "mission.toml").write_text(text, "utf-8")
    return str(mission)


def test_every_mission_that_ships_loads() -> None:
    assert {"change5", "danuri", "hera", "luna26", "mars2020", "stereo-a", "tianwen1", "tianwen2"} <= set(
        mission_names()
    )
    for name in mission_names():
        assert load_mission(name).name == name


@pytest.mark.parametrize("text", [GOOD, TM, ONE_PACKET, BARE, STATION, PACKET])
def test_what_the_mistakes_are_made_in_is_good(tmp_path: Path, text: str) -> None:
    assert load_mission(write(tmp_path, text)).name == "probe"


def test_hysteresis_is_read_by_parameter(tmp_path: Path) -> None:
    mission = load_mission(write(tmp_path, GOOD + '[hysteresis]\n"Power/volts" = 0.5\n"Raw_7/amps" = 2\n'))
    assert mission.hysteresis == {"Power/volts": 0.5, "Raw_7/amps": 2.0}


@pytest.mark.parametrize(("scale", "offset"), [("utc", 0), ("tai", 37), ("gps", 18), ("tt", 69.184)])
def test_a_scale_moves_the_epoch(tmp_path: Path, scale: str, offset: float) -> None:
    mission = load_mission(write(tmp_path, GOOD + f'scale = "{scale}"'))
    assert mission.frame_time is not None
    assert mission.frame_time.epoch == NOON - round(offset * 1000) * 10**6


@pytest.mark.parametrize(
    ("text", "epoch"),
    [
        ("2000-01-01T12:00:00Z", NOON),
        ("2000-01-01T20:00:00+08:00", NOON),
        ("2000-01-01T20:00+0800", NOON),
        ("2000-01-01T06:30:00-05:30", NOON),
        ("2000-01-01 12:00:00.7", NOON + 700_000_000),
        ("2000-01-01T12:00:00.123456789", NOON + 123_456_789),
        ("2000-01-01T20:00:00,000000001+08:00", NOON + 1),
        ("2000-01-01", NOON - 12 * 3600 * 10**9),
        ("1969-12-31T23:59:59.999999999", -1),
    ],
)
def test_an_epoch_keeps_its_zone_and_its_nanoseconds(tmp_path: Path, text: str, epoch: int) -> None:
    mission = load_mission(write(tmp_path, GOOD.replace("2000-01-01T12:00:00", text)))
    assert mission.frame_time is not None
    assert mission.frame_time.epoch == epoch


LINK_MISTAKES = [
    (GOOD, "length = 220", "", 2, "[link] length is missing; valid keys: frame, length,"),
    (GOOD, "length = 220", "lenght = 220", 2, "length is missing (there is lenght, which is no key); valid keys:"),
    (GOOD, "length = 220", 'length = "220"', 4, "length = '220' should be a whole number"),
    (GOOD, "length = 220", "length = 4", 4, "between 16 and 65536 octets"),
    (GOOD, "length = 220", "length = 0x" + "f" * 5000, 4, "length = (a whole number that is too long to show)"),
    (GOOD, "spacecraft_id = 1", "spacecraft_id = 1\ncolour = 2", 6, "unknown key colour; valid keys: frame, length"),
    (GOOD, 'frame = "aos"', 'frame = "usl"', 3, "should be one of aos, tm"),
    (GOOD, "[link]", "[link", 2, "this is not TOML"),
    (GOOD, "[link]", "size = 1" + "0" * 5000 + "\n[link]", None, "this is not TOML: Exceeds the limit"),
    (GOOD, "[link]", "deep = " + "[" * 5000 + "\n[link]", None, "nested too deeply"),
    (GOOD, "[link]", "link = 3\n[vc.1]", 2, "link = 3 should be a table"),
    (GOOD, "spacecraft_id = 1", "spacecraft_id = 256", 5, "between 0 and 255 in AOS frames"),
    (GOOD, "spacecraft_id = 1", "spacecraft_id = -1", 5, "between 0 and 255 in AOS frames"),
    (TM, "spacecraft_id = 1", "spacecraft_id = 1024", 5, "between 0 and 1023 in TM frames"),
    (GOOD, "spacecraft_id = 1", "spacecraft_id = 1\ninsert_zone = 2000", 6, "insert_zone = 2000 should be between"),
    (GOOD, "spacecraft_id = 1", "spacecraft_id = 1\ninsert_zone = -1", 6, "insert_zone = -1 should be between 0"),
    (GOOD, "spacecraft_id = 1", "spacecraft_id = 1\ninsert_zone = 212", 6, "leave no room for packets"),
    (GOOD, "spacecraft_id = 1", "spacecraft_id = 1\ninsert_zone = 206\nocf = true\nfecf = true", 6, "leave no room"),
    (TM, "spacecraft_id = 1", "spacecraft_id = 1\ninsert_zone = 65", 6, "between 0 and 64"),
    (TM, "spacecraft_id = 1", "spacecraft_id = 1\nheader_error_control = true", 6, "belongs to AOS frames"),
    (GOOD, "spacecraft_id = 1", "spacecraft_id = 1\npacket_offset = 8", 6, 'links with packets = "one_per_frame"'),
    (ONE_PACKET, "packet_offset = 8", "", 2, "packet_offset is missing"),
    (ONE_PACKET, "packet_length = 212", "", 2, "packet_length is missing"),
    (ONE_PACKET, "packet_offset = 8", "packet_offset = -8", 7, "should be at least 6, behind the frame's headers"),
    (ONE_PACKET, "packet_offset = 8", "packet_offset = 5", 7, "should be at least 6"),
    (ONE_PACKET, "packet_offset = 8", "packet_offset = 8\ninsert_zone = 4", 7, "should be at least 10"),
    (ONE_PACKET, "packet_length = 212", "packet_length = 213", 8, "packet_offset = 8 reach beyond the frame's 220"),
    (ONE_PACKET, "packet_length = 212", "packet_length = 212\nfecf = true", 8, "beyond octet 218, where the trailers"),
    (ONE_PACKET, "packet_length = 212", "packet_length = 0", 8, "at least 7 octets"),
    (BARE, 'frame = "none"', 'frame = "none"\nlength = 100', 4, "length belongs to transfer frames"),
    (BARE, 'frame = "none"', 'frame = "none"\nocf = true', 4, "ocf belongs to transfer frames"),
    (BARE, 'frame = "none"', 'frame = "none"\npackets = "m_pdu"', 4, "packets belongs to transfer frames"),
    (BARE, 'frame = "none"', 'frame = "none"\n[time.frame]\noffset = 0\nlength = 4', 4, "has no frames"),
    (GOOD, "[link]", "[vc.64]\n[link]", 2, "'64' should be a virtual channel number from 0 to 63 in AOS"),
    (GOOD, "[link]", '[vc."٣"]\n[link]', 2, "from 0 to 63"),
    (GOOD, "[link]", "[vc.03]\n[link]", 2, "from 0 to 63"),
    (TM, "[link]", "[vc.7]\n[vc.9]\n[link]", 3, "'9' should be a virtual channel number from 0 to 7 in TM frames"),
    (GOOD, "[link]", "[vc]\n1 = 5\n[link]", 3, "should be a table"),
    (GOOD, "[link]", "[vc.1]\ncolour = 2\n[link]", 3, "[vc.1] unknown key colour; valid keys: name, mode"),
    (GOOD, 'title = "Test"', "", None, "title is missing; valid keys: title, description,"),
    (GOOD, 'title = "Test"', 'title = "\\u001b[31m"', 1, "no control characters"),
    (GOOD, 'title = "Test"', 'title = " "', 1, "should not be empty"),
    (GOOD, "[link]", "colour = 1\n[link]", 2, "unknown key colour; valid keys: title, description, simulated, link"),
]

TIME_MISTAKES = [
    (GOOD, "offset = 6", "offset = -3", 7, "[time.frame] offset = -3 should not be negative"),
    (GOOD, "offset = 6", "offset = 215", 7, "offset = 215 and length = 6 reach beyond the frame's 220 octets"),
    (GOOD, "length = 6", "length = 9", 8, "1 to 8 octets in the time code counter"),
    (GOOD, 'length = 6\nlsb = "1/65536"', 'length = 7\ncode = "cds"', 8, "6, 8 or 10 octets in"),
    (GOOD, "length = 6", 'length = 6\ncode = "cds"', 10, "lsb is fixed in the time code cds"),
    (GOOD, "offset = 6", "offset = 6\napids = [1]", 8, "unknown key apids; valid keys: code, offset, length"),
    (GOOD, "[time.frame]", "[time]\nframes = 1\n[time.frame]", 7, "[time] unknown key frames; valid keys: absolute"),
    (GOOD, "1/65536", "1/0", 9, "seconds as a fraction"),
    (GOOD, "1/65536", "1/18446744073709551616", 9, "between 2^-32 s"),
    (GOOD, "1/65536", "0", 9, "between 2^-32 s"),
    (GOOD, "1/65536", "1e999999999", 9, "lsb = '1e999999999' should be seconds"),
    (GOOD, "1/65536", "1e-999999999", 9, "lsb = '1e-999999999' should be seconds"),
    (GOOD, "1/65536", "1" * 5_000_000, None, "larger than 1048576 octets"),
    (GOOD, "1/65536", "1" * 500_000, 9, "should be seconds"),
    (GOOD, "2000-01-01T12:00:00", "noon", 10, "should be a date and time (ISO 8601)"),
    (GOOD, "2000-01-01T12:00:00", "2000-13-01T12:00:00", 10, "is no date and time: month must be"),
    (GOOD, "2000-01-01T12:00:00", "2000-01-01T12:00:00.0123456789", 10, "finer than a nanosecond"),
    (GOOD, "2000-01-01T12:00:00", "0001-01-01T00:00:00+08:00", 10, "in the years 1678 to 2261"),
    (GOOD, "2000-01-01T12:00:00", "9999-12-31T23:59:59-08:00", 10, "in the years 1678 to 2261"),
    (GOOD, '"2000-01-01T12:00:00"', "2000-01-01T12:00:00", 10, "should be text in quotes"),
    (PACKET, "offset = 7", "offset = -1", 16, "[[time.packet]] offset = -1 should not be negative"),
    (PACKET, "offset = 7", "offset = 65539", 16, "reach beyond the longest packet's 65542 octets"),
    (ONE_PACKET, "[time.frame]", "[[time.packet]]\noffset = 209\nlength = 4\n[time.frame]", 10, "packet's 212 octets"),
    (PACKET, "apids = [3]", "apids = [3, 2048]", 15, "should be APIDs from 0 to 2047"),
    (PACKET, "apids = [3]", "apids = [-1]", 15, "should be APIDs from 0 to 2047"),
    (PACKET, "apids = [3]", 'apids = ["3"]', 15, "should be APIDs from 0 to 2047"),
    (PACKET, "apids = [3]", "apids = [[3]]", 15, "should be APIDs from 0 to 2047"),
    (PACKET, "apids = [3]", "apids = [true]", 15, "should be APIDs from 0 to 2047"),
    (PACKET, "apids = [3]", "apids = []", 15, "at least one APID"),
    (PACKET, "apids = [3]", "apid = 3", 15, "unknown key apid; valid keys: code, offset,"),
    (BARE, 'frame = "none"', 'frame = "none"\n[time]\npacket = [\n3]', 6, "[time.packet] should have tables in it"),
]

STATION_MISTAKES = [
    (STATION, "[station.kashi]", "[hysteresis]\nvolts = 1\n[station.kashi]", 12, 'should be "Container/parameter"'),
    (STATION, "[station.kashi]", '[hysteresis]\n"A/x" = -1\n[station.kashi]', 12, "in the parameter's unit"),
    (STATION, "[station.kashi]", '[hysteresis]\n"A/x" = "1"\n[station.kashi]', 12, "should be a number"),
    (STATION, "latitude = 38.4", "latitude = 90.1", 12, "[station.kashi] latitude = 90.1 should be between -90 and 90"),
    (STATION, "latitude = 38.4", "latitude = nan", 12, "latitude = nan should be between -90 and 90"),
    (STATION, "latitude = 38.4", "latitude = 0x" + "f" * 300, 12, "should be between -90 and 90"),
    (STATION, "latitude = 38.4", "", 11, "latitude is missing"),
    (STATION, "longitude = 76.7", "longitude = -181", 13, "between -180 and 360"),
    (STATION, "longitude = 76.7", "longitude = 361", 13, "between -180 and 360"),
    (STATION, "longitude = 76.7", "longitude = 76.7\nmask = 90", 14, "mask = 90 should be between 0 and 89"),
    (STATION, "longitude = 76.7", "longitude = 76.7\nmask = -1", 14, "mask = -1 should be between 0 and 89"),
    (STATION, "longitude = 76.7", "longitude = 76.7\ndish = 0", 14, "dish = 0 should be between 0.1 and 1000 metres"),
    (STATION, "longitude = 76.7", "longitude = 76.7\nheight = inf", 14, "height = inf should be between -500"),
    (STATION, "longitude = 76.7", "longitude = 76.7\nlat = 3", 14, "unknown key lat; valid keys: title, latitude"),
    (STATION, "[station.kashi]", '[station."a/b"]', 11, "a station cannot be called 'a/b': no topic can carry"),
    (STATION, "[station.kashi]", '[station."a b"]', 11, "no topic can carry"),
    (STATION, "[station.kashi]", '[station.""]', 11, "it is empty"),
    (GOOD, "[link]", "station.kashi = 3\n[link]", 2, "kashi = 3 should be a table"),
]


@pytest.mark.parametrize(
    ("text", "old", "new", "line", "says"),
    [pytest.param(*case, id=case[4]) for case in LINK_MISTAKES + TIME_MISTAKES + STATION_MISTAKES],
)
def test_a_mistake_is_named_with_file_line_and_key(
    tmp_path: Path, text: str, old: str, new: str, line: int | None, says: str
) -> None:
    assert old in text
    with pytest.raises(ConfigError) as caught:
        load_mission(write(tmp_path, text.replace(old, new, 1)))
    at = "" if line is None else f":{line}"
    assert str(caught.value).startswith(f"{tmp_path}/probe/mission.toml{at}: ")
    assert says in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_file_that_is_no_text_is_named_with_its_line(tmp_path: Path) -> None:
    folder = write(tmp_path, GOOD)
    (tmp_path / "probe" / "mission.toml").write_bytes(b'title = "Test"\ndescription = "\xff"\n')
    with pytest.raises(ConfigError, match=r"mission\.toml:2: this is not UTF-8"):
        load_mission(folder)


@pytest.mark.parametrize(
    "name",
    ["a+b", "a#b", "a b", " ", "a\tb", "a\nb", "a\x7fb", "a\u200bb", "a\\b", "-a", ".a", "$a", "ü" * 51, "\udcff"],
)
def test_a_name_that_no_topic_can_carry_is_refused(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path, GOOD, name)
    with pytest.raises(ConfigError, match="a mission cannot be called") as caught:
        load_mission(folder)
    assert str(caught.value).isprintable()


def test_a_folder_given_in_another_way_has_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, GOOD)
    monkeypatch.chdir(tmp_path / "probe")
    assert load_mission("./").name == "probe"
    assert load_mission("../probe/").name == "probe"


@pytest.mark.parametrize("name", ["apollo", "", "a/b", "x" * 5000, "a\0b"])
def test_an_unknown_mission_lists_the_known_ones(name: str) -> None:
    with pytest.raises(ConfigError, match="change5, danuri"):
        load_mission(name)


def test_a_bad_folder_keeps_no_other_from_loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, GOOD)
    write(tmp_path, GOOD.replace("length = 220", "length = 4"), "short")
    write(tmp_path, GOOD, "a+b")
    monkeypatch.setenv("GROUND_MISSIONS", str(tmp_path))
    missions, unusable = load_missions()
    assert {"probe", "change5", "hera"} <= {mission.name for mission in missions}
    assert sorted(unusable) == ["a+b", "short"]
    assert re.search(r"short/mission\.toml:4: .*length = 4", unusable["short"])
    missions, unusable = load_missions(["probe", "apollo"])
    assert [mission.name for mission in missions] == ["probe"]
    assert list(unusable) == ["apollo"]
