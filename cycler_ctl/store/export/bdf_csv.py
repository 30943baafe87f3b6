"""A run as a Battery Data Format file that the format's own validator accepts, with its metadata beside it."""

from __future__ import annotations

import csv
from pathlib import Path

from cycler_ctl.records.bdf import Columns, Value
from cycler_ctl.store.export.atomic import Overwriting
from cycler_ctl.store.export.names import CSV
from cycler_ctl.store.export.tables import Content, Format, export_table
from cycler_ctl.store.progress import Tell, nobody


def export_bdf_csv(
    run_dir: Path,
    out: Path | None = None,
    columns: Columns = Columns.PLAIN,
    overwriting: Overwriting = Overwriting.REFUSED,
    tell: Tell = nobody,
) -> Path:
    """Write the run's durable rows, every digit of them; see ``export_table``."""
    return export_table(run_dir, out, Format(CSV, _write), columns, overwriting, tell=tell)


def _write(path: Path, content: Content) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([column.label for column in content.columns])
        for page in content.pages:
            writer.writerows([_cell_text(value) for value in values] for values in page)


def _cell_text(value: Value) -> Value:
    """A text that a spreadsheet would take for a formula is made plain text (CWE-1236)."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value
