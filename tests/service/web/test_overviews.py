"""The list of runs: what has ended is opened once, what may still change is opened at every look."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from cycler_ctl.store.reader import RunOverview, overview_of
from cycler_ctl.web import overviews
from cycler_ctl.web.overviews import Overviews
from protocols.record import Outcome

MakeRun = Callable[[Path, str], AbstractContextManager[tuple[Any, list[Any]]]]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs whose files were opened, in order."""
    found: list[str] = []

    def counted(folder: Path) -> RunOverview:
        found.append(folder.name)
        return overview_of(folder)

    monkeypatch.setattr(overviews, "overview_of", counted)
    return found


def ended(make_run: MakeRun, data_dir: Path, run: str) -> None:
    with make_run(data_dir, run) as (writer, rows):
        writer.append(rows[:10])
        writer.finish(Outcome.FINISHED, "every step is done")


def test_a_run_that_has_ended_is_opened_once_and_one_under_way_each_time(
    tmp_path: Path, make_run: MakeRun, opened: list[str]
) -> None:
    for number in range(20):
        ended(make_run, tmp_path, f"20261122-1015{number:02}-a1-0old")
    listed = Overviews(tmp_path)
    with make_run(tmp_path, "20261123-101500-a1-0now") as (writer, rows):
        first = listed.all()
        assert (len(first), len(opened)) == (21, 21)
        writer.append(rows[:5])
        assert writer.flush(20.0)
        again = listed.all()
        assert opened[21:] == ["20261123-101500-a1-0now"]
        assert again[1:] == first[1:]
        assert (again[0]["state"], first[0]["rows"], again[0]["rows"]) == ("running", 0, 5)
        writer.finish(Outcome.STOPPED, "stopped by mi")
    assert listed.all()[0]["outcome"] == "stopped"
    listed.all()
    assert opened[22:] == ["20261123-101500-a1-0now"]


def test_a_file_that_was_put_back_or_mended_is_opened_again(
    tmp_path: Path, make_run: MakeRun, opened: list[str]
) -> None:
    ended(make_run, tmp_path, "20261122-101500-a1-0old")
    listed = Overviews(tmp_path)
    listed.all()
    os.utime(tmp_path / "runs" / "20261122-101500-a1-0old" / "run.sqlite", (1.0, 1.0))
    listed.all()
    assert len(opened) == 2
    (tmp_path / "runs" / "20261122-101500-a1-0old" / "run.sqlite").write_bytes(b"x" * 9000)
    assert [listed.all()[0]["trouble"] is None, listed.all()[0]["trouble"] is None] == [False, False]
    assert len(opened) == 4  # what cannot be read may be read the next time


def test_no_more_are_kept_than_there_is_room_for(tmp_path: Path, make_run: MakeRun, opened: list[str]) -> None:
    for number in range(4):
        ended(make_run, tmp_path, f"20261122-10150{number}-a1-0old")
    listed = Overviews(tmp_path, most_kept=3)
    listed.all()
    listed.all()
    assert opened[4:] == ["20261122-101500-a1-0old"]  # the oldest
