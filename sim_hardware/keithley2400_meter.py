"""What a Keithley 2400 makes of the true voltage and current: errors, noise, ranges, the status word, the digits.

Noise comes from the instrument's own generator, which only its own readings advance: the same queries at the same
times give the same answers.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from sim_hardware.circuit import Operating
from sim_hardware.keithley2400_settings import (
    CURR,
    OVERRANGE,
    RANGES,
    RES,
    VOLT,
    Settings,
    SourceErrors,
    compliance,
    measure_range,
)

NOT_MEASURED = 9.91e37  # p. 18-50
OVERFLOW = 9.9e37  # p. 18-49; p. 7-2 says 9.91e37
TIME_WRAP_S = 99999.999  # p. 18-50
CONVERTER_V = 10.0 / 65536.0  # 16 bits over ±5 V, an assumption
VOLTAGE_NOISE_V, VOLTAGE_OFFSET_V = 50e-6, 1e-4
CURRENT_NOISE, CURRENT_GAIN = 2e-5, 1e-4  # noise as share of the range

BIT_OVERFLOW, BIT_FILTER, BIT_FRONT, BIT_COMPLIANCE, BIT_OVP = 1, 1 << 1, 1 << 2, 1 << 3, 1 << 4
BIT_AUTO_OHMS, BIT_V, BIT_I, BIT_OHM, BIT_V_SOURCE, BIT_I_SOURCE = 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15
BIT_RANGE_COMPLIANCE, BIT_REMOTE = 1 << 16, 1 << 22
_LIMIT_BITS = {"real": BIT_COMPLIANCE, "range": BIT_RANGE_COMPLIANCE, "ovp": BIT_OVP}


class Sample(NamedTuple):
    """What was measured, at what reading of the instrument's own clock."""

    voltage_V: float
    current_A: float
    time_s: float
    limited: bool


def status_word(settings: Settings, *, limited: bool, overflow: bool) -> int:
    """Measurement status (p. 18-50)."""
    functions = settings.functions
    bits = {
        BIT_OVERFLOW: overflow,
        BIT_FILTER: settings.filtered,
        BIT_FRONT: settings.terminals == "FRON",
        _LIMIT_BITS[compliance(settings)[1]]: limited,
        BIT_AUTO_OHMS: settings.auto_ohms,
        BIT_V: VOLT in functions,
        BIT_I: CURR in functions,
        BIT_OHM: RES in functions,
        BIT_V_SOURCE: settings.source == VOLT and not settings.auto_ohms,
        BIT_I_SOURCE: settings.source == CURR or settings.auto_ohms,
        BIT_REMOTE: settings.remote_sense,
    }
    return sum(bit for bit, on in bits.items() if on)


class Meter:
    """Seeded errors and noise of one instrument. ``noise`` multiplies the noise; ``stuck`` repeats one sample."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - noise, not secrets
        self.noise = 1.0
        self.stuck = False
        self._last: tuple[float, float] | None = None
        spread = self._random.uniform
        self.source_errors = SourceErrors(current_offset=spread(-2e-5, 2e-5), compliance_offset=spread(-2e-4, 2e-4))
        self._volt_offset_V = VOLTAGE_OFFSET_V * spread(-1.0, 1.0)

    def sample(self, settings: Settings, point: Operating, time_s: float) -> Sample:
        if self._last is None or not self.stuck:
            self._last = self._measure(settings, point)
        return Sample(*self._last, time_s % TIME_WRAP_S, point.limited)

    def _measure(self, settings: Settings, point: Operating) -> tuple[float, float]:
        gauss = self._random.gauss
        voltage_V = point.voltage_V + self._volt_offset_V + gauss(0.0, VOLTAGE_NOISE_V * self.noise)
        dither = self._random.random() - 0.5
        voltage_V = round(voltage_V / CONVERTER_V + dither) * CONVERTER_V
        range_A = measure_range(settings, CURR)
        current_A = point.current_A * (1.0 + CURRENT_GAIN) + gauss(0.0, CURRENT_NOISE * range_A * self.noise)
        return voltage_V, current_A


def measured_or_set(settings: Settings, quantity: str, value: float) -> float:
    """A sourced quantity that is not measured is answered as programmed: it looks like a measurement (p. 18-48)."""
    if quantity in settings.functions:
        return OVERFLOW if abs(value) > _full_scale(settings, quantity) else value
    return settings.level[quantity] if quantity == settings.source else NOT_MEASURED


def _full_scale(settings: Settings, quantity: str) -> float:
    auto = quantity != settings.source and settings.sense_auto[quantity]
    return (OVERRANGE + 0.005) * (RANGES[quantity][-1] if auto else measure_range(settings, quantity))


def spell(settings: Settings, sample: Sample, words: dict[tuple[bool, bool], int]) -> str:
    """One reading in the order of p. 18-48, whatever order the elements were asked in.

    ``words`` keeps the status words of these settings, which are the dearest part.
    """
    voltage_V = measured_or_set(settings, VOLT, sample.voltage_V)
    current_A = measured_or_set(settings, CURR, sample.current_A)
    overflow = OVERFLOW in (voltage_V, current_A)
    elements = settings.elements
    parts: list[float] = []
    if "VOLT" in elements:
        parts.append(voltage_V)
    if "CURR" in elements:
        parts.append(current_A)
    if "RES" in elements:
        measured = RES in settings.functions and not overflow and sample.current_A != 0.0
        parts.append(sample.voltage_V / sample.current_A if measured else NOT_MEASURED)
    if "TIME" in elements:
        parts.append(sample.time_s)
    if "STAT" in elements:
        word = words.get((sample.limited, overflow))
        if word is None:
            word = words[sample.limited, overflow] = status_word(settings, limited=sample.limited, overflow=overflow)
        parts.append(word)
    return ",".join([f"{part:+.6E}" for part in parts])
