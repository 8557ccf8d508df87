"""Compile XTCE declarations into a plan: for every container, where each parameter lies and what column it becomes.

The containers stay the tree that they are: a packet is looked at from the root down (:mod:`ground.xtce.decode`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from ground.errors import DefinitionError
from ground.xtce.declarations import (
    Alarm,
    FloatEncoding,
    IntegerEncoding,
    Kind,
    Limit,
    SequenceContainer,
    SpaceSystem,
)
from ground.xtce.layout import RESERVED, TIMESTAMP, Field, Layout, Variable
from ground.xtce.restriction import Condition, names_one_apid, read_condition

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KEYS = tuple(map(pa.field, RESERVED, (TIMESTAMP, TIMESTAMP, pa.uint16(), pa.int64())))
"""The columns that every batch begins with."""


@dataclass(frozen=True, slots=True)
class ParameterInfo:
    """What a user sees of a parameter. ``arrow_type``: of its column, in engineering values."""

    name: str
    kind: Kind
    unit: str
    description: str
    labels: Mapping[int, str]
    alarm: Alarm
    arrow_type: pa.DataType

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The ranges outside of which a number is an alarm."""
        return self.alarm.limits


@dataclass(frozen=True, slots=True)
class ContainerPlan:
    """A concrete container. ``parameters`` are in packet order, without the primary header's fields.

    ``schema``: of its batches, see :func:`ground.xtce.decode.decode`. ``per_apid``: the definition doesn't tie it to
    one APID, so its batches are named ``<name>_<apid>``.
    """

    name: str
    description: str
    parameters: tuple[ParameterInfo, ...]
    schema: pa.Schema
    per_apid: bool


@dataclass(frozen=True, slots=True)
class Node:
    """A container in the tree of inheritance.

    ``container``: None where it is abstract. ``conditions``: what a packet of the parent has to meet. ``runs``: all
    fields down from the root that become columns; those of a run are read at once. ``segments``: octets of the fixed
    part of every segment. ``variables``: ``variables[i]`` follows segment i.
    """

    container: ContainerPlan | None
    conditions: tuple[Condition, ...]
    runs: tuple[tuple[Field, ...], ...]
    segments: tuple[int, ...]
    variables: tuple[Variable, ...]
    children: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled definition file. ``containers``: the concrete ones by name, in the order of the tree."""

    root: Node
    containers: Mapping[str, ContainerPlan]

    @property
    def alarms(self) -> dict[str, dict[str, ParameterInfo]]:
        """The parameters that have alarms: container, then parameter; only those that have any."""
        found = {
            name: {info.name: info for info in container.parameters if info.alarm}
            for name, container in self.containers.items()
        }
        return {name: named for name, named in found.items() if named}


def compile(system: SpaceSystem) -> Plan:  # noqa: A001  the verb of this module, always used as plan.compile
    """The plan for ``system``.

    Raises :class:`~ground.errors.DefinitionError` with the line where a restriction or a size refers to something that
    the packet doesn't hold before it, where a field of variable size doesn't begin on an octet, or where names collide.
    """
    containers: dict[str, ContainerPlan] = {}
    root = _Compiler(system, containers).node(system.root, Layout(system.path), apid_fixed=False)
    for name, container in containers.items():
        twin = next((other for other in containers if re.fullmatch(re.escape(name) + r"_\d+", other)), None)
        if container.per_apid and twin:
            raise DefinitionError(
                f"the container {twin} could not be told from {name} of an APID; give it another name",
                path=system.path,
                line=system.containers[twin].line,
            )
    return Plan(root, containers)


class _Compiler:
    def __init__(self, system: SpaceSystem, containers: dict[str, ContainerPlan]) -> None:
        self.system = system
        self.containers = containers

    def node(self, container: SequenceContainer, above: Layout, *, apid_fixed: bool) -> Node:
        conditions = tuple(read_condition(comparison, above) for comparison in container.restriction)
        apid_fixed |= any(names_one_apid(condition) for condition in conditions)
        layout = above.copy()
        for entry in container.entries:
            layout.append(entry)
        columns = tuple(field for field in layout.fields.values() if not field.in_primary_header)
        plan = None
        if not container.abstract:
            plan = _container_plan(container, columns, per_apid=not apid_fixed)
            self.containers[container.name] = plan
        children = [child for child in self.system.containers.values() if child.base == container.name]
        return Node(
            container=plan,
            conditions=conditions,
            runs=tuple(_runs(columns)),
            segments=tuple((bits + 7) // 8 for bits in layout.bits),
            variables=tuple(layout.variables),
            children=tuple(self.node(child, layout, apid_fixed=apid_fixed) for child in children),
        )


def _runs(columns: tuple[Field, ...]) -> Iterator[tuple[Field, ...]]:
    """``columns`` cut where a number doesn't follow directly on one of the same encoding."""
    run: list[Field] = []
    for field in columns:
        encoding = field.parameter.type.encoding
        if run and not (
            isinstance(encoding, IntegerEncoding | FloatEncoding)
            and encoding == run[0].parameter.type.encoding
            and (field.segment, field.bit) == (run[-1].segment, run[-1].bit + encoding.bits)
        ):
            yield tuple(run)
            run = []
        run.append(field)
    if run:
        yield tuple(run)


def _container_plan(container: SequenceContainer, columns: tuple[Field, ...], *, per_apid: bool) -> ContainerPlan:
    parameters = tuple(_info(field) for field in columns)
    schema = pa.schema(
        [*KEYS, *(pa.field(info.name, info.arrow_type, metadata=_metadata(info)) for info in parameters)],
        metadata={"container": container.name},
    )
    return ContainerPlan(container.name, container.description, parameters, schema, per_apid)


def _info(field: Field) -> ParameterInfo:
    parameter, kind = field.parameter, field.parameter.type
    return ParameterInfo(
        parameter.name, kind.kind, kind.unit, parameter.description, kind.labels, kind.alarm, field.arrow_type
    )


def _metadata(info: ParameterInfo) -> dict[str, str]:
    labels = {str(code): label for code, label in info.labels.items()}
    found = {"kind": info.kind, "unit": info.unit, "labels": json.dumps(labels, ensure_ascii=False) if labels else ""}
    return {key: value for key, value in found.items() if value}
