"""Everything of one run in a zip that stands alone, for a paper's repository or a colleague without this program."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from cycler_ctl.errors import StoreError
from cycler_ctl.records.bdf import Columns
from cycler_ctl.report.facts import gather
from cycler_ctl.report.page import report_html, report_text
from cycler_ctl.store.export.atomic import Overwriting, outside_runs, sha256_of, whole_path
from cycler_ctl.store.export.bdf_csv import export_bdf_csv
from cycler_ctl.store.export.names import export_path
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.progress import Tell, nobody
from cycler_ctl.store.reader import open_run
from cycler_ctl.store.segment import segment_paths

CHECKSUMS = "SHA256SUMS"
RUN_FILE = re.compile(r"runs/[a-z0-9-]+/run(-\d+)?\.sqlite")
_README = """Run {run} of cycler-ctl.

data/          the measurements as Battery Data Format (CSV), with their metadata
runs/          the run file itself: SQLite, every value to the last bit, with events and summaries
protocol.yaml  the protocol as it was executed
report.txt, report.html
               one page on what was run, how it ended and what happened
cell.json, plan.json, settings.json, instrument.json, versions.json
               the cell, the plan, the channel's settings, the instrument and the programs
SHA256SUMS     checksums of all of these: sha256sum -c SHA256SUMS

{sign}
In Python: cycler_ctl.reading.open_recording("this.zip")
"""
_SIGN = (
    "In the run file positive current oxidises the working electrode; for the CSV see its metadata (sign_convention)."
)


def export_bundle(
    run_dir: Path,
    out: Path | None = None,
    columns: Columns = Columns.PLAIN,
    overwriting: Overwriting = Overwriting.REFUSED,
    tell: Tell = nobody,
) -> Path:
    """Write ``<run>.zip``; ``out`` is a file or a folder, None: ``exports`` beside ``runs``.

    All of it is of one moment: data and report are made from the copy of the run file that lies beside them.
    """
    with open_run(run_dir) as reader:
        info = reader.info
    path = _path(run_dir, info, out, overwriting)
    with tempfile.TemporaryDirectory() as name, whole_path(path) as unfinished:
        folder = Path(name)
        _collect(folder, run_dir, info, columns, tell)
        _write_checksums(folder)
        _zip(folder, unfinished, datetime.fromtimestamp(max(info.started_utc_s, 315_532_800.0), UTC))
    return path


def verify_bundle(path: Path) -> list[str]:
    """The names in a bundle that are missing, changed or not in its checksums; empty if it is as it was written."""
    try:
        with zipfile.ZipFile(path) as archive:
            expected = _checksums(archive.read(CHECKSUMS).decode())
            found = {name: _sha256(archive, name) for name in archive.namelist() if name != CHECKSUMS}
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise StoreError(f"{path} is no bundle of a run: {error}") from error
    return sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))


def unpack_run(path: Path, folder: Path) -> Path:
    """Put a bundle's run files into ``folder``, under names of ours; returns the run's folder."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if RUN_FILE.fullmatch(name)]
            for name in names:
                with archive.open(name) as packed, (folder / PurePosixPath(name).name).open("wb") as file:
                    while block := packed.read(1 << 20):
                        file.write(block)
    except (OSError, zipfile.BadZipFile) as error:
        raise StoreError(f"{path} is no bundle of a run: {error}") from error
    if not names:
        raise StoreError(f"{path} is no bundle of a run: it holds no run file")
    return folder


def _path(run_dir: Path, info: RunInfo, out: Path | None, overwriting: Overwriting) -> Path:
    if out is not None and out.suffix == ".zip" and not out.is_dir():
        if overwriting is Overwriting.REFUSED and out.exists() and not _is_of(outside_runs(out), info.run):
            raise StoreError(f"{out} is there already and no bundle of this run: name another file, or say --force")
        return outside_runs(out)
    return (run_dir.parent.parent / "exports" if out is None else out) / f"{info.run}.zip"


def _is_of(path: Path, run: str) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return f"runs/{run}/run.sqlite" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def _collect(folder: Path, run_dir: Path, info: RunInfo, columns: Columns, tell: Tell) -> None:
    copy = folder / "runs" / info.run
    copy.mkdir(parents=True)
    for path in segment_paths(run_dir):
        _snapshot(path, copy / path.name)
    export_bdf_csv(copy, export_path(folder / "data", run_dir, info), columns, tell=tell)
    (folder / "protocol.yaml").write_text(info.protocol_text, encoding="utf-8", newline="")
    for name in ("cell", "plan", "settings", "instrument", "versions"):
        text = json.dumps(getattr(info, name), ensure_ascii=False, indent=2)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    (folder / "README.txt").write_text(_README.format(run=info.run, sign=_SIGN), encoding="utf-8")
    with open_run(copy) as reader:
        facts = gather(reader, tell)
    (folder / "report.txt").write_text(report_text(facts), encoding="utf-8")
    (folder / "report.html").write_text(report_html(facts), encoding="utf-8")


def _snapshot(path: Path, copy: Path) -> None:
    """One consistent copy, also while the run goes on; the file itself is only ever opened by SQLite."""
    try:
        with (
            closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise StoreError(f"cannot copy {path}: {error}") from error


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path


def _write_checksums(folder: Path) -> None:
    lines = [f"{sha256_of(path)}  {name}\n" for name, path in _files(folder)]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def _checksums(text: str) -> dict[str, str]:
    pairs = (line.split("  ", 1) for line in text.splitlines())
    return {name: digest for digest, name in pairs}


def _sha256(archive: zipfile.ZipFile, name: str) -> str:
    with archive.open(name) as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
        return digest.hexdigest()


def _zip(folder: Path, path: Path, when: datetime) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in _files(folder):
            entry = zipfile.ZipInfo(name, when.timetuple()[:6])
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            with file.open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                while block := source.read(1 << 20):
                    target.write(block)
