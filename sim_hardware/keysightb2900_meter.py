"""What a channel of a B2900 makes of the true voltage and current, and how it spells a reading."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import NamedTuple

from sim_hardware.circuit import Disconnected, Operating, Terminals
from sim_hardware.keysightb2900_models import CURR, RES, VOLT
from sim_hardware.keysightb2900_settings import MEASURE_OVERRANGE, Settings, SourceErrors, measure_range

NAN, INFINITE = 9.91e37, 9.9e37  # p. 1-12
VOLTAGE_NOISE, VOLTAGE_OFFSET_V = 2e-6, 2e-3  # noise as share of the range; data sheet p. 16: 5 mV on the 20 V range
CURRENT_NOISE, CURRENT_GAIN = 2e-6, 1e-4
OPEN_NOISE_V = 0.05  # what an open relay reads as; the manuals do not say
# Bits of the status, p. 1-14.
CURRENT_SOURCE, COMPLIANCE, OVERVOLTAGE, OVERCURRENT, TOO_HOT, OVERFLOW = 1, 2, 8, 16, 32, 8192


class Sample(NamedTuple):
    """One measurement of everything, with what was sourced and what the instrument says of it."""

    voltage_V: float = NAN
    current_A: float = NAN
    resistance_ohm: float = NAN
    time_s: float = NAN
    status: float = NAN
    source: float = NAN


class Meter:
    """Seeded errors and noise of one channel. ``noise`` multiplies the noise; ``stuck`` repeats one sample."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - noise, not secrets
        self.noise = 1.0
        self.stuck = False
        self.alarm = 0
        self._last: tuple[float, float] | None = None
        spread = self._random.uniform
        self.source_errors = SourceErrors(spread(-2e-4, 2e-4), spread(-2e-4, 2e-4), spread(-2e-3, 2e-3))
        self._volt_offset_V = VOLTAGE_OFFSET_V * spread(-1.0, 1.0)

    def sample(self, settings: Settings, terminals: Terminals, time_s: float) -> Sample:
        point = terminals.operating()
        is_open = isinstance(terminals.source, Disconnected)
        if self._last is None or not self.stuck:
            self._last = self._blind() if is_open else self._measured(settings, point)
        voltage_V = _shown(settings, VOLT, self._last[0])
        current_A = _shown(settings, CURR, self._last[1])
        resistance_ohm = NAN if RES not in settings.functions else self._last[0] / (self._last[1] or NAN)
        status = (
            (CURRENT_SOURCE if settings.source == CURR else 0)
            | (COMPLIANCE if point.limited and not is_open else 0)
            | (OVERFLOW if INFINITE in (abs(voltage_V), abs(current_A)) else 0)
            | self.alarm
        )
        return Sample(voltage_V, current_A, resistance_ohm, time_s, float(status), settings.level[settings.source])

    def _measured(self, settings: Settings, point: Operating) -> tuple[float, float]:
        gauss = self._random.gauss
        range_V, range_A = measure_range(settings, VOLT), measure_range(settings, CURR)
        voltage_V = point.voltage_V + self._volt_offset_V + gauss(0.0, VOLTAGE_NOISE * range_V * self.noise)
        current_A = point.current_A * (1.0 + CURRENT_GAIN) + gauss(0.0, CURRENT_NOISE * range_A * self.noise)
        return voltage_V, current_A

    def _blind(self) -> tuple[float, float]:
        return self._random.gauss(0.0, OPEN_NOISE_V), self._random.gauss(0.0, 1e-10)


def _shown(settings: Settings, quantity: str, value: float) -> float:
    if quantity not in settings.functions:
        return NAN  # p. 4-44
    if abs(value) > MEASURE_OVERRANGE * measure_range(settings, quantity):
        return INFINITE if value > 0 else -INFINITE
    return value


# In the order in which they are always answered (2961 4-21), short form to long form.
ELEMENTS = {
    "VOLT": "VOLTAGE",
    "CURR": "CURRENT",
    "RES": "RESISTANCE",
    "TIME": "TIME",
    "STAT": "STATUS",
    "SOUR": "SOURCE",
}
_TAKE: dict[str, Callable[[Sample], float]] = {
    "VOLT": lambda sample: sample.voltage_V,
    "CURR": lambda sample: sample.current_A,
    "RES": lambda sample: sample.resistance_ohm,
    "TIME": lambda sample: sample.time_s,
    "STAT": lambda sample: sample.status,
    "SOUR": lambda sample: sample.source,
}


def real(value: float) -> str:
    """``+1.000001E-06`` (p. 1-12)."""
    return f"{value:+.6E}"


def spell(samples: Iterable[Sample], elements: Iterable[str]) -> str:
    wanted = tuple(elements)
    return ",".join([real(_TAKE[element](sample)) for sample in samples for element in wanted])
