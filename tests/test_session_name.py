"""The name of the session that the broker keeps for a data folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ground.errors import RecordingError
from ground.ingest import _session_name

if TYPE_CHECKING:
    from pathlib import Path


def test_it_stays_and_is_on_the_disk_before_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    sync = os.fsync

    def noted(file: int) -> None:
        synced.append(os.fstat(file).st_ino)
        sync(file)

    monkeypatch.setattr(os, "fsync", noted)
    name = _session_name(tmp_path / "a" / "data")
    file = tmp_path / "a" / "data" / "session"
    assert {path.stat().st_ino for path in (file, file.parent, file.parent.parent)} <= {*synced}
    assert file.read_text() == f"{name}\n"
    assert _session_name(tmp_path / "a" / "data") == name
    assert _session_name(tmp_path / "other") != name


@pytest.mark.parametrize("octets", [b"", b"\n", bytes(27), b"ground-ingest-\xff\xfe", b"two words", b"x" * 200])
def test_an_empty_or_garbled_one_is_replaced_and_said(
    tmp_path: Path, octets: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "session"
    file.write_bytes(octets)
    name = _session_name(tmp_path)
    assert name.startswith("ground-ingest-")
    assert str(file) in caplog.text
    assert _session_name(tmp_path) == name


def test_a_folder_that_takes_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RecordingError, match=f"{tmp_path}/file/data: .*not writable"):
        _session_name(tmp_path / "file" / "data")
