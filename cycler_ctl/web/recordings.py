"""What the page reads of the run files, whichever run it is and however long; never called on the station's loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np

from cycler_ctl.records.curves import capacity_table
from cycler_ctl.running.amending import newest_info
from cycler_ctl.store.reader import RunReader, open_run
from cycler_ctl.web.curves import COLUMNS, Basis, Columns
from cycler_ctl.web.decimate import Floats
from cycler_ctl.web.overviews import Overviews
from cycler_ctl.web.steplines import step_lines
from cycler_ctl.web.told import QUIET, told
from protocols.record import JSON, Mode

CHUNK_ROWS = 500
"""Read at a time: turning rows into an array is one call that holds the interpreter, and control shares it (0.2 ms)."""
CACHED_ROWS = 2_000_000
"""Of all runs together; about 160 MB, twice that with the room to grow, and only when somebody looks at runs that long."""
READ_AT_ONCE_ROWS = 8_000
"""More of a run that nobody looked at before is read over several looks: none keeps the other readers waiting."""
GLIMPSE_ROWS = 300
"""Evenly over a run that is not all read yet."""
HELD = "held"
"""1 where the voltage is held, which is no column of the file."""
KEPT = (*COLUMNS, HELD)
Times: TypeAlias = tuple[float, float]
WHOLE_RUN: Times = (-inf, inf)


class NoSuchRunError(LookupError):
    """No run of this id is in the data folder."""


class Recordings(Protocol):
    """Raises NoSuchRunError for a run that is not there."""

    def runs(self) -> list[Mapping[str, JSON]]:
        """Newest first."""
        ...

    def folder(self, run: str) -> Path: ...
    def describe(self, run: str) -> Mapping[str, JSON]: ...
    def events(self, run: str) -> Mapping[str, JSON]: ...
    def basis(self, run: str) -> Basis: ...
    def look(self, run: str, times: Times = WHOLE_RUN) -> Look: ...


@dataclass(frozen=True, slots=True)
class Look:
    """``KEPT`` columns; NaN where nothing was measured.

    A long run that was not looked at before takes a few more looks until ``read`` is all ``rows``. Until then the columns
    are a glimpse, every so many rows; not ``whole``, unless all of the times asked for are few rows.
    """

    columns: Columns
    read: int
    rows: int
    whole: bool = True


class _Table:
    """Columns that grow at the end; room doubles, so that a live page never copies a long run for a few new rows."""

    def __init__(self) -> None:
        self.rows = 0
        self._room = np.empty((len(KEPT), CHUNK_ROWS))

    @property
    def last_seq(self) -> int:
        return int(self._room[COLUMNS.index("seq"), self.rows - 1]) if self.rows else 0

    def append(self, part: Columns) -> int:
        added = len(part["seq"])
        if self.rows + added > self._room.shape[1]:
            wider = np.empty((len(KEPT), 2 * (self.rows + added)))
            wider[:, : self.rows] = self._room[:, : self.rows]
            self._room = wider
        for place, name in enumerate(KEPT):
            self._room[place, self.rows : self.rows + added] = part[name]
        self.rows += added
        return added

    def columns(self) -> Columns:
        return {name: self._room[place, : self.rows] for place, name in enumerate(KEPT)}


class StoreRecordings:
    """Reads each durable row once and keeps its numbers, so that a live page costs only what is new.

    Rows are never changed once durable, and (epoch, seq) denotes one row for ever. For one thread.
    """

    def __init__(self, data_dir: Path, cached_rows: int = CACHED_ROWS) -> None:
        self._data_dir = data_dir
        self._cached_rows = cached_rows
        self._read: dict[tuple[str, int], _Table] = {}
        self._glimpses: dict[tuple[str, int], Columns] = {}
        self._overviews = Overviews(data_dir)

    def runs(self) -> list[Mapping[str, JSON]]:
        return self._overviews.all()

    def describe(self, run: str) -> Mapping[str, JSON]:
        with self._open(run) as reader:
            info = newest_info(reader.info, reader.events())
            return {
                **asdict(info),
                **asdict(reader.state),
                "rows": reader.last_seq,
                "basis": asdict(basis_of(info.cell)),
                "lines": step_lines(info.protocol_text),
                "at": _newest(reader),
                "steps": [asdict(step) for step in reader.steps()],
                "cycles": [
                    asdict(cycle) | {"efficiency": capacity.efficiency}
                    for cycle, capacity in zip(reader.cycles(), capacity_table(reader), strict=False)
                ],
            }

    def basis(self, run: str) -> Basis:
        with self._open(run) as reader:
            return basis_of(reader.info.cell)

    def look(self, run: str, times: Times = WHOLE_RUN) -> Look:
        """Columns of at least the rows between ``times``."""
        with self._open(run) as reader:
            key, rows = (reader.info.run, reader.info.epoch), reader.last_seq
            table, at_end = self._refreshed(key, reader)
            if at_end:
                self._glimpses.pop(key, None)
                return Look(table.columns(), table.rows, table.rows)
            if key not in self._glimpses:
                self._glimpses = {key: _glimpse(reader, 0, rows)}
            if times == WHOLE_RUN:
                return Look(self._glimpses[key], table.rows, rows, whole=False)
            after, last = _numbers(self._glimpses[key], times)
            few = last - after <= READ_AT_ONCE_ROWS
            columns = _kept(reader, after, READ_AT_ONCE_ROWS) if few else _glimpse(reader, after, last)
            return Look(columns, table.rows, rows, whole=few)

    def events(self, run: str) -> Mapping[str, JSON]:
        with self._open(run) as reader:
            return {"run": run, "events": [told(event) for event in reader.events() if event.kind not in QUIET]}

    def folder(self, run: str) -> Path:
        folder = self._data_dir / "runs" / run
        if not folder.is_dir():
            raise NoSuchRunError(f"there is no run {run!r}")
        return folder

    def _open(self, run: str) -> RunReader:
        return open_run(self.folder(run))

    def _refreshed(self, key: tuple[str, int], reader: RunReader) -> tuple[_Table, bool]:
        """True: there is nothing more to read."""
        table = self._read.pop(key, None) or _Table()
        enough, at_end = table.rows + READ_AT_ONCE_ROWS, False
        while not at_end and table.rows < enough:
            at_end = table.append(_kept(reader, table.last_seq, CHUNK_ROWS)) < CHUNK_ROWS
        self._read[key] = table  # the run asked for last stands at the end
        self._forget_oldest()
        return table, at_end

    def _forget_oldest(self) -> None:
        """The run asked for last always stays."""
        while len(self._read) > 1 and sum(table.rows for table in self._read.values()) > self._cached_rows:
            del self._read[next(iter(self._read))]


def _kept(reader: RunReader, after: int, most: int) -> Columns:
    found = reader.values((*COLUMNS, "mode"), after, most)
    table: Floats = np.array([(*values[:-1], values[-1] == Mode.VOLTAGE) for values in found], dtype=np.float64)
    table = table.reshape(len(found), len(KEPT))
    return {name: table[:, place] for place, name in enumerate(KEPT)}


def _glimpse(reader: RunReader, after: int, last: int) -> Columns:
    """Numbers are dense but for what a damaged disk took; there the next one is found, and found once."""
    wanted = np.linspace(after, last - 1, GLIMPSE_ROWS).astype(np.int64)
    parts = [_kept(reader, int(before), 1) for before in wanted]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in KEPT}
    _, once = np.unique(joined["seq"], return_index=True)
    return {name: values[once] for name, values in joined.items()}


def _numbers(glimpse: Columns, times: Times) -> tuple[int, int]:
    """(after, last): of rows that surely hold all between ``times``."""
    time_s, seq = glimpse["time_s"], glimpse["seq"]
    begin = int(np.searchsorted(time_s, times[0], side="left")) - 2
    end = int(np.searchsorted(time_s, times[1], side="right")) + 1
    return int(seq[begin]) if begin >= 0 else 0, int(seq[min(end, len(seq) - 1)])


def _newest(reader: RunReader) -> Mapping[str, JSON] | None:
    found = reader.rows(reader.last_seq - 1, 1)
    return {name: getattr(row, name) for row in found for name in ("step_id", "cycle", "time_s", "utc_s")} or None


def basis_of(cell: Mapping[str, JSON]) -> Basis:
    """Per gram of active material where its mass is known, else per gram of electrode, else plain mAh."""
    material = cell.get("active_material")
    for field, of in (("active_mass_g", material or "active material"), ("electrode_mass_g", "electrode")):
        mass_g = cell.get(field)
        if isinstance(mass_g, int | float) and mass_g > 0:
            return Basis("mAh/g", float(mass_g), str(of))
    return Basis("mAh")
