"""The spacecraft's mass memory: packets back to back, first in, first out."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from ground.errors import ConfigError
from simulators.encoder import PRIMARY_HEADER
from simulators.sampling import Packets

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from simulators.state import State


class Recorder:
    """Packets in the file at ``path``, in memory without one; ``capacity`` in octets.

    ``state.recorder`` holds how many octets were ever ``written`` and ``read``. The file is a ring of twice the
    capacity: it may be ahead of the state that a restart finds, and still holds what that state has not read. What is
    then written anew is the same, octet for octet.
    """

    def __init__(self, capacity: int, path: Path | None = None) -> None:
        self._capacity = capacity
        self._file: io.BytesIO | io.BufferedRandom = (
            io.BytesIO() if path is None else path.open("r+b" if path.is_file() else "w+b")
        )

    def append(self, state: State, packets: Packets, first: int, last: int) -> None:
        """Store packets ``first`` to ``last``, exclusive; those that don't fit any more are lost."""
        room = int(packets.edges[first]) + self._capacity - state.backlog
        fitting = int(np.searchsorted(packets.edges[: last + 1], room, side="right")) - 1
        data = packets.octets(first, max(first, fitting)).tobytes()
        ring = 2 * self._capacity
        while data:
            place = state.recorder["written"] % ring
            self._file.seek(place)
            n = self._file.write(data[: ring - place])
            state.recorder["written"] += n
            data = data[n:]
        self._file.flush()

    def oldest(self, state: State, room: int) -> Packets:
        """The oldest packets, whole ones of at most ``room`` octets together."""
        data, ring, size = b"", 2 * self._capacity, min(room, state.backlog)
        while len(data) < size:
            place = (state.recorder["read"] + len(data)) % ring
            self._file.seek(place)
            part = self._file.read(min(size - len(data), ring - place))
            if not part:
                raise ConfigError("the recorder's file has been cut; remove it and the state beside it to begin anew")
            data += part
        edges, at = [0], 0
        while at + PRIMARY_HEADER <= size:
            at += (data[at + 4] << 8 | data[at + 5]) + PRIMARY_HEADER + 1
            edges.append(at)
        if at > size:
            del edges[-1]
        octets: NDArray[np.uint8] = np.frombuffer(data, np.uint8)
        return Packets(octets, np.array(edges, np.int64))

    def close(self) -> None:
        """Give the file back."""
        self._file.close()
