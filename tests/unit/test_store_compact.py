"""The rows of schema 2: less than half the size, and not one bit different; files of schema 1 stay as they are."""

from __future__ import annotations

import hashlib
import random
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cycler_ctl.errors import StoreError
from cycler_ctl.store.codec import ROW_COLUMNS, SQL, row_from, row_values
from cycler_ctl.store.compact import COMPACT_COLUMNS, CONTEXT_COLUMNS, TOTALS_COLUMNS, Encoded, RowEncoder
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import INFO_COLUMNS, RunInfo, info_values
from cycler_ctl.store.packed import packed
from cycler_ctl.store.reader import open_run
from cycler_ctl.store.segment import APPLICATION_ID, apply_schema
from cycler_ctl.store.writer import create_run, reopen_run
from cycler_ctl.testing.rows import Shape, cycling_rows
from protocols.record import Counters, Mark, Mode, Outcome, Row

QUICK = WriterOptions(commit_every_s=0.01, minimum_free_bytes=0, reserve_bytes=0)
INFO = RunInfo("20261122-101500-a1-7f3k", 5, "a1", "lab", "site", 0.0, "", "", "", {}, {}, {}, {}, {}, None, 1.0)

counter = st.floats(0, 1e9)
counters = st.builds(Counters, counter, counter, counter, counter)
any_row = st.builds(
    Row,
    seq=st.just(1),
    time_s=st.floats(0, 1e12),
    utc_s=st.floats(0, 1e12),
    voltage_V=st.floats(-1e6, 1e6),
    current_A=st.floats(-1e6, 1e6),
    temperature_degC=st.none() | st.floats(-274, 1e5),
    cycle=st.integers(0, 2),
    step_count=st.integers(0, 2),
    step_id=st.sampled_from(["2.1", "2.cv", "3.12p"]),
    mode=st.sampled_from(Mode),
    direction=st.integers(-1, 1),
    step_time_s=st.floats(0, 1e12),
    mark=st.sampled_from(Mark),
    run_total=counters,
    cycle_total=counters,
    step_total=counters,
)


def insert(
    connection: sqlite3.Connection, table: str, columns: Sequence[str], values: Iterable[tuple[SQL, ...]]
) -> None:
    marks = ", ".join("?" * len(columns))
    connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", values)  # noqa: S608


def put(connection: sqlite3.Connection, encoded: Encoded) -> None:
    insert(connection, "contexts", CONTEXT_COLUMNS, encoded.contexts)
    insert(connection, "compact", COMPACT_COLUMNS, encoded.rows)
    insert(connection, "totals", TOTALS_COLUMNS, encoded.totals)


def through_the_file(rows: Sequence[Row]) -> list[Row]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        apply_schema(connection)
        put(connection, RowEncoder().encode(map(packed, rows)))
        found = connection.execute(f"SELECT {', '.join(ROW_COLUMNS)} FROM samples ORDER BY seq")  # noqa: S608
        return [row_from(values) for values in found]


def measured(seed: int, shape: Shape) -> Iterator[Row]:
    """Rows as a station has them: UTC read some µs after the reading, noise on every value."""
    choose = random.Random(seed)
    for row in cycling_rows(shape):
        yield replace(
            row,
            utc_s=row.utc_s + choose.expovariate(1e4),
            voltage_V=row.voltage_V + choose.gauss(0, 1e-5),
            temperature_degC=choose.choice([None, 120.1, 120.2]),
        )


@given(st.lists(any_row, max_size=8))
def test_any_rows_come_back_to_the_last_bit(rows: list[Row]) -> None:
    rows = [replace(row, seq=seq) for seq, row in enumerate(rows, start=1)]
    assert [row_values(row) for row in through_the_file(rows)] == [row_values(row) for row in rows]


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("mark", Mark)
def test_each_mode_and_mark_and_the_smallest_and_largest_numbers_come_back_as_they_are_written(
    mode: Mode, mark: Mark
) -> None:
    total = Counters(5e-324, 0.1, 1e9, 1 / 3)
    sample = Row(
        1, 1 / 3, 1.7e9 + 1e-6, 1e-300, -5e-324, None, 2**40, 2**40, "3.12p", mode, -1, 0.2, mark, total, total, total
    )  # fmt: skip
    rows = [replace(sample, seq=seq, temperature_degC=at) for seq, at in enumerate((None, -1.5e-9, 120.1), start=2**40)]
    assert repr(through_the_file(rows)) == repr(rows)


def test_a_station_s_rows_come_back_and_need_neither_totals_nor_more_than_a_context_a_step() -> None:
    rows = list(measured(1, Shape()))
    encoded = RowEncoder().encode(map(packed, rows))
    assert through_the_file(rows) == rows
    assert encoded.totals == []
    assert len(encoded.contexts) == 7
    assert all(isinstance(values[3], int) for values in encoded.rows)


def test_a_pause_and_a_sample_of_the_other_sign_at_the_step_s_beginning_cost_one_context_each() -> None:
    step = [row for row in cycling_rows() if row.step_id == "2.1" and row.cycle == 1]
    odd = Counters(oxidation_Ah=1e-12, oxidation_Wh=1e-13)
    turned = [
        replace(row, step_total=replace(row.step_total, oxidation_Ah=odd.oxidation_Ah, oxidation_Wh=odd.oxidation_Wh))
        for row in step[1:]
    ]
    paused = [replace(row, mode=Mode.REST, direction=0, mark=Mark.PAUSED, step_time_s=9.0) for row in turned[10:]]
    rows = [replace(row, seq=seq) for seq, row in enumerate([step[0], *turned[:10], *paused], start=1)]
    encoded = RowEncoder().encode(map(packed, rows))
    assert through_the_file(rows) == rows
    assert len(encoded.contexts) == 3
    assert [values[9] for values in encoded.rows[2:11]] == [None] * 9


@pytest.mark.parametrize(
    "changes",
    [
        {"step_time_s": float("nan")},
        {"utc_s": float("nan")},
        {"utc_s": float("inf")},
        {"utc_s": -1.0},
        {"step_total": Counters(float("nan"))},
        {"run_total": Counters(oxidation_Wh=float("nan"))},
        {"cycle_total": Counters(reduction_Ah=float("inf"))},
        {"step_total": Counters(reduction_Wh=-1e-9)},
        {"time_s": float("nan")},
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_what_is_not_a_number_is_refused_in_every_column(changes: dict[str, Any], place: int) -> None:
    rows = list(cycling_rows())[60:62]
    rows[place] = replace(rows[place], **changes)
    with pytest.raises((sqlite3.IntegrityError, StoreError)):
        through_the_file(rows)


def test_a_row_takes_less_than_80_bytes_on_the_disk(tmp_path: Path) -> None:
    sizes: list[int] = []
    for name, count in (("few", 0), ("many", 7000)):
        writer = create_run(tmp_path / name, INFO, on_durable=lambda run: None, utc=lambda: 0.0, options=QUICK)
        rows = list(measured(2, Shape(points=999)))[:count]
        writer.append([replace(row, temperature_degC=120.1) for row in rows])
        writer.finish(Outcome.FINISHED, "")
        assert writer.close()
        sizes.append((writer.run_dir / "run.sqlite").stat().st_size)
    assert (sizes[1] - sizes[0]) / 7000 < 80


def test_a_commit_that_fails_leaves_no_context_that_rows_could_miss(tmp_path: Path) -> None:
    rows = list(cycling_rows())
    writer = create_run(tmp_path, INFO, on_durable=lambda run: None, utc=lambda: 0.0, options=QUICK)
    writer.append(rows[:60])
    assert writer.flush(5)
    writer.append([rows[60], replace(rows[61], voltage_V=float("inf"))])
    assert not writer.close()
    again = reopen_run(writer.run_dir, on_durable=lambda run: None, options=QUICK)
    again.append(rows[60:])
    assert again.close()
    with open_run(writer.run_dir) as reader:
        assert reader.rows() == rows


def old_file(run_dir: Path, rows: Sequence[Row]) -> Path:
    """A run as the program that knew only schema 1 left it."""
    run_dir.mkdir(parents=True)
    path = run_dir / "run.sqlite"
    script = resources.files("cycler_ctl.store.schema").joinpath("001.sql").read_text(encoding="utf-8")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(
            f"{script}; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1; PRAGMA journal_mode = WAL"
        )
        insert(connection, "run", INFO_COLUMNS, [info_values(INFO)])
        insert(connection, "samples", ("epoch", *ROW_COLUMNS), [(INFO.epoch, *row_values(row)) for row in rows])
    return path


def test_a_file_of_schema_1_is_read_and_its_run_goes_on_in_a_new_file(tmp_path: Path) -> None:
    rows = list(cycling_rows())
    path = old_file(tmp_path / "runs" / INFO.run, rows[:100])
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    with open_run(path) as reader:
        assert (reader.rows(), reader.last_seq) == (rows[:100], 100)
        assert reader.columns(["step_reduction_Ah"])["step_reduction_Ah"].tolist() == [
            row.step_total.reduction_Ah for row in rows[:100]
        ]
    again = reopen_run(path.parent, on_durable=lambda run: None, options=QUICK)
    again.append(rows[100:])
    again.finish(Outcome.FINISHED, "")
    assert again.close()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    with open_run(path) as reader:
        assert (reader.rows(), reader.state.outcome) == (rows, Outcome.FINISHED)


def test_a_file_of_a_newer_program_is_neither_read_nor_written(tmp_path: Path) -> None:
    path = old_file(tmp_path / "runs" / INFO.run, [])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match=r"has schema 99, this program knows 2: use a newer cycler-ctl"):
        reopen_run(path.parent, on_durable=lambda run: None, options=QUICK)
    with pytest.raises(StoreError, match="use a newer cycler-ctl"):
        open_run(path)
