"""Foreign numbers to the text of quantities, digit by digit as far as a double has digits."""

from __future__ import annotations

import re
from decimal import Decimal

SMALLEST, LARGEST = Decimal("1e-12"), Decimal("1e12")
MOST_DIGITS = 17
NUMBER = re.compile(r"[+-]?(?:[0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?")


def decimal_of(text: str) -> Decimal | None:
    """The number in ``text``; None where it is none, or beyond anything in a laboratory."""
    stripped = text.strip()
    if NUMBER.fullmatch(stripped) is None:
        return None
    return in_reach(Decimal(stripped))


def in_reach(value: Decimal) -> Decimal | None:
    if not value.is_finite() or (value and not SMALLEST <= abs(value) <= LARGEST):
        return None
    return value if len(value.as_tuple().digits) <= MOST_DIGITS else Decimal(repr(float(value)))


def number_text(value: Decimal) -> str:
    """Without an exponent and without zeros that say nothing."""
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def quantity_text(value: Decimal, unit: str) -> str:
    return f"{number_text(value)}{'' if unit == 'C' else ' '}{unit}"


def time_text(seconds: Decimal) -> str:
    """In the largest unit that needs no fraction: 90 min, 15 h, 10.5 s."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds % size == 0:
            return quantity_text(seconds / size, unit)
    return quantity_text(seconds, "s")
