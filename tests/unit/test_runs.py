"""Runs are found again by what people remember of them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

from cycler_ctl.cli import app
from cycler_ctl.records.runs import STATES, Wanted, find_runs, show_runs
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.reader import RunOverview, overview_of
from cycler_ctl.store.writer import create_run
from cycler_ctl.testing.rows import START_UTC_S, Shape, cycling_rows
from protocols.record import Outcome

INFO = RunInfo("", 5, "a1", "lab", "site", START_UTC_S, "Rate test", "", "", {"name": "MG-17"}, *({},) * 4, None, 1.0)
ROWS = list(cycling_rows(Shape(points=3)))


def record(data_dir: Path, run: str, outcome: Outcome | None = Outcome.FINISHED, **more: Any) -> None:
    options = WriterOptions(commit_every_s=0.01, minimum_free_bytes=0, reserve_bytes=0)
    info = replace(INFO, run=run, **more)
    writer = create_run(data_dir, info, on_durable=lambda _: None, utc=lambda: START_UTC_S + 60, options=options)
    writer.append(ROWS)
    if outcome is None:
        writer.interrupt("power cut")
    else:
        writer.finish(outcome, "")
    assert writer.close()


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    record(folder, "20261120-101500-a1-0001")
    record(folder, "20261121-101500-a1-0002", Outcome.TRIPPED, cell={"name": "MG-18"})
    record(folder, "20261122-101500-a1-0003", None, protocol_name="Formation")
    record(folder, "20261122-111500-long-channel-name-0004", protocol_name="試験 [red]" * 20, cell={"name": "電" * 40})
    broken = folder / "runs" / "20261123-101500-a1-0005"
    broken.mkdir()
    (broken / "run.sqlite").write_bytes(b"not a database" * 100)
    return folder


def numbers(data_dir: Path, **wanted: Any) -> list[int]:
    return [int(found.run[-4:]) for found in find_runs(data_dir, Wanted(**wanted))]


def day(number: int) -> datetime:
    return datetime(2026, 11, number, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, [5, 4, 3, 2, 1]),
        ({"cell": "mg-1"}, [3, 2, 1]),
        ({"protocol": "FORM"}, [3]),
        ({"since": day(21)}, [5, 4, 3, 2]),
        ({"until": day(21)}, [2, 1]),
        ({"since": day(22), "until": day(22)}, [4, 3]),
        ({"state": "finished"}, [4, 1]),
        ({"state": "tripped"}, [2]),
        ({"state": "interrupted"}, [3]),
        ({"state": "unreadable"}, [5]),
        ({"cell": "mg-17", "state": "finished"}, [1]),
        ({"cell": "nothing"}, []),
    ],
)
def test_a_search_finds_these_and_no_others_the_newest_first(
    data_dir: Path, wanted: dict[str, Any], expected: list[int]
) -> None:
    assert numbers(data_dir, **wanted) == expected


def test_runs_of_other_days_are_not_opened(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def seen(path: Path) -> RunOverview:
        opened.append(path.name)
        return overview_of(path)

    monkeypatch.setattr("cycler_ctl.records.runs.overview_of", seen)
    assert numbers(data_dir, until=day(20)) == [1]
    assert opened == ["20261120-101500-a1-0001"]


@pytest.mark.parametrize("colour", [{"NO_COLOR": "1"}, {}])
def test_the_table_fits_eighty_columns_with_whole_run_ids_and_colours_only_if_wanted(
    data_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, colour: dict[str, str]
) -> None:
    for name in ("NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "80", **colour}.items():
        monkeypatch.setenv(name, value)
    assert show_runs(data_dir, Wanted(), json_wanted=False) == 0
    said = capsys.readouterr().out
    assert ("\x1b[32m" in said) is not bool(colour)
    if colour:
        assert max(cell_len(line) for line in said.splitlines()) <= 80
        for run in (data_dir / "runs").iterdir():
            assert f"{run.name} " in said
        assert "\x1b" not in said


def test_json_has_the_reason_and_the_place(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show_runs(data_dir, Wanted(state="interrupted"), json_wanted=True) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["reason"], found["protocol"], found["rows"]) == ("power cut", "Formation", len(ROWS))
    assert Path(found["path"]).is_dir()


@pytest.mark.parametrize("wrong", [("--state", "finishd"), ("--since", "tuesday")])
def test_a_word_that_is_none_is_wrong_usage_and_the_words_there_are_stand_in_the_message(
    wrong: tuple[str, str],
) -> None:
    done = CliRunner().invoke(app, ["runs", *wrong, "--config", "nowhere.toml"], env={"COLUMNS": "300"})
    assert done.exit_code == 2
    if wrong[0] == "--state":
        assert all(state in done.output for state in STATES)
