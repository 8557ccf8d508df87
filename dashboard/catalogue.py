"""Missions and their parameters as the page lists them: from the XTCE definitions, and from what has arrived."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ground.stores.longtable import IDENTITY
from ground.xtce import plan, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ground.mission import Mission
    from ground.xtce.plan import ContainerPlan, ParameterInfo


def describe_mission(mission: Mission) -> dict[str, Any]:
    """An entry of ``/api/missions``."""
    return {
        "name": mission.name,
        "title": mission.title,
        "description": mission.description,
        "simulated": mission.simulated,
        "absolute_time": mission.absolute_time,
        "channels": [
            {"vcid": channel.vcid, "name": channel.name, "mode": channel.mode} for channel in mission.channels.values()
        ],
        "stations": [
            {
                "name": station.name,
                "title": station.title,
                "latitude_deg": station.latitude,
                "longitude_deg": station.longitude,
            }
            for station in mission.stations.values()
        ],
    }


class Catalogue:
    """The parameters of one mission. Raises DefinitionError where its XTCE file cannot be compiled."""

    def __init__(self, mission: Mission) -> None:
        self._containers = plan.compile(read.load(mission.telemetry)).containers

    def parameters(self, seen: Mapping[str, pa.Schema]) -> list[dict[str, Any]]:
        """The entries of ``/api/missions/{m}/parameters``.

        Containers that the definition ties to an APID are always there; those that are published for each APID, and
        those of an earlier definition, where they were ``seen``.
        """
        static = [name for name, container in self._containers.items() if not container.per_apid]
        return [
            entry
            for name in [*static, *sorted(set(seen) - set(static))]
            for entry in (self._defined(name) or self._undefined(name, seen[name]))
        ]

    def knows(self, name: str, seen: Mapping[str, pa.Schema]) -> bool:
        """Whether the definition or what was ``seen`` has the parameter ``name``, ``container/parameter``."""
        container, _, parameter = name.partition("/")
        definition = self._definition(container)
        return (
            (definition is not None and any(info.name == parameter for info in definition.parameters))
            or (container in seen and parameter in seen[container].names)
            or (definition is not None and parameter in IDENTITY.names)
        )

    def _definition(self, name: str) -> ContainerPlan | None:
        general, _, apid = name.rpartition("_")
        found = self._containers.get(name)
        if found is None and apid.isdecimal():
            found = self._containers.get(general)
            return found if found is not None and found.per_apid else None
        return found

    def _defined(self, name: str) -> list[dict[str, Any]]:
        container = self._definition(name)
        return [_entry(name, info) for info in container.parameters] if container else []

    def _undefined(self, name: str, schema: pa.Schema) -> Iterator[dict[str, Any]]:
        """From the metadata of the columns."""
        for column in schema:
            if column.name in IDENTITY.names:
                continue
            metadata = column.metadata or {}
            labels = metadata.get(b"labels")
            yield {
                "name": f"{name}/{column.name}",
                "container": name,
                "parameter": column.name,
                "kind": metadata.get(b"kind", _kind(column.type).encode()).decode(),
                "unit": metadata.get(b"unit", b"").decode(),
                "description": "",
                "labels": json.loads(labels) if labels else None,
                "limits": [],
                "type": str(column.type),
            }


def _entry(container: str, info: ParameterInfo) -> dict[str, Any]:
    return {
        "name": f"{container}/{info.name}",
        "container": container,
        "parameter": info.name,
        "kind": info.kind,
        "unit": info.unit,
        "description": info.description,
        "labels": {str(code): label for code, label in info.labels.items()} or None,
        "limits": [{"severity": limit.severity, "low": limit.low, "high": limit.high} for limit in info.limits],
        "type": str(info.arrow_type),
    }


def _kind(kind: pa.DataType) -> str:
    names = (
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_integer, "integer"),
        (pa.types.is_floating, "float"),
        (pa.types.is_timestamp, "time"),
        (pa.types.is_string, "string"),
    )
    return next((name for of, name in names if of(kind)), "binary")
