"""Every unit of the language: its dimension and its factor to the unit used inside (V, A, s, Ah, Wh, degC, g, cm, Ω, W)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType

from protocols.diagnostics import closest
from protocols.habits import unit_habit


class Dimension(StrEnum):
    """What a quantity measures; the value is its name for people."""

    VOLTAGE = "voltage"
    CURRENT = "current"
    CURRENT_DENSITY = "current density"
    SPECIFIC_CURRENT = "specific current"
    C_RATE = "C-rate"
    TIME = "time"
    CAPACITY = "capacity"
    AREAL_CAPACITY = "areal capacity"
    SPECIFIC_CAPACITY = "specific capacity"
    ENERGY = "energy"
    TEMPERATURE = "temperature"
    SLOPE = "voltage slope"
    RESISTANCE = "resistance"
    POWER = "power"
    HEATING = "temperature slope"
    RATIO = "ratio"
    MASS = "mass"
    LENGTH = "length"
    AREA = "area"


@dataclass(frozen=True, slots=True)
class Unit:
    """``inside = number * factor + offset``; exact, so that 0.05 mA is the float nearest to 0.00005 A."""

    name: str
    dimension: Dimension
    factor: Fraction
    offset: Fraction = Fraction(0)


HOUR = 3600
MICRO, MILLI = Fraction(1, 10**6), Fraction(1, 1000)

TABLE: Mapping[Dimension, Mapping[str, Fraction | int]] = {
    Dimension.VOLTAGE: {"V": 1, "mV": MILLI, "µV": MICRO},
    Dimension.CURRENT: {"A": 1, "mA": MILLI, "µA": MICRO, "nA": MILLI * MICRO},
    Dimension.CURRENT_DENSITY: {"A/cm2": 1, "mA/cm2": MILLI, "µA/cm2": MICRO, "A/m2": Fraction(1, 10**4)},
    Dimension.SPECIFIC_CURRENT: {"A/g": 1, "mA/g": MILLI, "µA/g": MICRO},
    Dimension.C_RATE: {"C": 1},
    Dimension.TIME: {
        "ms": MILLI,
        "s": 1,
        "min": 60,
        "h": HOUR,
        "d": 24 * HOUR,
        "second": 1,
        "minute": 60,
        "hour": HOUR,
        "day": 24 * HOUR,
        "seconds": 1,
        "minutes": 60,
        "hours": HOUR,
        "days": 24 * HOUR,
    },
    Dimension.CAPACITY: {"Ah": 1, "mAh": MILLI, "µAh": MICRO},
    Dimension.AREAL_CAPACITY: {"mAh/cm2": MILLI, "µAh/cm2": MICRO},
    Dimension.SPECIFIC_CAPACITY: {"mAh/g": MILLI, "Ah/kg": MILLI, "Ah/g": 1},
    Dimension.ENERGY: {"Wh": 1, "mWh": MILLI},
    Dimension.TEMPERATURE: {"°C": 1, "degC": 1, "K": 1},
    Dimension.SLOPE: {
        "V/h": Fraction(1, HOUR),
        "mV/h": MILLI / HOUR,
        "mV/min": MILLI / 60,
        "mV/s": MILLI,
        "µV/s": MICRO,
    },
    Dimension.RESISTANCE: {"Ω": 1, "ohm": 1, "mΩ": MILLI, "kΩ": 1000},
    Dimension.POWER: {"W": 1, "mW": MILLI, "µW": MICRO},
    Dimension.HEATING: {"K/min": Fraction(1, 60), "K/s": 1, "°C/min": Fraction(1, 60)},
    Dimension.RATIO: {"%": Fraction(1, 100), "wt%": Fraction(1, 100)},
    Dimension.MASS: {"g": 1, "mg": MILLI, "µg": MICRO},
    Dimension.LENGTH: {"cm": 1, "mm": Fraction(1, 10)},
    Dimension.AREA: {"cm2": 1, "mm2": Fraction(1, 100)},
}

STATION_ONLY = frozenset({Dimension.RESISTANCE, Dimension.POWER, Dimension.HEATING})
"""What only a channel's limits are given in; no key of a protocol takes them."""

ZERO_CELSIUS_K = Fraction(27315, 100)


def _units() -> Mapping[str, Unit]:
    units = {
        name: Unit(name, dimension, Fraction(factor))
        for dimension, table in TABLE.items()
        for name, factor in table.items()
    }
    units["K"] = Unit("K", Dimension.TEMPERATURE, Fraction(1), -ZERO_CELSIUS_K)
    return MappingProxyType(units)


UNITS = _units()


def normal_unit(text: str) -> str:
    """One spelling for the micro sign, squares and the degree sign."""
    text = text.replace("\u03bc", "\u00b5").replace("\u2103", "°C").replace("\u2126", "Ω")
    if len(text) > 1 and text[0] == "u":
        text = "\u00b5" + text[1:]
    return text.replace("cm^2", "cm2").replace("cm²", "cm2").replace("m^2", "m2").replace("m²", "m2")


def unit_help(text: str, example: str) -> str | None:
    """What to write instead of a unit that is not known."""
    habit = unit_habit(text)
    if habit is not None:
        return habit
    if any(letter.isdigit() for letter in text.replace("m2", "")) and " " in text:
        whole = "90 min" if text.split(maxsplit=1)[0] in {"d", "h", "min"} else f"0.5 {example}"
        return f"give one number and one unit, for example '{whole}'"
    for name in UNITS:
        if name.casefold() == text.casefold():
            return f"did you mean '{name}' (units are case-sensitive)?"
    near = closest(text, UNITS)
    return None if near is None else f"did you mean '{near}'?"
