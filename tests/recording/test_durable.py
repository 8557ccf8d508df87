from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ground.recording.durable import write_durably


def test_content_then_name_then_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this order, and only in this order, a crash at any point leaves the old content or the new."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    done: list[str] = []
    sync = os.fsync

    def synced(file: int) -> None:
        name = Path(f"/proc/self/fd/{file}").readlink()
        done.append(f"{name.relative_to(tmp_path)} while file is {path.read_bytes().decode()}")
        sync(file)

    monkeypatch.setattr(os, "fsync", synced)
    write_durably(path, b"new")
    assert done == ["file.new while file is old", ". while file is new"]
    assert [*tmp_path.iterdir()] == [path]


def test_what_cannot_be_written_leaves_all_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        write_durably(path, b"new")
    assert path.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [path]
