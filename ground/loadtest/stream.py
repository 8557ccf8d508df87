"""One publisher's messages, with damage and repetition in them as a real link has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ground.blocks import Octets
    from ground.loadtest.traffic import Traffic

GROUP: Final = 502
"""Messages after which the arrangement comes again."""

NEW: Final = GROUP - 2
"""Those of them that carry something new."""

_REPEATED: Final = 50
_DAMAGED: Final = 100
"""This message of a group has a bit wrong in every frame."""
_REPETITION: Final = 200
"""This message of a group is the earlier one once more, with its running number."""


@dataclass(frozen=True, slots=True)
class Stream:
    """The messages of one publisher, numbered from 0, of ``frames`` frames each."""

    traffic: Traffic
    publisher: int
    frames: int

    def packets(self, messages: int) -> int:
        """How many different packets end in the good frames of the first so many messages."""
        groups, rest = divmod(messages, GROUP)
        return self.traffic.packets((groups * NEW + rest - (rest > _DAMAGED) - (rest > _REPETITION)) * self.frames)

    def messages(self, packets: int) -> int:
        """How many messages it takes until so many packets have ended."""
        groups, rest = divmod(-(-self.traffic.frames_for(packets) // self.frames), NEW)
        return groups * GROUP + rest + (rest > _DAMAGED) + (rest > _REPETITION - 1)

    def group(self, number: int) -> tuple[Octets, NDArray[np.int64]]:
        """The messages ``number * GROUP`` to ``number * GROUP + GROUP - 1``: payloads, uint8 (GROUP, octets), and the
        running number of the first frame of each, int64 (GROUP,).
        """
        length = self.traffic.frame_length
        frames = self.traffic.frames(self.publisher, number * NEW * self.frames, NEW * self.frames)
        payload = np.empty((GROUP, self.frames * length), np.uint8)
        index = np.arange(GROUP)
        payload[(index != _DAMAGED) & (index != _REPETITION)] = frames.reshape(NEW, -1)
        damaged = payload[_DAMAGED - 1].reshape(self.frames, length).copy()
        at = (number + np.arange(self.frames)) % self.traffic.delicate
        damaged[np.arange(self.frames), at // 8] ^= (0x80 >> at % 8).astype(np.uint8)
        payload[_DAMAGED] = damaged.reshape(-1)
        payload[_REPETITION] = payload[_REPEATED]
        seq = number * (GROUP - 1) + index - (index > _REPETITION)
        seq[_REPETITION] = seq[_REPEATED]
        return payload, seq * self.frames
