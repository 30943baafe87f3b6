"""One line for each run, as the list of runs shows them: a run that has ended is opened once, for it never changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

from cycler_ctl.store.reader import RunOverview, overview_of, run_folders
from cycler_ctl.store.segment import segment_paths
from protocols.record import JSON

MOST_KEPT = 10_000
"""Of the newest; about 10 MB."""
Line: TypeAlias = Mapping[str, JSON]
Files: TypeAlias = tuple[tuple[int, int], ...]
"""Size and time of the last change of each: what is repaired or put back from a copy is read again."""


class Overviews:
    """For one thread."""

    def __init__(self, data_dir: Path, most_kept: int = MOST_KEPT) -> None:
        self._data_dir = data_dir
        self._most_kept = most_kept
        self._kept: dict[str, tuple[Files, Line]] = {}

    def all(self) -> list[Line]:
        """Newest first."""
        kept: dict[str, tuple[Files, Line]] = {}
        lines: list[Line] = []
        for folder in run_folders(self._data_dir):
            files, line, final = self._line(folder)
            lines.append(line)
            if final and len(kept) < self._most_kept:
                kept[folder.name] = (files, line)
        self._kept = kept
        return lines

    def _line(self, folder: Path) -> tuple[Files, Line, bool]:
        """The files are looked at before they are read: a change in between is seen the next time."""
        files = _files(folder)
        known = self._kept.get(folder.name)
        if known is not None and known[0] == files:
            return files, known[1], True
        found = overview_of(folder)
        return files, _told(found), found.state is not None and found.state.state == "ended"


def _files(folder: Path) -> Files:
    try:
        seen = [path.stat() for path in segment_paths(folder)]
    except OSError:  # it is being moved away
        return ()
    return tuple((one.st_size, one.st_mtime_ns) for one in seen)


def _told(found: RunOverview) -> Line:
    info, state = found.info, found.state
    line: dict[str, JSON] = {"run": found.run, "rows": found.rows, "trouble": found.trouble}
    if info is not None:
        cell = info.cell.get("name")
        line |= {
            "channel": info.channel,
            "protocol": info.protocol_name,
            "cell": cell,
            "started_utc_s": info.started_utc_s,
        }
    if state is not None:
        line |= asdict(state)
    return line
