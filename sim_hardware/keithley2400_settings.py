"""What a Keithley 2400 remembers, its reset state, its ranges, and the source these make at the terminals.

Reset state: 2400 manual section 18 and what owners' tests found on hardware (pymeasure test_keithley2400_with_device).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sim_hardware.circuit import CurrentSource, Disconnected, Source, VoltageSource
from sim_hardware.scpi import ScpiError

VOLT, CURR, RES = "VOLT", "CURR", "RES"
RANGES = {
    VOLT: (0.2, 2.0, 20.0, 200.0),
    CURR: (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0),
    RES: (20.0, 200.0, 2e3, 2e4, 2e5, 2e6, 2e7, 2e8),
}
LARGEST = {VOLT: 210.0, CURR: 1.05, RES: 2.1e8}
OVERRANGE = 1.05  # every range takes 5 % more, and answers so
ELEMENTS = ("VOLT", "CURR", "RES", "TIME", "STAT")
SETTINGS_CONFLICT, OUT_OF_RANGE = -221, -222
TOO_SMALL_FOR_RANGE, READ_BACK_ON, ABOVE_COMPLIANCE, AUTO_OHMS_ON = 822, 823, 824, 825
OHMS_MODE = "[:SENSe[1]]:RESistance:MODE"
OHMS_A = (0.1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-6, 1e-7)  # what auto ohms sources on each of its ranges (table 4-1)


def range_for(quantity: str, value: float) -> float:
    """The most sensitive range that takes ``value``."""
    for full_scale in RANGES[quantity]:
        if abs(value) <= OVERRANGE * full_scale * (1.0 + 1e-9):
            return full_scale
    raise ScpiError(OUT_OF_RANGE)


@dataclass(slots=True)
class Settings:
    """Made new, this is the state after power-on and *RST: the output off, but NORMAL, which drains a cell."""

    output: bool = False
    off_mode: str = "NORM"
    terminals: str = "FRON"
    source: str = VOLT
    level: dict[str, float] = field(default_factory=lambda: {VOLT: 0.0, CURR: 0.0})
    pending: dict[str, float] = field(default_factory=dict[str, float])
    """Levels to be taken at the next trigger, by quantity (p. 18-78, 18-79)."""
    source_range: dict[str, float] = field(default_factory=lambda: {VOLT: 20.0, CURR: 1e-4})
    source_auto: dict[str, bool] = field(default_factory=lambda: {VOLT: True, CURR: True})
    protection: dict[str, float] = field(default_factory=lambda: {VOLT: 21.0, CURR: 1.05e-4})
    overvoltage_V: float = 210.0
    functions: set[str] = field(default_factory=lambda: {CURR})
    concurrent: bool = True
    sense_range: dict[str, float] = field(default_factory=lambda: {VOLT: 20.0, CURR: 1e-4, RES: 2e5})
    sense_auto: dict[str, bool] = field(default_factory=lambda: {VOLT: True, CURR: True, RES: True})
    nplc: float = 1.0
    elements: frozenset[str] = frozenset(ELEMENTS)
    remote_sense: bool = False
    auto_clear: bool = False
    filtered: bool = False
    counts: dict[str, int] = field(default_factory=lambda: {"arm": 1, "trigger": 1})
    plain: dict[str, str] = field(default_factory=dict[str, str])
    """Settings that change nothing here: kept, and answered as they were sent."""

    @property
    def limited(self) -> str:
        """The quantity the present source's compliance limits."""
        return CURR if self.source == VOLT else VOLT

    @property
    def auto_ohms(self) -> bool:
        """Resistance is measured and the instrument chooses the source by itself, as at power-on (p. 4-4, 18-61)."""
        return RES in self.functions and self.plain.get(OHMS_MODE, "AUTO") == "AUTO"


def _refuse_with_auto_ohms(settings: Settings, *, current_source: bool) -> None:
    """What sets the current source is the instrument's own matter then (appendix B; seen on a C30 2400)."""
    if current_source and settings.auto_ohms:
        raise ScpiError(AUTO_OHMS_ON)


def set_level(settings: Settings, quantity: str, value: float) -> None:
    """The manual does not say what this does to a pending level: it stays, which is the harmful way."""
    _check_level(settings, quantity, value)
    if settings.source_auto[quantity]:
        settings.source_range[quantity] = range_for(quantity, value)
    settings.level[quantity] = value


def set_pending(settings: Settings, quantity: str, value: float) -> None:
    _check_level(settings, quantity, value)
    settings.pending[quantity] = value


def take_pending(settings: Settings) -> bool:
    """At a trigger, of the source that is in use. Whether there was one."""
    value = settings.pending.pop(settings.source, None)
    if value is not None:
        set_level(settings, settings.source, value)
    return value is not None


def _check_level(settings: Settings, quantity: str, value: float) -> None:
    _refuse_with_auto_ohms(settings, current_source=quantity == CURR)
    if not settings.source_auto[quantity] and abs(value) > OVERRANGE * settings.source_range[quantity] * (1.0 + 1e-9):
        raise ScpiError(OUT_OF_RANGE)


def set_source_range(settings: Settings, quantity: str, value: float) -> None:
    """A range that does not hold the level, or the pending one, is refused."""
    _refuse_with_auto_ohms(settings, current_source=quantity == CURR)
    full_scale = range_for(quantity, value)
    if max(abs(settings.level[quantity]), abs(settings.pending.get(quantity, 0.0))) > OVERRANGE * full_scale:
        raise ScpiError(SETTINGS_CONFLICT)
    settings.source_range[quantity] = full_scale
    settings.source_auto[quantity] = False


def set_sense_range(settings: Settings, quantity: str, value: float) -> None:
    """Fix a measure range; the sourced quantity is measured on the source's range (p. 18-62)."""
    full_scale = range_for(quantity, value)
    if quantity == settings.source:
        raise ScpiError(READ_BACK_ON)
    if quantity != RES and full_scale > range_for(quantity, settings.protection[quantity]):
        raise ScpiError(ABOVE_COMPLIANCE)
    settings.sense_range[quantity] = full_scale
    settings.sense_auto[quantity] = False


def set_protection(settings: Settings, quantity: str, value: float) -> None:
    """Set a compliance; less than 0.1 % of the measure range is refused and the old one stays (p. 18-68)."""
    _refuse_with_auto_ohms(settings, current_source=quantity == VOLT)
    value = abs(value)
    if value < 1e-3 * settings.sense_range[quantity] and not settings.sense_auto[quantity]:
        raise ScpiError(TOO_SMALL_FOR_RANGE)
    if value < 1e-3 * RANGES[quantity][0]:
        raise ScpiError(OUT_OF_RANGE)
    settings.protection[quantity] = value
    if settings.sense_auto[quantity]:
        settings.sense_range[quantity] = range_for(quantity, value)


def measure_range(settings: Settings, quantity: str) -> float:
    return settings.source_range[quantity] if quantity == settings.source else settings.sense_range[quantity]


def compliance(settings: Settings) -> tuple[float, str]:
    """The limit in force and which it is: "real" (set), "range" (105 % of a fixed range, p. 6-2) or "ovp"."""
    quantity = settings.limited
    limits = [(settings.protection[quantity], "real")]
    if not settings.sense_auto[quantity]:
        limits.append((OVERRANGE * settings.sense_range[quantity], "range"))
    if quantity == VOLT:
        limits.append((settings.overvoltage_V, "ovp"))
    return min(limits, key=lambda limit: limit[0])


@dataclass(frozen=True, slots=True)
class SourceErrors:
    """One instrument's own small errors, as shares of the range in use."""

    current_offset: float = 0.0
    compliance_offset: float = 0.0


def source_when_on(settings: Settings, errors: SourceErrors) -> Source:
    limit, _ = compliance(settings)
    if settings.auto_ohms:
        return CurrentSource(OHMS_A[RANGES[RES].index(settings.sense_range[RES])], settings.protection[VOLT])
    if settings.source == VOLT:
        offset_A = errors.compliance_offset * settings.sense_range[CURR]
        return VoltageSource(settings.level[VOLT], max(limit + offset_A, 0.0))
    return CurrentSource(settings.level[CURR] + errors.current_offset * settings.source_range[CURR], limit)


def source_when_off(settings: Settings) -> Source:
    """What the terminals are with the output "off" (p. 13-9, 18-57): only HIMP lets go of the cell."""
    if settings.off_mode == "HIMP":
        return Disconnected()
    small_A = 0.005 * measure_range(settings, CURR)
    if settings.off_mode == "GUAR":
        return CurrentSource(0.0, 0.005 * measure_range(settings, VOLT))
    if settings.off_mode == "NORM":
        return VoltageSource(0.0, small_A)
    if settings.source == VOLT:
        return VoltageSource(0.0, settings.protection[CURR])
    return VoltageSource(0.0, max(small_A, abs(settings.level[CURR])))
