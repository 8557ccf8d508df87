"""A mission is a folder: ``mission.toml`` (link, times, stations) beside ``telemetry.xml`` (XTCE).

Folders are looked for in the directories of ``GROUND_MISSIONS`` (separated by ``:``), then among those that ship in
``ground/missions``. Nothing about a mission is code.
"""

from __future__ import annotations

from ground.mission.declarations import (
    FrameKind,
    LinkFormat,
    Mission,
    PacketKind,
    Scale,
    Station,
    TimeField,
    VirtualChannel,
)
from ground.mission.search import SHIPPED, load_mission, load_missions, mission_names, search_path

__all__ = [
    "SHIPPED",
    "FrameKind",
    "LinkFormat",
    "Mission",
    "PacketKind",
    "Scale",
    "Station",
    "TimeField",
    "VirtualChannel",
    "load_mission",
    "load_missions",
    "mission_names",
    "search_path",
]
