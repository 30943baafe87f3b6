"""What a 2450 makes of the true voltage and current, and how it spells a reading."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from sim_hardware.circuit import Disconnected, Operating, Terminals
from sim_hardware.keithley2450_models import CURR, RES, VOLT
from sim_hardware.keithley2450_settings import OVERRANGE, Settings, SourceErrors, compliance, measure_range

OVERFLOW = 9.9e37
DISPLAY_DIGITS = 7  # what precision 0, "automatic", gives: -6.580474E-05 (2461 p. 6-11)
VOLTAGE_NOISE, VOLTAGE_OFFSET_V = 5e-6, 2e-4  # noise as share of the range
CURRENT_NOISE, CURRENT_GAIN = 2e-6, 1e-4
OPEN_NOISE_V = 0.05  # what an open relay reads as; the manuals do not say
# Bits of the source status, 2470 p. 14-32, and of the measure status, 2461 p. 6-162.
OVP, READ_BACK, LIMITED, FOUR_WIRE, OUTPUT_ON = 4, 8, 32, 64, 128
QUESTIONABLE, FRONT = 1, 8
UNITS = {VOLT: "Volt DC", CURR: "Amp DC", RES: "Ohm"}


class Sample(NamedTuple):
    """One reading with what was sourced when it was made."""

    reading: float
    sourced: float
    source_status: int
    status: int
    time_s: float


class Meter:
    """Seeded errors and noise of one instrument. ``noise`` multiplies the noise; ``stuck`` repeats one sample."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - noise, not secrets
        self.noise = 1.0
        self.stuck = False
        self._last: dict[str, float] | None = None
        spread = self._random.uniform
        self.source_errors = SourceErrors(spread(-1.5e-4, 1.5e-4), spread(-3e-3, 3e-3), spread(-1e-3, 1e-3))
        self._volt_offset_V = VOLTAGE_OFFSET_V * spread(-1.0, 1.0)

    def sample(self, settings: Settings, terminals: Terminals, time_s: float) -> Sample:
        point = terminals.operating()
        if self._last is None or not self.stuck:
            is_open = isinstance(terminals.source, Disconnected)
            self._last = self._blind() if is_open else self._measured(settings, point)
        values = {name: _in_range(settings, name, value) for name, value in self._last.items()}
        reading = values[settings.measure]
        if reading != OVERFLOW:
            reading = _corrected(settings, reading)
        sourced = values[settings.source] if settings.readback[settings.source] else settings.level[settings.source]
        status = (QUESTIONABLE if OVERFLOW in values.values() else 0) | (FRONT if settings.terminals == "FRON" else 0)
        return Sample(reading, sourced, _source_status(settings, point), status, time_s)

    def _measured(self, settings: Settings, point: Operating) -> dict[str, float]:
        gauss = self._random.gauss
        range_V, range_A = measure_range(settings, VOLT), measure_range(settings, CURR)
        voltage_V = point.voltage_V + self._volt_offset_V + gauss(0.0, VOLTAGE_NOISE * range_V * self.noise)
        current_A = point.current_A * (1.0 + CURRENT_GAIN) + gauss(0.0, CURRENT_NOISE * range_A * self.noise)
        return {VOLT: voltage_V, CURR: current_A, RES: voltage_V / current_A if current_A else OVERFLOW}

    def _blind(self) -> dict[str, float]:
        gauss = self._random.gauss
        return {VOLT: gauss(0.0, OPEN_NOISE_V), CURR: gauss(0.0, 1e-10), RES: OVERFLOW}


def _corrected(settings: Settings, reading: float) -> float:
    """A relative offset, then math: percent of 1, as it is where nobody has chosen another (2450 p. 6-21)."""
    if settings.relative[settings.measure]:
        reading -= settings.relative_to[settings.measure]
    return (reading - 1.0) * 100.0 if settings.with_math[settings.measure] else reading


def _in_range(settings: Settings, name: str, value: float) -> float:
    if name == RES:
        return value
    return OVERFLOW if abs(value) > (OVERRANGE + 0.005) * measure_range(settings, name) else value


def _source_status(settings: Settings, point: Operating) -> int:
    bits = {
        OVP: settings.output and point.limited and compliance(settings)[1] == "ovp",
        READ_BACK: settings.readback[settings.source],
        LIMITED: settings.output and point.limited,
        FOUR_WIRE: settings.is_remote,
        OUTPUT_ON: settings.output,
    }
    return sum(bit for bit, on in bits.items() if on)


def real(settings: Settings, value: float) -> str:
    """``:FORMat:ASCii:PRECision`` counts the digits, one of them before the point (p. 6-28)."""
    return f"{value:.{(settings.precision or DISPLAY_DIGITS) - 1}E}"


# Short form to long form of the buffer elements, p. 6-6.
ELEMENTS = {
    "READ": "READING",
    "SOUR": "SOURCE",
    "REL": "RELATIVE",
    "SOURSTAT": "SOURSTATUS",
    "STAT": "STATUS",
    "SOURUNIT": "SOURUNIT",
    "UNIT": "UNIT",
    "SEC": "SECONDS",
    "FRAC": "FRACTIONAL",
}
_SPELL: dict[str, Callable[[Settings, Sample], str]] = {
    "READ": lambda settings, sample: real(settings, sample.reading),
    "SOUR": lambda settings, sample: real(settings, sample.sourced),
    "REL": lambda settings, sample: real(settings, sample.time_s),
    "SOURSTAT": lambda _, sample: str(sample.source_status),
    "STAT": lambda _, sample: str(sample.status),
    "SOURUNIT": lambda settings, _: UNITS[settings.source],
    "UNIT": lambda settings, _: UNITS[settings.measure],
    "SEC": lambda _, sample: str(int(sample.time_s)),
    "FRAC": lambda settings, sample: real(settings, sample.time_s % 1.0),
}


def spell(settings: Settings, sample: Sample, elements: tuple[str, ...]) -> str:
    """In the order asked for, and as often (p. 6-4)."""
    return ",".join([_SPELL[element](settings, sample) for element in elements])
