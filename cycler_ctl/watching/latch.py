"""A station that fails again and again is not started any more until a person has looked (reliability I-9).

``latch.jsonl`` keeps that across the end of every process, and who looked when: a line for each time it was held back
and each acknowledgement. The last line counts; a file that nobody can read holds it back. A channel that waits for a
person and has no run whose record says so has such a file of its own, ``latch-<channel>.jsonl``.
"""

from __future__ import annotations

import json
from collections import deque
from datetime import UTC, datetime
from pathlib import Path

from cycler_ctl.errors import StoreError
from cycler_ctl.watching.register import replace_file

RESTARTS, RESTARTS_WITHIN_S = 3, 60.0
LATCH_FILE = "latch.jsonl"
LATCHED, ACKNOWLEDGED = "latched", "acknowledged"
TOO_OFTEN = f"it failed after {RESTARTS} restarts in {RESTARTS_WITHIN_S:.0f} s"


class Restarts:
    """Of one guardian, by its own clock."""

    def __init__(self) -> None:
        self._at_s: deque[float] = deque(maxlen=RESTARTS)

    def one_more(self, now_s: float) -> bool:
        """Whether the station may be started again now; if so it counts."""
        if sum(now_s - at_s < RESTARTS_WITHIN_S for at_s in self._at_s) >= RESTARTS:
            return False
        self._at_s.append(now_s)
        return True

    def begin_anew(self) -> None:
        self._at_s.clear()


def latched(data_dir: Path, channel: str | None = None) -> str | None:
    """Since when and why the station of this folder, or a channel of it, is held back; None: it may be started."""
    path = _file(data_dir, channel)
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        last = json.loads(lines[-1]) if lines else {"what": ACKNOWLEDGED}
        return None if last["what"] == ACKNOWLEDGED else f"{last['reason']}, at {last['utc']}"
    except (OSError, ValueError, TypeError, KeyError) as error:
        return f"{path} cannot be read: {error}"


def hold_back(data_dir: Path, reason: str, utc_s: float, channel: str | None = None) -> None:
    _add(_file(data_dir, channel), {"what": LATCHED, "utc": _text(utc_s), "reason": reason})


def acknowledge(data_dir: Path, by: str, utc_s: float, channel: str | None = None) -> None:
    _add(_file(data_dir, channel), {"what": ACKNOWLEDGED, "utc": _text(utc_s), "by": by})


def _file(data_dir: Path, channel: str | None) -> Path:
    return data_dir / (LATCH_FILE if channel is None else f"latch-{channel}.jsonl")


def _add(path: Path, line: dict[str, str]) -> None:
    """StoreError: it is not on disk. The file is replaced as a whole, so no line of it is ever a torn one."""
    try:
        before = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error}") from error
    replace_file(path, "".join(f"{one}\n" for one in (*before.splitlines(), json.dumps(line))))


def _text(utc_s: float) -> str:
    return datetime.fromtimestamp(utc_s, UTC).isoformat(timespec="seconds")
