"""Which run files the outbox keeps open."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from outboxes import MemoryRun, MemoryRuns

from cycler_ctl.publish.cursors import Cursors
from cycler_ctl.publish.openfiles import OpenFiles
from cycler_ctl.publish.outbox import Outbox

RUNS = 64


class Counting(MemoryRuns):
    opened = 0

    def open(self, run: str) -> MemoryRun:
        self.opened += 1
        return super().open(run)


@pytest.mark.parametrize(("channels", "opened"), [(RUNS, RUNS), (0, 2 * RUNS)])
def test_a_run_on_each_channel_is_opened_once(tmp_path: Path, channels: int, opened: int) -> None:
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
