"""The terminal and the service: what is watched, what is asked before it is done, and what a break looks like."""

from __future__ import annotations

import asyncio
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cycler_ctl.config import HttpSettings
from cycler_ctl.errors import RefusedError
from cycler_ctl.live import ChannelState
from cycler_ctl.terminal.alarms import short_lines
from cycler_ctl.terminal.asking import Asking
from cycler_ctl.terminal.channel_table import channel_lines
from cycler_ctl.terminal.client import UnreachableError, client_of
from cycler_ctl.terminal.remote import Start, act, start_run
from cycler_ctl.terminal.status import mqtt_trouble, show_status
from cycler_ctl.terminal.stream import Lost, News, follow
from cycler_ctl.terminal.watching import Seen, head_line, page, told
from protocols.shipped import library

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
TOKEN = "a-token-for-tests-" + "x" * 25
RUN = "20261122-101500-a1-k3x1"
STATION = """
[station]
name = "lab-3"
[http]
listen = "{listen}"
token_file = "token"
[instruments.smu1]
driver = "keithley-2400"
address = "TCPIP0::127.0.0.1::9::SOCKET"
[channels.a1]
instrument = "smu1"
limits = {{ voltage = "-0.5 V to 5 V", current = "10 mA", step_capacity = "20 mAh" }}
temperature = "unmonitored"
"""


def station_file(folder: Path, url: str) -> Path:
    (folder / "token").write_text(TOKEN)
    (folder / "token").chmod(0o600)
    file = folder / "station.toml"
    file.write_text(STATION.format(listen=url.removeprefix("http://")), encoding="utf-8")
    shutil.copy(library()["fig_s3_c"], folder / "c.yaml")
    return file


class Terminal:
    """The person's end of a pseudo-terminal."""

    def __init__(self, person: int, program: int) -> None:
        self.person, self.program, self.seen = person, program, ""

    def types(self, text: str) -> None:
        os.write(self.person, text.encode())

    async def sees(self, text: str) -> None:
        async with asyncio.timeout(20):
            while text not in self.seen:
                self.seen += (await asyncio.to_thread(os.read, self.person, 65536)).decode()

    def outlives(self, process: subprocess.Popen[bytes]) -> int:
        """The status it ends with; what it still writes must have room to go to."""
        while process.poll() is None:
            if select.select([self.person], [], [], 0.05)[0]:
                os.read(self.person, 65536)
        return process.returncode


@contextmanager
def a_terminal(columns: int = 80) -> Iterator[Terminal]:
    import fcntl
    import struct
    import termios

    person, program = os.openpty()
    fcntl.ioctl(program, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    try:
        yield Terminal(person, program)
    finally:
        os.close(person)
        os.close(program)


@asynccontextmanager
async def at_terminal() -> AsyncIterator[Terminal]:
    """This process's standard streams are the terminal's. (A fixture's would be taken back by pytest.)"""
    with a_terminal() as made, pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
            stream = stack.enter_context(os.fdopen(os.dup(made.program), mode, buffering=1, encoding="utf-8"))
            patch.setattr(sys, name, stream)
        yield made


async def test_a_start_in_a_terminal_shows_the_plan_first_and_begins_nothing_without_a_yes(
    lab: Any, tmp_path: Path
) -> None:
    lab.station.change("a1", ChannelState.IDLE, energised=False)
    async with lab.serve() as url, at_terminal() as terminal:
        file = station_file(tmp_path, url)
        for answer in ("\n", "n\n", "yess\n"):
            terminal.types(answer)
            with pytest.raises(RefusedError, match="nothing was done"):
                await asyncio.to_thread(start_run, Start(tmp_path / "c.yaml", "a1"), file, Asking(), as_json=False)
        assert lab.actions.asked == []
        terminal.types("y\n")
        assert await asyncio.to_thread(start_run, Start(tmp_path / "c.yaml", "a1"), file, Asking(), as_json=False) == 0
        assert [one[0] for one in lab.actions.asked] == ["start"]
        await terminal.sees("Start cell")
    for word in ("0.3927 mA", "station lab-3, channel a1 (smu1): idle now", "voltage <=", "[y/N]"):
        assert word in terminal.seen
    lines = [line.rstrip("\r") for line in terminal.seen.split("\n")]
    assert [
        line for line in lines if len(line) > 80 and "c.yaml" not in line
    ] == []  # the path of the file is what it is


async def test_what_the_channel_would_refuse_is_not_even_asked(lab: Any, tmp_path: Path) -> None:
    async with lab.serve() as url, at_terminal():
        file = station_file(tmp_path, url)
        file.write_text(file.read_text().replace('current = "10 mA"', 'current = "0.1 mA"'))
        with pytest.raises(RefusedError, match="would refuse"):
            await asyncio.to_thread(start_run, Start(tmp_path / "c.yaml", "a1"), file, Asking(), as_json=False)
    assert lab.actions.asked == []


async def test_scripts_are_never_asked(lab: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not Asking(yes=True).wanted()
    async with lab.serve() as url:
        file = station_file(tmp_path, url)
        assert await asyncio.to_thread(start_run, Start(tmp_path / "c.yaml", "a1"), file, Asking(), as_json=True) == 0
        assert json.loads(capsys.readouterr().out) == {"run": "20261122-120000-a1-abcd"}
        assert await asyncio.to_thread(act, "skip", "a1", file, Asking()) == 0
    assert [one[0] for one in lab.actions.asked] == ["start", "skip"]


@pytest.mark.parametrize("action", ["skip", "resume"])
async def test_a_skip_or_resume_is_of_what_was_shown_and_of_nothing_that_came_since(
    action: str, lab: Any, tmp_path: Path
) -> None:
    async with lab.serve() as url, at_terminal() as terminal:
        file = station_file(tmp_path, url)
        asked = asyncio.create_task(asyncio.to_thread(act, action, "a1", file, Asking()))
        await terminal.sees("[y/N]")
        lab.station.put(replace(lab.station.statuses["a1"], step="9.9"))
        terminal.types("y\n")
        with pytest.raises(RefusedError, match="has gone on meanwhile"):
            await asked
        assert lab.actions.asked == []
        terminal.types("y\n")
        assert await asyncio.to_thread(act, action, "a1", file, Asking()) == 0
        assert [one[0] for one in lab.actions.asked] == [action]


async def test_a_stop_asks_nobody(lab: Any, tmp_path: Path) -> None:
    async with lab.serve() as url, at_terminal():
        assert await asyncio.to_thread(act, "stop", "a1", station_file(tmp_path, url), Asking()) == 0
    assert [one[0] for one in lab.actions.asked] == ["stop"]


async def test_the_stream_is_followed_through_a_break_and_the_break_is_told(lab: Any, tmp_path: Path) -> None:
    async with lab.serve() as url:
        file = station_file(tmp_path, url)
        news = follow(client_of(file))
        first = await asyncio.to_thread(lambda: next(news))
        assert isinstance(first, News)
    heard: list[News | Lost] = [first]
    while not isinstance(heard[-1], Lost):
        heard.append(await asyncio.to_thread(lambda: next(news)))
    assert isinstance(await asyncio.to_thread(lambda: next(news)), Lost)
    lab.station.change("a1", ChannelState.TRIPPED, energised=False, reason="too hot")
    again = HttpSettings(listen=url.removeprefix("http://"))
    hub = type(lab.hub)(lab.station)
    async with replace(lab, hub=hub).serve(again):
        found = Seen()
        while not any(one["state"] == "tripped" for one in found.channels):
            found = told(found, await asyncio.to_thread(lambda: next(news)), 0.0)
    news.close()
    assert found.lost == ""


async def test_without_a_service_the_first_look_fails(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="cycler-ctl serve"):
        show_status(station_file(tmp_path, "http://127.0.0.1:9"), watch=True, as_json=True)


async def test_status_says_what_is_wrong_beside_the_channels(
    lab: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with lab.serve() as url:
        assert await asyncio.to_thread(show_status, station_file(tmp_path, url), watch=False, as_json=False) == 0
    said = capsys.readouterr()
    assert "a5" in said.out
    assert RUN in said.out
    assert said.err == ""
    alarm = {"severity": "alarm", "what": "a5: too hot", "cleared_utc_s": None}
    assert short_lines([alarm], 80) == ["alarm: a5: too hot", "what to do: 'cycler-ctl alarms'"]
    assert short_lines([{**alarm, "cleared_utc_s": 1.0}], 80) == []
    assert list(mqtt_trouble({"mqtt": {"connected": False, "message": "no route"}})) == [
        "MQTT: not connected: no route"
    ]
    assert list(mqtt_trouble({"mqtt": {"connected": True, "message": ""}})) == []
    assert list(mqtt_trouble({"mqtt": None})) == []


@pytest.mark.parametrize("width", [32, 58, 80, 120, 200])
def test_the_live_table_fits_and_keeps_what_counts(lab: Any, width: int) -> None:
    channels = [
        {"channel": one.channel, "state": one.state.value, "energised": one.energised, "run": one.run, "cell": one.cell,
         "cycle": one.cycle, "step": one.step, "what": one.what, "reason": one.reason, "protocol": one.protocol,
         "eta_utc_s": one.eta_utc_s, "last": {"voltage_V": 0.41234, "current_A": -3.927e-4}}
        for one in lab.station.channels()
    ]  # fmt: skip
    seen = Seen("boot", tuple(channels), (), 1000.0, "nothing is heard")
    lines = "\n".join(page(seen, 1012.0, (width, 60))).splitlines()
    assert all(len(line) <= width for line in lines), "\n".join(lines)
    whole = " ".join(" ".join(lines).split())
    assert whole.startswith("NOT LIVE for 12 s")
    for word in (RUN, "tripped", "above the limit", "0.4123 V", "-0.3927 mA"):
        assert word in whole
    few = channel_lines(channels, width, 9)
    assert any("above the limit" in line for line in few)
    assert len(few) < len(channel_lines(channels, width, 60))


def test_another_service_does_not_inherit_channels_of_the_one_before() -> None:
    one = told(Seen(), News("channel", "x", {"channel": "a1", "state": "running"}), 1.0)
    assert [each["channel"] for each in one.channels] == ["a1"]
    other = told(one, News("channel", "y", {"channel": "b1", "state": "idle"}), 2.0)
    assert [each["channel"] for each in other.channels] == ["b1"]
    assert head_line(told(other, Lost("gone"), 3.0), 3.0).startswith("NOT LIVE")


async def test_status_watch_paints_what_changes_and_says_when_the_service_is_gone(lab: Any, tmp_path: Path) -> None:
    with a_terminal() as screen:
        async with lab.serve() as url:
            command = [
                sys.executable,
                "-m",
                "cycler_ctl.cli",
                "status",
                "--watch",
                f"--config={station_file(tmp_path, url)}",
            ]
            process = subprocess.Popen(  # noqa: ASYNC220
                command, stdin=screen.program, stdout=screen.program, stderr=screen.program, cwd=tmp_path,
                env={**os.environ, "NO_COLOR": "1", "TERM": "xterm"},
            )  # fmt: skip
            await screen.sees("live, ")
            lab.station.change("a1", ChannelState.FAULTED, energised=None, reason="contact lost")
            await screen.sees("contact lost")
        await screen.sees("NOT LIVE for")
        assert "\x1b[3" not in screen.seen, "colours although NO_COLOR is set"
        process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(screen.outlives, process) == 130
