"""What is still known of a run whose file has lost it: from its other files, its seals, and at last its name."""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cycler_ctl.store.info import INFO_COLUMNS, checked_run_id
from cycler_ctl.store.pages import records
from cycler_ctl.store.salvage import RUN_COLUMNS, Values, best_run
from cycler_ctl.store.segment import open_for_reading, segment_path

MANIFEST = Path("sealed") / "manifest.json"
_NUMBER = re.compile(r"run(?:-(\d+))?\.(?:sqlite|repaired)")
_FIRST = {
    "first_seq": ("samples", "seq"),
    "first_event": ("events", "id"),
    "first_step": ("steps", "id"),
    "first_cycle": ("cycles", "id"),
}
_INFO = len(INFO_COLUMNS) + 1


@dataclass(frozen=True, slots=True)
class About:
    """A segment's row about its run; ``known``: it is the file's own."""

    values: Values
    known: bool

    @property
    def first_seq(self) -> int:
        return int(self.values[RUN_COLUMNS.index("first_seq")] or 1)


def segment_numbers(run_dir: Path) -> list[int]:
    """All there must be, from 1 to the last one there is."""
    found = [int(match[1] or 1) for path in run_dir.iterdir() if (match := _NUMBER.fullmatch(path.name))]
    return list(range(1, max(found, default=1) + 1))


def run_values(run_dir: Path, number: int, found: Iterable[Values] | None = None) -> About:
    """``found``: what was salvaged of it already."""
    own = best_run(_of_file(segment_path(run_dir, number)) if found is None else found, run_dir.name)
    if own is not None:
        return About(own, known=True)
    others = [other for other in segment_numbers(run_dir) if other != number]
    nearest = sorted(others, key=lambda other: abs(other - number))
    for other in nearest:
        values = best_run(_of_file(segment_path(run_dir, other)), run_dir.name)
        if values is not None:
            return About(_as_segment(values[1:_INFO], number), known=False)
    return About(_as_segment(_sealed(run_dir) or _named(run_dir.name), number), known=False)


def _of_file(path: Path) -> Iterator[Values]:
    for record in records(path):
        if len(record.values) == len(RUN_COLUMNS) and record.rowid == 1 and record.values[0] is None:
            yield (1, *record.values[1:])


def _as_segment(info: Values, number: int) -> Values:
    """With an epoch of its own, since which one it had is not known; where its numbers begin neither."""
    about = dict(zip(INFO_COLUMNS, info, strict=True)) | {"epoch": secrets.randbits(48)}
    return (1, *about.values(), "running", None, "", None, number, 1, 1, 1, 1)


def _sealed(run_dir: Path) -> Values | None:
    """As the manifest of the sealed days has it."""
    try:
        info = json.loads((run_dir / MANIFEST).read_text(encoding="utf-8"))["info"]
        return tuple(info[name] for name in INFO_COLUMNS)
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _named(run: str) -> Values:
    """YYYYMMDD-hhmmss-<channel>-<4 random>"""
    began = datetime.strptime(checked_run_id(run)[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    texts = ("", "", "")
    return (run, 0, run[16:-5], "", "", began.timestamp(), *texts, "{}", "{}", "{}", "{}", "{}", None, 1.0)


def begun(values: Values, scratch: sqlite3.Connection, before: Path) -> Values:
    """With the lowest numbers salvaged, or where there are none those that follow the file before."""
    found = dict(zip(RUN_COLUMNS, values, strict=True))
    with closing(open_for_reading(before)) as earlier:
        for name, (table, key) in _FIRST.items():
            lowest = f"SELECT min({key}) FROM {table}"  # noqa: S608 - names are ours
            following = f"SELECT max({key}) + 1 FROM {table}"  # noqa: S608
            found[name] = scratch.execute(lowest).fetchone()[0] or earlier.execute(following).fetchone()[0] or 1
    return tuple(found.values())
