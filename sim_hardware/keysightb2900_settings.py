"""What one channel of a B2900 remembers, and the source this makes at its terminals.

Pages are those of the B2900's SCPI command reference (B2910-90030 Ed. 2), of its user's guide (UG, Ed. 2), or of the
B2961A's command reference (2961, Ed. 6), the same family. Where they are silent, the way that harms a cell is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sim_hardware.circuit import CurrentSource, Disconnected, Source, VoltageSource
from sim_hardware.keysightb2900_models import CURR, RES, VOLT, Model, most_current
from sim_hardware.scpi import ScpiError

FUNCTIONS = (VOLT, CURR, RES)
SOURCE_OVERRANGE, MEASURE_OVERRANGE = 1.05, 1.06  # 2961 2-36; data sheet p. 16
BIG_OVERRANGE = {1.5: 1.01, 3.0: 1.01}
LOWEST_V, LOWEST_LIMIT_A = 0.02, 1e-9  # B2961A user's guide (Ed. 3) p. 6-3
RESET_LIMIT = {VOLT: 2.0, CURR: 1e-4}  # 2961 4-90
SETTINGS_CONFLICT, OUT_OF_RANGE = -221, -222
KEPT_V, KEPT_A = 40.0, 0.1  # UG 6-13: within these, high impedance leaves the setup as it is
OHMS_A = 1.0  # p. 2-28: the test current of the lowest range of the automatic ohms


def _each(value: float) -> dict[str, float]:
    return dict.fromkeys((VOLT, CURR), value)


def _both(*, value: bool) -> dict[str, bool]:
    return dict.fromkeys((VOLT, CURR), value)


@dataclass(slots=True)
class Settings:
    """Made new, this is the state after power-on and *RST: it switches itself on when asked for a reading."""

    model: Model
    source: str = VOLT
    level: dict[str, float] = field(default_factory=lambda: _each(0.0))
    source_range: dict[str, float] = field(default_factory=dict[str, float])
    source_auto: dict[str, bool] = field(default_factory=lambda: _both(value=True))
    source_mode: dict[str, str] = field(default_factory=lambda: dict.fromkeys((VOLT, CURR), "FIX"))
    limit: dict[str, float] = field(default_factory=lambda: dict(RESET_LIMIT))
    """By the quantity that is limited: ``limit[CURR]`` is the compliance of a voltage source."""
    sense_range: dict[str, float] = field(default_factory=dict[str, float])
    sense_auto: dict[str, bool] = field(default_factory=lambda: _both(value=True))
    off_mode: str = "NORM"
    auto_on: bool = True  # 2961 4-67
    auto_off: bool = True  # the pages at hand do not say
    protection: bool = False
    remote: bool = False
    functions: set[str] = field(default_factory=lambda: set(FUNCTIONS))
    ohms_auto: bool = False
    plain: dict[str, str] = field(default_factory=dict[str, str])
    """Settings that change nothing here: kept, and answered as they were sent."""

    def __post_init__(self) -> None:
        for quantity, ranges in self.model.ranges.items():
            self.source_range[quantity] = ranges[0]
            self.sense_range[quantity] = ranges[0]

    @property
    def limited(self) -> str:
        return CURR if self.source == VOLT else VOLT

    @property
    def has_own_source(self) -> bool:
        """Measuring ohms by itself it chooses the test current (p. 2-28)."""
        return self.ohms_auto and RES in self.functions


def range_for(model: Model, quantity: str, value: float, overrange: float = SOURCE_OVERRANGE) -> float:
    """The most sensitive range that takes ``value``."""
    for full_scale in model.ranges[quantity]:
        if abs(value) <= BIG_OVERRANGE.get(full_scale, overrange) * full_scale * (1.0 + 1e-9):
            return full_scale
    raise ScpiError(OUT_OF_RANGE)


def measure_range(settings: Settings, quantity: str) -> float:
    """What is sourced is measured on the source's range, the other on none above its compliance's (UG 6-4)."""
    if quantity == settings.source:
        return settings.source_range[quantity]
    highest = range_for(settings.model, quantity, settings.limit[quantity])
    return highest if settings.sense_auto[quantity] else min(highest, settings.sense_range[quantity])


def set_level(settings: Settings, quantity: str, value: float) -> None:
    if settings.source_auto[quantity]:
        settings.source_range[quantity] = range_for(settings.model, quantity, value)
    elif abs(value) > SOURCE_OVERRANGE * settings.source_range[quantity] * (1.0 + 1e-9):
        raise ScpiError(OUT_OF_RANGE)
    _check_power(settings, {**settings.level, quantity: value}, settings.limit)
    settings.level[quantity] = value


def set_source_range(settings: Settings, quantity: str, value: float) -> None:
    """A range chosen by hand ends the automatic one (p. 4-96)."""
    full_scale = range_for(settings.model, quantity, value)
    if abs(settings.level[quantity]) > SOURCE_OVERRANGE * full_scale:
        raise ScpiError(SETTINGS_CONFLICT)
    settings.source_range[quantity] = full_scale
    settings.source_auto[quantity] = False


def set_sense_range(settings: Settings, quantity: str, value: float) -> None:
    settings.sense_range[quantity] = range_for(settings.model, quantity, value)
    settings.sense_auto[quantity] = False


def set_limit(settings: Settings, quantity: str, value: float) -> None:
    """For both signs (2961 4-90); refused, and the old one stays, beyond what the channel can."""
    lowest = LOWEST_V if quantity == VOLT else LOWEST_LIMIT_A
    if abs(value) < lowest * (1.0 - 1e-9):
        raise ScpiError(OUT_OF_RANGE)
    range_for(settings.model, quantity, value)
    _check_power(settings, settings.level, {**settings.limit, quantity: abs(value)})
    settings.limit[quantity] = abs(value)


def _check_power(settings: Settings, level: dict[str, float], limit: dict[str, float]) -> None:
    voltage_V, current_A = (level[VOLT], limit[CURR]) if settings.source == VOLT else (limit[VOLT], level[CURR])
    if abs(current_A) > most_current(voltage_V):
        raise ScpiError(OUT_OF_RANGE)


def compliance(settings: Settings) -> tuple[float, str]:
    """The limit in force and which it is: "real" (set) or "range" (a fixed measure range below it)."""
    quantity = settings.limited
    limit = settings.limit[quantity]
    if settings.sense_auto[quantity]:
        return limit, "real"
    clamp = MEASURE_OVERRANGE * settings.sense_range[quantity]
    return (limit, "real") if limit <= clamp else (clamp, "range")


@dataclass(frozen=True, slots=True)
class SourceErrors:
    """One channel's own small errors: shares of the range in use and of the limit, and in V."""

    current_offset: float = 0.0
    limit_gain: float = 0.0
    voltage_offset_V: float = 0.0


def source_when_on(settings: Settings, errors: SourceErrors) -> Source:
    limit, _ = compliance(settings)
    if settings.has_own_source:
        return CurrentSource(OHMS_A, settings.limit[VOLT])
    if settings.source == VOLT:
        return VoltageSource(settings.level[VOLT] + errors.voltage_offset_V, limit * (1.0 + errors.limit_gain))
    return CurrentSource(settings.level[CURR] + errors.current_offset * settings.source_range[CURR], limit)


def source_when_off(off_mode: str) -> Source:
    """Only ZERO stays connected (UG 6-13)."""
    return VoltageSource(0.0, RESET_LIMIT[CURR]) if off_mode == "ZERO" else Disconnected()


def keeps_setup(settings: Settings) -> bool:
    """Whether switching off leaves source and limit as they are; else the output passes 0 V (UG 6-13)."""
    small = abs(settings.level[VOLT]) <= KEPT_V if settings.source == VOLT else settings.source_range[CURR] <= KEPT_A
    return settings.off_mode == "HIZ" and small


def forget_setup(settings: Settings) -> None:
    settings.source = VOLT
    settings.level[VOLT] = 0.0
    settings.limit[CURR] = RESET_LIMIT[CURR]
    settings.sense_range[CURR] = RESET_LIMIT[CURR]
