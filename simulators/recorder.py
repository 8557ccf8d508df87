"""The spacecraft's mass memory: packets back to back, first in, first out."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from ground.errors import ConfigError
from simulators.encoder import PRIMARY_HEADER

if TYPE_CHECKING:
    from pathlib import Path

    from simulators.state import State


class Recorder:
    """Packets in the file at ``path``, in memory without one; ``capacity`` in octets.

    ``state.recorder`` holds how many octets were ever ``written`` and ``read``. The file is a ring of twice the
    capacity: it may be ahead of the state that a restart finds, and still holds what that state has not read. What is
    then written anew is the same, octet for octet.
    """

    def __init__(self, state: State, capacity: int, path: Path | None = None) -> None:
        self._at = state.recorder
        self._capacity = capacity
        self._file: io.BytesIO | io.BufferedRandom = (
            io.BytesIO() if path is None else path.open("r+b" if path.is_file() else "w+b")
        )

    @property
    def backlog(self) -> int:
        """Octets that wait for their playback."""
        return self._at["written"] - self._at["read"]

    def append(self, packets: list[bytes]) -> None:
        """Store ``packets``; those that don't fit any more are lost."""
        room = self._capacity - self.backlog
        kept = []
        for packet in packets:
            if len(packet) > room:
                break
            room -= len(packet)
            kept.append(packet)
        data = b"".join(kept)
        while data:
            ring = 2 * self._capacity
            self._file.seek(self._at["written"] % ring)
            n = self._file.write(data[: ring - self._at["written"] % ring])
            self._at["written"] += n
            data = data[n:]
        self._file.flush()

    def take(self, room: int) -> list[bytes]:
        """The oldest packets, whole ones of at most ``room`` octets together: they are forgotten here."""
        data = b""
        while len(data) < min(room, self.backlog):
            position = (self._at["read"] + len(data)) % (2 * self._capacity)
            self._file.seek(position)
            part = self._file.read(min(min(room, self.backlog) - len(data), 2 * self._capacity - position))
            if not part:
                raise ConfigError("the recorder's file has been cut; remove it and the state beside it to begin anew")
            data += part
        packets, at = [], 0
        while at + PRIMARY_HEADER <= len(data):
            end = at + int.from_bytes(data[at + 4 : at + 6], "big") + PRIMARY_HEADER + 1
            if end > len(data):
                break
            packets.append(data[at:end])
            at = end
        self._at["read"] += at
        return packets

    def close(self) -> None:
        """Give the file back."""
        self._file.close()
