"""What takes long says how far it is, to a person alone; what is interrupted leaves nothing half-written."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from cycler_ctl.clock import SystemClock
from cycler_ctl.store.export.atomic import STRAY_S, whole_path
from cycler_ctl.store.export.formats import export_run_as
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.writer import create_run
from cycler_ctl.terminal.progress import progress
from cycler_ctl.testing.rows import START_UTC_S, cycling_rows
from protocols.record import Outcome

RUN = "20261122-101500-a1-7f3k"
INFO = RunInfo(RUN, 5, "a1", "lab", "site", START_UTC_S, "", "", "", {}, {}, {}, {}, {}, None, 60.0)
LONG = {
    "export": ["export", "--all-columns", "-o", "out/x.bdf.csv"],
    "bundle": ["export", "--format", "bundle", "-o", "out/x.zip"],
    "plot": ["plot", "-o", "out/x.png"],
    "report": ["report", "-o", "out/x.html"],
}
PAUSING = """
import sys
from cycler_ctl.store.export import atomic

def pause(path):
    print("at", path, flush=True, file=sys.stderr)
    sys.stdin.read(1)

atomic.sync_file = pause
from cycler_ctl.cli import main
main()
"""
"""The command as it is, but that it stands still where its file is written and has not got its name yet."""


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = WriterOptions(commit_every_s=0.01, minimum_free_bytes=0, reserve_bytes=0)
    folder = tmp_path_factory.mktemp("data")
    writer = create_run(folder, INFO, on_durable=lambda _: None, utc=lambda: START_UTC_S, options=options)
    writer.append(list(cycling_rows())[:60])
    writer.finish(Outcome.FINISHED, "")
    assert writer.close()
    return writer.run_dir


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT is POSIX")
@pytest.mark.parametrize("words", LONG.values(), ids=LONG)
def test_ctrl_c_leaves_no_part_of_a_file_behind(words: list[str], run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    command = [sys.executable, "-c", PAUSING, words[0], str(run_dir), *words[1:]]
    with subprocess.Popen(
        command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith(b"at ")
        assert [file.suffix for file in (tmp_path / "out").iterdir()] == [".part"]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert list((tmp_path / "out").iterdir()) == []


def test_what_a_killed_program_left_is_swept_by_the_next_try_and_anothers_work_is_not(tmp_path: Path) -> None:
    old, young, foreign = (tmp_path / name for name in (".x.csv.ab12.part", ".x.csv.cd34.part", ".y.csv.ab12.part"))
    long_ago = SystemClock().utc() - STRAY_S - 60
    for file in (old, young, foreign):
        file.touch()
    for file in (old, foreign):
        os.utime(file, (long_ago, long_ago))
    with whole_path(tmp_path / "x.csv") as unfinished:
        unfinished.write_text("1")
    assert sorted(file.name for file in tmp_path.iterdir()) == [young.name, foreign.name, "x.csv"]


@pytest.mark.parametrize("kind", ["bdf-csv", "bdf-parquet", "bundle"])
def test_an_export_tells_of_its_last_row(kind: str, run_dir: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    export_run_as(kind, run_dir, tmp_path, tell=lambda what, done, of: told.append((what, done, of)))
    assert told[0] == ("rows", 60, 60)
    assert {what for what, _, _ in told} == ({"rows", "report"} if kind == "bundle" else {"rows"})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("person", "wanted"), [(True, True), (True, False), (False, True)])
def test_a_bar_is_painted_for_a_person_and_for_nobody_else(
    person: bool, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Terminal() if person else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    with progress(wanted=wanted) as tell:
        for row in range(1, 1001):
            tell("rows", row, 1000)
    painted = stream.getvalue()
    assert ("rows" in painted and "100%" in painted) is (person and wanted)
    assert bool(painted) is (person and wanted)


def seen_by(command: list[str], **more: str) -> Iterator[bytes]:
    """What a person with 80 columns sees of a command."""
    person, program = os.openpty()
    chunks: list[bytes] = []

    def read() -> None:
        while chunk := os.read(person, 65536):
            chunks.append(chunk)
            if chunk.endswith(b"\x04"):
                return

    reader = Thread(target=read)
    reader.start()
    environment = {key: value for key, value in os.environ.items() if key not in COLOURS} | more
    full = [sys.executable, "-m", "cycler_ctl.cli", *command]
    subprocess.run(full, check=True, stdout=program, stderr=program, env={**environment, "TERM": "xterm"})
    os.write(program, b"\x04")
    reader.join(30)
    for descriptor in (person, program):
        os.close(descriptor)
    yield from chunks


COLOURS = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE")


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
@pytest.mark.parametrize(("wish", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_has_colours_unless_no_color_is_set(wish: dict[str, str], coloured: bool, run_dir: Path) -> None:
    seen = b"".join(seen_by(["export", str(run_dir), "--force"], **wish))
    assert (b"\x1b[3" in seen or b"\x1b[1;3" in seen or b"\x1b[38;" in seen) is coloured
    assert b".bdf.csv" in seen


@pytest.mark.parametrize("wish", [{"FORCE_COLOR": "1"}, {"CLICOLOR": "1", "CLICOLOR_FORCE": "1"}])
def test_a_program_reads_one_document_without_colour_or_bar_whatever_colours_are_asked_for(
    wish: dict[str, str], run_dir: Path
) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in COLOURS} | wish
    command = [sys.executable, "-m", "cycler_ctl.cli", "export", str(run_dir), "--json"]
    ended = subprocess.run(command, check=True, capture_output=True, env=environment)
    assert ended.stderr == b""
    assert json.loads(ended.stdout)["file"].endswith(".bdf.csv")
