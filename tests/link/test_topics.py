from __future__ import annotations

import pytest

from ground.errors import LinkError
from ground.link.topics import parse_telemetry, telemetry


def test_there_and_back() -> None:
    assert telemetry("luna26", "bear-lakes", 63) == "tm/luna26/bear-lakes/63"
    assert parse_telemetry("tm/luna26/bear-lakes/63") == ("luna26", "bear-lakes", 63)


@pytest.mark.parametrize(
    "topic", ["", "tm", "tm/a/b", "tm/a/b/x", "tm/a/b/1/2", "live/a/b/1", "tm//b/1", "tm/a/b/٣", "tm/a/b/100"]
)
def test_other_topics_are_none(topic: str) -> None:
    assert parse_telemetry(topic) is None


@pytest.mark.parametrize("name", ["", "a/b", "+", "#", "a\0"])
def test_names_that_no_topic_can_carry(name: str) -> None:
    with pytest.raises(LinkError, match="topic"):
        telemetry(name, "s", 1)
    with pytest.raises(LinkError, match="topic"):
        telemetry("m", name, 1)
