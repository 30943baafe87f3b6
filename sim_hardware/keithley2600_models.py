"""The 2600 family as data: channels, ranges, limits and what holds after a reset.

Limits: 2600BS-901-01 Rev. F p. 9-244 (2600AS-901-01 Rev. B p. 19-135). Voltage ranges: Rev. F p. 9-230. Current ranges
are from memory of the data sheets; 2601 and 2602 as SPEC-2602B.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DECADES_A = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)
LOW_V, HIGH_V = (0.1, 1.0, 6.0, 40.0), (0.2, 2.0, 20.0, 200.0)


@dataclass(frozen=True, slots=True)
class Model:
    """Quantities are "v" and "i"; ``smallest`` and ``reset`` are of the limits."""

    name: str
    outputs: tuple[str, ...]
    ranges: Mapping[str, tuple[float, ...]]
    smallest: Mapping[str, float]
    reset: Mapping[str, float]


def _model(number: int, letter: str) -> Model:
    is_low = number in {2601, 2602, 2604}
    is_fine = number in {2634, 2635, 2636}
    largest_A = 3.0 if is_low else 1.5
    amperes = (*((1e-9, 1e-8) if is_fine else ()), *DECADES_A, largest_A)
    return Model(
        f"{number}{letter}",
        ("a",) if number in {2601, 2611, 2635} else ("a", "b"),
        {"v": LOW_V if is_low else HIGH_V, "i": amperes},
        {"v": 0.01 if is_low else 0.02, "i": 100e-12 if is_fine else 10e-9},
        {"v": 40.0 if is_low else 20.0, "i": 1.0 if is_low else 0.1},
    )


_NUMBERS = {"": (2601, 2602, 2611, 2612, 2635, 2636), "A": (2601, 2602, 2604, 2611, 2612, 2614, 2634, 2635, 2636)}
FAMILY: Mapping[str, Model] = {
    f"{number}{letter}": _model(number, letter)
    for letter in ("", "A", "B")
    for number in _NUMBERS.get(letter, _NUMBERS["A"])
}
