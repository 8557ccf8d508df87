from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ground.errors import ConfigError
from ground.mission import load_mission, mission_names

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """
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


def write(folder: Path, text: str) -> str:
    mission = folder / "probe"
    mission.mkdir()
    (mission / "mission.toml").write_text(text)
    return str(mission)


def test_every_mission_that_ships_loads() -> None:
    assert {"change5", "danuri", "hera", "luna26", "mars2020", "stereo-a", "tianwen1", "tianwen2"} <= set(
        mission_names()
    )
    for name in mission_names():
        assert load_mission(name).name == name


@pytest.mark.parametrize(("scale", "offset"), [("utc", 0), ("tai", 37), ("gps", 18), ("tt", 69.184)])
def test_a_scale_moves_the_epoch(tmp_path: Path, scale: str, offset: float) -> None:
    mission = load_mission(write(tmp_path, GOOD + f'scale = "{scale}"'))
    assert mission.frame_time is not None
    assert mission.frame_time.epoch == 946_728_000 * 10**9 - round(offset * 1000) * 10**6


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("length = 220", "lenght = 220"), "length is missing"),
        (("length = 220", 'length = "220"'), "should be a whole number"),
        (("spacecraft_id = 1", "spacecraft_id = 1\ncolour = 2"), "unknown key colour"),
        (('frame = "aos"', 'frame = "usl"'), "should be one of aos, tm"),
        (("1/65536", "1/0"), "seconds as a fraction"),
        (("1/65536", "1/18446744073709551616"), "between 2^-32 s"),
        (("2000-01-01T12:00:00", "noon"), "date and time"),
        (("[link]", "[vc.64]\n[link]"), "from 0 to 63"),
        (("[link]", "[link"), "probe/mission.toml"),
        (("length = 220", "length = 4"), "between 16 and 65536"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_key(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    with pytest.raises(ConfigError, match=r"mission\.toml") as caught:
        load_mission(write(tmp_path, GOOD.replace(*change)))
    assert says in str(caught.value)


def test_an_unknown_mission_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="change5, danuri"):
        load_mission("apollo")
