"""What a client says of its connection: how it stands, and what it has done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LinkState:
    """Whether the broker is connected and, where it isn't, why. ``since``: ns since 1970 UTC."""

    connected: bool
    reason: str
    since: int


@dataclass(slots=True)
class LinkCounts:
    """What a client has done. ``retained``: received messages that the broker had kept from before and that were not
    wanted. ``stale_acks``: messages that could not be acknowledged because their connection had
    ended; the broker delivers them again. ``published``: QoS 1 messages that the broker has answered, and QoS 0
    messages that were sent; ``dropped``: those that were not. ``unheard``: published QoS 1 messages that nobody is
    subscribed to, as far as the broker says so (MQTT 5, 3.4.2.1; mosquitto does, the embedded one doesn't)."""

    connections: int = 0
    protocol_errors: int = 0
    received: int = 0
    retained: int = 0
    acknowledged: int = 0
    stale_acks: int = 0
    published: int = 0
    dropped: int = 0
    unheard: int = 0
