"""All rows of a run looked at once: is none missing, does time run forward, and the fingerprint that MQTT publishes too."""

from __future__ import annotations

from dataclasses import dataclass, field

from cycler_ctl.bdf import bdf_values
from cycler_ctl.publish.digest import Digest
from cycler_ctl.store.reader import RunReader
from protocols.record import Row

PAGE = 5_000
CLOCK_STEP_S = 1.0
"""Between two rows UTC and the monotonic clock may part by this much (slewing takes 0.5 ms/s) before it is a step."""
MOST_STEPS = 50


@dataclass(frozen=True, slots=True)
class ClockStep:
    """The wall clock was set by ``by_s`` before row ``seq``; run time did not notice."""

    seq: int
    time_s: float
    utc_s: float
    by_s: float


@dataclass(slots=True)
class Scan:
    """``missing``: numbers left out; ``backwards``: rows whose run time is before that of the row above."""

    rows: int = 0
    missing: int = 0
    backwards: int = 0
    clock_steps: list[ClockStep] = field(default_factory=list[ClockStep])
    clock_steps_found: int = 0
    voltage_V: tuple[float, float] | None = None
    temperature_degC: tuple[float, float] | None = None
    last: Row | None = None
    sha256: str = ""

    def see(self, row: Row) -> None:
        if self.last is not None:
            self._compare(self.last, row)
        elif row.seq > 1:
            self.missing += row.seq - 1
        self.rows += 1
        self.voltage_V = _wider(self.voltage_V, row.voltage_V)
        if row.temperature_degC is not None:
            self.temperature_degC = _wider(self.temperature_degC, row.temperature_degC)
        self.last = row

    def _compare(self, last: Row, row: Row) -> None:
        self.missing += row.seq - last.seq - 1
        self.backwards += row.time_s < last.time_s
        by_s = (row.utc_s - row.time_s) - (last.utc_s - last.time_s)
        if abs(by_s) > CLOCK_STEP_S:
            self.clock_steps_found += 1
            if len(self.clock_steps) < MOST_STEPS:
                self.clock_steps.append(ClockStep(row.seq, row.time_s, row.utc_s, by_s))


def scan(reader: RunReader) -> Scan:
    """Of the rows that are durable now. The digest is that of the manifest: the exported rows, in order."""
    found, digest, means = Scan(), Digest(), reader.info.discharge_means
    last_seq, after_seq = reader.last_seq, 0
    while after_seq < last_seq and (page := reader.rows(after_seq, min(PAGE, last_seq - after_seq))):
        for row in page:
            found.see(row)
        digest.add(bdf_values(row, means) for row in page)
        after_seq = page[-1].seq
    found.sha256 = digest.hex()
    return found


def _wider(bounds: tuple[float, float] | None, value: float) -> tuple[float, float]:
    return (value, value) if bounds is None else (min(bounds[0], value), max(bounds[1], value))
