"""The formats a run can be exported in, by the name that ``--format`` takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from cycler_ctl.errors import StoreError
from cycler_ctl.records.bdf import Columns
from cycler_ctl.store.export.atomic import Overwriting
from cycler_ctl.store.export.bdf_csv import export_bdf_csv
from cycler_ctl.store.export.bdf_parquet import export_bdf_parquet
from cycler_ctl.store.export.bundle import export_bundle
from cycler_ctl.store.progress import Tell, nobody

FORMATS: Mapping[str, Callable[[Path, Path | None, Columns, Overwriting, Tell], Path]] = {
    "bdf-csv": export_bdf_csv,
    "bdf-parquet": export_bdf_parquet,
    "bundle": export_bundle,
}


def export_run_as(
    kind: str,
    run_dir: Path,
    out: Path | None = None,
    columns: Columns = Columns.PLAIN,
    overwriting: Overwriting = Overwriting.REFUSED,
    *,
    tell: Tell = nobody,
) -> Path:
    """Export a run; ``out`` is a file or a folder, None: ``exports`` beside ``runs``. Returns the file's path."""
    if kind not in FORMATS:
        raise StoreError(f"there is no format {kind!r}; there are {', '.join(FORMATS)}")
    try:
        return FORMATS[kind](run_dir, out, columns, overwriting, tell)
    except OSError as error:
        why = error.strerror or error
        raise StoreError(
            f"the export of {run_dir.name} cannot be written: {why}; what was there before is as it was"
        ) from error
