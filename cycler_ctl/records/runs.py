"""``cycler-ctl runs``: the runs on this computer, found again by cell, protocol, day and end."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cycler_ctl.store.reader import RunOverview, overview_of, run_folders
from protocols.diagnostics import printable
from protocols.quantities import format_duration
from protocols.record import Outcome

STATES = ("running", "interrupted", "unreadable", *(outcome.value for outcome in Outcome))
COLOURS = {"finished": "green", "running": "cyan", "stopped": "yellow"}
"""Of the states; whatever is not here needs a look, and is red."""
HEADS = ("run", "state", "took", "rows", "cell", "protocol")
WIDTH = 80
READERS = 8
"""Files opened at once: what takes time is the disk."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """``cell`` and ``protocol`` are parts of names, in any case; days are UTC, as in the run ids, and both count."""

    cell: str = ""
    protocol: str = ""
    since: datetime | None = None
    until: datetime | None = None
    state: str = ""


def show_runs(data_dir: Path, wanted: Wanted, *, json_wanted: bool) -> int:
    found = [run_json(one) for one in find_runs(data_dir, wanted)]
    if json_wanted:
        sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
    elif found:
        _print(found)
    else:
        sys.stderr.write(f"no such run in:\n{data_dir}\n")
    return 0


def find_runs(data_dir: Path, wanted: Wanted) -> Iterator[RunOverview]:
    """The newest first. Days are told by the names of the folders, so that only what may be wanted is opened."""
    folders = [folder for folder in run_folders(data_dir) if _of_these_days(folder.name, wanted)]
    with ThreadPoolExecutor(READERS, thread_name_prefix="runs") as pool:
        for found in pool.map(overview_of, folders):
            if _is_wanted(found, wanted):
                yield found


def state_of(overview: RunOverview) -> str:
    """One word: how it ended, or that it did not."""
    state = overview.state
    if state is None:
        return "unreadable"
    return state.outcome.value if state.outcome else state.state


def run_json(overview: RunOverview) -> dict[str, object]:
    info, state = overview.info, overview.state
    started = datetime.fromtimestamp(info.started_utc_s, UTC).isoformat(timespec="seconds") if info else None
    ended_s = state.ended_utc_s if state else None
    return {
        "run": overview.run,
        "channel": info.channel if info else None,
        "protocol": info.protocol_name if info else None,
        "cell": info.cell.get("name") if info else None,
        "started": started,
        "took_s": ended_s - info.started_utc_s if info and ended_s is not None else None,
        "state": state.state if state else "unreadable",
        "outcome": state.outcome.value if state and state.outcome else None,
        "reason": state.reason if state else overview.trouble,
        "rows": overview.rows,
        "path": str(overview.path),
    }


def _of_these_days(run: str, wanted: Wanted) -> bool:
    day = run[:8]
    since = "" if wanted.since is None else f"{wanted.since:%Y%m%d}"
    return since <= day and (wanted.until is None or day <= f"{wanted.until:%Y%m%d}")


def _is_wanted(found: RunOverview, wanted: Wanted) -> bool:
    cell = str(found.info.cell.get("name") or "") if found.info else ""
    protocol = found.info.protocol_name if found.info else ""
    return (
        wanted.cell.casefold() in cell.casefold()
        and wanted.protocol.casefold() in protocol.casefold()
        and wanted.state in {"", state_of(found)}
    )


def _print(found: Sequence[Mapping[str, object]]) -> None:
    """Run ids are never cut: they are there to be copied. Names take what room is left."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)
    lines = [_texts(one) for one in found]
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="")
    for head, width in zip(HEADS, _widths(lines, console.width), strict=True):
        table.add_column(head, no_wrap=True, width=width, justify="right" if head in {"took", "rows"} else "left")
    for line in lines:
        run, state, *rest = line
        table.add_row(Text(run), Text(state, COLOURS.get(state, "red")), *(Text(text) for text in rest))
    console.print(table)


def _texts(one: Mapping[str, object]) -> tuple[str, ...]:
    took_s = one["took_s"]
    took = format_duration(took_s) if isinstance(took_s, float) and took_s >= 0 else ""
    names = (printable(str(one[key] or "")) for key in ("cell", "protocol"))
    return str(one["run"]), str(one["outcome"] or one["state"]), took, str(one["rows"]), *names


def _widths(lines: Sequence[Sequence[str]], width: int) -> list[int]:
    """Of each column; the cell's and the protocol's names share what the others leave."""
    from rich.cells import cell_len

    most = [max(map(cell_len, column)) for column in zip(HEADS, *lines, strict=True)]
    left = max(width - sum(most[:4]) - 5, 12)
    cell = min(most[4], max(14, left // 3)) if most[4] + most[5] > left else most[4]
    cell = min(cell, left // 2)
    return [*most[:4], cell, min(most[5], left - cell)]
