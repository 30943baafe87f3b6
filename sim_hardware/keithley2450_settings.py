"""What a 2450 remembers, and the source this makes at the terminals.

Pages are those of the 2450's reference manual (2450-901-01 Rev. B) where no other model is named. Where the manuals
of the family differ, or are silent, the way that harms a cell is taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from sim_hardware.circuit import CurrentSource, Disconnected, Source, VoltageSource
from sim_hardware.keithley2450_models import CURR, M2450, RES, VOLT, Model
from sim_hardware.scpi import ScpiError

FUNCTIONS = (VOLT, CURR, RES)
OVERRANGE = 1.05  # SPEC-2450: 105 % of range, source and measure
SMALLEST_LIMIT = 0.106  # of a fixed measure range: 2470 p. 12-78; SPEC-2450 says 10 %, manuals 6-71 and 2461 6-94 0.1 %
OHMS_RANGES = (2.0, 20.0, 200.0, 2e3, 2e4, 2e5, 2e6, 2e7, 2e8)
OHMS_A = 0.1  # SPEC-2450: the test current of the 20 ohm range, the largest
SETTINGS_CONFLICT, OUT_OF_RANGE = -221, -222


def _both(value: float) -> dict[str, float]:
    return dict.fromkeys((VOLT, CURR), value)


@dataclass(slots=True)
class Settings:
    """Made new, this is the state after power-on and *RST: the output off, but NORMAL, which drains a cell."""

    model: Model = M2450
    output: bool = False
    source: str = VOLT
    measure: str = CURR
    terminals: str = "FRON"
    off_mode: dict[str, str] = field(default_factory=lambda: dict.fromkeys((VOLT, CURR), "NORM"))
    level: dict[str, float] = field(default_factory=lambda: _both(0.0))
    source_range: dict[str, float] = field(default_factory=dict[str, float])
    source_auto: dict[str, bool] = field(default_factory=lambda: dict.fromkeys((VOLT, CURR), True))
    limit: dict[str, float] = field(default_factory=dict[str, float])
    """By the quantity that is limited: ``limit[CURR]`` is the ILIMit of a voltage source."""
    sense_range: dict[str, float] = field(default_factory=dict[str, float])
    sense_auto: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(FUNCTIONS, True))
    remote: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(FUNCTIONS, False))
    readback: dict[str, bool] = field(default_factory=lambda: dict.fromkeys((VOLT, CURR), True))
    relative: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(FUNCTIONS, False))
    with_math: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(FUNCTIONS, False))
    relative_to: dict[str, float] = field(default_factory=lambda: dict.fromkeys(FUNCTIONS, 0.0))
    overvoltage_V: float = math.inf
    count: int = 1
    precision: int = 0
    plain: dict[str, str] = field(default_factory=dict[str, str])
    """Settings that change nothing here: kept, and answered as they were sent."""

    def __post_init__(self) -> None:
        for quantity, ranges in self.model.ranges.items():
            self.source_range[quantity] = ranges[0]
            self.sense_range[quantity] = ranges[0]
            self.limit[quantity] = self.model.limits[quantity].reset
        self.sense_range[RES] = OHMS_RANGES[-1]

    @property
    def limited(self) -> str:
        return CURR if self.source == VOLT else VOLT

    @property
    def is_remote(self) -> bool:
        """Four wires are the measure function's setting, and in force only while the output is on (p. 6-58)."""
        return self.output and self.remote[self.measure]


def range_for(model: Model, quantity: str, value: float) -> float:
    """The most sensitive range that takes ``value``."""
    ranges = OHMS_RANGES if quantity == RES else model.ranges[quantity]
    for full_scale in ranges:
        if abs(value) <= OVERRANGE * full_scale * (1.0 + 1e-9):
            return full_scale
    raise ScpiError(OUT_OF_RANGE)


def measure_range(settings: Settings, quantity: str) -> float:
    """What is sourced is measured on the source's range (p. 6-54)."""
    if quantity == settings.source:
        return settings.source_range[quantity]
    if settings.sense_auto[quantity] and quantity != RES:
        return range_for(settings.model, quantity, settings.limit[quantity])
    return settings.sense_range[quantity]


def set_level(settings: Settings, quantity: str, value: float) -> None:
    """Within a fixed source range only (2461 p. 6-93)."""
    if settings.source_auto[quantity]:
        settings.source_range[quantity] = range_for(settings.model, quantity, value)
    elif abs(value) > OVERRANGE * settings.source_range[quantity] * (1.0 + 1e-9):
        raise ScpiError(OUT_OF_RANGE)
    settings.level[quantity] = value


def set_source_range(settings: Settings, quantity: str, value: float) -> None:
    """The lowest range that takes the value; one too small for the level is ignored with an event (2461 p. 6-97)."""
    full_scale = range_for(settings.model, quantity, value)
    if abs(settings.level[quantity]) > OVERRANGE * full_scale:
        raise ScpiError(SETTINGS_CONFLICT)
    settings.source_range[quantity] = full_scale
    settings.source_auto[quantity] = False


def set_sense_range(settings: Settings, quantity: str, value: float) -> bool:
    """Fix a measure range. True when the limit was too small for it and was raised without being asked (2470 12-78)."""
    full_scale = range_for(settings.model, quantity, value)
    settings.sense_range[quantity] = full_scale
    settings.sense_auto[quantity] = False
    if quantity == RES or settings.limit[quantity] >= SMALLEST_LIMIT * full_scale:
        return False
    settings.limit[quantity] = SMALLEST_LIMIT * full_scale
    return True


def set_limit(settings: Settings, quantity: str, value: float) -> None:
    """Refused, and the old one stays, when too small for a fixed measure range or above the overvoltage protection."""
    bounds, value = settings.model.limits[quantity], abs(value)
    too_small = not settings.sense_auto[quantity] and value < SMALLEST_LIMIT * settings.sense_range[quantity]
    too_large = quantity == VOLT and value > settings.overvoltage_V
    if too_small or too_large or not bounds.lowest <= value <= bounds.highest:
        raise ScpiError(OUT_OF_RANGE)
    settings.limit[quantity] = value


def set_measure(settings: Settings, function: str) -> None:
    """The measure function may choose the source's (2461 p. 2-100); with ohms the source is the instrument's matter."""
    settings.measure = function
    if function == RES:
        settings.source = CURR
        settings.output = False


def compliance(settings: Settings) -> tuple[float, str]:
    """The limit in force and which it is: "real" (set), "range" (a fixed measure range below it) or "ovp"."""
    quantity = settings.limited
    limits = [(settings.limit[quantity], "real")]
    if not settings.sense_auto[quantity]:
        limits.append((OVERRANGE * settings.sense_range[quantity], "range"))
    if quantity == VOLT:
        limits.append((settings.overvoltage_V, "ovp"))
    return min(limits, key=lambda limit: limit[0])


@dataclass(frozen=True, slots=True)
class SourceErrors:
    """One instrument's own small errors: shares of the range in use, of the limit, and in V."""

    current_offset: float = 0.0
    limit_gain: float = 0.0
    voltage_offset_V: float = 0.0


def source_when_on(settings: Settings, errors: SourceErrors) -> Source:
    limit, _ = compliance(settings)
    if settings.measure == RES:
        return CurrentSource(OHMS_A, limit)
    if settings.source == VOLT:
        level_V = settings.level[VOLT] + errors.voltage_offset_V
        bound_V = settings.overvoltage_V
        return VoltageSource(max(-bound_V, min(bound_V, level_V)), limit * (1.0 + errors.limit_gain))
    return CurrentSource(settings.level[CURR] + errors.current_offset * settings.source_range[CURR], limit)


def source_when_off(settings: Settings) -> Source:
    """What the terminals are with the output "off": only HIMP lets go of the cell (p. 6-31 f., 2461 p. 6-47 f.)."""
    mode = settings.off_mode[settings.source]
    small_A = 0.1 * measure_range(settings, CURR)
    if mode == "HIMP":
        return Disconnected()
    if mode == "GUAR":
        if settings.source == CURR:
            return CurrentSource(0.0, 0.1 * measure_range(settings, VOLT))
        return VoltageSource(0.0, settings.limit[CURR])
    if mode == "NORM":
        return VoltageSource(0.0, small_A)
    if settings.source == VOLT:
        return VoltageSource(0.0, settings.limit[CURR])
    return VoltageSource(0.0, max(small_A, abs(settings.level[CURR])))
