"""QCoDeS: two parameters of an instrument, a measurement context that adds results to its SQLite database."""

from __future__ import annotations

from pathlib import Path

from fake import CUT_OFF_V, Fake, measured
from qcodes.dataset import Measurement, initialise_or_create_database_at, load_or_create_experiment
from qcodes.instrument import Instrument


class SourceMeter(Instrument):
    def __init__(self) -> None:
        super().__init__("smu")
        self._fake = Fake()
        self._current = ""
        self.add_parameter("voltage", unit="V", get_cmd=self._ask, get_parser=float)
        self.add_parameter("current", unit="A", get_cmd=lambda: self._current, get_parser=float)

    def _ask(self) -> str:
        voltage, self._current = self._fake.ask().split(",")
        return voltage


def by_measurement(folder: Path, samples: int) -> None:
    initialise_or_create_database_at(str(folder / "runs.db"))
    load_or_create_experiment("bench", "cell")
    meter = SourceMeter()
    measurement = Measurement()
    measurement.register_parameter(meter.voltage)
    measurement.register_parameter(meter.current)
    with measurement.run() as saver:
        for _ in range(samples):
            voltage_V, current_A = meter.voltage(), meter.current()
            if voltage_V >= CUT_OFF_V:
                break
            saver.add_result((meter.voltage, voltage_V), (meter.current, current_A))


if __name__ == "__main__":
    measured(by_measurement)
