"""What one SMU of a 2600 remembers, and the source this makes at its terminals.

Page numbers are those of 2600BS-901-01 Rev. F unless another revision is named. Where the manual is silent, the way that
harms a cell is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sim_hardware.circuit import CurrentSource, Disconnected, Source, VoltageSource
from sim_hardware.keithley2600_models import Model

VOLTS, AMPS = "v", "i"
FUNCTIONS = (AMPS, VOLTS)  # OUTPUT_DCAMPS is 0, OUTPUT_DCVOLTS 1
NORMAL, ZERO, HIGH_Z = 0, 1, 2  # Rev. B p. 7-227
OFF, ON = 0, 1
LOCAL, REMOTE, CALIBRATION = 0, 1, 3
SOURCE_OVERRANGE, MEASURE_OVERRANGE = 1.01, 1.02  # SPEC-2602B
TOO_BIG, TOO_SMALL, NOT_TO_BE = 1101, 1102, 1105


class Refused(Exception):  # noqa: N818 - what the error queue will say
    """The value is not taken; the script goes on (2600S-901-01 Rev. C p. B-2)."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True)
class Settings:
    """Made new, this is the state after power-on and reset: off, but NORMAL, which drains a cell with 1 mA (p. 2-42)."""

    model: Model
    output: int = OFF
    """0, 1, or 2: told to go off at high impedance whatever ``offmode`` says (p. 9-249)."""
    off_mode: int = NORMAL
    off_function: str = VOLTS
    off_limit: dict[str, float] = field(default_factory=dict[str, float])
    function: str = VOLTS
    sense: int = LOCAL
    level: dict[str, float] = field(default_factory=lambda: {VOLTS: 0.0, AMPS: 0.0})
    limit: dict[str, float] = field(default_factory=dict[str, float])
    """By the quantity that is limited."""
    source_range: dict[str, float] = field(default_factory=dict[str, float])
    source_auto: dict[str, bool] = field(default_factory=lambda: {VOLTS: True, AMPS: True})
    measure_range: dict[str, float] = field(default_factory=dict[str, float])
    measure_auto: dict[str, bool] = field(default_factory=lambda: {VOLTS: True, AMPS: True})
    relative: dict[str, bool] = field(default_factory=lambda: {VOLTS: False, AMPS: False})
    relative_to: dict[str, float] = field(default_factory=lambda: {VOLTS: 0.0, AMPS: 0.0})
    plain: dict[str, float] = field(default_factory=dict[str, float])
    """Settings that change nothing here: kept, and answered as they were sent."""

    def __post_init__(self) -> None:
        self.limit.update(self.model.reset)
        self.off_limit.update({VOLTS: 40.0, AMPS: 1e-3})
        for quantity, ranges in self.model.ranges.items():
            self.source_range[quantity] = ranges[0]
            self.measure_range[quantity] = 0.1 if quantity == AMPS else ranges[0]  # p. 9-230

    @property
    def is_on(self) -> bool:
        return self.output == ON

    @property
    def limited(self) -> str:
        return AMPS if self.function == VOLTS else VOLTS


def range_for(model: Model, quantity: str, value: float, over: float = SOURCE_OVERRANGE) -> float:
    """The smallest range that takes ``value``."""
    for full_scale in model.ranges[quantity]:
        if abs(value) <= over * full_scale * (1.0 + 1e-9):
            return full_scale
    raise Refused(TOO_BIG)


def measure_range(settings: Settings, quantity: str) -> float:
    """What is sourced is measured on the source's range; the measure range is kept for later (p. 9-230)."""
    if quantity == settings.function:
        return settings.source_range[quantity]
    if settings.measure_auto[quantity]:
        return range_for(settings.model, quantity, settings.limit[quantity])
    return settings.measure_range[quantity]


def set_level(settings: Settings, quantity: str, value: float) -> None:
    """Out of a fixed range it is an error only when the output goes on (Rev. C p. 2-84)."""
    full_scale = range_for(settings.model, quantity, value)
    if settings.source_auto[quantity]:
        settings.source_range[quantity] = full_scale
    elif settings.is_on and quantity == settings.function and full_scale > settings.source_range[quantity]:
        raise Refused(TOO_BIG)
    settings.level[quantity] = value


def set_limit(settings: Settings, quantity: str, value: float) -> None:
    """The instrument chooses a range for it by itself (2600AS-901-01 Rev. B p. 19-135); 0 is too small."""
    if value < settings.model.smallest[quantity]:
        raise Refused(TOO_SMALL)
    if value > settings.model.ranges[quantity][-1]:
        raise Refused(TOO_BIG)
    settings.limit[quantity] = value


def set_output(settings: Settings, value: int) -> None:
    function = settings.function
    if value == ON and abs(settings.level[function]) > SOURCE_OVERRANGE * settings.source_range[function]:
        raise Refused(TOO_BIG)
    settings.output = value


@dataclass(frozen=True, slots=True)
class SourceErrors:
    """One SMU's own small errors: shares of the range in use, of the limit, and in V."""

    current_offset: float = 0.0
    limit_gain: float = 0.0
    voltage_offset_V: float = 0.0


def source_of(settings: Settings, errors: SourceErrors) -> Source:
    if settings.is_on:
        return _source_when_on(settings, errors)
    if HIGH_Z in (settings.output, settings.off_mode):
        return Disconnected()
    return _source_when_off(settings)


def _source_when_on(settings: Settings, errors: SourceErrors) -> Source:
    if settings.function == VOLTS:
        limit_A = settings.limit[AMPS] * (1.0 + errors.limit_gain)
        return VoltageSource(settings.level[VOLTS] + errors.voltage_offset_V, limit_A)
    offset_A = errors.current_offset * settings.source_range[AMPS]
    return CurrentSource(settings.level[AMPS] + offset_A, settings.limit[VOLTS])


def _source_when_off(settings: Settings) -> Source:
    """NORMAL and ZERO hold the terminals at 0 V or 0 A (p. 2-41 to 2-43)."""
    if settings.off_mode == NORMAL:
        if settings.off_function == VOLTS:
            return VoltageSource(0.0, settings.off_limit[AMPS])
        return CurrentSource(0.0, settings.off_limit[VOLTS])
    if settings.function == VOLTS:
        return VoltageSource(0.0, settings.limit[AMPS])
    return VoltageSource(0.0, max(abs(settings.level[AMPS]), 0.1 * settings.source_range[AMPS]))
