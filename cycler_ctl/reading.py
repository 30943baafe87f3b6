"""Runs in a notebook: open a run's folder, its file or a bundle, get samples, steps and cycles as numpy arrays.

    from cycler_ctl.reading import open_recording

    with open_recording("data/runs/20261122-101500-a1-7f3k") as run:
        samples = run.samples(["time_s", "voltage_V", "current_A"])
        plt.plot(samples["time_s"] / 3600, samples["voltage_V"])

Every name carries its unit: ``_s`` seconds, ``_V`` volts, ``_A`` amperes, ``_Ah`` ampere hours, ``_Wh`` watt hours,
``_degC`` degrees Celsius; names without one are numbers or texts. Positive current, everywhere here, oxidises
(delithiates) the working electrode; the Battery Data Format exports have that format's own sign. What was not measured
is NaN. Names are only ever added to.

Reading never disturbs a run that goes on, and shows what is durable.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import fields
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cycler_ctl.errors import StoreError
from cycler_ctl.records.stepfacts import StepFacts, step_facts
from cycler_ctl.store.codec import ROW_COLUMNS
from cycler_ctl.store.export.bundle import unpack_run
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.reader import RunOverview, RunReader, RunState, list_runs, open_run
from protocols.record import CycleSummary, EventRecord, StepSummary

Table = dict[str, NDArray[Any]]
"""One array a column, all of one length: int64, float64 or text."""

PAGE = 50_000
_ADDED = ("uncertainty_Ah", "resistance_ohm", "range_A", "flags", "retries")
_TEXTS = frozenset({"step_id", "mode", "mark", "word", "label", "end_reason", "also_met", "flags"})
_WHOLE = frozenset({"seq", "cycle", "step_count", "direction", "retries"})


class Recording:
    """One run, finished or under way; use it as a context manager. Made by ``open_recording``."""

    def __init__(self, reader: RunReader, resources: ExitStack) -> None:
        self._reader = reader
        self._resources = resources

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._resources.close()

    @property
    def info(self) -> RunInfo:
        """The protocol's text, the cell, the plan, the settings, the instrument, the versions."""
        return self._reader.info

    @property
    def state(self) -> RunState:
        """``running``, ``ended`` (with its outcome and reason) or ``interrupted``."""
        return self._reader.state

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of ``samples``."""
        return ROW_COLUMNS

    def samples(self, names: Sequence[str] | None = None, after_seq: int = 0) -> Table:
        """Recorded samples in order, all columns or those named; ``after_seq`` for what is new since the last call.

        ``run_*``, ``cycle_*`` and ``step_*`` are the counters of their scope: charge and energy passed so far in each
        direction, never falling.
        """
        names = ROW_COLUMNS if names is None else tuple(names)
        pages: list[Table] = [_table(names, [])]
        read = tuple(dict.fromkeys(("seq", *names)))
        while found := self._reader.values(read, after_seq, PAGE):
            page = _table(read, found)
            after_seq = int(page["seq"][-1])
            pages.append(page)
        return {name: np.concatenate([page[name] for page in pages]) for name in names}

    def steps(self) -> Table:
        """One entry for each executed step; ``charge_Ah`` is at its end point, ``also_met`` is joined by semicolons.

        ``uncertainty_Ah`` is that of ``charge_Ah`` with k = 2 (``cycler_ctl.records.uncertainty.DEFINITION``), ``resistance_ohm``
        that of the step's edge, ``range_A`` of the current, ``flags`` the instrument's, ``retries`` the readings lost.
        """
        names, found = [field.name for field in fields(StepSummary)], self._reader.steps()
        table = _table(names, [[_value(step, name) for name in names] for step in found])
        added = step_facts(self.info, found, self._reader.events())
        return table | _table(_ADDED, [[_added(one, name) for name in _ADDED] for one in added])

    def cycles(self) -> Table:
        """One entry for each completed cycle."""
        names = [field.name for field in fields(CycleSummary)]
        return _table(names, [[getattr(cycle, name) for name in names] for cycle in self._reader.cycles()])

    def events(self) -> list[EventRecord]:
        """What happened: steps begun and ended, gaps, trips, people's actions."""
        return self._reader.events()

    def frame(self, table: str = "samples") -> Any:  # noqa: ANN401 - pandas need not be installed
        """``samples``, ``steps`` or ``cycles`` as a pandas DataFrame, where pandas is installed."""
        tables = {"samples": self.samples, "steps": self.steps, "cycles": self.cycles}
        if table not in tables:
            raise StoreError(f"there is no table {table!r}; there are {', '.join(tables)}")
        try:
            pandas = import_module("pandas")
        except ImportError as error:
            raise StoreError("a frame needs pandas: pip install pandas, or use the arrays") from error
        return pandas.DataFrame(tables[table]())


def open_recording(path: str | PathLike[str]) -> Recording:
    """A run by its folder, any of its ``run*.sqlite``, or a bundle (``.zip``)."""
    place = Path(path)
    with ExitStack() as resources:
        if place.suffix == ".zip":
            folder = Path(resources.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
            place = unpack_run(place, folder)
        reader = resources.enter_context(open_run(place))
        return Recording(reader, resources.pop_all())


def list_recordings(data_dir: str | PathLike[str]) -> list[RunOverview]:
    """All runs of a station's data folder, the newest first; each one's ``path`` can be opened."""
    return list_runs(Path(data_dir))


def _table(names: Sequence[str], found: Sequence[Sequence[Any]]) -> Table:
    columns: Iterable[Sequence[Any]] = zip(*found, strict=True) if found else ((),) * len(names)
    return {name: _array(name, column) for name, column in zip(names, columns, strict=True)}


def _array(name: str, values: Sequence[Any]) -> NDArray[Any]:
    if name in _TEXTS:
        return np.array(["" if value is None else str(value) for value in values], dtype=np.str_)
    return np.array(values, dtype=np.int64 if name in _WHOLE else np.float64)


def _added(one: StepFacts, name: str) -> object:
    return "; ".join(one.flags) if name == "flags" else getattr(one, name)


def _value(step: StepSummary, name: str) -> object:
    return "; ".join(step.also_met) if name == "also_met" else getattr(step, name)
