"""The nouns of XTCE as frozen data: what a definition file says, and nothing of how to decode it.

The ground's decoder and the simulators' encoder both start from these, and share nothing else. The standard is OMG XTCE
1.2, published by CCSDS as 660.0-B-2; the Green Book CCSDS 660.1-G explains it. Names follow the standard's elements.
``line`` is where the element stands in the file, for messages.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from fractions import Fraction

Kind: TypeAlias = Literal["integer", "float", "enumeration", "boolean", "string", "binary", "time"]
Severity: TypeAlias = Literal["watch", "warning", "distress", "critical", "severe"]
Level: TypeAlias = Literal["normal", "watch", "warning", "distress", "critical", "severe"]
Operator: TypeAlias = Literal["==", "!=", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Size:
    """How many bits a string or binary field takes: ``bits``, plus ``slope`` times the value of ``parameter``.

    ``parameter``: name of an unsigned, uncalibrated integer earlier in the packet; None where the size is fixed. Sizes
    are whole octets: ``bits`` and ``slope`` are multiples of 8.
    """

    bits: int
    parameter: str | None = None
    slope: int = 0


@dataclass(frozen=True, slots=True)
class IntegerEncoding:
    """IntegerDataEncoding of 1 to 64 ``bits``, starting at any bit. Little-endian ones are whole octets."""

    bits: int
    signed: Literal["unsigned", "twosComplement"] = "unsigned"
    little_endian: bool = False


@dataclass(frozen=True, slots=True)
class FloatEncoding:
    """FloatDataEncoding, IEEE 754 binary of 16, 32 or 64 ``bits``."""

    bits: Literal[16, 32, 64]
    little_endian: bool = False


@dataclass(frozen=True, slots=True)
class StringEncoding:
    """StringDataEncoding: a buffer of ``size`` that holds text in ``charset`` (an encoding of one octet a unit).

    The text is the whole buffer, or ends before the first ``terminator`` octet, or follows an unsigned big-endian count
    of ``leading`` bits that gives its length in bits.
    """

    size: Size
    charset: Literal["US-ASCII", "ISO-8859-1", "Windows-1252", "UTF-8"] = "UTF-8"
    terminator: int | None = None
    leading: int = 0


@dataclass(frozen=True, slots=True)
class BinaryEncoding:
    """BinaryDataEncoding: ``size`` octets as they are."""

    size: Size


Encoding: TypeAlias = IntegerEncoding | FloatEncoding | StringEncoding | BinaryEncoding


@dataclass(frozen=True, slots=True)
class Polynomial:
    """PolynomialCalibrator: the sum of coefficient * raw**exponent.

    ``terms``: (exponent, coefficient) in the order of the file, which is the order of summation.
    """

    terms: tuple[tuple[int, float], ...]

    @property
    def coefficients(self) -> tuple[float, ...]:
        """The coefficients of raw**0, raw**1, raw**2 and so on."""
        dense = [0.0] * (max((exponent for exponent, _ in self.terms), default=0) + 1)
        for exponent, coefficient in self.terms:
            dense[exponent] += coefficient
        return tuple(dense)


@dataclass(frozen=True, slots=True)
class Spline:
    """SplineCalibrator: ``points`` (raw, calibrated), raw strictly ascending.

    ``order`` 0 holds the value of the nearest point below, 1 interpolates linearly. Beyond the end points the value is
    held (order 0) or the end segment prolonged (order 1) where ``extrapolate`` is set; otherwise there is no value.
    """

    points: tuple[tuple[float, float], ...]
    order: Literal[0, 1] = 1
    extrapolate: bool = False


Calibrator: TypeAlias = Polynomial | Spline


@dataclass(frozen=True, slots=True)
class Limit:
    """One of the StaticAlarmRanges: an engineering value below ``low`` or above ``high`` has this severity.

    The bounds themselves are still inside. None leaves that side open.
    """

    severity: Severity
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Alarm:
    """DefaultAlarm: which engineering values have which severity; where several apply, the worst.

    ``limits``: of numbers. ``codes``: the severity of an enumeration's codes, or of a boolean's 0 and 1. ``patterns``:
    of texts, (a regular expression that the whole text has to match, severity). ``otherwise``: of codes and texts that
    are not among these. ``violations``: so many successive samples must have a severity, or a worse one, before it
    holds.
    """

    limits: tuple[Limit, ...] = ()
    codes: dict[int, Level] = field(default_factory=dict)
    patterns: tuple[tuple[str, Level], ...] = ()
    otherwise: Level = "normal"
    violations: int = 1

    def __bool__(self) -> bool:
        return bool(self.limits or self.codes or self.patterns) or self.otherwise != "normal"


@dataclass(frozen=True, slots=True)
class ParameterType:
    """A ParameterType: how a parameter lies in the packet and what its engineering value is.

    ``labels``: of an enumeration's integer codes, or of a boolean's 0 and 1 where the file names them.
    ``tick``, ``epoch``: only for times. A raw count c means ``epoch`` ns since 1970 UTC plus c * ``tick`` seconds.
    """

    name: str
    kind: Kind
    encoding: Encoding
    line: int
    unit: str = ""
    calibrator: Calibrator | None = None
    labels: dict[int, str] = field(default_factory=dict)
    alarm: Alarm = field(default_factory=Alarm)
    tick: Fraction | None = None
    epoch: int = 0

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The ranges outside of which a number is an alarm."""
        return self.alarm.limits


@dataclass(frozen=True, slots=True)
class Parameter:
    """A named value in the telemetry."""

    name: str
    type: ParameterType
    description: str
    line: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """One condition of a container's restriction; all of them must hold.

    ``value``: as written in the file. ``calibrated``: compare the engineering value (an enumeration's label), else the
    raw one.
    """

    parameter: str
    operator: Operator
    value: str
    line: int
    calibrated: bool = True


@dataclass(frozen=True, slots=True)
class Entry:
    """A place in a container: ``parameter`` follows directly, without padding, on the entry before it."""

    parameter: Parameter
    line: int


@dataclass(frozen=True, slots=True)
class SequenceContainer:
    """A packet layout: the entries of ``base``, then ``entries``, for packets that meet ``restriction``.

    Containers that the file includes by reference (ContainerRefEntry) are already unfolded into ``entries``.
    """

    name: str
    abstract: bool
    base: str | None
    restriction: tuple[Comparison, ...]
    entries: tuple[Entry, ...]
    description: str
    line: int


@dataclass(frozen=True, slots=True)
class SpaceSystem:
    """A definition file. Dictionaries are by name, in the order of the file; the first container is the root."""

    name: str
    description: str
    path: str
    types: dict[str, ParameterType]
    parameters: dict[str, Parameter]
    containers: dict[str, SequenceContainer]

    @property
    def root(self) -> SequenceContainer:
        """The container that every packet starts with."""
        return next(iter(self.containers.values()))

    def chain(self, container: str) -> tuple[SequenceContainer, ...]:
        """The containers from the root down to ``container``, whose entries in this order make up the packet."""
        found = [self.containers[container]]
        while found[0].base is not None:
            found.insert(0, self.containers[found[0].base])
        return tuple(found)
