"""A run as a Battery Data Format file in Parquet: the columns of the CSV, typed, at a fraction of its size."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

from cycler_ctl.errors import StoreError
from cycler_ctl.records.bdf import Columns, Value
from cycler_ctl.store.export.atomic import Overwriting
from cycler_ctl.store.export.names import PARQUET
from cycler_ctl.store.export.tables import Content, Format, export_table
from cycler_ctl.store.progress import Tell, nobody

WHOLE_NUMBERS = frozenset({"cycle_count", "step_count", "record_index"})
ROWS_A_GROUP = 100_000
TEXTS = frozenset({"step_type", "step_id"})


def export_bdf_parquet(
    run_dir: Path,
    out: Path | None = None,
    columns: Columns = Columns.PLAIN,
    overwriting: Overwriting = Overwriting.REFUSED,
    tell: Tell = nobody,
) -> Path:
    """Write the run's durable rows; not measured is null. See ``export_table``."""
    _pyarrow("pyarrow")  # before anything is made
    return export_table(run_dir, out, Format(PARQUET, _write), columns, overwriting, tell=tell)


def _write(path: Path, content: Content) -> None:
    """Neighbouring values differ in their last bytes only, which is what splitting them into streams is for."""
    arrow, parquet = _pyarrow("pyarrow"), _pyarrow("pyarrow.parquet")
    types = {"text": arrow.string(), "whole": arrow.int64(), "real": arrow.float64()}
    fields = [(column.label, types[_kind(column.machine_name)]) for column in content.columns]
    about = {"bdf:source": f"cycler-ctl run {content.info.run}", "cycler_ctl:epoch": str(content.info.epoch)}
    schema = arrow.schema(fields).with_metadata(about)
    reals = [column.label for column in content.columns if _kind(column.machine_name) == "real"]
    options = {"compression": "zstd", "use_dictionary": False, "use_byte_stream_split": reals}
    with parquet.ParquetWriter(path, schema, **options) as writer:
        for table in _tables(arrow, schema, content):
            writer.write_table(table)


def _tables(arrow: ModuleType, schema: object, content: Content) -> Iterator[object]:
    """Large row groups: what readers skip by, and what compresses."""
    rows: list[tuple[Value, ...]] = []
    for page in content.pages:
        rows += page
        if len(rows) >= ROWS_A_GROUP:
            yield _table(arrow, schema, rows, len(content.columns))
            rows = []
    yield _table(arrow, schema, rows, len(content.columns))


def _table(arrow: ModuleType, schema: object, rows: list[tuple[Value, ...]], width: int) -> object:
    columns = zip(*rows, strict=True) if rows else ((),) * width
    return arrow.table([list(column) for column in columns], schema=schema)


def _kind(machine_name: str) -> str:
    if machine_name in TEXTS:
        return "text"
    return "whole" if machine_name in WHOLE_NUMBERS else "real"


def _pyarrow(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        raise StoreError("Parquet needs pyarrow: pip install 'cycler-ctl[parquet]', or export bdf-csv") from error
