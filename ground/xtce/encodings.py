"""Data encodings and calibrators: from XML elements to :mod:`ground.xtce.declarations`."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from ground.xtce.declarations import (
    BinaryEncoding,
    Calibrator,
    Encoding,
    FloatEncoding,
    IntegerEncoding,
    Polynomial,
    Size,
    Spline,
    StringEncoding,
)

if TYPE_CHECKING:
    from ground.xtce.elements import Element

_MAX_OCTETS = 65_542  # of a space packet (CCSDS 133.0-B, 4.1.1.2)


def read_encoding(element: Element, *, calibrated: bool) -> tuple[Encoding, Calibrator | None]:
    """A data encoding and its default calibrator, which is refused unless the type may be ``calibrated``."""
    element.choose("bitOrder", ("mostSignificantBitFirst",), "mostSignificantBitFirst")
    encoding: Encoding
    calibrator = None
    if element.name == "StringDataEncoding":
        encoding = _string(element)
    elif element.name == "BinaryDataEncoding":
        encoding = BinaryEncoding(_size(element.need("SizeInBits")))
    else:
        order = element.choose(
            "byteOrder", ("mostSignificantByteFirst", "leastSignificantByteFirst"), "mostSignificantByteFirst"
        )
        little = order == "leastSignificantByteFirst"
        if element.name == "FloatDataEncoding":
            element.choose("encoding", ("IEEE754_1985", "IEEE754"), "IEEE754_1985")
            bits = element.choose("sizeInBits", ("16", "32", "64"), "32")
            encoding = FloatEncoding(int(bits), little)  # type: ignore[arg-type]
        else:
            signed = element.choose("encoding", ("unsigned", "twosComplement"), "unsigned")
            encoding = IntegerEncoding(element.integer("sizeInBits", 1, 64, 8), signed, little)
            if little and encoding.bits % 8:
                raise element.error(
                    f"a little-endian integer of {encoding.bits} bits is not supported: whole octets only"
                )
        if calibrated:
            calibrator = _calibrator(element)
    element.done()
    return encoding, calibrator


def _calibrator(element: Element) -> Calibrator | None:
    default = element.child("DefaultCalibrator")
    if default is None:
        return None
    calibrator = default.need("PolynomialCalibrator", "SplineCalibrator")
    result: Calibrator
    if calibrator.name == "PolynomialCalibrator":
        terms = []
        for term in calibrator.children("Term"):
            terms.append((term.integer("exponent", 0, 64), term.number("coefficient")))
            term.done()
        if not terms:
            raise calibrator.error("<PolynomialCalibrator> needs <Term>")
        result = Polynomial(tuple(terms))
    else:
        points = []
        for point in calibrator.children("SplinePoint"):
            points.append((point.number("raw"), point.number("calibrated")))
            point.done()
        order = calibrator.choose("order", ("0", "1"), "1")
        result = Spline(tuple(points), int(order), calibrator.flag("extrapolate", default=False))  # type: ignore[arg-type]
        if len(points) <= result.order:
            raise calibrator.error(f"a spline of order {order} needs at least {result.order + 1} <SplinePoint>")
        if any(left[0] >= right[0] for left, right in pairwise(points)):
            raise calibrator.error("the points of <SplineCalibrator> should ascend in raw")
    calibrator.done()
    default.done()
    return result


def _size(element: Element) -> Size:
    """FixedValue, or DynamicValue with its LinearAdjustment; ``element`` is SizeInBits or Variable, not yet done."""
    fixed = element.child("FixedValue")
    if fixed is not None:
        size = Size(fixed.whole_content(0, _MAX_OCTETS * 8))
        fixed.done()
    else:
        dynamic = element.need("DynamicValue")
        reference = dynamic.need("ParameterInstanceRef")
        parameter = reference.text("parameterRef")
        # Only uncalibrated integers give sizes (the plan checks it), whose raw and engineering values are the same.
        reference.flag("useCalibratedValue", default=True)
        reference.done()
        adjustment = dynamic.need("LinearAdjustment")
        slope, intercept = adjustment.number("slope"), adjustment.number("intercept", 0.0)
        if slope % 8 or intercept % 8 or not 0 < slope <= _MAX_OCTETS or abs(intercept) > _MAX_OCTETS * 8:
            raise adjustment.error(
                f"slope = {slope:g} and intercept = {intercept:g} of <LinearAdjustment> should give whole octets: "
                "multiples of 8 bits"
            )
        size = Size(int(intercept), parameter, int(slope))
        adjustment.done()
        dynamic.done()
    if size.bits % 8:
        raise element.error(f"a size of {size.bits} bits is not supported: whole octets only")
    return size


def _string(element: Element) -> StringEncoding:
    charset = element.choose("encoding", ("US-ASCII", "ISO-8859-1", "Windows-1252", "UTF-8"), "UTF-8")
    outer = element.need("SizeInBits", "Variable")
    if outer.name == "SizeInBits":
        fixed = outer.need("Fixed")
        size = _size(fixed)
        fixed.done()
    else:
        outer.text("maxSizeInBits", "")  # a bound for readers that allocate; the packet's length bounds it here
        size = _size(outer)
    terminator, leading = None, 0
    inner = outer.child("TerminationChar", "LeadingSize")
    if inner is not None and inner.name == "TerminationChar":
        text = inner.content()
        try:
            (terminator,) = bytes.fromhex(text)
        except ValueError:
            raise inner.error(f"<TerminationChar> holds {text!r}, not one octet in hexadecimal, such as 00") from None
    elif inner is not None:
        leading = inner.integer("sizeInBitsOfSizeTag", 8, 32)
        if leading % 8:
            raise inner.error(f"a size tag of {leading} bits is not supported: whole octets only")
    if inner is not None:
        inner.done()
    outer.done()
    return StringEncoding(size, charset, terminator, leading)
