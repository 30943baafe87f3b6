"""What an SMU of a 2600 makes of the true voltage and current."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from sim_hardware.circuit import Disconnected, Operating, Terminals
from sim_hardware.keithley2600_settings import AMPS, MEASURE_OVERRANGE, VOLTS, Settings, SourceErrors, measure_range

OVERFLOW = 9.91e37  # p. 9-230
VOLTAGE_NOISE, CURRENT_NOISE = 5e-6, 5e-6  # shares of the range
VOLTAGE_OFFSET_V, CURRENT_GAIN = 3e-4, 1e-4
OPEN_NOISE_V = 0.05  # what an open relay reads as; the manual does not say


class Sample(NamedTuple):
    current_A: float
    voltage_V: float


class Meter:
    """Seeded errors and noise of one SMU. ``noise`` multiplies the noise; ``stuck`` repeats one sample."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - noise, not secrets
        self.noise = 1.0
        self.stuck = False
        self._last: Sample | None = None
        spread = self._random.uniform
        self.source_errors = SourceErrors(spread(-1.5e-4, 1.5e-4), spread(-3e-4, 3e-4), spread(-1e-3, 1e-3))
        self._volt_offset_V = VOLTAGE_OFFSET_V * spread(-1.0, 1.0)

    def sample(self, settings: Settings, terminals: Terminals) -> Sample:
        if self._last is None or not self.stuck:
            is_open = isinstance(terminals.source, Disconnected)
            self._last = self._blind() if is_open else self._measured(settings, terminals.operating())
        current_A, voltage_V = self._last
        return Sample(_shown(settings, AMPS, current_A), _shown(settings, VOLTS, voltage_V))

    def _measured(self, settings: Settings, point: Operating) -> Sample:
        gauss = self._random.gauss
        range_V, range_A = measure_range(settings, VOLTS), measure_range(settings, AMPS)
        return Sample(
            point.current_A * (1.0 + CURRENT_GAIN) + gauss(0.0, CURRENT_NOISE * range_A * self.noise),
            point.voltage_V + self._volt_offset_V + gauss(0.0, VOLTAGE_NOISE * range_V * self.noise),
        )

    def _blind(self) -> Sample:
        return Sample(self._random.gauss(0.0, 1e-10), self._random.gauss(0.0, OPEN_NOISE_V))


def _shown(settings: Settings, quantity: str, value: float) -> float:
    if abs(value) > MEASURE_OVERRANGE * measure_range(settings, quantity):
        return OVERFLOW
    return value - settings.relative_to[quantity] if settings.relative[quantity] else value
