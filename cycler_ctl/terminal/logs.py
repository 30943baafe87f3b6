"""``logs``: what the guardian and the station said, in the order of time."""

from __future__ import annotations

import heapq
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from cycler_ctl.watching.logfile import FOLDER

LOOK_EVERY_S = 0.5
_LINE = re.compile(r"(?P<utc>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) (?P<who>\w+) (?P<level>[A-Z]+) (?P<text>.*)")


@dataclass(frozen=True, slots=True)
class Said:
    """One message; ``text`` may have several lines."""

    utc: str
    who: str
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """``since``: UTC; ``channel``: those messages that name it."""

    channel: str = ""
    since: datetime | None = None

    def takes(self, said: Said) -> bool:
        since = "" if self.since is None else self.since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        named = not self.channel or re.search(rf"(?<![a-z0-9-]){re.escape(self.channel)}(?![a-z0-9-])", said.text)
        return said.utc >= since and bool(named)


def show_logs(data_dir: Path, wanted: Wanted, *, follow: bool, as_json: bool) -> int:
    folder = data_dir / FOLDER
    shown = [said for said in read_logs(folder) if wanted.takes(said)]
    _print(shown, as_json=as_json)
    if not shown and not follow:
        sys.stderr.write(f"no such message in {folder}\n")
    while follow:
        Event().wait(LOOK_EVERY_S)
        found = [said for said in read_logs(folder) if wanted.takes(said)]
        _print(newer(shown, found), as_json=as_json)
        shown = found
    return 0


def newer(before: Iterable[Said], now: Iterable[Said]) -> list[Said]:
    """Those that were not there; equal ones are told as often as they were said since."""
    known = list(before)
    found: list[Said] = []
    for said in now:
        if said in known:
            known.remove(said)
        else:
            found.append(said)
    return found


def read_logs(folder: Path) -> list[Said]:
    """Of both, rotated files first."""
    return list(heapq.merge(*(_of(folder, who) for who in ("guardian", "station")), key=lambda said: said.utc))


def _of(folder: Path, who: str) -> Iterator[Said]:
    """Times of one process may step back with its computer's clock: its own order stays."""
    latest = ""
    for file in sorted(folder.glob(f"{who}.log*"), reverse=True):
        for said in _messages(file.read_text(encoding="utf-8", errors="replace").splitlines()):
            latest = max(latest, said.utc)
            yield said


def _messages(lines: Iterable[str]) -> list[Said]:
    found: list[Said] = []
    for line in lines:
        begun = _LINE.fullmatch(line)
        if begun is not None:
            found.append(Said(begun["utc"], begun["who"], begun["level"], begun["text"]))
        elif found:
            last = found[-1]
            found[-1] = Said(last.utc, last.who, last.level, f"{last.text}\n{line}")
    return found


def _print(messages: Iterable[Said], *, as_json: bool) -> None:
    for said in messages:
        text = json.dumps(asdict(said)) if as_json else f"{said.utc} {said.who} {said.level} {said.text}"
        sys.stdout.write(text + "\n")
    sys.stdout.flush()
