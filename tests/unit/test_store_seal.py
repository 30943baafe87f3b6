"""Sealed days: whole, exact, never written again, and told apart from a run file that has changed."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from cycler_ctl.errors import StoreError
from cycler_ctl.store.export.seal import DAY_S, FOLDER, MANIFEST, check_seals, read_manifest, seal_days, sealed_rows
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.writer import RunWriter, create_run
from cycler_ctl.testing.rows import Shape, cycling_rows
from protocols.record import Outcome, Row

INFO = RunInfo("20261122-101500-a1-7f3k", 5, "a1", "lab", "site", 0.0, "", "", "", {}, {}, {}, {}, {}, None, 1.0)
MIDNIGHT_S = 20_780 * DAY_S  # 2026-11-23T00:00Z


def rows() -> list[Row]:
    """Every ten minutes from the evening of the 22nd to the morning of the 24th."""
    found: Iterator[Row] = cycling_rows(Shape(points=35))
    return [
        replace(
            row,
            utc_s=MIDNIGHT_S - 7200.0 + 600.0 * row.seq,
            temperature_degC=None if row.seq % 3 else 120.1,
            step_id="3.12p" if row.direction else row.step_id,
        )
        for row in found
    ]


def begun(data_dir: Path, found: list[Row]) -> RunWriter:
    options = WriterOptions(commit_every_s=0.01, minimum_free_bytes=0, reserve_bytes=0)
    writer = create_run(data_dir, INFO, on_durable=lambda _: None, utc=lambda: MIDNIGHT_S, options=options)
    writer.append(found)
    assert writer.flush(5)
    return writer


@pytest.fixture
def ended(tmp_path: Path) -> Path:
    writer = begun(tmp_path, rows())
    writer.finish(Outcome.FINISHED, "")
    assert writer.close()
    return writer.run_dir


def test_only_days_that_are_over_are_sealed_and_each_once(tmp_path: Path) -> None:
    found = rows()
    writer = begun(tmp_path, found)
    run_dir = writer.run_dir
    assert seal_days(run_dir, MIDNIGHT_S - 1.0) == []
    (first,) = seal_days(run_dir, MIDNIGHT_S + 100.0)
    assert (first.name, first.first_seq, first.last_seq) == ("2026-11-22_000000001.csv.gz", 1, 11)
    before = (run_dir / FOLDER / first.name).stat()
    (second,) = seal_days(run_dir, MIDNIGHT_S + DAY_S)
    assert (second.first_seq, second.last_seq) == (12, 155)
    assert seal_days(run_dir, MIDNIGHT_S + DAY_S) == []
    writer.finish(Outcome.FINISHED, "")
    assert writer.close()
    (third,) = seal_days(run_dir, MIDNIGHT_S + DAY_S)
    assert (third.first_seq, third.last_seq) == (156, len(found))
    after = (run_dir / FOLDER / first.name).stat()
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)
    assert read_manifest(run_dir) == [first, second, third]
    assert list(sealed_rows(run_dir)) == found
    assert check_seals(run_dir) == []


def test_the_same_rows_make_the_same_bytes(ended: Path) -> None:
    one = seal_days(ended, MIDNIGHT_S)
    shutil.rmtree(ended / FOLDER)
    assert seal_days(ended, MIDNIGHT_S) == one


def test_a_seal_cut_off_before_its_manifest_is_made_again(ended: Path) -> None:
    one = seal_days(ended, MIDNIGHT_S)
    (ended / FOLDER / MANIFEST).unlink()
    (ended / FOLDER / one[1].name).write_bytes(b"half")
    assert seal_days(ended, MIDNIGHT_S) == one
    assert check_seals(ended) == []


def test_where_the_clock_was_set_back_a_day_has_two_files_and_no_row_is_missing(tmp_path: Path) -> None:
    found = rows()[:40]
    found[20:] = [replace(row, utc_s=row.utc_s - 8000.0) for row in found[20:]]
    writer = begun(tmp_path, found)
    writer.finish(Outcome.FINISHED, "")
    assert writer.close()
    names = [seal.name[:10] for seal in seal_days(writer.run_dir, MIDNIGHT_S)]
    assert names == ["2026-11-22", "2026-11-23", "2026-11-22", "2026-11-23"]
    assert list(sealed_rows(writer.run_dir)) == found


def test_a_changed_number_is_found_on_whichever_side_it_is(ended: Path) -> None:
    first, second, _ = seal_days(ended, MIDNIGHT_S)
    with closing(sqlite3.connect(ended / "run.sqlite", isolation_level=None)) as connection:
        connection.execute("UPDATE compact SET voltage_V = voltage_V + 1e-12 WHERE seq = 100")
    path = ended / FOLDER / first.name
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert check_seals(ended) == [
        f"{first.name} was changed after it was sealed",
        f"the run file differs from {second.name} in rows 12 to 155",
    ]


def test_a_run_file_that_cannot_be_read_any_more_is_recovered_from_its_sealed_days(ended: Path) -> None:
    seals = seal_days(ended, MIDNIGHT_S)
    (ended / "run.sqlite").write_bytes(b"not a database" * 1000)
    assert [text.split(":")[0] for text in check_seals(ended)] == [
        f"{seal.name} is whole, the run file is not" for seal in seals
    ]
    assert list(sealed_rows(ended)) == rows()


def test_a_broken_manifest_is_said_and_nothing_is_written_over_it(ended: Path) -> None:
    seal_days(ended, MIDNIGHT_S)
    path = ended / FOLDER / MANIFEST
    path.write_text(json.dumps({"seals": [{"name": "x"}]}))
    with pytest.raises(StoreError, match="not a manifest"):
        seal_days(ended, MIDNIGHT_S)
    assert json.loads(path.read_text()) == {"seals": [{"name": "x"}]}
