"""Files that are there as a whole or not at all, whenever the power goes."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_durably(path: Path, octets: bytes) -> None:
    """Have the file at ``path`` hold ``octets``: after a crash it has its old content or all of the new.

    Raises ``OSError`` where the folder takes no file; ``path`` is then as it was.
    """
    new = path.with_name(f"{path.name}.new")
    try:
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            write_all(file, octets)
            # Before the rename: else the name may be durable while the content is not.
            os.fsync(file)
        finally:
            os.close(file)
        new.replace(path)
    except OSError:
        with suppress(OSError):
            new.unlink()
        raise
    sync(path.parent)


def write_all(file: int, octets: bytes | memoryview) -> int:
    """Write every octet; returns how many. The kernel may take less than it is given in one call."""
    rest = memoryview(octets)
    while rest:
        rest = rest[os.write(file, rest) :]
    return len(octets)


def make_folder(folder: Path) -> None:
    """Make ``folder`` and those above it, durably. Raises ``OSError``."""
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(exist_ok=True)
        sync(missing.parent)


def sync(path: Path) -> None:
    """Make the file or folder at ``path`` durable as it is."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
