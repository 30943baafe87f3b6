"""Every command that prints a table fits the 80 columns of a terminal; its exit status is the one that scripts read."""

from __future__ import annotations

import json
import os
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from threading import Thread

import pytest

from cycler_ctl.cli import main
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.writer import create_run
from cycler_ctl.terminal.alarms import alarm_lines
from cycler_ctl.terminal.folding import folded
from cycler_ctl.terminal.queueing import Queue, queue_lines
from cycler_ctl.testing.rows import START_UTC_S, cycling_rows
from protocols.record import Outcome
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


RUN = "20261122-101500-a1-7f3k"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CYCLER_CTL_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "station.toml").write_text(STATION, encoding="utf-8")
    shutil.copy(library()["fig_s3_c"], tmp_path / "c.yaml")
    options = WriterOptions(commit_every_s=0.01, minimum_free_bytes=0, reserve_bytes=0)
    info = RunInfo(RUN, 5, "a1", "lab", "site", START_UTC_S, "a name as long as people write them",
                   "", "", {"name": "MG-0142 of the third batch"}, {}, {}, {}, {}, None, 60.0)  # fmt: skip
    writer = create_run(tmp_path / "data", info, on_durable=lambda _: None, utc=lambda: START_UTC_S, options=options)
    writer.append(list(cycling_rows())[:20])
    writer.finish(Outcome.FINISHED, "the end of the protocol")
    assert writer.close()
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
    f"report {RUN}",
    f"repair {RUN}",
    "scan --timeout 0.1",
    "doctor",
    "safe-off",
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


DATA = {
    "check c.yaml": {"list"},
    "plan c.yaml": {"protocol", "steps"},
    "predict c.yaml --cell-model c --sample-every 600s": {"outcome", "cycles"},
    "runs": {"list"},
    f"report {RUN}": {"run"},
    f"export {RUN}": {"file"},
    f"export {RUN} --format bundle": {"file"},
    f"plot {RUN} --kind voltage-time": {"file"},
    f"repair {RUN}": {"run", "mended", "notes"},
    "commands": {"list"},
    "drivers": set[str](),
    "doctor": set[str](),
    "library": set[str](),
    "safe-off": {"outputs", "unknown"},
    "service status": {"installed", "serving"},
}


@pytest.mark.parametrize("words", DATA)
@pytest.mark.usefixtures("folder")
def test_what_a_command_finds_is_one_json_document(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    status_of(f"{words} --json")
    found = json.loads(capsys.readouterr().out)
    assert DATA[words] <= ({"list"} if isinstance(found, list) else set(found))


def test_alarms_queues_and_commands_fit_a_terminal_whatever_they_have_to_say() -> None:
    long = "contact lost: TCPIP0::192.168.0.5::5025::SOCKET has not answered for 1.9 s; " * 3
    alarm = {
        "id": "contact-a1", "severity": "critical", "what": long, "action": long, "detail": long,
        "since_utc_s": 0, "acknowledged_by": "K. Abe",
    }  # fmt: skip
    entry = {"id": "ab12cd34", "protocol": "a life of cells at 60 degC", "cell": "MG-0142 of the third batch",
             "by": "K. Abe of the group", "at_most_s": 1e6}  # fmt: skip
    queue = Queue.model_validate(
        {"channel": "a1", "held": long, "ready": "ab12cd34", "waits": None, "entries": [entry] * 2}
    )
    for line in (*alarm_lines([alarm], 80), *(folded(one, 80) for one in queue_lines(queue))):
        assert all(len(part) <= 80 for part in line.splitlines()), line
