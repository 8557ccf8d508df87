"""Restriction criteria: which packets of a container belong to a container that is based on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ground.xtce.declarations import Comparison, FloatEncoding, IntegerEncoding, Operator, ParameterType

if TYPE_CHECKING:
    from ground.xtce.layout import Field, Layout

_APID_BIT, _APID_BITS = 5, 11  # CCSDS 133.0-B-2, 4.1.3


@dataclass(frozen=True, slots=True)
class Condition:
    """``field`` compared with ``value``: of the raw value if ``raw``, else of the engineering value.

    A tuple holds the codes of an enumeration's label; the operator is then ``==`` or ``!=``.
    """

    field: Field
    raw: bool
    operator: Operator
    value: float | tuple[int, ...]


def names_one_apid(condition: Condition) -> bool:
    """Whether the condition ties a packet to a single APID."""
    field, encoding = condition.field, condition.field.parameter.type.encoding
    return (
        condition.operator == "=="
        and not isinstance(condition.value, tuple)
        and (field.segment, field.bit) == (0, _APID_BIT)
        and isinstance(encoding, IntegerEncoding)
        and encoding.bits == _APID_BITS
    )


def read_condition(comparison: Comparison, layout: Layout) -> Condition:
    """Check ``comparison`` against ``layout``, the base container's. Raises DefinitionError where it cannot hold."""
    name, text, operator = comparison.parameter, comparison.value, comparison.operator
    raw = not comparison.calibrated
    field = layout.fields.get(name)
    if field is None:
        raise layout.error(f"the restriction compares {name}, which is not in the base container", comparison)
    kind = field.parameter.type
    if not isinstance(kind.encoding, IntegerEncoding | FloatEncoding):
        raise layout.error(f"the restriction compares {name}, which is not a number", comparison)
    if raw or kind.kind not in {"enumeration", "boolean", "time"}:
        return Condition(field, raw, operator, _number(comparison, kind, layout))
    if kind.kind == "time":
        raise layout.error(f'the time {name} can only be compared with useCalibratedValue="false"', comparison)
    if operator not in {"==", "!="}:
        raise layout.error(f"{name} can only be compared with == and !=", comparison)
    if kind.kind == "boolean":
        names = {"false": 0, "0": 0, "true": 1, "1": 1} | {label.lower(): code for code, label in kind.labels.items()}
        if text.lower() in names:
            return Condition(field, raw, operator, names[text.lower()])
    codes = tuple(code for code, label in kind.labels.items() if label == text)
    if kind.kind == "boolean" or not codes:
        raise layout.error(f'{text!r} is no label of {name}; useCalibratedValue="false" compares codes', comparison)
    return Condition(field, raw, operator, codes)


def _number(comparison: Comparison, kind: ParameterType, layout: Layout) -> float:
    """The right side of a comparison with a number: whole where the left one is."""
    whole = isinstance(kind.encoding, IntegerEncoding) and (
        not comparison.calibrated or (kind.kind == "integer" and kind.calibrator is None)
    )
    try:
        return int(comparison.value) if whole else float(comparison.value)
    except ValueError:
        expected = "a whole number" if whole else "a number"
        raise layout.error(
            f"the restriction compares {comparison.parameter} with {comparison.value!r}, which is not {expected}",
            comparison,
        ) from None
