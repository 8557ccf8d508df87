"""The counts of every stage, and whether they balance.

The ledger of a mission is a pure function of the recording, so it is part of the checkpoint: after a crash it goes on
from where the stored rows end. What came in equals what went out plus what did not, with its reason:

* frames in = good + duplicate + rejected (by reason) + idle channel frames are good
* packets in = decoded + idle + repeated + undecoded (by reason)
* decoded rows = stored + repeated + refused (by the database, for ever) + pending
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ground.blocks import NO_TIME


@dataclass(slots=True)
class ChannelLedger:
    """One virtual channel as one station received it. ``first``, ``last``: virtual channel frame counts.

    ``unheard``: frames that the spacecraft sent while the station heard nothing, as between two passes.
    """

    frames: int = 0
    first: int | None = None
    last: int | None = None
    gaps: int = 0
    lost: int = 0
    unheard: int = 0
    dropped: int = 0
    packets: int = 0
    apids: Counter[int] = field(default_factory=Counter)


_CHANNEL_NUMBERS = ("frames", "first", "last", "gaps", "lost", "unheard", "dropped", "packets")


@dataclass(slots=True)
class MissionLedger:
    """One mission: all stations, all virtual channels. Times are SCET, ns since 1970 UTC.

    ``duplicate``: frames received again, redelivered by the broker or sent twice. ``missing``: frames that a station's
    running numbers say it published and that never arrived here (the broker dropped them). ``implausible``: messages
    whose running number isn't believed. ``restarts``: publishers that began their numbers again under the same name.
    ``repeated``: packets that were there before, octet for octet. ``rows``: decoded packets by container.
    """

    frames_in: int = 0
    duplicate: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    channels: dict[tuple[str, int], ChannelLedger] = field(default_factory=dict)
    packets_in: int = 0
    idle: int = 0
    repeated: int = 0
    undecoded: Counter[str] = field(default_factory=Counter)
    decoded: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    missing: int = 0
    implausible: int = 0
    restarts: int = 0
    first_time: int = NO_TIME
    last_time: int = NO_TIME

    def channel(self, station: str, vcid: int) -> ChannelLedger:
        """The counts of a virtual channel at a station, made when first asked for."""
        return self.channels.setdefault((station, vcid), ChannelLedger())

    def saw_times(self, earliest: int, latest: int) -> None:
        """Widen the span of onboard time that was received."""
        self.first_time = earliest if self.first_time == NO_TIME else min(self.first_time, earliest)
        self.last_time = max(self.last_time, latest)

    @property
    def good(self) -> int:
        """Frames accepted, not received before."""
        return sum(channel.frames for channel in self.channels.values())

    def balanced(self) -> bool:
        """Whether every frame and every packet is accounted for."""
        return (
            self.frames_in == self.good + self.duplicate + self.rejected.total()
            and self.packets_in == self.decoded + self.idle + self.repeated + self.undecoded.total()
            and self.packets_in == sum(channel.packets for channel in self.channels.values())
            and self.decoded == self.rows.total()
        )

    def report(self) -> dict[str, Any]:
        """The counts as JSON-ready values, for the dashboard and ``/api/ledger``."""
        return {
            "frames": {
                "in": self.frames_in,
                "good": self.good,
                "duplicate": self.duplicate,
                "rejected": dict(self.rejected),
            },
            "vcs": {
                f"{station}/{vcid}": {
                    "frames": channel.frames,
                    "gaps": channel.gaps,
                    "lost": channel.lost,
                    "unheard": channel.unheard,
                    "dropped": channel.dropped,
                    "packets": channel.packets,
                }
                for (station, vcid), channel in sorted(self.channels.items())
            },
            "packets": {
                "in": self.packets_in,
                "decoded": self.decoded,
                "idle": self.idle,
                "repeated": self.repeated,
                "undecoded": dict(self.undecoded),
            },
            "missing": self.missing,
            "implausible": self.implausible,
            "restarts": self.restarts,
            "balanced": self.balanced(),
        }

    def to_json(self) -> dict[str, Any]:
        """All of it, for a checkpoint."""
        return {
            "frames_in": self.frames_in,
            "duplicate": self.duplicate,
            "rejected": dict(self.rejected),
            "channels": [
                {
                    "station": station,
                    "vcid": vcid,
                    **{name: getattr(channel, name) for name in _CHANNEL_NUMBERS},
                    "apids": {str(apid): n for apid, n in channel.apids.items()},
                }
                for (station, vcid), channel in sorted(self.channels.items())
            ],
            "packets_in": self.packets_in,
            "idle": self.idle,
            "repeated": self.repeated,
            "undecoded": dict(self.undecoded),
            "decoded": self.decoded,
            "rows": dict(self.rows),
            "missing": self.missing,
            "implausible": self.implausible,
            "restarts": self.restarts,
            "first_time": self.first_time,
            "last_time": self.last_time,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> MissionLedger:
        """The inverse of :meth:`to_json`."""
        counters = {key: Counter(values[key]) for key in ("rejected", "undecoded", "rows")}
        channels = {}
        for entry in values["channels"]:
            apids = Counter({int(apid): n for apid, n in entry["apids"].items()})
            numbers = {name: entry[name] for name in _CHANNEL_NUMBERS if name in entry}
            channels[entry["station"], entry["vcid"]] = ChannelLedger(**numbers, apids=apids)
        return cls(**{**values, **counters, "channels": channels})
