"""What exports of every format share: the rows, where the file goes, and the metadata beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cycler_ctl.records.bdf import BdfColumn, Columns, Value, bdf_columns, bdf_values
from cycler_ctl.records.rowclocks import RowClocks
from cycler_ctl.store.export.atomic import Overwriting, sha256_of, whole_file, whole_path
from cycler_ctl.store.export.jsonld import jsonld
from cycler_ctl.store.export.metadata import Seen, Table, metadata, metadata_text
from cycler_ctl.store.export.names import chosen_path, export_path, jsonld_path, metadata_path, siblings
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.progress import Tell, nobody
from cycler_ctl.store.reader import RunReader, open_run
from protocols.record import Counters, Row

PAGE = 5_000


@dataclass(slots=True)
class Count:
    """Of the rows that went by; ``steps`` and ``cycles`` have what passed by the last row of each."""

    rows: int = 0
    clocks: RowClocks = field(default_factory=RowClocks)
    steps: dict[int, Counters] = field(default_factory=dict[int, Counters])
    cycles: dict[int, Counters] = field(default_factory=dict[int, Counters])

    def see(self, row: Row) -> None:
        self.rows += 1
        self.clocks.see(row)
        self.steps[row.step_count] = row.step_total
        self.cycles[row.cycle] = row.cycle_total


Pages = Iterator[list[tuple[Value, ...]]]


@dataclass(frozen=True, slots=True)
class Content:
    """What goes into a file: the values of ``columns``, a list of rows at a time."""

    info: RunInfo
    columns: tuple[BdfColumn, ...]
    pages: Pages


Write = Callable[[Path, Content], None]


@dataclass(frozen=True, slots=True)
class Format:
    suffix: str
    write: Write


def export_table(
    run_dir: Path,
    out: Path | None,
    form: Format,
    columns: Columns,
    overwriting: Overwriting,
    *,
    tell: Tell = nobody,
) -> Path:
    """Let ``form`` make the file of a run's durable rows, with its metadata and JSON-LD beside it; returns its path.

    ``out`` is a file, or a folder to hold one with the recommended name; None: ``exports`` beside ``runs``. A run
    that goes on is exported as far as it is. Exporting again replaces the run's earlier file, and no other unless forced.
    """
    with open_run(run_dir) as reader:
        path, count, chosen = _path(reader, out, form.suffix, overwriting), Count(), bdf_columns(columns)
        with whole_path(path) as unfinished:
            form.write(unfinished, Content(reader.info, chosen, _pages(reader, count, len(chosen), tell)))
        others = [Table(other.name, other.stat().st_size, sha256_of(other)) for other in siblings(path)]
        table = Table(path.name, path.stat().st_size, sha256_of(path))
        seen = Seen(count.rows, count.clocks.untold(reader.events()), count.steps, count.cycles)
        with whole_file(metadata_path(path)) as file:
            file.write(metadata_text(metadata(reader, (table, *others), seen)))
        with whole_file(jsonld_path(path)) as file:
            file.write(metadata_text(jsonld(reader, chosen, (table, *others))))
    return path


def _path(reader: RunReader, out: Path | None, suffix: str, overwriting: Overwriting) -> Path:
    folder = reader.run_dir.parent.parent / "exports" if out is None else out
    if out is not None and out.suffix and not out.is_dir():
        return chosen_path(out, reader.info, overwriting)
    return export_path(folder, reader.run_dir, reader.info, suffix)


def _pages(reader: RunReader, count: Count, width: int, tell: Tell) -> Pages:
    after_seq, means, last_seq = 0, reader.info.discharge_means, reader.last_seq
    while page := reader.rows(after_seq, PAGE):
        for row in page:
            count.see(row)
        yield [bdf_values(row, means)[:width] for row in page]
        after_seq = page[-1].seq
        tell("rows", after_seq, last_seq)
