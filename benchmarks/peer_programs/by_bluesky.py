"""bluesky with ophyd: a device of two signals, a plan that triggers and reads it, each document a line of JSON in a file."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

from bluesky import RunEngine
from bluesky import plan_stubs as stubs
from bluesky.preprocessors import run_decorator
from fake import CUT_OFF_V, Fake, measured
from ophyd import Component, Device, Signal
from ophyd.status import Status


class SourceMeter(Device):
    voltage = Component(Signal, value=0.0)
    current = Component(Signal, value=0.0)
    fake = Fake()

    def trigger(self) -> Status:
        voltage, current = self.fake.ask().split(",")
        self.voltage.put(float(voltage))
        self.current.put(float(current))
        status = Status()
        status.set_finished()
        return status


def by_engine(folder: Path, samples: int) -> None:
    engine = RunEngine({})
    meter = SourceMeter(name="smu")
    with (folder / "documents.jsonl").open("w", encoding="utf-8") as file:
        engine.subscribe(lambda name, document: file.write(json.dumps([name, document]) + "\n"))

        @run_decorator()
        def plan() -> Generator[object, dict[str, dict[str, float]], None]:
            for _ in range(samples):
                reading = yield from stubs.trigger_and_read([meter])
                if reading["smu_voltage"]["value"] >= CUT_OFF_V:
                    break

        engine(plan())


if __name__ == "__main__":
    measured(by_engine)
