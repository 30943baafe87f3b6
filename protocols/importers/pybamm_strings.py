"""PyBaMM's step texts and the little texts in them: ``Charge at C/2 for 1 hour or until 4.2 V (2 minute period)``.

The grammar is that of ``pybamm.step.string`` (26.10), without what it takes by accident (``Charge at -1 A``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from protocols.diagnostics import quoted
from protocols.importers.json_text import Json, shown
from protocols.importers.numbers import decimal_of, number_text, quantity_text
from protocols.importers.report import Unsupported, Wrong

PERIOD = re.compile(r"(?P<text>.*?) \((?P<period>.*?) period\)", re.DOTALL)
QUANTITY = re.compile(r"(?P<number>[0-9.eE+-]*[0-9.]) *(?P<unit>[A-Za-z]*)")
PER_C = re.compile(r"C/(?P<number>.+)")
SECONDS: Mapping[str, int] = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600),
}


LONGEST = 300


class Kind(StrEnum):
    CURRENT = "current"
    RATE = "c-rate"
    VOLTAGE = "voltage"


UNITS: Mapping[str, tuple[Kind, str]] = {
    "A": (Kind.CURRENT, "A"),
    "mA": (Kind.CURRENT, "mA"),
    "C": (Kind.RATE, "C"),
    "V": (Kind.VOLTAGE, "V"),
    "mV": (Kind.VOLTAGE, "V"),
}
UNSUPPORTED_UNITS: Mapping[str, str] = {
    **dict.fromkeys(("W", "mW"), "a constant power"),
    **dict.fromkeys(("Ohm", "mOhm"), "a constant resistance"),
}


@dataclass(frozen=True, slots=True)
class Amount:
    """A current, rate or voltage: its value (per A, 1/h or V only to compare) and its text here."""

    kind: Kind
    value: Decimal
    text: str


@dataclass(frozen=True, slots=True)
class End:
    """A termination; ``op`` None: PyBaMM decides by the step's direction."""

    amount: Amount
    op: str | None


@dataclass(frozen=True, slots=True)
class Sentence:
    """A step text in its parts."""

    word: str
    at: Amount | None
    duration_s: Decimal | None
    ends: tuple[End, ...]
    period_s: Decimal | None


def read_sentence(text: str, place: str) -> Sentence:
    if len(text) > LONGEST:
        raise Wrong(place, f"{quoted(text)} is too long for a step")
    if text.startswith("Run "):
        raise Unsupported(place, "drive cycles ('Run ...') have no equivalent in this language")
    period_s = None
    period = PERIOD.fullmatch(text)
    if period is not None:
        text, period_s = period["text"], read_time(period["period"], place)
    if "oC" in text:
        raise Wrong(place, "PyBaMM takes a temperature as an argument, not in the text")
    head, _, until = text.partition(" until ")
    head = head.removesuffix(" or")
    what, _, duration = head.partition(" for ")
    if not until and not duration:
        raise Wrong(place, f"{quoted(text)} has neither 'for' nor 'until'")
    word, at = _what(what, place)
    return Sentence(
        word,
        at,
        read_time(duration, place) if duration else None,
        (read_end(until, place),) if until else (),
        period_s,
    )


def _what(text: str, place: str) -> tuple[str, Amount | None]:
    if text == "Rest":
        return "Rest", None
    word, _, value = text.partition(" at ")
    if word not in {"Charge", "Discharge", "Hold"} or not value:
        raise Wrong(place, f"{quoted(text)} is not 'Charge at ...', 'Discharge at ...', 'Hold at ...' or 'Rest'")
    return word, read_amount(value, place)


def read_time(value: Json, place: str) -> Decimal:
    """Seconds from a number or from a text; here, and only here, m means minutes."""
    if isinstance(value, Decimal):
        seconds: Decimal | None = value
    else:
        match = QUANTITY.fullmatch(value[:LONGEST].strip()) if isinstance(value, str) else None
        number = None if match is None else decimal_of(match["number"])
        factor = None if match is None else SECONDS.get(match["unit"])
        seconds = None if number is None or factor is None else number * factor
    if seconds is None:
        raise Wrong(place, f"{shown(value)} is not a time in s, min or h as PyBaMM writes it")
    if seconds <= 0:
        raise Wrong(place, f"the time {shown(value)} is not above zero")
    return seconds


def read_amount(text: str, place: str) -> Amount:
    """``1 C``, ``C/20``, ``50 mA``, ``4.1V``."""
    text = text[:LONGEST]
    per_c = PER_C.fullmatch(text.strip())
    if per_c is not None:
        bottom = decimal_of(per_c["number"])
        if bottom is None or bottom <= 0:
            raise Wrong(place, f"{quoted(text)} is not a C-rate")
        return Amount(Kind.RATE, 1 / bottom, f"C/{number_text(bottom)}")
    match = QUANTITY.fullmatch(text.strip())
    number = None if match is None else decimal_of(match["number"])
    if match is None or number is None:
        raise Wrong(place, f"{quoted(text)} is not a quantity")
    if match["unit"] in UNSUPPORTED_UNITS:
        raise Unsupported(place, f"{UNSUPPORTED_UNITS[match['unit']]} ({text}) has no equivalent in this language")
    if match["unit"] not in UNITS:
        raise Wrong(place, f"{quoted(text)}: the unit is not A, mA, C, V or mV")
    kind, unit = UNITS[match["unit"]]
    return amount_of(kind, number / 1000 if match["unit"] == "mV" else number, unit)


def amount_of(kind: Kind, number: Decimal, unit: str) -> Amount:
    """The text is the magnitude's, but a voltage keeps its sign."""
    shown_number = number if kind is Kind.VOLTAGE else abs(number)
    return Amount(kind, number / 1000 if unit == "mA" else number, quantity_text(shown_number, unit))


def read_end(text: str, place: str) -> End:
    text = text.strip()
    op = text[0] if text[:1] in {"<", ">"} else None
    return End(read_amount((text[1:] if op else text).replace(" ", ""), place), op)
