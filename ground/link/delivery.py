"""Messages on their way from the connection to whoever receives them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ground.link.alike import AlikePackets, one_by_one

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mqtt5 import PublishPacket
    from numpy.typing import NDArray

    from ground.link.connection import Connection


@dataclass(eq=False, slots=True)
class Delivery:
    """Messages in order of receipt, all of one connection, those that are alike together. ``received``: int64 (n,), ns
    since 1970 UTC of their socket reads. ``packet_ids``: int64 (k,), of those in QoS 1, in their order, and of retained
    ones that were left out. To be handed to :meth:`Client.ack` where there is any."""

    messages: list[PublishPacket | AlikePackets]
    received: NDArray[np.int64]
    packet_ids: NDArray[np.int64]
    _connection: Connection
    _number: int | None
    """Running number on its connection of deliveries to be acknowledged; None where nothing is."""

    @property
    def packets(self) -> list[PublishPacket]:
        """The messages one by one."""
        return one_by_one(self.messages)


@dataclass(slots=True)
class Arrivals:
    """What has come on one connection and was not handed out yet."""

    connection: Connection
    messages: list[PublishPacket | AlikePackets] = field(default_factory=list)
    times: list[tuple[int, int]] = field(default_factory=list)
    """ns since 1970 UTC of a socket read, and how many messages came with it."""


def packet_ids(messages: Sequence[PublishPacket | AlikePackets]) -> NDArray[np.int64]:
    """The packet identifiers of the messages in QoS 1, int64 (k,), in their order."""
    ids = [
        part.packet_ids if isinstance(part, AlikePackets) else np.array([part.packet_id], np.int64)
        for part in messages
        if isinstance(part, AlikePackets) or part.packet_id
    ]
    return np.concatenate(ids) if ids else np.empty(0, np.int64)


def without_retained(
    messages: list[PublishPacket | AlikePackets], received: NDArray[np.int64]
) -> tuple[list[PublishPacket | AlikePackets], NDArray[np.int64]]:
    """``messages`` and their times without those that the broker had kept: they are not new, whenever they were sent.

    ``received``: int64 (n,), one for each message.
    """
    wanted = [not (part.first if isinstance(part, AlikePackets) else part).retain for part in messages]
    if all(wanted):
        return messages, received
    lengths = [len(part) if isinstance(part, AlikePackets) else 1 for part in messages]
    return [part for part, keep in zip(messages, wanted, strict=True) if keep], received[np.repeat(wanted, lengths)]
