"""What is set, one after the other, to compare an output with a known resistor: never beyond the channel or the resistor."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf, isfinite, sqrt

from cycler_ctl.errors import ConfigError, RefusedError
from cycler_ctl.instrument import Accuracy, Ratings, VoltageAccuracy
from cycler_ctl.settings import Limits
from protocols.model import ConstantCurrent, ConstantVoltage, Setpoint, Window

OWN_ERROR = 0.98  # what is set leaves room for the instrument's own error inside the channel's limits
OF_WINDOW = 0.9  # the resistor's voltage stays well inside the window, or its edge would regulate
OF_RANGE = 0.9
ROOM_FOR_HOLD = 1.2  # a held voltage must find the current it needs
MOST_W = 0.1  # a small resistor of a quarter of a watt keeps its value with this
LEVELS = 0.3, 0.9
DIRECTIONS = 1, -1
VOLTAGE_GAIN, VOLTAGE_OFFSET_V = 5e-4, 4e-3  # set and read, where a driver does not tell: SPEC-2400, 20 V range

MULTIPLES = {"m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
RESISTANCE = re.compile(r"\s*(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)\s*([mkMG]?)\s*(?:ohms?|Ohms?|Ω|\u2126)\s*")
SHARE = re.compile(r"\s*(\d+(?:\.\d*)?)\s*%\s*")


class Kind(StrEnum):
    CURRENT = "current"
    VOLTAGE = "voltage"


@dataclass(frozen=True, slots=True)
class Resistor:
    resistance_ohm: float
    tolerance: float
    """As a fraction: 0.001 is 0.1 %."""


@dataclass(frozen=True, slots=True)
class Point:
    """``value`` in A or V is what is set; ``accuracy`` and ``voltage`` those of the ranges it is set and read on."""

    kind: Kind
    value: float
    setpoint: Setpoint
    accuracy: Accuracy
    voltage: VoltageAccuracy | None = None


def parse_resistor(resistance: str, tolerance: str) -> Resistor:
    found, share = RESISTANCE.fullmatch(resistance), SHARE.fullmatch(tolerance)
    if found is None or not 0 < float(found[1]) < inf:
        raise ConfigError(f"--resistor {resistance!r}: write a resistance such as '1 kohm' or '100 ohm'")
    if share is None or not float(share[1]) <= 10:
        raise ConfigError(f"--tolerance {tolerance!r}: write a share such as '0.1 %', at most 10 %")
    return Resistor(float(found[1]) * MULTIPLES[found[2]], float(share[1]) / 100)


def window_of(limits: Limits, ratings: Ratings) -> Window:
    """As far from 0 V as the channel's limits are on their farther side; a resistor has no polarity."""
    most_V = OWN_ERROR * min(max(abs(edge_V) for edge_V in limits.voltage_V), ratings.voltage_V[1])
    return max(-most_V, OWN_ERROR * ratings.voltage_V[0]), most_V


def most_A(limits: Limits, ratings: Ratings, resistor: Resistor) -> float:
    """Of the channel, the instrument, and what keeps the resistor cool."""
    return min(OWN_ERROR * min(limits.current_A, ratings.current_A), sqrt(MOST_W / resistor.resistance_ohm))


def points(resistor: Resistor, limits: Limits, ratings: Ratings) -> tuple[Point, ...]:
    """Currents from the smallest up, then voltages, each in both directions."""
    if ratings.voltage_V[0] >= 0:
        raise RefusedError(
            "this output goes no lower than 0 V, and a resistor at 0 A, which stands there, looks like an open lead to it: "
            "it cannot be verified with a resistor"
        )
    window_V = window_of(limits, ratings)
    found = (*_currents(resistor, limits, ratings, window_V), *_voltages(resistor, limits, ratings, window_V))
    if not found:
        best = OF_WINDOW * window_V[1] / (OWN_ERROR * limits.current_A)
        raise RefusedError(
            f"{resistor.resistance_ohm:.4g} ohm tells nothing here: within the channel's limits too little voltage "
            f"stands across it; take about {best:.2g} ohm"
        )
    across = ratings.voltage_range_for(max(map(abs, window_V)))  # a driver's range takes the whole window
    return tuple(replace(one, voltage=across) for one in found)


def _currents(resistor: Resistor, limits: Limits, ratings: Ratings, window_V: Window) -> Iterator[Point]:
    """One on each range that the resistor's voltage and power allow, from where it can be measured at all."""
    highest_A = most_A(limits, ratings, resistor)
    below_A = 0.0
    for row in ratings.ranges:
        for direction in DIRECTIONS:
            edge_V = abs(window_V[1] if direction > 0 else window_V[0])
            current_A = min(OF_RANGE * row.range_A, highest_A, OF_WINDOW * edge_V / resistor.resistance_ohm)
            if current_A > below_A and current_A * resistor.resistance_ohm > VOLTAGE_OFFSET_V:
                setpoint = ConstantCurrent(direction * current_A, window_V)
                yield Point(Kind.CURRENT, direction * current_A, setpoint, row)
        below_A = row.range_A


def _voltages(resistor: Resistor, limits: Limits, ratings: Ratings, window_V: Window) -> Iterator[Point]:
    highest_V = most_A(limits, ratings, resistor) / ROOM_FOR_HOLD * resistor.resistance_ohm
    for level in LEVELS:
        for direction in DIRECTIONS:
            edge_V = abs(window_V[1] if direction > 0 else window_V[0])
            voltage_V = level * min(edge_V, highest_V)
            limit_A = ratings.limit_within(ROOM_FOR_HOLD * voltage_V / resistor.resistance_ohm)
            if voltage_V > 10 * VOLTAGE_OFFSET_V:
                setpoint = ConstantVoltage(direction * voltage_V, limit_A)
                yield Point(
                    Kind.VOLTAGE, direction * voltage_V, setpoint, ratings.range_for(limit_A) or ratings.ranges[-1]
                )


def rest_room_V(resistor: Resistor, ratings: Ratings) -> float:
    """What a resistor may show at 0 A: the meter's offset, and the source's across it."""
    offset_A = max((row.source_offset_A for row in ratings.ranges[:2] if isfinite(row.source_offset_A)), default=0.0)
    return 2 * VOLTAGE_OFFSET_V + 3 * offset_A * resistor.resistance_ohm
