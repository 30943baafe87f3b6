"""The Parquet export holds what the CSV holds, in less space (extra: parquet)."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cycler_ctl.errors import StoreError
from cycler_ctl.records.bdf import Columns, bdf_columns, bdf_values
from cycler_ctl.store.export.atomic import sha256_of
from cycler_ctl.store.export.bdf_csv import export_bdf_csv
from cycler_ctl.store.export.bdf_parquet import export_bdf_parquet
from cycler_ctl.store.export.names import metadata_path
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.writer import create_run
from cycler_ctl.testing.rows import Shape, cycling_rows
from protocols.model import Verb
from protocols.record import Mode, Outcome, Row

INFO = RunInfo(
    "20261122-101500-a1-7f3k",
    5,
    "a1",
    "lab",
    "site",
    0.0,
    "",
    "",
    "",
    {"name": "a"},
    {},
    {},
    {},
    {},
    Verb.LITHIATE,
    1.0,
)


@pytest.fixture
def parquet() -> ModuleType:
    found: ModuleType = pytest.importorskip("pyarrow.parquet")
    return found


def rows(points: int) -> Iterator[Row]:
    for row in cycling_rows(Shape(points=points)):
        held = replace(row, step_id="2.cv", mode=Mode.VOLTAGE, direction=0) if row.step_id == "2.3" else row
        yield replace(held, temperature_degC=None if row.seq % 2 else 120.1)


def record(data_dir: Path, found: list[Row]) -> Path:
    options = WriterOptions(commit_every_s=0.01, minimum_free_bytes=0, reserve_bytes=0)
    writer = create_run(data_dir, INFO, on_durable=lambda _: None, options=options)
    writer.append(found)
    writer.finish(Outcome.FINISHED, "")
    assert writer.close()
    return writer.run_dir


def test_every_value_is_the_run_file_s(tmp_path: Path, parquet: ModuleType) -> None:
    found = list(rows(20))
    table: Any = parquet.read_table(export_bdf_parquet(record(tmp_path, found), columns=Columns.ALL))
    assert table.schema.names == [column.label for column in bdf_columns()]
    assert [tuple(row.values()) for row in table.to_pylist()] == [bdf_values(row, Verb.LITHIATE) for row in found]
    assert table.schema.metadata[b"bdf:source"] == b"cycler-ctl run 20261122-101500-a1-7f3k"


def test_a_run_s_exports_share_their_name_and_their_metadata_name_both(tmp_path: Path, parquet: ModuleType) -> None:
    run_dir = record(tmp_path, list(rows(20)))
    text = export_bdf_csv(run_dir)
    typed = export_bdf_parquet(run_dir)
    assert typed.name.removesuffix(".parquet") == text.name.removesuffix(".csv")
    artifacts = json.loads(metadata_path(typed).read_text())["battinfo_test"]["artifacts"]
    assert {found["locator"]: found["sha256"] for found in artifacts[1:]} == {
        path.name: sha256_of(path) for path in (text, typed)
    }
    with text.open(newline="") as file:
        assert len(list(csv.reader(file))) == 1 + parquet.read_metadata(typed).num_rows


def test_a_row_takes_less_than_40_bytes(tmp_path: Path, parquet: ModuleType) -> None:
    path = export_bdf_parquet(record(tmp_path, list(rows(1500))))
    assert path.stat().st_size / parquet.read_metadata(path).num_rows < 40


def test_a_run_without_rows_is_an_empty_table(tmp_path: Path, parquet: ModuleType) -> None:
    path = export_bdf_parquet(record(tmp_path, []))
    assert parquet.read_metadata(path).num_rows == 0


def test_without_pyarrow_the_refusal_says_what_to_install_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    run_dir = record(tmp_path, list(rows(2)))
    with pytest.raises(StoreError, match=r"pip install 'cycler-ctl\[parquet\]'"):
        export_bdf_parquet(run_dir)
    assert not (tmp_path / "exports").exists()
