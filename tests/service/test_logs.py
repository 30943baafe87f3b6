"""The service's log: bounded, without secrets, never waited for; and what the shell is offered."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cycler_ctl.terminal.completing import SHELLS, script
from cycler_ctl.terminal.logs import Said, Wanted, newer, read_logs, show_logs
from cycler_ctl.watching import logfile
from cycler_ctl.watching.logfile import FOLDER, SECRETS, log_file

STATION = '[station]\nname = "lab"\n[channels.a1]\n[channels.b2]\nnonsense = 3\n'


def logger(name: str) -> logging.Logger:
    made = logging.getLogger(name)
    made.setLevel(logging.INFO)
    made.propagate = False
    return made


def test_what_both_processes_say_is_shown_in_the_order_of_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for who in ("guardian", "station"):
        with log_file(tmp_path, who, logger(f"trial.{who}")):
            logger(f"trial.{who}").warning("channel a1: %s\n2026-01-01T00:00:00Z guardian INFO forged", who)
    found = read_logs(tmp_path / FOLDER)
    assert {one.who for one in found} == {"guardian", "station"}
    assert len(found) == 2
    assert show_logs(tmp_path, Wanted("a1"), follow=False, as_json=True) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    show_logs(tmp_path, Wanted("a"), follow=False, as_json=False)
    assert "no such message" in capsys.readouterr().err
    assert not Wanted(since=datetime(2100, 1, 1, tzinfo=UTC)).takes(found[0])


def test_no_secret_reaches_the_disk(tmp_path: Path) -> None:
    with log_file(tmp_path, "station", logger("trial.secrets")):
        logger("trial.secrets").info(
            "page http://127.0.0.1:8787/#token=abc-123 mqtts://lab:hunter2@broker Bearer xyz987"
        )
    text = (tmp_path / FOLDER / "station.log").read_text(encoding="utf-8")
    assert "127.0.0.1:8787" in text
    assert not any(secret in text for secret in ("abc-123", "hunter2", "xyz987"))
    assert SECRETS.sub("", "nothing to hide") == "nothing to hide"


def test_a_log_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logfile, "LARGEST_BYTES", 2000)
    with log_file(tmp_path, "station", logger("trial.small")):
        for number in range(500):
            logger("trial.small").info("line %d of many that say nothing new", number)
    files = list((tmp_path / FOLDER).iterdir())
    assert len(files) == logfile.KEPT + 1
    assert sum(file.stat().st_size for file in files) <= 2000 * len(files)
    assert "line 499" in read_logs(tmp_path / FOLDER)[-1].text


def test_a_folder_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("in the way", encoding="ascii")
    with log_file(tmp_path, "station", logger("trial.blocked")):
        logger("trial.blocked").info("said all the same")


def test_following_tells_each_message_once_though_two_are_alike() -> None:
    one, two = (Said("t", "station", "INFO", text) for text in "ab")
    assert newer([one, two], [one, two, two]) == [two]


def complete(folder: Path, words: str, place: int) -> list[str]:
    """As bash asks."""
    told = {"_CYCLER_CTL_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(place)}
    code = "import sys; sys.argv[0] = 'cycler-ctl'; from cycler_ctl.cli import app; app(prog_name='cycler-ctl')"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.stdout.split()


def test_channels_and_runs_are_offered_without_a_service_and_from_a_file_with_errors(tmp_path: Path) -> None:
    (tmp_path / "station.toml").write_text(STATION, encoding="utf-8")
    for run in ("20261122-101500-a1-7f3k", "20261123-101500-a1-8g4m"):
        (tmp_path / "data" / "runs" / run).mkdir(parents=True)
    assert complete(tmp_path, "cycler-ctl stop ", 2) == ["a1", "b2"]
    assert complete(tmp_path, "cycler-ctl export 20261123", 2) == ["20261123-101500-a1-8g4m"]
    (tmp_path / "station.toml").write_text("[", encoding="utf-8")
    assert complete(tmp_path, "cycler-ctl stop ", 2) == []


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gets_a_script_that_asks_us(shell: str) -> None:
    assert "_CYCLER_CTL_COMPLETE" in script(shell)
