"""A file of every schema there ever was opens, is read to the last bit, is exported, and is never changed."""

from __future__ import annotations

import csv
import hashlib
import shutil
import sqlite3
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from make_schema_file import CHECKPOINT, CYCLE, INFO, NOTE, STEP

from cycler_ctl.reading import open_recording
from cycler_ctl.report.facts import gather
from cycler_ctl.report.page import report_text
from cycler_ctl.store.codec import ROW_COLUMNS, row_values
from cycler_ctl.store.export.bdf_csv import export_bdf_csv
from cycler_ctl.store.export.bundle import export_bundle, verify_bundle
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.reader import open_run
from cycler_ctl.store.writer import reopen_run
from protocols.record import Outcome

DATA = Path(__file__).with_name("data")
VERSIONS = sorted(
    int(file.name.removesuffix(".sql"))
    for file in resources.files("cycler_ctl.store.schema").iterdir()
    if file.name.endswith(".sql")
)


@pytest.fixture(params=VERSIONS)
def run_dir(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file written by the program that knew no newer schema (see support/make_schema_file.py)."""
    folder = tmp_path / "runs" / INFO.run
    folder.mkdir(parents=True)
    shutil.copyfile(DATA / f"schema-{request.param:03d}.sqlite", folder / "run.sqlite")
    with closing(sqlite3.connect(folder / "run.sqlite")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (request.param,)
    return folder


def test_its_quick_check_is_a_whole_one_because_no_table_has_an_index_beside_it(run_dir: Path) -> None:
    """What quick_check leaves out are the entries of indexes (SQLite, PRAGMA quick_check); docs/decisions/0010."""
    with closing(sqlite3.connect(run_dir / "run.sqlite")) as connection:
        assert connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'").fetchall() == []
        assert connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]


def stored(run_dir: Path) -> list[tuple[Any, ...]]:
    """The samples as SQLite itself gives them."""
    with closing(sqlite3.connect(run_dir / "run.sqlite")) as connection:
        return connection.execute(f"SELECT epoch, {', '.join(ROW_COLUMNS)} FROM samples ORDER BY seq").fetchall()  # noqa: S608 - names are ours


def test_it_is_read_as_it_was_written(run_dir: Path) -> None:
    with open_run(run_dir) as reader:
        assert reader.info == INFO
        assert [(7, *row_values(row)) for row in reader.rows()] == stored(run_dir)
        assert (reader.last_seq, reader.checkpoint()) == (49, CHECKPOINT)
        assert (list(reader.events()), list(reader.steps()), list(reader.cycles())) == ([NOTE], [STEP], [CYCLE])
        assert (reader.state.outcome, reader.state.reason) == (Outcome.FINISHED, "all steps done")


def test_both_hold_the_same_rows(tmp_path: Path) -> None:
    found: list[list[tuple[Any, ...]]] = []
    for version in VERSIONS:
        folder = tmp_path / str(version)
        folder.mkdir()
        shutil.copyfile(DATA / f"schema-{version:03d}.sqlite", folder / "run.sqlite")
        found.append(stored(folder))
    assert len(found) >= 2
    assert all(rows == found[0] for rows in found)


def test_it_is_exported_reported_and_read_in_a_notebook_without_a_change(run_dir: Path) -> None:
    before = hashlib.sha256((run_dir / "run.sqlite").read_bytes()).hexdigest()
    with export_bdf_csv(run_dir).open(encoding="utf-8", newline="") as file:
        assert [int(line["Record Index / 1"]) for line in csv.DictReader(file)] == list(range(1, 50))
    assert verify_bundle(export_bundle(run_dir)) == []
    with open_run(run_dir) as reader:
        assert "MG-0142" in report_text(gather(reader))
    with open_recording(run_dir) as recording:
        assert recording.samples(["seq"])["seq"].tolist() == list(range(1, 50))
    assert hashlib.sha256((run_dir / "run.sqlite").read_bytes()).hexdigest() == before


def test_a_run_in_it_goes_on(run_dir: Path) -> None:
    """In the file itself where it is of today's schema, else in a new one beside it."""
    with closing(sqlite3.connect(run_dir / "run.sqlite", isolation_level=None)) as connection:
        connection.execute("UPDATE run SET state = 'interrupted', outcome = NULL")
    with open_run(run_dir) as reader:
        rows = reader.rows()
    options = WriterOptions(commit_every_s=0.01, minimum_free_bytes=0, reserve_bytes=0)
    writer = reopen_run(run_dir, on_durable=lambda _: None, options=options)
    assert writer.durable_seq == 49
    writer.finish(Outcome.STOPPED, "enough")
    assert writer.close()
    with open_run(run_dir) as reader:
        assert (reader.rows(), reader.state.outcome) == (rows, Outcome.STOPPED)
