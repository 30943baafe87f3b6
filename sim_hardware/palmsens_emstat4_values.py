"""Numbers as MethodSCRIPT writes them: literals in a script, values in a package (MethodSCRIPT v1.2, chapter 4)."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

PREFIXES = {
    "a": 1e-18,
    "f": 1e-15,
    "p": 1e-12,
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "": 1.0,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "E": 1e18,
}
LITERAL = re.compile(r"([+-]?\d{1,10})([afpnumkMGTPE]?|i)")
OFFSET = 1 << 27
LARGEST = (1 << 31) - 1
FINEST_FIRST = tuple(PREFIXES)[:10]  # a to G: what a value is written in is the finest it fits in
NAN = "     nan"
UNKNOWN_TYPE = "aa"


@dataclass(frozen=True, slots=True)
class Value:
    """One variable's content: a whole number or a single-precision float, what it is of, and how it was measured."""

    number: float
    is_int: bool = False
    type: str = UNKNOWN_TYPE
    metadata: str = ""


def single(number: float) -> float:
    """As the instrument keeps it."""
    stored: float = struct.unpack("f", struct.pack("f", number))[0]
    return stored


@cache
def literal(text: str) -> Value | None:
    """None where the text is no literal: there are no decimal points, only whole numbers with a prefix."""
    found = LITERAL.fullmatch(text)
    if found is None or abs(int(found[1])) > LARGEST:
        return None
    if found[2] == "i":
        return Value(int(found[1]), is_int=True)
    return Value(single(int(found[1]) * PREFIXES[found[2]]))


def encoded(value: Value) -> str:
    """Seven hexadecimal digits above an offset, and a prefix; ``i`` for whole numbers."""
    if value.is_int:
        return f"{round(value.number) + OFFSET:07X}i"
    if not math.isfinite(value.number):
        return NAN
    for prefix in FINEST_FIRST if value.number else ("",):
        raw = round(value.number / PREFIXES[prefix])
        if abs(raw) < OFFSET:
            return f"{raw + OFFSET:07X}{prefix or ' '}"
    return NAN


def package(values: Iterable[Value]) -> str:
    return "P" + ";".join(f"{value.type}{encoded(value)}{value.metadata}" for value in values)
