from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ground.errors import ConfigError
from ground.link.address import parse_broker_url

if TYPE_CHECKING:
    from pathlib import Path


def test_plain() -> None:
    address = parse_broker_url("mqtt://broker.example:1900", {})
    assert (address.host, address.port, address.username, address.password, address.tls) == (
        "broker.example",
        1900,
        None,
        None,
        None,
    )
    assert str(address) == "mqtt://broker.example:1900"


def test_defaults_and_ipv6() -> None:
    assert parse_broker_url("mqtt://h", {}).port == 1883
    secure = parse_broker_url("mqtts://[::1]", {})
    assert (secure.host, secure.port, str(secure)) == ("::1", 8883, "mqtts://[::1]:8883")
    assert secure.tls is not None
    assert secure.tls.check_hostname


def test_the_password_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from file\n")
    file = {"GROUND_MQTT_PASSWORD_FILE": str(tmp_path / "secret")}
    assert parse_broker_url("mqtt://a%40b@h", file).password == b"from file"
    assert parse_broker_url("mqtt://u@h", file | {"GROUND_MQTT_PASSWORD": "é"}).password == "é".encode()
    assert parse_broker_url("mqtt://a%40b@h", {}).username == "a@b"
    assert parse_broker_url("mqtt://h", {"GROUND_MQTT_PASSWORD": "x"}).password is None
    assert "from file" not in repr(parse_broker_url("mqtt://u@h", file))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("h:1883", "mqtt://host:1883"),
        ("http://h", "mqtt://host:1883"),
        ("mqtt://", "mqtt://host:1883"),
        ("mqtt://h:99999", "mqtt://host:1883"),
        ("mqtt://h:0", "port 0"),
        ("mqtt://a..b", "mqtt://host:1883"),
        ("mqtt://h:x", "mqtt://host:1883"),
        ("mqtt://h/topic", "mqtt://host:1883"),
        ("mqtt://[::1", "mqtt://host:1883"),
        ("mqtt://u:hush@h", "GROUND_MQTT_PASSWORD"),
    ],
)
def test_what_cannot_be_used_is_said(url: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        parse_broker_url(url, {})
    assert "hush" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="GROUND_MQTT_PASSWORD_FILE"):
        parse_broker_url("mqtt://u@h", {"GROUND_MQTT_PASSWORD_FILE": str(tmp_path / "none")})
    with pytest.raises(ConfigError, match="GROUND_MQTT_CA"):
        parse_broker_url("mqtts://h", {"GROUND_MQTT_CA": str(tmp_path / "none")})
