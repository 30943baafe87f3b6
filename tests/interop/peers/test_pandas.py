"""Frames are pandas' own: the same numbers as the arrays, with types that pandas' users expect."""

from __future__ import annotations

from pathlib import Path

import pytest

from cycler_ctl.reading import open_recording
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.writer import create_run
from cycler_ctl.testing.rows import START_UTC_S, Shape, cycling_rows
from protocols.record import CycleSummary, Outcome, StepSummary

pandas = pytest.importorskip("pandas")

INFO = RunInfo("20261122-101500-a1-7f3k", 7, "a1", "s", "s", START_UTC_S, "", "", "", {}, {}, {}, {}, {}, None, 1.0)
STEP = StepSummary(1, "2.cv", "hold", 1, None, 0.0, 9.0, "4 h", ("20 h",), 1e-3, 5e-4, 0.5, 0.2)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    options = WriterOptions(commit_every_s=0.01, minimum_free_bytes=0, reserve_bytes=0)
    writer = create_run(tmp_path, INFO, on_durable=lambda _: None, options=options)
    rows = list(cycling_rows(Shape(points=30, temperature_degC=None)))
    writer.append(rows, steps=[STEP], cycles=[CycleSummary(1, 2e-3, 1.5e-3, 1e-3, 9e-4, 0.0, 99.0)])
    writer.finish(Outcome.FINISHED, "")
    assert writer.close()
    return writer.run_dir


def test_each_table_is_a_frame_of_the_arrays_numbers(run_dir: Path) -> None:
    with open_recording(run_dir) as run:
        for table, arrays in (("samples", run.samples()), ("steps", run.steps()), ("cycles", run.cycles())):
            frame = run.frame(table)
            assert isinstance(frame, pandas.DataFrame)
            assert list(frame.columns) == list(arrays)
            for name, column in arrays.items():
                assert frame[name].tolist() == column.tolist() or frame[name].isna().all()


def test_whole_numbers_are_whole_and_what_was_not_measured_is_missing(run_dir: Path) -> None:
    with open_recording(run_dir) as run:
        frame = run.frame()
    assert frame["temperature_degC"].isna().all()
    assert pandas.api.types.is_integer_dtype(frame["cycle"])
    assert frame.groupby("cycle")["cycle_reduction_Ah"].max().loc[1] == pytest.approx(2.2e-3)
