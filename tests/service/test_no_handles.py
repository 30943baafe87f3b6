"""A process without a free file handle still turns off: nothing that off needs is opened then (reliability F39).

So it is at any moment of a run, of whatever kind its end is: five hundred of them in the campaign.
"""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
from rig import Rig, open_rig, until
from virtual import Virtual, open_virtual

from cycler_ctl.clock import real_sleep
from cycler_ctl.live import ChannelState
from drivers.keithley_2400 import Output
from sim_hardware.loads import Battery

if sys.platform == "win32":
    pytest.skip("file handles are limited by POSIX's RLIMIT_NOFILE", allow_module_level=True)
import resource

ROOM = 16
TRIALS, CAMPAIGN, OF_ONE_STATION = 4, 520, 20
STOPPED_WITHIN_S, FOUND_WITHIN_S = 5.0, 130.0  # virtual; readings come each 30 s, and three make a fault
NOT_ON_DISK = "last rows are NOT on disk"
PAUSE_S = 7200.0  # virtual, so that no relay is switched too often


@contextmanager
def no_handle_left() -> Generator[None]:
    """While entered this process can open nothing, as this itself proves."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (max(int(one.name) for one in Path("/dev/fd").iterdir()) + ROOM, before[1])
    )
    try:
        with pytest.raises(OSError, match="Too many open files") as found:
            taken.extend(iter(lambda: os.dup(2), None))
        assert found.value.errno == errno.EMFILE
        yield
    finally:
        for handle in taken:
            os.close(handle)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Rig]:
    async with open_rig(tmp_path, monkeypatch) as opened:
        yield opened


async def test_stop_turns_off_and_says_so_without_a_free_handle(rig: Rig) -> None:
    run = await rig.flowing()
    await until(lambda: len(rig.rows(run)) > 2)
    with no_handle_left():
        await rig.station.stop("a1", "K. Abe")
        assert rig.is_off()
        assert rig.status().energised is False
    assert rig.status().state is ChannelState.STOPPED


async def test_a_fault_turns_off_without_a_free_handle(rig: Rig) -> None:
    await rig.flowing()
    with no_handle_left():
        rig.smu().line.instrument.set_fault("lead", "open")
        await until(lambda: rig.status().state in {ChannelState.FAULTED, ChannelState.TRIPPED})
        assert rig.is_off()
        assert not rig.lies


async def faulted(lab: Virtual, chance: Random) -> None:
    """Its lead falls off, or it is another cell all at once, outside of what the channel allows."""
    cell = lab.load()
    if chance.random() < 0.5:
        lab.fault("lead", "open")
    else:
        lab.swap(Battery(4.7, 1.0))
    await lab.station.ended("a1")
    lab.swap(cell)


async def off_without_a_handle(lab: Virtual, chance: Random, number: int) -> str:
    """One run that is ended while nothing can be opened; how it ended."""
    stop, within_s = bool(number % 2), STOPPED_WITHIN_S if number % 2 else FOUND_WITHIN_S
    await lab.start("  - charge: {at: 0.2 mA, for: 4 h}\n")
    await lab.clock.sleep_until(lab.clock.now() + chance.uniform(60.0, 900.0))
    assert lab.truth()["output_on"], lab.status()
    began_s = lab.clock.now()
    with no_handle_left():
        ending = asyncio.create_task(lab.station.stop("a1", "K. Abe") if stop else faulted(lab, chance))
        await said_off(lab, within_s)
        assert off_at_s(lab) - began_s <= within_s
    await lab.acting(ending_of(ending))
    return await looked_at(lab, "stopped by K. Abe" if stop else "")


async def said_off(lab: Virtual, within_s: float) -> None:
    """The instrument is off and the station says so; what else an end needs, a file perhaps, may come later."""
    until_s = lab.clock.now() + within_s + 1.0
    while not (lab.is_off() and lab.status().energised is False):
        assert lab.clock.now() <= until_s, f"not off: {lab.status()}"
        await lab.clock.sleep_until(lab.clock.now() + within_s / 50)
        await real_sleep(0.002)


async def ending_of(ending: asyncio.Task[None]) -> None:
    await ending


async def confirmed_off(lab: Virtual) -> None:
    while lab.status().energised is not False:
        await real_sleep(0.01)


async def looked_at(lab: Virtual, reason: str) -> str:
    """What is not on disk, for want of a handle, is said, and makes a fault of any end."""
    await lab.acting(lab.station.ended("a1"))
    status = lab.status()
    assert reason in status.reason
    assert (status.state is ChannelState.STOPPED) is (bool(reason) and NOT_ON_DISK not in status.reason), status
    if status.state is not ChannelState.STOPPED:
        await lab.acting(lab.station.acknowledge("a1", "K. Abe"))
    await lab.clock.sleep_until(lab.clock.now() + PAUSE_S)
    unwritten = f", {NOT_ON_DISK}" if NOT_ON_DISK in status.reason else ""
    return f"{'stopped' if reason else status.state}{unwritten}"


def off_at_s(lab: Virtual) -> float:
    """When the instrument was last told to be off, first of several times in a row."""
    told = [at_s for at_s, text in lab.commands() if b"OUTP OFF" in text]
    on_s = max(at_s for at_s, text in lab.commands() if b"OUTP ON" in text)
    return min(at_s for at_s in told if at_s >= on_s)


@pytest.mark.timeout(1800)
async def test_at_any_moment_of_a_run_its_end_needs_no_free_handle(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    trials = CAMPAIGN if request.config.getoption("--campaign") else TRIALS
    chance, ends = Random(39), Counter[str]()
    for first in range(0, trials, OF_ONE_STATION):
        async with open_virtual(tmp_path / str(first)) as lab:
            for number in range(first, min(first + OF_ONE_STATION, trials)):
                ends[await off_without_a_handle(lab, chance, number)] += 1
    assert ends.total() == trials
    sys.stderr.write(f"F39: {trials} ends without a free handle, off each time: {dict(ends)}\n")


async def test_a_driver_that_opens_something_to_turn_off_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control."""
    turn_off = Output.turn_off

    async def opening(channel: Output) -> None:
        os.close(os.open(os.devnull, os.O_RDONLY))
        await turn_off(channel)

    async with open_virtual(tmp_path) as lab:
        monkeypatch.setattr(Output, "turn_off", opening)
        with pytest.raises(AssertionError, match="not off"):
            await off_without_a_handle(lab, Random(1), 1)
        monkeypatch.undo()
        async with asyncio.timeout(20.0):
            await lab.acting(confirmed_off(lab))
