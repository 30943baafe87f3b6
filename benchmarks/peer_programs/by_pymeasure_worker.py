"""PyMeasure as its manual has it: a procedure that emits its results to a worker's recorder, which writes the file."""

from __future__ import annotations

from pathlib import Path

from by_pymeasure import FakeAdapter, SourceMeter
from fake import CUT_OFF_V, measured
from pymeasure.experiment import IntegerParameter, Procedure, Results, Worker


class Measuring(Procedure):
    samples = IntegerParameter("Samples")
    DATA_COLUMNS = ["voltage", "current"]  # noqa: RUF012 - as PyMeasure has it

    def startup(self) -> None:
        self.meter = SourceMeter(FakeAdapter(), "fake", includeSCPI=False)

    def execute(self) -> None:
        for _ in range(self.samples):
            voltage_V, current_A = self.meter.reading
            if voltage_V >= CUT_OFF_V or self.should_stop():
                break
            self.emit("results", {"voltage": voltage_V, "current": current_A})


def by_worker(folder: Path, samples: int) -> None:
    procedure = Measuring()
    procedure.samples = samples
    worker = Worker(Results(procedure, str(folder / "results.csv")))
    worker.start()
    worker.join(timeout=3600)


if __name__ == "__main__":
    measured(by_worker)
