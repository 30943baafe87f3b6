"""A run as a Battery Data Format file that the format's own validator accepts, with its metadata beside it."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path

from cycler_ctl.bdf import Value, bdf_columns, bdf_values
from cycler_ctl.store.export.atomic import whole_file
from cycler_ctl.store.export.metadata import Table, metadata, metadata_text
from cycler_ctl.store.export.names import export_path, metadata_path
from cycler_ctl.store.reader import RunReader, open_run
from protocols.record import Row

PAGE = 5_000


def export_bdf_csv(run_dir: Path, out: Path | None = None) -> Path:
    """Write the run's durable rows; returns the file's path.

    ``out`` is a file, or a folder to hold one with the recommended name; None: ``exports`` beside ``runs``. A run
    that goes on is exported as far as it is. Exporting again replaces the earlier files.
    """
    with open_run(run_dir) as reader:
        path = _path(reader, out)
        backwards, count = 0, 0
        with whole_file(path) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([column.label for column in bdf_columns()])
            before_s = 0.0
            for row in _all_rows(reader):
                writer.writerow([_cell_text(value) for value in bdf_values(row, reader.info.discharge_means)])
                backwards += row.time_s < before_s
                before_s, count = row.time_s, count + 1
        table = Table(path.name, path.stat().st_size, _sha256(path), count, backwards)
        with whole_file(metadata_path(path)) as file:
            file.write(metadata_text(metadata(reader, table)))
    return path


def _path(reader: RunReader, out: Path | None) -> Path:
    folder = reader.run_dir.parent.parent / "exports" if out is None else out
    if out is not None and out.suffix and not out.is_dir():
        return out
    return export_path(folder, reader.run_dir, reader.info)


def _all_rows(reader: RunReader) -> Iterator[Row]:
    after_seq = 0
    while page := reader.rows(after_seq, PAGE):
        yield from page
        after_seq = page[-1].seq


def _cell_text(value: Value) -> Value:
    """A text that a spreadsheet would take for a formula is made plain text (CWE-1236)."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
