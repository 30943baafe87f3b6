"""The page on the first station tells the truth: its commands run as they stand, with free ports in the place of its own."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "guide" / "first-station.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(?P<kind>\w+) ?(?P<name>\S*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
MODULES = {"cycler-ctl": "cycler_ctl.cli", "cycler-sim": "sim_hardware.cli"}
GOES_ON = {"cycler-sim": '"address"', "cycler-ctl serve": "instrument smu1:"}


def free_ports(count: int) -> list[str]:
    with_sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [str(one.getsockname()[1]) for one in with_sockets]
    for one in with_sockets:
        one.close()
    return ports


class Reader:
    """Types what the page says in one folder; what goes on is ended at the end, the newest first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._going: list[subprocess.Popen[str]] = []
        self.run = "RUN"
        environment = {key: os.environ[key] for key in ("PATH", "SYSTEMROOT", "TMPDIR", "TEMP") if key in os.environ}
        self._environment = {**environment, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "HOME": str(folder)}

    def type(self, line: str) -> str:
        program, *words = shlex.split(line)
        command = [sys.executable, "-m", MODULES[program], *words]
        ready = next((sign for begin, sign in GOES_ON.items() if line.startswith(begin)), None)
        if ready is not None:
            return self._begin(command, ready)
        done = subprocess.run(
            command,
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        if " start " in line:
            self.run = done.stdout.strip()
        return done.stdout + done.stderr

    def _begin(self, command: list[str], ready: str) -> str:
        child = subprocess.Popen(
            command,
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        self._going.append(child)
        said: list[str] = []
        assert child.stdout is not None
        for line in child.stdout:
            said.append(line)
            if ready in line:
                return "".join(said)
        raise AssertionError(said)

    def end(self) -> list[int]:
        codes: list[int] = []
        for child in reversed(self._going):
            child.terminate()
            with child:
                child.communicate(timeout=30)
            codes.append(child.returncode)
        return codes


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    one = Reader(tmp_path)
    yield one
    codes = one.end()
    assert not codes or codes[0] == 0, "the service turned its outputs off and ended"


def follow(reader: Reader, body: str) -> int:
    """Each line expected is the beginning of one that came, in this order; ``...`` stands for any others."""
    told: list[str] = []
    commands = 0
    for line in body.splitlines():
        if line.startswith("$ "):
            told, commands = reader.type(line.removeprefix("$ ").replace("RUN", reader.run)).splitlines(), commands + 1
        elif line != "...":
            expected = " ".join(line.replace("RUN", reader.run).split())
            place = next((at for at, one in enumerate(told) if " ".join(one.split()).startswith(expected)), None)
            assert place is not None, (expected, told)
            told = told[place + 1 :]
    return commands


@pytest.mark.timeout(180)
def test_every_command_of_the_page_works_as_written(reader: Reader, tmp_path: Path) -> None:
    page, commands = PAGE, 0
    for theirs, ours in zip(("5025", "8787"), free_ports(2), strict=True):
        page = page.replace(theirs, ours)
    for match in FENCE.finditer(page):
        if match["name"]:
            (tmp_path / match["name"]).write_text(match["body"], encoding="utf-8")
        if match["kind"] == "console":
            commands += follow(reader, match["body"])
    assert commands >= 12
    assert (tmp_path / "practice.png").stat().st_size > 5_000
