"""A run's finished days as files that never change again, with a manifest: to compare with, and to recover from.

``sealed/<day>_<first seq>.csv.gz`` in the run's folder holds the columns of the run file digit for digit (positive
current oxidises the working electrode), and is the same, byte for byte, whenever it is made of the same rows.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from cycler_ctl.errors import StoreError
from cycler_ctl.store.codec import ROW_COLUMNS, row_from, row_values
from cycler_ctl.store.export.atomic import sha256_of, whole_file, whole_path
from cycler_ctl.store.info import INFO_COLUMNS, info_values
from cycler_ctl.store.reader import RunReader, open_run
from protocols.record import Row

DAY_S = 86_400.0
FOLDER, MANIFEST = "sealed", "manifest.json"
PAGE = 5_000
_TEXTS = frozenset({"step_id", "mode", "mark"})
_WHOLE = frozenset({"seq", "cycle", "step_count", "direction"})


@dataclass(frozen=True, slots=True)
class Seal:
    """One sealed file: rows ``first_seq`` to ``last_seq`` of the run, none missing."""

    name: str
    first_seq: int
    last_seq: int
    byte_size: int
    sha256: str


def seal_days(run_dir: Path, utc_s: float) -> list[Seal]:
    """Seal every UTC day that is over at ``utc_s``, and the last one of a run that has ended; the new seals.

    A day is a stretch of consecutive rows labelled with it: where the clock was set back, a day may have two.
    """
    with open_run(run_dir) as reader:
        ended = reader.state.state == "ended"
        sealed = read_manifest(run_dir)
        new: list[Seal] = []
        for day, rows in groupby(_rows(reader, sealed[-1].last_seq if sealed else 0), _day_of):
            if day >= utc_s // DAY_S and not ended:
                break
            new.append(_seal(run_dir, day, rows))
            _write_manifest(run_dir, reader, [*sealed, *new])
    return new


def read_manifest(run_dir: Path) -> list[Seal]:
    """The seals so far, in order."""
    path = run_dir / FOLDER / MANIFEST
    if not path.is_file():
        return []
    try:
        return [Seal(**seal) for seal in json.loads(path.read_text(encoding="utf-8"))["seals"]]
    except (ValueError, LookupError, TypeError) as error:
        raise StoreError(f"{path} is not a manifest of sealed days: {error}") from error


def check_seals(run_dir: Path) -> list[str]:
    """What is wrong with a run's sealed days, or with its run file compared with them; empty if nothing is."""
    return [trouble for seal in read_manifest(run_dir) if (trouble := _trouble(run_dir, seal)) is not None]


def sealed_rows(run_dir: Path) -> Iterator[Row]:
    """The rows of all sealed days that are as they were sealed."""
    for seal in _believed(run_dir):
        yield from _read(run_dir / FOLDER / seal.name)


def differing_seals(run_dir: Path) -> list[Seal]:
    """Those that are as they were sealed while the run file, which can be read, has other rows."""
    return [seal for seal in _believed(run_dir) if _rows_trouble(run_dir, seal) is not None]


def seal_trouble(run_dir: Path) -> list[str]:
    """What is wrong with the seals themselves."""
    try:
        found = [_file_trouble(run_dir, seal) for seal in read_manifest(run_dir)]
    except StoreError as error:
        return [str(error)]
    return [trouble for trouble in found if trouble is not None]


def _believed(run_dir: Path) -> list[Seal]:
    try:
        return [seal for seal in read_manifest(run_dir) if _file_trouble(run_dir, seal) is None]
    except StoreError:
        return []


def _trouble(run_dir: Path, seal: Seal) -> str | None:
    return _file_trouble(run_dir, seal) or _rows_trouble(run_dir, seal)


def _file_trouble(run_dir: Path, seal: Seal) -> str | None:
    path = run_dir / FOLDER / seal.name
    if not path.is_file():
        return f"{seal.name} is missing"
    return None if sha256_of(path) == seal.sha256 else f"{seal.name} was changed after it was sealed"


def _rows_trouble(run_dir: Path, seal: Seal) -> str | None:
    try:
        with open_run(run_dir) as reader:
            rows = reader.rows(seal.first_seq - 1, seal.last_seq - seal.first_seq + 1)
    except StoreError as error:
        return f"{seal.name} is whole, the run file is not: {error}"
    if rows != list(_read(run_dir / FOLDER / seal.name)):
        return f"the run file differs from {seal.name} in rows {seal.first_seq} to {seal.last_seq}"
    return None


def _day_of(row: Row) -> int:
    return int(row.utc_s // DAY_S)


def _rows(reader: RunReader, after_seq: int) -> Iterator[Row]:
    while page := reader.rows(after_seq, PAGE):
        yield from page
        after_seq = page[-1].seq


def _seal(run_dir: Path, day: int, rows: Iterable[Row]) -> Seal:
    """Write the file under its name only when it is whole and durable."""
    remaining = iter(rows)
    first = next(remaining)
    path = run_dir / FOLDER / f"{datetime.fromtimestamp(day * DAY_S, UTC):%Y-%m-%d}_{first.seq:09d}.csv.gz"
    last_seq = first.seq
    with whole_path(path) as unfinished, _compressed(unfinished) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(ROW_COLUMNS)
        writer.writerow(row_values(first))
        for row in remaining:
            writer.writerow(row_values(row))
            last_seq = row.seq
    return Seal(path.name, first.seq, last_seq, path.stat().st_size, sha256_of(path))


@contextmanager
def _compressed(path: Path) -> Generator[io.TextIOWrapper]:
    """Without the name and the time that gzip would put in."""
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="") as file,
    ):
        yield file


def _write_manifest(run_dir: Path, reader: RunReader, seals: Sequence[Seal]) -> None:
    info = reader.info
    document = {
        "v": 1,
        "run": info.run,
        "epoch": info.epoch,
        "info": dict(zip(INFO_COLUMNS, info_values(info), strict=True)),
        "columns": ROW_COLUMNS,
        "seals": [asdict(s) for s in seals],
    }
    with whole_file(run_dir / FOLDER / MANIFEST) as file:
        file.write(json.dumps(document, indent=2) + "\n")


def _read(path: Path) -> Iterator[Row]:
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            for values in csv.DictReader(file):
                yield row_from([_value(name, values[name]) for name in ROW_COLUMNS])
    except (OSError, EOFError, ValueError, LookupError, TypeError) as error:
        raise StoreError(f"{path} cannot be read: {error}") from error


def _value(name: str, text: str) -> Any:  # noqa: ANN401 - as SQLite would give it
    if name in _TEXTS:
        return text
    if not text:
        return None
    return int(text) if name in _WHOLE else float(text)
