"""Text to quantity and back: strict numbers, explicit units, errors that say what to write.

>>> parse_quantity("0.5 mA/cm2", Dimension.CURRENT_DENSITY).value
0.0005
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from protocols.diagnostics import quoted
from protocols.habits import number_habit
from protocols.units import UNITS, Dimension, Unit, normal_unit, unit_help

__all__ = [
    "ANY_CAPACITY",
    "ANY_CURRENT",
    "Dimension",
    "Need",
    "Quantity",
    "QuantityError",
    "a",
    "format_duration",
    "format_number",
    "need_of",
    "parse_positive",
    "parse_quantity",
    "parse_range",
    "read_quantity",
    "require",
]

# ASCII digits only, bounded: "1e999999999" must cost nothing and "1_000" or Arabic digits are not numbers here.
NUMBER = re.compile(r"[+-]?[0-9]{1,30}(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,2}(?![0-9]))?")
PER_C = re.compile(r"(?P<sign>[+-]?)C/ ?(?P<number>\S+)")
DECIMAL_COMMA = re.compile(r"(?P<whole>[+-]?[0-9]{1,30}),(?P<part>[0-9]{1,30})(?P<rest>(?![0-9,]).*)", re.DOTALL)
SMALLEST, LARGEST = 1e-20, 1e20
# One blank each side, not a run of them: a long run must not cost its square.
TO = re.compile(r"\sto\s")


class QuantityError(ValueError):
    """Why a text is not the quantity needed; ``offset`` is where in the text, counted from 0."""

    def __init__(self, code: str, message: str, help: str | None = None, offset: int = 0) -> None:  # noqa: A002 - the name of the field it fills
        super().__init__(message)
        self.code = code
        self.message = message
        self.help = help
        self.offset = offset

    def moved(self, offset: int) -> QuantityError:
        """The same, seen from a longer text that holds this one at ``offset``."""
        return QuantityError(self.code, self.message, self.help, self.offset + offset)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number in the unit used inside (V, A, A/cm2, A/g, 1/h, s, Ah, Wh, degC, V/s, 1, g, cm, cm2) and as written."""

    value: float
    dimension: Dimension
    text: str
    unit: str


@dataclass(frozen=True, slots=True)
class Need:
    """The dimensions a place accepts, how to say so, and a unit for an example."""

    dimensions: tuple[Dimension, ...]
    words: str
    example: str


ANY_CURRENT = Need(
    (Dimension.CURRENT, Dimension.CURRENT_DENSITY, Dimension.SPECIFIC_CURRENT, Dimension.C_RATE),
    "a current (mA, mA/cm2, mA/g or C-rate)",
    "mA",
)
ANY_CAPACITY = Need(
    (Dimension.CAPACITY, Dimension.AREAL_CAPACITY, Dimension.SPECIFIC_CAPACITY),
    "a capacity (mAh, mAh/cm2 or mAh/g)",
    "mAh",
)
NEEDS: Mapping[Dimension, Need] = {
    Dimension.VOLTAGE: Need((Dimension.VOLTAGE,), "a voltage (V or mV)", "V"),
    Dimension.CURRENT: Need((Dimension.CURRENT,), "a current (A, mA or µA)", "mA"),
    Dimension.TIME: Need((Dimension.TIME,), "a time (s, min, h or d)", "min"),
    Dimension.CAPACITY: Need((Dimension.CAPACITY,), "a capacity (Ah or mAh)", "mAh"),
    Dimension.ENERGY: Need((Dimension.ENERGY,), "an energy (Wh or mWh)", "mWh"),
    Dimension.TEMPERATURE: Need((Dimension.TEMPERATURE,), "a temperature (°C or K)", "°C"),
    Dimension.SLOPE: Need((Dimension.SLOPE,), "a voltage slope (mV/h or mV/s)", "mV/h"),
    Dimension.RESISTANCE: Need((Dimension.RESISTANCE,), "a resistance (Ω or mΩ)", "Ω"),
    Dimension.POWER: Need((Dimension.POWER,), "a power (W or mW)", "mW"),
    Dimension.HEATING: Need((Dimension.HEATING,), "a temperature slope (K/min or K/s)", "K/min"),
    Dimension.RATIO: Need((Dimension.RATIO,), "a percentage (%)", "%"),
    Dimension.MASS: Need((Dimension.MASS,), "a mass (g or mg)", "mg"),
    Dimension.LENGTH: Need((Dimension.LENGTH,), "a length (cm or mm)", "mm"),
    Dimension.AREA: Need((Dimension.AREA,), "an area (cm2 or mm2)", "cm2"),
    Dimension.SPECIFIC_CAPACITY: Need((Dimension.SPECIFIC_CAPACITY,), "a specific capacity (mAh/g)", "mAh/g"),
}


def need_of(dimension: Dimension) -> Need:
    """What to ask for where exactly this dimension is meant."""
    if dimension in NEEDS:
        return NEEDS[dimension]
    example = next(unit.name for unit in UNITS.values() if unit.dimension is dimension)
    return Need((dimension,), f"{a(dimension.value)} ({example})", example)


def a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def read_quantity(text: str, *, subject: str = "", example: str = "V") -> Quantity:
    """Any quantity; ``subject`` begins the message and ``example`` is the unit proposed where none is written."""
    stripped = text.strip()
    offset = len(text) - len(text.lstrip())
    per_c = PER_C.fullmatch(stripped)
    if per_c is not None:
        return _per_c(stripped, per_c)
    number = NUMBER.match(stripped)
    if number is None or stripped[number.end() : number.end() + 1] in {".", ",", "_"}:
        raise _not_a_number(stripped, example=example).moved(offset)
    unit_text = stripped[number.end() :].strip()
    if not unit_text:
        raise QuantityError(
            "unit-missing", f"{_of(subject, stripped)} has no unit", f"write for example '{stripped} {example}'", offset
        )
    unit = UNITS.get(normal_unit(unit_text))
    if unit is None:
        raise _unknown_unit(unit_text, example).moved(offset + stripped.rindex(unit_text))
    return _quantity(number.group(), unit)


def _quantity(number: str, unit: Unit) -> Quantity:
    value = _in_reach(_inside(number, unit), f"{number} {unit.name}")
    gap = "" if unit.dimension is Dimension.C_RATE else " "
    return Quantity(value, unit.dimension, f"{number}{gap}{unit.name}", unit.name)


def _inside(number: str, unit: Unit) -> float:
    """The float nearest to ``number * factor + offset``: integers divide exactly rounded, and faster than fractions."""
    mantissa, _, exponent = number.lower().partition("e")
    whole, _, part = mantissa.partition(".")
    power = int(exponent or "0") - len(part)
    over, under = (10**power, 1) if power >= 0 else (1, 10**-power)
    over *= int(whole + part) * unit.factor.numerator
    under *= unit.factor.denominator
    if not unit.offset:
        return over / under
    return (over * unit.offset.denominator + unit.offset.numerator * under) / (under * unit.offset.denominator)


def _in_reach(value: float, text: str) -> float:
    """Nothing in a laboratory is beyond these; inside them, products of a few quantities stay finite and not zero."""
    if value and not SMALLEST < abs(value) < LARGEST:
        raise QuantityError(
            "out-of-range", f"{quoted(text)} is too {'large' if abs(value) > 1 else 'small'} to be meant"
        )
    return value


def _per_c(text: str, match: re.Match[str]) -> Quantity:
    if NUMBER.fullmatch(match["number"]) is None:
        raise _not_a_number(match["number"], whole=text).moved(match.start("number"))
    divisor = Fraction(match["number"])
    if divisor <= 0:
        raise QuantityError(
            "out-of-range", f"{quoted(text)}: the number below C must be above zero", "write for example 'C/10'"
        )
    value = _in_reach(float(1 / divisor), text)
    return Quantity(-value if match["sign"] == "-" else value, Dimension.C_RATE, text.replace(" ", ""), "C")


def _unknown_unit(text: str, example: str) -> QuantityError:
    help_text = unit_help(normal_unit(text), example) or "units are for example V, mA, mA/cm2, mAh/g, min, h and °C"
    return QuantityError("unit-unknown", f"{quoted(text)} is not a unit I know", help_text)


def _not_a_number(text: str, *, whole: str | None = None, example: str = "V") -> QuantityError:
    """Why ``text`` does not begin with a number we read."""
    shown = quoted(whole or text)
    comma = DECIMAL_COMMA.fullmatch(text)
    if comma is not None:
        return QuantityError("number", f"{shown}: decimal commas are not read", _comma_help(comma))
    if text[:1] in {"\u2212", "\u2013"}:
        return QuantityError("number", f"{shown} begins with a dash that is no minus sign", f"write '-{text[1:]}'")
    if re.match(r"[+-]?(\.[0-9]|[0-9]+\.(?![0-9]))", text):
        point = "needs a digit on both sides of the point"
        return QuantityError("number", f"{shown} {point}", "write for example '0.5' or '5.0'")
    if re.match(r"[+-]?[0-9]", text):
        return QuantityError(
            "number", f"{shown} is not a number I read", "write digits, at most one point, then the unit"
        )
    otherwise = "write for example 'C/10'" if whole else f"write a number and a unit, for example '0.5 {example}'"
    help_text = number_habit(whole or text) or otherwise
    return QuantityError("number", f"cannot read {shown} as a quantity", help_text)


def _comma_help(comma: re.Match[str]) -> str:
    whole, part, rest = comma["whole"], comma["part"], comma["rest"]
    if len(part) == 3:
        return f"write '{whole}.{part}{rest}' or '{whole}{part}{rest}'"
    return f"write '{whole}.{part}{rest}'"


def _of(subject: str, text: str) -> str:
    return f"{subject} {quoted(text)}" if subject else quoted(text)


def require(quantity: Quantity, need: Need, subject: str, shown: str | None = None) -> Quantity:
    """``quantity`` itself, or the error that it is of another dimension."""
    if quantity.dimension in need.dimensions:
        return quantity
    what = shown or f"'{quantity.text}' is {a(quantity.dimension.value)}"
    say = None
    if Dimension.TEMPERATURE in need.dimensions and quantity.unit == "C":
        say = f"did you mean '{quantity.text.removesuffix('C').strip()} °C'? C alone is a C-rate"
    raise QuantityError("dimension", f"{subject or 'this'} needs {need.words}, but {what}", say)


def parse_quantity(text: str, need: Dimension | Need, *, subject: str = "") -> Quantity:
    """The quantity ``text`` says, of the dimension asked for; raises ``QuantityError``."""
    wanted = need if isinstance(need, Need) else need_of(need)
    return require(read_quantity(text, subject=subject, example=wanted.example), wanted, subject)


def parse_positive(text: str, need: Dimension | Need, *, subject: str = "") -> Quantity:
    """As ``parse_quantity``, above zero."""
    return above_zero(parse_quantity(text, need, subject=subject), subject)


def above_zero(quantity: Quantity, subject: str) -> Quantity:
    if quantity.value > 0:
        return quantity
    which = "negative" if quantity.value < 0 else "zero"
    raise QuantityError("out-of-range", f"{_of(subject, quantity.text)} is {which}", "it must be above zero")


def parse_range(text: str, need: Dimension | Need, *, subject: str = "") -> tuple[Quantity, Quantity]:
    """``low to high``, the low end below the high end; raises ``QuantityError``."""
    match = TO.search(text)
    if match is None:
        unit = (need if isinstance(need, Need) else need_of(need)).example
        raise QuantityError(
            "shape", f"{_of(subject, text)} is not a range", f"write for example '1 {unit} to 2 {unit}'"
        )
    low = parse_quantity(text[: match.start()], need, subject=subject)
    try:
        high = parse_quantity(text[match.end() :], need, subject=subject)
    except QuantityError as error:
        raise error.moved(match.end()) from error
    return ordered(low, high, subject)


def ordered(low: Quantity, high: Quantity, subject: str) -> tuple[Quantity, Quantity]:
    if low.value < high.value:
        return low, high
    raise QuantityError("out-of-range", f"{subject or 'range'}: {low.text} is not below {high.text}")


def format_number(value: float, digits: int = 4) -> str:
    """``digits`` significant digits, without an exponent as long as people can read it."""
    if abs(value) >= 10**digits:
        return f"{value:.0f}" if abs(value) < 1e15 else f"{value:.{digits}g}"
    text = f"{value:.{digits}g}"
    return f"{value:.{digits + 6}f}".rstrip("0").rstrip(".") if "e" in text and abs(value) >= 1e-6 else text


def format_duration(seconds: float) -> str:
    """A time in the unit people would take: 90 s, 60 min, 10.3 h, 4.28 d."""
    for limit, unit_s, unit in ((120, 1, "s"), (2 * 3600, 60, "min"), (48 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{format_number(seconds / unit_s, 3)} {unit}"
    return f"{format_number(seconds / 86400, 3)} d"
