"""Every death of a process of the real service, judged by the simulated instrument: one life here, 200 with --campaign.

Several labs live at once, in threads, for most of a life is waiting; no answer that one waits for makes another late.
In the campaign the limits are those that are promised; here they leave room for a machine that is busy with other tests.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
from lab import Lab, end, make_lab, open_bench, until

from cycler_ctl.clock import real_sleep
from cycler_ctl.terminal.asking import Asking
from cycler_ctl.terminal.remote import Start, act, start_run

LEASE_S, STALL_S = 3.0, 1.0
KILLED_S, STOPPED_S = 1.0, LEASE_S + 0.5
TRIALS, CAMPAIGN, AT_ONCE, ROOM_S = 1, 200, 5, 3.0
STALE_S = 1.9  # a machine that makes more than this of a second's stall has had a longer one
OFF = "OUTP OFF"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kill -9 and SIGSTOP are POSIX")


def now_s(lab: Lab) -> float:
    return float(lab.bench.ask(do="time")["at_s"])


def heard(lab: Lab, since_s: float = 0.0) -> list[tuple[float, str]]:
    """What the instrument was told, and when by its own clock."""
    log = lab.bench.ask(do="log", name="smu1", last=400)["log"]
    return [(float(at_s), str(text)) for at_s, text in log if at_s >= since_s]


async def flowing(lab: Lab) -> None:
    """A run of the channel, whose last setting has been followed by readings: the longer lease of a setting is over."""
    await until(lambda: lab.answers() and lab.ready())
    config = lab.folder / "station.toml"
    if lab.channel()["state"] == "interrupted":
        act("acknowledge", "a1", config, Asking())
    start_run(Start(lab.folder / "quick.yaml", "a1"), config, Asking(yes=True), as_json=False)
    await until(lambda: abs(lab.bench.truth()["current_A"]) > 1e-4)
    since_s = now_s(lab)
    await until(lambda: len(heard(lab, since_s)) >= 5)


async def off_after_s(lab: Lab, since_s: float) -> float:
    await until(lambda: lab.bench.truth()["output_on"] is False)
    return next(at_s for at_s, text in heard(lab, since_s) if OFF in text) - since_s


async def killed_station(lab: Lab, service: subprocess.Popen[bytes]) -> float:
    station = lab.station_pid(service)
    since_s = now_s(lab)
    os.kill(station, signal.SIGKILL)
    return await off_after_s(lab, since_s)


async def stopped_station(lab: Lab, service: subprocess.Popen[bytes]) -> float:
    station = lab.station_pid(service)
    since_s = now_s(lab)
    os.kill(station, signal.SIGSTOP)
    return await off_after_s(lab, since_s)


async def killed_guardian(lab: Lab, service: subprocess.Popen[bytes]) -> float:
    since_s = now_s(lab)
    service.kill()
    took_s = await off_after_s(lab, since_s)
    service.wait()
    await until(lambda: not lab.answers())
    return took_s


async def a_stall_harms_nothing(lab: Lab, service: subprocess.Popen[bytes]) -> None:
    station, since_s = lab.station_pid(service), now_s(lab)
    os.kill(station, signal.SIGSTOP)
    await real_sleep(STALL_S)
    os.kill(station, signal.SIGCONT)
    again_s = now_s(lab)
    await until(lambda: len(heard(lab, again_s)) >= 5)
    longest_s = heard(lab, again_s)[0][0] - since_s
    assert lab.channel()["state"] == "running" or longest_s > STALE_S, lab.log()
    assert lab.station_pid(service) == station or longest_s > STALE_S


async def killed_both(lab: Lab, service: subprocess.Popen[bytes]) -> None:
    """Nobody is left to turn it off; the first traffic of the next service does."""
    station = lab.station_pid(service)
    service.send_signal(signal.SIGSTOP)  # or one of the two would turn off before it is killed
    os.kill(station, signal.SIGKILL)
    service.kill()
    service.wait()
    assert lab.bench.truth()["output_on"] is True
    since_s = now_s(lab)
    again = await lab.serve()
    first_s, first = heard(lab, since_s)[0]
    assert OFF in first, (first_s, first)
    assert lab.bench.truth()["output_on"] is False
    again.terminate()
    await until(lambda: again.poll() is not None)


class Took(NamedTuple):
    """Seconds until off, by who died."""

    killed_station: float
    stopped_station: float
    killed_guardian: float


async def life(lab: Lab) -> Took:
    service = await lab.serve()
    stations: list[float] = []
    for death in (killed_station, stopped_station):
        await flowing(lab)
        stations.append(await death(lab, service))
        await until(lambda: lab.answers() and lab.channel()["state"] == "interrupted")
    await flowing(lab)
    await a_stall_harms_nothing(lab, service)
    alone_s = await killed_guardian(lab, service)
    service = await lab.serve()
    await flowing(lab)
    await killed_both(lab, service)
    return Took(stations[0], stations[1], alone_s)


def live(folder: Path) -> Took:
    """Whoever was killed, the cell was never treated as no host may."""
    folder.mkdir()
    with open_bench(folder) as bench:
        lab = make_lab(folder, bench)
        try:
            took = asyncio.run(life(lab))
            assert bench.truth()["abuse"] == []
        finally:
            end(lab)  # and whatever has this folder in its command: none's name begins with another's
    sys.stderr.write(f"{folder.name}: off after {took}\n")
    return took


@pytest.mark.timeout(10800)  # every wait in it has its own limit
def test_whoever_dies_the_output_of_the_real_service_is_off_in_time(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    campaign = bool(request.config.getoption("--campaign"))
    folders = [tmp_path / f"life-{number:03}" for number in range(CAMPAIGN if campaign else TRIALS)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        lives = list(pool.map(live, folders))
    longest = Took._make(map(max, zip(*lives, strict=True)))
    sys.stderr.write(f"{len(lives)} lives, off after at most {longest}\n")
    room_s = 0.0 if campaign else ROOM_S
    assert longest.killed_station <= KILLED_S + room_s
    assert longest.stopped_station <= STOPPED_S + room_s
    assert longest.killed_guardian <= KILLED_S + room_s
