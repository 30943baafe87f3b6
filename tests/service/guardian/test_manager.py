"""What the service manager is told, over a real socket, by a guardian that really watches; and the unit that asks for it."""

from __future__ import annotations

import asyncio
import configparser
import contextlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from guarded import simulated, watched
from virtual import Virtual, open_virtual

from cycler_ctl.clock import real_sleep
from cycler_ctl.store.writer import RunWriter
from cycler_ctl.watching.manager import Watchdog, notify
from cycler_ctl.watching.signals import CLOSED, LOGGED_OFF, SHUT_DOWN, asked_to_end, on_console
from protocols.record import EventKind, Outcome

UNIT = Path(__file__).resolve().parents[3] / "deploy" / "cycler-ctl.service"
TASK = UNIT.with_name("cycler-ctl-task.xml")
TASKS = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
SETTINGS = {
    "AllowStartOnDemand", "RestartOnFailure", "MultipleInstancesPolicy", "DisallowStartIfOnBatteries",
    "StopIfGoingOnBatteries", "AllowHardTerminate", "StartWhenAvailable", "NetworkProfileName",
    "RunOnlyIfNetworkAvailable", "WakeToRun", "Enabled", "Hidden", "DeleteExpiredTaskAfter", "IdleSettings",
    "NetworkSettings", "ExecutionTimeLimit", "Priority", "RunOnlyIfIdle",
}  # fmt: skip
TRIALS, CAMPAIGN, OF_ONE_LAB = 3, 510, 15
BUDGET_S = 5.0  # of Windows, which is said to wait about so long
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="systemd's socket is POSIX")


class Manager:
    """The other end of sd_notify."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._link = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._link.bind(str(path))
        self._link.setblocking(False)
        self.heard: list[str] = []

    def close(self) -> None:
        self._link.close()

    def hear(self) -> list[str]:
        with contextlib.suppress(BlockingIOError):
            while True:
                self.heard.append(self._link.recv(4096).decode())
        return self.heard

    async def until(self, holds: Callable[[list[str]], bool]) -> None:
        async with asyncio.timeout(20.0):
            while not holds(self.hear()):
                await real_sleep(0.02)


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    made = Manager(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(made.path))
    yield made
    made.close()


async def test_a_guardian_says_that_it_is_ready_feeds_the_watchdog_by_its_work_and_says_that_it_stops(
    manager: Manager, tmp_path: Path
) -> None:
    async with simulated() as smu, watched(tmp_path, smu.address) as both:
        await manager.until(lambda heard: heard[:1] == ["READY=1"])
        await both.energised()
        await manager.until(lambda heard: heard.count("WATCHDOG=1") >= 2)
        assert await both.stopped() == 0
        assert manager.hear()[-1] == "STOPPING=1"


async def test_a_guardian_that_stands_still_feeds_nothing(manager: Manager, tmp_path: Path) -> None:
    async with simulated() as smu, watched(tmp_path, smu.address) as both:
        await both.energised()
        await manager.until(lambda heard: "WATCHDOG=1" in heard)
        both.guardian.send_signal(signal.SIGSTOP)
        await real_sleep(0.1)
        fed = manager.hear().count("WATCHDOG=1")
        await real_sleep(2.0)
        assert manager.hear().count("WATCHDOG=1") == fed
        both.guardian.send_signal(signal.SIGCONT)
        await manager.until(lambda heard: heard.count("WATCHDOG=1") > fed)
        await both.stopped()


async def test_a_guardian_that_is_latched_is_not_started_anew(manager: Manager, tmp_path: Path) -> None:
    async with simulated() as smu, watched(tmp_path, smu.address, "crash") as both:
        await both.said("IS NOT STARTED AGAIN")
        fed = manager.hear().count("WATCHDOG=1")
        await manager.until(lambda heard: heard.count("WATCHDOG=1") > fed)
        assert any("not started again" in one for one in manager.heard)
        assert await both.stopped() == 1


def test_without_a_manager_or_with_one_that_is_gone_nobody_is_told_and_nothing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    assert not notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", "@nobody")
    assert not notify("READY=1")


def test_the_watchdog_is_fed_at_most_once_a_second(manager: Manager) -> None:
    dog = Watchdog()
    for at_ms in range(0, 3000, 100):
        dog.fed(at_ms / 1000)
    assert manager.hear() == ["WATCHDOG=1"] * 3


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    text = UNIT.read_text(encoding="utf-8")
    assert "ExecStopPost=" in text
    parsed = configparser.ConfigParser(strict=False, interpolation=None)  # DeviceAllow stands once for each device
    parsed.read_string(text)
    assert set(parsed.sections()) == {"Unit", "Service", "Install"}
    assert parsed["Service"]["OOMPolicy"] == "continue"  # or systemd would end the guardian with its station
    if tool is None:
        return
    trial = tmp_path / "cycler-ctl.service"
    lines = text.replace("/opt/cycler-ctl/bin/cycler-ctl", str(shutil.which("true")))
    trial.write_text(lines, encoding="utf-8")
    found = subprocess.run([tool, "verify", str(trial)], capture_output=True, text=True, timeout=30, check=False)
    assert "cycler-ctl.service" not in found.stderr, found.stderr
    trial.write_text(lines.replace("WatchdogSec=60", "WatchdogSec=soon"), encoding="utf-8")
    control = subprocess.run([tool, "verify", str(trial)], capture_output=True, text=True, timeout=30, check=False)
    assert "cycler-ctl.service:" in control.stderr


def test_the_task_for_windows_runs_without_a_log_on_and_on_battery_and_is_started_again_after_a_failure() -> None:
    """The names are those of the Task Scheduler schema (MS-TSCH 2.5); that Windows takes it is unproven without one."""
    root = ElementTree.parse(TASK).getroot()  # noqa: S314 - a file of ours
    said = {one.tag.removeprefix(TASKS): (one.text or "").strip() for one in root.iter()}
    assert [one.tag.removeprefix(TASKS) for one in root] == [
        "RegistrationInfo", "Triggers", "Principals", "Settings", "Actions"
    ]  # fmt: skip
    settings = root.find(f"{TASKS}Settings")
    assert settings is not None
    names = [one.tag.removeprefix(TASKS) for one in settings]
    assert set(names) <= SETTINGS
    assert len(set(names)) == len(names)
    wanted = {
        "LogonType": "Password", "DisallowStartIfOnBatteries": "false", "StopIfGoingOnBatteries": "false",
        "ExecutionTimeLimit": "PT0S", "AllowHardTerminate": "false", "MultipleInstancesPolicy": "IgnoreNew",
        "Interval": "PT1M", "Count": "3", "RunOnlyIfIdle": "false", "StopOnIdleEnd": "false",
    }  # fmt: skip
    assert {name: said[name] for name in wanted} == wanted
    assert said["Arguments"].startswith("serve --config ")


async def test_a_window_that_is_closed_waits_until_everything_is_off() -> None:
    """What Windows calls in a thread of its own; the registration itself is unproven without Windows."""
    asked, over, returned = threading.Event(), threading.Event(), list[int]()
    handler = on_console(asked.set, over)
    assert handler(0) == 0
    assert not asked.is_set()
    for kind in (CLOSED, LOGGED_OFF, SHUT_DOWN):
        asked.clear()
        over.clear()
        thread = threading.Thread(target=lambda code=kind: returned.append(handler(code)))
        thread.start()
        assert await asyncio.to_thread(asked.wait, 5.0)
        assert not returned
        over.set()
        await asyncio.to_thread(thread.join, 5.0)
        assert returned.pop() == 1


class Closing:
    """Windows, which calls our handler in a thread of its own and ends the process when that returns."""

    def __init__(self, kind: int, over: threading.Event) -> None:
        self.asked = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._handler = on_console(lambda: loop.call_soon_threadsafe(self.asked.set), over)
        self._kind = kind
        self.answer: int | None = None
        """What was returned, and with it our process would be over."""
        self.thread = threading.Thread(target=self._call)

    def _call(self) -> None:
        self.answer = self._handler(self._kind)


async def closed_at_some_moment(lab: Virtual, chance: random.Random, over: threading.Event) -> float:
    """A station that charges is told by Windows to end, and does; virtual seconds until its output was off."""
    await lab.start("  - charge: {at: 0.2 mA, for: 4 h}\n")
    await lab.clock.sleep_until(lab.clock.now() + chance.uniform(60.0, 900.0))
    assert lab.truth()["output_on"], lab.status()
    began_s = lab.clock.now()
    windows = Closing(chance.choice((CLOSED, LOGGED_OFF, SHUT_DOWN)), over)
    windows.thread.start()
    async with asyncio.timeout(20.0):
        await windows.asked.wait()
    assert await lab.acting(lab.station.close("Windows ends"))
    await asyncio.to_thread(windows.thread.join, 0.005)
    early = windows.answer is not None  # while its handler has not returned, Windows leaves us alone
    over.set()
    await asyncio.to_thread(windows.thread.join, 20.0)
    assert not early, "Windows was told that it may end us before all was done"
    assert windows.answer == 1
    assert lab.is_off()
    off_s = next(at_s for at_s, text in lab.commands() if at_s >= began_s and b"OUTP OFF" in text)
    assert off_s - began_s <= BUDGET_S
    (end,) = lab.events(EventKind.RUN_ENDED)
    assert end.data["outcome"] == Outcome.STOPPED
    return off_s - began_s


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], bool]]:
    """Asked each time that a record is closed: whether the output is off by then. Off comes first, and the disk after it."""
    asked: list[Callable[[], bool]] = []
    close = RunWriter.close

    def closing(writer: RunWriter, timeout_s: float = 10.0) -> bool:
        assert all(is_off() for is_off in asked), "the record was closed while current flowed"
        return close(writer, timeout_s)

    monkeypatch.setattr(RunWriter, "close", closing)
    return asked


@pytest.mark.timeout(1800)
async def test_whenever_a_window_is_closed_everything_is_off_first_and_on_disk_then_and_windows_waits(
    tmp_path: Path, request: pytest.FixtureRequest, flushed: list[Callable[[], bool]]
) -> None:
    trials = CAMPAIGN if request.config.getoption("--campaign") else TRIALS
    chance, waits = random.Random(36), list[float]()
    for first in range(0, trials, OF_ONE_LAB):
        async with open_virtual(tmp_path / str(first)) as lab:
            flushed[:] = [lab.is_off]
            for _ in range(first, min(first + OF_ONE_LAB, trials)):
                waits.append(await closed_at_some_moment(lab, chance, threading.Event()))
                await lab.clock.sleep_until(lab.clock.now() + 7200.0)  # so that no relay is switched too often
                await lab.another_station()
    assert len(waits) == trials
    sys.stderr.write(f"F36: {trials} windows closed, off after at most {max(waits):.2f} s\n")


async def test_a_handler_that_does_not_wait_is_caught(tmp_path: Path) -> None:
    """The negative control."""
    over = threading.Event()
    over.set()
    async with open_virtual(tmp_path) as lab:
        with pytest.raises(AssertionError, match="before all was done"):
            await closed_at_some_moment(lab, random.Random(1), over)
        await lab.another_station()


async def test_signals_are_heard_while_asked_and_are_as_before_afterwards() -> None:
    heard = asyncio.Event()
    before = signal.getsignal(signal.SIGTERM)
    with asked_to_end(heard.set):
        signal.raise_signal(signal.SIGTERM)
        async with asyncio.timeout(5.0):
            await heard.wait()
    assert signal.getsignal(signal.SIGTERM) is before
