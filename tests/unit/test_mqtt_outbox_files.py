"""Which run files the outbox keeps open."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from outboxes import MemoryRun, MemoryRuns

from cycler_ctl.publish import openfiles
from cycler_ctl.publish.cursors import Cursors
from cycler_ctl.publish.openfiles import OpenFiles
from cycler_ctl.publish.outbox import Outbox

RUNS = 64


class Counting(MemoryRuns):
    opened = 0

    def open(self, run: str) -> MemoryRun:
        self.opened += 1
        return super().open(run)


@pytest.mark.parametrize(
    ("channels", "handles", "opened"), [(RUNS, 4096, RUNS), (0, 4096, 2 * RUNS), (RUNS, 1024, 2 * RUNS)]
)
def test_a_run_on_each_channel_is_opened_once_where_there_are_handles_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels: int, handles: int, opened: int
) -> None:
    monkeypatch.setattr(openfiles, "_handles", lambda: handles)
    runs = Counting(**{f"r{number}": MemoryRun(rows=3) for number in range(RUNS)})
    with closing(Outbox(Cursors(tmp_path / "outbox.sqlite"), runs, channels=channels)) as outbox:
        for run in (*runs.names(), *runs.names()):
            outbox.durable(run)
    assert runs.opened == opened


def test_of_a_backlog_a_handful_stays_open() -> None:
    runs = Counting(**{f"r{number}": MemoryRun(rows=3) for number in range(RUNS)})
    files = OpenFiles(runs)
    for run in runs.names():
        files.of(run)
    assert runs.opened == RUNS
    for run in list(runs.names())[-32:]:
        files.of(run)
    assert runs.opened == RUNS
    files.close()
