"""PyMeasure: an instrument's property, its results file by its own formatter; no thread, no sync to the disk."""

from __future__ import annotations

import logging
from pathlib import Path

from fake import CUT_OFF_V, Fake, measured
from pymeasure.adapters import Adapter
from pymeasure.experiment import Procedure, Results
from pymeasure.instruments import Instrument


class FakeAdapter(Adapter):
    def __init__(self) -> None:
        super().__init__()
        self._fake = Fake()

    def _write(self, command: str, **_: object) -> None:
        pass

    def _read(self, **_: object) -> str:
        return self._fake.ask()


class SourceMeter(Instrument):
    reading = Instrument.measurement(":READ?", "Voltage and current.")


class Measuring(Procedure):
    DATA_COLUMNS = ["voltage", "current"]  # noqa: RUF012 - as PyMeasure has it


def lean(folder: Path, samples: int) -> None:
    meter = SourceMeter(FakeAdapter(), "fake", includeSCPI=False)
    results = Results(Measuring(), str(folder / "results.csv"))
    handler = logging.FileHandler(results.data_filename)
    handler.setFormatter(results.formatter)
    for _ in range(samples):
        voltage_V, current_A = meter.reading
        if voltage_V >= CUT_OFF_V:
            break
        record = {"voltage": voltage_V, "current": current_A}
        handler.stream.write(results.format(record) + "\n")
    handler.close()


if __name__ == "__main__":
    measured(lean)
