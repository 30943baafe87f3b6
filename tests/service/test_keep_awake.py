"""The computer is kept awake exactly as long as a cell depends on it, whoever dies."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from rig import open_rig, until

from cycler_ctl.computer.keep_awake import KeepAwake
from cycler_ctl.errors import RefusedError
from cycler_ctl.live import ChannelState, ChannelStatus

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd-inhibit is Linux'; Windows is unproven")
STATUS = ChannelStatus("a1", "smu1", ChannelState.IDLE, "", 0.0, None)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemd-inhibit that notes how it was called and runs what it was given, as the real one does."""
    script = tmp_path / "systemd-inhibit"
    script.write_text('#!/bin/sh\necho "$$ $*" >> "$(dirname "$0")/log"\nfor last; do :; done\nexec "$last"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path / "log"


def called(log: Path) -> str:
    return log.read_text() if log.exists() else ""


def held(log: Path) -> list[int]:
    """Those that still keep it awake."""
    pids = [int(line.split()[0]) for line in called(log).splitlines()]
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


async def test_it_is_kept_awake_from_the_first_run_to_the_end_of_the_last(log: Path) -> None:
    awake = KeepAwake()
    awake.channel_changed(STATUS)
    assert held(log) == []
    awake.channel_changed(replace(STATUS, state=ChannelState.RUNNING))
    awake.channel_changed(replace(STATUS, channel="a2", state=ChannelState.CANNOT_DEENERGISE))
    await until(lambda: len(held(log)) == 1)
    assert "--what=sleep:idle" in called(log)
    awake.channel_changed(replace(STATUS, state=ChannelState.FINISHED))
    assert len(held(log)) == 1
    awake.channel_changed(replace(STATUS, channel="a2", state=ChannelState.FAULTED))
    await until(lambda: held(log) == [])
    awake.close()


async def test_a_process_that_dies_lets_the_computer_sleep_again(log: Path) -> None:
    awake = KeepAwake()
    awake.channel_changed(replace(STATUS, state=ChannelState.RUNNING))
    await until(lambda: len(held(log)) == 1)
    assert awake._held is not None
    assert awake._held.stdin is not None
    awake._held.stdin.close()  # all that the system does for a dead process
    await until(lambda: held(log) == [])
    awake.close()


def test_a_computer_without_such_a_service_is_told_of_and_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    awake = KeepAwake()
    awake.channel_changed(replace(STATUS, state=ChannelState.RUNNING))
    assert "nothing keeps this computer from going to sleep" in caplog.text
    awake.close()


async def test_a_computer_that_may_fall_asleep_gets_no_run_and_nothing_is_energised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise RefusedError("this computer runs on its battery: plug it in")

    async with open_rig(tmp_path, monkeypatch) as rig:
        rig.station.before_start(refuse)
        with pytest.raises(RefusedError, match="plug it in"):
            await rig.start()
        assert rig.is_off()
        assert not (tmp_path / "runs").exists()
