"""Every command that prints a table fits the 80 columns of a terminal; its exit status is the one that scripts read."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from threading import Thread

import pytest

from cycler_ctl.cli import main
from protocols.shipped import library

STATION = """
[station]
name = "lab-3"
[http]
listen = "127.0.0.1:9"
[instruments.smu1]
driver = "keithley-2400"
address = "TCPIP0::127.0.0.1::9::SOCKET"
[channels.a1]
instrument = "smu1"
limits = { voltage = "-0.5 V to 5 V", current = "10 mA", step_capacity = "20 mAh" }
temperature = "unmonitored"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CYCLER_CTL_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "station.toml").write_text(STATION, encoding="utf-8")
    shutil.copy(library()["fig_s3_c"], tmp_path / "c.yaml")
    return tmp_path


def status_of(words: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["cycler-ctl", *words.split()])
        with pytest.raises(SystemExit) as ended:
            main()
    code = ended.value.code
    return code if isinstance(code, int) else 0


def on_a_terminal(words: str) -> list[str]:
    """What a person sees whose terminal has 80 columns."""
    person, program = os.openpty()
    seen: list[bytes] = []

    def read() -> None:
        while chunk := os.read(person, 65536):
            seen.append(chunk)
            if b"\x04end" in chunk:
                return

    reader = Thread(target=read)
    reader.start()
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("COLUMNS", "80")
        patch.setenv("NO_COLOR", "1")
        for name in ("stdout", "stderr"):
            stream = stack.enter_context(os.fdopen(os.dup(program), "w", buffering=1, encoding="utf-8"))
            patch.setattr(sys, name, stream)
        status_of(words)
    os.write(program, b"\x04end")
    reader.join()
    os.close(person)
    os.close(program)
    return b"".join(seen).decode().removesuffix("\x04end").replace("\r", "\n").splitlines()


TABLES = (
    "plan c.yaml --channel a1",
    "predict c.yaml --cell-model c --sample-every 600s",
    "runs",
    "drivers",
    "library",
    "service status",
    "--help",
    "start --help",
)


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
@pytest.mark.parametrize("words", TABLES)
@pytest.mark.usefixtures("folder")
def test_a_table_fits_80_columns_and_has_no_colour_where_none_is_wanted(words: str) -> None:
    lines = on_a_terminal(words)
    assert lines
    wide = [line for line in lines if len(line) > 80 and " " in line.strip()]  # a long path is there to be copied
    assert not wide, "\n".join(wide)
    assert not any("\x1b[3" in line for line in lines)


STATUSES = {
    "check station.toml": 0,
    "plan c.yaml": 0,
    "runs": 0,
    "drivers": 0,
    "library": 0,
    "schema station": 0,
    "completion bash": 0,
    "logs": 0,
    "check missing.yaml": 1,
    "plan missing.yaml": 1,
    "plan c.yaml --channel zz": 1,
    "report 1999": 1,
    "export 1999": 1,
    "repair 1999": 1,
    "plot 1999": 1,
    "disarm zz": 1,
    "acknowledge": 1,
    "service uninstall": 1,
    "check": 2,
    "plot": 2,
    "runs --state odd": 2,
    "completion tcsh": 2,
    "no-such-command": 2,
    "status": 3,
    "status --watch": 3,
    "alarms": 3,
    "stop a1": 3,
    "pause a1": 3,
    "resume a1": 3,
    "skip a1": 3,
    "wait 1999": 3,
    "start c.yaml --channel a1": 3,
    "safe-off": 4,
}


@pytest.mark.parametrize("words", STATUSES)
@pytest.mark.usefixtures("folder")
def test_a_command_ends_with_the_status_that_scripts_read(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(words) == STATUSES[words]
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert "\x1b" not in said.out
