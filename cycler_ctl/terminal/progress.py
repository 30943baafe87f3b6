"""Bars for what takes longer than a person likes to wait: on standard error, and only where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager

from cycler_ctl.store.progress import Tell, nobody

PER_S, STEPS = 8, 400


@contextmanager
def progress(*, wanted: bool = True) -> Generator[Tell]:
    """One bar for each thing that is told of; all are gone when the block ends, for what counts is what it made."""
    if not (wanted and sys.stderr.isatty()):
        yield nobody
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    bars: dict[str, TaskID] = {}
    seen: dict[str, int] = {}
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=PER_S, transient=True) as shown:

        def tell(what: str, done: int, of: int | None) -> None:
            if what not in bars:
                bars[what] = shown.add_task(what, total=of)
            elif of is not None and seen[what] < done < min(seen[what] + of // STEPS, of):
                return  # painting each row would take longer than reading it
            seen[what] = done
            shown.update(bars[what], completed=done if of is None else min(done, of), total=of)

        yield tell
