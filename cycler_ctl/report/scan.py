"""All rows of a run looked at once: is none missing, does time run forward, and the fingerprint that MQTT publishes too."""

from __future__ import annotations

from dataclasses import dataclass, field

from cycler_ctl.publish.digest import Digest
from cycler_ctl.records.bdf import bdf_values
from cycler_ctl.records.rowclocks import RowClocks
from cycler_ctl.store.progress import Tell, nobody
from cycler_ctl.store.reader import RunReader
from protocols.record import Row

PAGE = 5_000


@dataclass(slots=True)
class Scan:
    """``missing``: numbers left out."""

    rows: int = 0
    missing: int = 0
    clocks: RowClocks = field(default_factory=RowClocks)
    voltage_V: tuple[float, float] | None = None
    temperature_degC: tuple[float, float] | None = None
    sha256: str = ""

    def see(self, row: Row) -> None:
        last = self.clocks.last
        self.missing += row.seq - 1 - (0 if last is None else last.seq)
        self.clocks.see(row)
        self.rows += 1
        self.voltage_V = _wider(self.voltage_V, row.voltage_V)
        if row.temperature_degC is not None:
            self.temperature_degC = _wider(self.temperature_degC, row.temperature_degC)


def scan(reader: RunReader, tell: Tell = nobody) -> Scan:
    """Of the rows that are durable now. The digest is that of the manifest: the exported rows, in order."""
    found, digest, means = Scan(), Digest(), reader.info.discharge_means
    last_seq, after_seq = reader.last_seq, 0
    while after_seq < last_seq and (page := reader.rows(after_seq, min(PAGE, last_seq - after_seq))):
        for row in page:
            found.see(row)
        digest.add(bdf_values(row, means) for row in page)
        after_seq = page[-1].seq
        tell("report", after_seq, last_seq)
    found.sha256 = digest.hex()
    return found


def _wider(bounds: tuple[float, float] | None, value: float) -> tuple[float, float]:
    return (value, value) if bounds is None else (min(bounds[0], value), max(bounds[1], value))
