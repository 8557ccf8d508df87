"""Read an XTCE definition file into :mod:`ground.xtce.declarations`.

The part of XTCE that is understood also loads in space-packet-parser 6.2 and Yamcs 5.12. All else is refused with its
name and line: a definition that is half understood decodes to nonsense. A file had better not use two things that
readers take differently: a container based on another without a restriction (it always applies; Yamcs ignores it), and
the LeadingSize of a string (it counts bits, as in space-packet-parser).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, get_args

from ground.xtce.declarations import (
    BinaryEncoding,
    Calibrator,
    Comparison,
    Encoding,
    Entry,
    FloatEncoding,
    IntegerEncoding,
    Kind,
    Limit,
    Operator,
    Parameter,
    ParameterType,
    Polynomial,
    SequenceContainer,
    Severity,
    Size,
    SpaceSystem,
    Spline,
    StringEncoding,
)
from ground.xtce.elements import Element, parse
from ground.xtce.types import KINDS, read_type

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "BinaryEncoding",
    "Calibrator",
    "Comparison",
    "Encoding",
    "Entry",
    "FloatEncoding",
    "IntegerEncoding",
    "Kind",
    "Limit",
    "Parameter",
    "ParameterType",
    "Polynomial",
    "SequenceContainer",
    "Severity",
    "Size",
    "SpaceSystem",
    "Spline",
    "StringEncoding",
    "load",
]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def load(path: str | Path) -> SpaceSystem:
    """The definitions of the XTCE 1.2 or 1.1 file at ``path``.

    Raises :class:`~ground.errors.DefinitionError` with file and line where the file cannot be read, contradicts itself
    or uses a construct that isn't supported.
    """
    root = parse(path)
    name, description = root.text("name"), root.description()
    root.text("operationalStatus", "")
    telemetry = root.need("TelemetryMetaData")
    root.done()

    type_set = telemetry.need("ParameterTypeSet")
    types: dict[str, ParameterType] = {}
    for element in type_set.children(*KINDS):
        declared = read_type(element)
        if declared.name in types:
            raise element.error(f"the parameter type {declared.name} is defined twice")
        types[declared.name] = declared
    type_set.done()

    parameter_set = telemetry.need("ParameterSet")
    parameters: dict[str, Parameter] = {}
    for element in parameter_set.children("Parameter"):
        parameter = _parameter(element, types)
        if parameter.name in parameters:
            raise element.error(f"the parameter {parameter.name} is defined twice")
        parameters[parameter.name] = parameter
    parameter_set.done()

    containers = _containers(telemetry.need("ContainerSet"), parameters)
    telemetry.done()
    return SpaceSystem(name, description, str(path), types, parameters, containers)


def _named(element: Element) -> str:
    name = element.text("name")
    if not _NAME.fullmatch(name):
        raise element.error(
            f"the name {name!r} of <{element.name}> should be letters, digits, _ and -, and start with a letter or _"
        )
    return name


def _parameter(element: Element, types: dict[str, ParameterType]) -> Parameter:
    name, reference = _named(element), element.text("parameterTypeRef")
    if reference not in types:
        raise element.error(f"the parameter {name} has the type {reference!r}, which is not defined in this file")
    parameter = Parameter(name, types[reference], element.description(), element.line)
    element.done()
    return parameter


class _Draft:
    """A container as it stands in the file, its entries not yet resolved."""

    def __init__(self, element: Element) -> None:
        self.element = element
        self.name = _named(element)
        self.abstract = element.flag("abstract", default=False)
        self.description = element.description()
        self.base_element = element.child("BaseContainer")
        self.base, self.restriction = _base(self.base_element)
        entry_list = element.need("EntryList")
        self.entries = [
            (kind, entry.text(f"{kind}Ref"), entry)
            for entry in entry_list.children("ParameterRefEntry", "ContainerRefEntry")
            for kind in ("parameter" if entry.name == "ParameterRefEntry" else "container",)
        ]
        for _, _, entry in self.entries:
            entry.done()
        entry_list.done()
        element.done()


def _base(base: Element | None) -> tuple[str | None, tuple[Comparison, ...]]:
    if base is None:
        return None, ()
    reference = base.text("containerRef")
    restriction: tuple[Comparison, ...] = ()
    criteria = base.child("RestrictionCriteria")
    if criteria is not None:
        found = criteria.need("ComparisonList", "Comparison")
        if found.name == "Comparison":
            restriction = (_comparison(found),)
        else:
            restriction = tuple(_comparison(comparison) for comparison in found.children("Comparison"))
            if not restriction:
                raise found.error("<ComparisonList> needs <Comparison>")
            found.done()
        criteria.done()
    base.done()
    return reference, restriction


def _comparison(element: Element) -> Comparison:
    comparison = Comparison(
        parameter=element.text("parameterRef"),
        operator=element.choose("comparisonOperator", get_args(Operator), "=="),
        value=element.text("value"),
        line=element.line,
        calibrated=element.flag("useCalibratedValue", default=True),
    )
    element.done()
    return comparison


def _containers(container_set: Element, parameters: dict[str, Parameter]) -> dict[str, SequenceContainer]:
    drafts: dict[str, _Draft] = {}
    for element in container_set.children("SequenceContainer"):
        draft = _Draft(element)
        if draft.name in drafts:
            raise element.error(f"the container {draft.name} is defined twice")
        drafts[draft.name] = draft
    container_set.done()
    if not drafts:
        raise container_set.error("<ContainerSet> needs <SequenceContainer>")
    root = next(iter(drafts.values()))
    if root.base is not None:
        raise root.element.error(f"the first container has to be the root, but {root.name} has a <BaseContainer>")

    included: set[str] = set()

    def unfold(draft: _Draft, seen: set[str]) -> list[Entry]:
        entries: list[Entry] = []
        for kind, reference, element in draft.entries:
            known = parameters if kind == "parameter" else drafts
            if reference not in known:
                raise element.error(f"the {kind} {reference!r} is not defined in this file")
            if f"{kind} {reference}" in seen:
                raise element.error(
                    f"the {kind} {reference} comes twice in one container; give each place its own name"
                )
            seen.add(f"{kind} {reference}")
            if kind == "parameter":
                entries.append(Entry(parameters[reference], element.line))
                continue
            if drafts[reference].base is not None:
                raise element.error(f"{reference} has a <BaseContainer>: including it is not supported")
            included.add(reference)
            entries += unfold(drafts[reference], seen)
        return entries

    containers = {}
    for name, draft in drafts.items():
        _check_ancestry(draft, drafts)
        containers[name] = SequenceContainer(
            name=name,
            abstract=draft.abstract,
            base=draft.base,
            restriction=draft.restriction,
            entries=tuple(unfold(draft, {f"container {name}"})),
            description=draft.description,
            line=draft.element.line,
        )
    for name, draft in drafts.items():
        if draft.base is None and draft is not root and name not in included:
            raise draft.element.error(f"the container {name} has no <BaseContainer> and is not included anywhere")
    return containers


def _check_ancestry(draft: _Draft, drafts: dict[str, _Draft]) -> None:
    seen = {draft.name}
    ancestor = draft
    while ancestor.base is not None and ancestor.base_element is not None:
        if ancestor.base not in drafts:
            raise ancestor.base_element.error(f"the base container {ancestor.base!r} is not defined in this file")
        if ancestor.base in seen:
            raise ancestor.base_element.error(f"the container {ancestor.base} is its own base")
        seen.add(ancestor.base)
        ancestor = drafts[ancestor.base]
