"""How the whole service is ended, by a person, a terminal or itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from lab import Lab, until

from cycler_ctl.store.reader import open_run
from cycler_ctl.watching.latch import TOO_OFTEN, hold_back, latched


def start(lab: Lab) -> str:
    answer = lab.command("start", "quick.yaml", "--channel", "a1")
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


async def current_flows(lab: Lab) -> None:
    await until(lambda: abs(lab.bench.truth()["current_A"]) > 1e-4)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_ctrl_c_and_sigterm_turn_off_before_the_service_ends(lab: Lab, number: signal.Signals) -> None:
    guardian = await lab.serve()
    start(lab)
    await current_flows(lab)
    guardian.send_signal(number)
    await until(lambda: guardian.poll() is not None)
    assert guardian.returncode == 0, lab.log()
    assert lab.bench.truth()["output_on"] is False
    with open_run(lab.run_dir()) as reader:
        assert reader.state.outcome is not None
        assert reader.state.outcome.value == "stopped"


def serve_on_a_terminal(lab: Lab) -> tuple[subprocess.Popen[bytes], int]:
    """The service, in front on a terminal of its own, and our end of that."""
    ours, theirs = os.openpty()
    become = "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); from cycler_ctl.cli import main; main()"
    command = [sys.executable, "-c", become, "serve"]
    service = subprocess.Popen(
        command, cwd=lab.folder, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    lab.processes.append(service)
    return service, ours


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
async def test_a_terminal_that_is_closed_turns_off_before_the_service_ends(lab: Lab) -> None:
    """Nothing that is said on a terminal that is gone may stop anything."""
    service, ours = serve_on_a_terminal(lab)
    await until(lab.ready)
    start(lab)
    await current_flows(lab)
    os.close(ours)
    await until(lambda: service.poll() is not None)
    assert service.returncode == 0
    assert lab.bench.truth()["output_on"] is False
    with open_run(lab.run_dir()) as reader:
        assert reader.state.outcome is not None
        assert reader.state.outcome.value == "stopped"


def test_a_station_that_is_held_back_is_said_to_be_so_until_somebody_says_that_they_looked(lab: Lab) -> None:
    hold_back(lab.data, TOO_OFTEN, 1764000000.0)
    asked = lab.command("status")
    assert asked.returncode == 3
    assert "it failed after 3 restarts in 60 s, at 2025-11-24T16:00:00+00:00" in asked.stderr
    assert "'cycler-ctl acknowledge'" in asked.stderr
    assert lab.command("acknowledge").returncode == 0
    assert latched(lab.data) is None
    again = lab.command("acknowledge")
    assert again.returncode == 1
    assert "name the channel" in again.stderr


async def test_a_station_whose_folder_was_changed_meanwhile_is_not_begun_again(lab: Lab) -> None:
    """Its register would be where the guardian does not look: killed once more, it would leave an output on for ever."""
    guardian = await lab.serve()
    start(lab)
    await current_flows(lab)
    station_toml = lab.folder / "station.toml"
    station_toml.write_text(station_toml.read_text().replace('data_dir = "data"', 'data_dir = "elsewhere"'))
    os.kill(lab.station_pid(guardian), signal.SIGKILL)
    await until(lambda: guardian.poll() is not None)
    assert guardian.returncode == 1
    assert f"data_dir was {lab.folder / 'data'} when the service began" in lab.log()
    assert lab.bench.truth()["output_on"] is False
