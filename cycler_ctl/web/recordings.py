"""What the page reads of the run files, whichever run it is and however long; never called on the station's loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import numpy as np

from cycler_ctl.records.curves import capacity_table
from cycler_ctl.store.reader import RunOverview, RunReader, list_runs, open_run
from cycler_ctl.web.curves import COLUMNS, Basis, Columns
from protocols.record import JSON

CHUNK_ROWS = 4_000
"""Read at a time: turning rows into arrays holds the interpreter, and the control loop shares it (about 5 ms)."""
CACHED_ROWS = 2_000_000
"""Of all runs together; about 160 MB, twice that with the room to grow, and only when somebody looks at runs that long."""


class NoSuchRunError(LookupError):
    """No run of this id is in the data folder."""


class Recordings(Protocol):
    """Raises NoSuchRunError for a run that is not there."""

    def runs(self) -> list[Mapping[str, JSON]]:
        """Newest first."""
        ...

    def describe(self, run: str) -> Mapping[str, JSON]: ...
    def basis(self, run: str) -> Basis: ...
    def columns(self, run: str, after: int) -> Columns:
        """``curves.COLUMNS`` of the rows after seq ``after``; NaN where nothing was measured."""
        ...


class _Table:
    """Columns that grow at the end; room doubles, so that a live page never copies a long run for a few new rows."""

    def __init__(self) -> None:
        self.rows = 0
        self._room = np.empty((len(COLUMNS), CHUNK_ROWS))

    @property
    def last_seq(self) -> int:
        return int(self._room[COLUMNS.index("seq"), self.rows - 1]) if self.rows else 0

    def append(self, part: Columns) -> int:
        added = len(part["seq"])
        if self.rows + added > self._room.shape[1]:
            wider = np.empty((len(COLUMNS), 2 * (self.rows + added)))
            wider[:, : self.rows] = self._room[:, : self.rows]
            self._room = wider
        for place, name in enumerate(COLUMNS):
            self._room[place, self.rows : self.rows + added] = part[name]
        self.rows += added
        return added

    def columns(self) -> Columns:
        return {name: self._room[place, : self.rows] for place, name in enumerate(COLUMNS)}


class StoreRecordings:
    """Reads each durable row once and keeps its numbers, so that a live page costs only what is new.

    Rows are never changed once durable, and (epoch, seq) denotes one row for ever. For one thread.
    """

    def __init__(self, data_dir: Path, cached_rows: int = CACHED_ROWS) -> None:
        self._data_dir = data_dir
        self._cached_rows = cached_rows
        self._read: dict[tuple[str, int], _Table] = {}

    def runs(self) -> list[Mapping[str, JSON]]:
        return [_overview(found) for found in list_runs(self._data_dir)]

    def describe(self, run: str) -> Mapping[str, JSON]:
        with self._open(run) as reader:
            return {
                **asdict(reader.info),
                **asdict(reader.state),
                "rows": reader.last_seq,
                "basis": asdict(basis_of(reader.info.cell)),
                "steps": [asdict(step) for step in reader.steps()],
                "cycles": [
                    asdict(cycle) | {"efficiency": capacity.efficiency}
                    for cycle, capacity in zip(reader.cycles(), capacity_table(reader), strict=False)
                ],
            }

    def basis(self, run: str) -> Basis:
        with self._open(run) as reader:
            return basis_of(reader.info.cell)

    def columns(self, run: str, after: int) -> Columns:
        with self._open(run) as reader:
            columns = self._refreshed(reader)
        start = int(np.searchsorted(columns["seq"], after, side="right"))
        return {name: values[start:] for name, values in columns.items()}

    def _open(self, run: str) -> RunReader:
        folder = self._data_dir / "runs" / run
        if not folder.is_dir():
            raise NoSuchRunError(f"there is no run {run!r}")
        return open_run(folder)

    def _refreshed(self, reader: RunReader) -> Columns:
        key = (reader.info.run, reader.info.epoch)
        table = self._read.pop(key, None) or _Table()
        while table.append(reader.columns(COLUMNS, table.last_seq, CHUNK_ROWS)) == CHUNK_ROWS:
            pass
        self._read[key] = table  # the run asked for last stands at the end
        self._forget_oldest()
        return table.columns()

    def _forget_oldest(self) -> None:
        """The run asked for last always stays."""
        while len(self._read) > 1 and sum(table.rows for table in self._read.values()) > self._cached_rows:
            del self._read[next(iter(self._read))]


def _overview(found: RunOverview) -> Mapping[str, JSON]:
    info, state = found.info, found.state
    line: dict[str, JSON] = {"run": found.run, "rows": found.rows, "trouble": found.trouble}
    if info is not None:
        cell = info.cell.get("name")
        line |= {
            "channel": info.channel,
            "protocol": info.protocol_name,
            "cell": cell,
            "started_utc_s": info.started_utc_s,
        }
    if state is not None:
        line |= asdict(state)
    return line


def basis_of(cell: Mapping[str, JSON]) -> Basis:
    """Per gram of active material where its mass is known, else per gram of electrode, else plain mAh."""
    material = cell.get("active_material")
    for field, of in (("active_mass_g", material or "active material"), ("electrode_mass_g", "electrode")):
        mass_g = cell.get(field)
        if isinstance(mass_g, int | float) and mass_g > 0:
            return Basis("mAh/g", float(mass_g), str(of))
    return Basis("mAh")
