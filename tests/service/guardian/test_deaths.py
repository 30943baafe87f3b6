"""How soon an output is off when a process dies or stands still: every death 20 times here, 200 with --campaign.

Four stations at a time, each with an instrument of its own. The limits are those that are promised.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from guarded import LEASE_S, Smu, Watched, simulated, watched

from cycler_ctl.clock import real_sleep

KILLED_S, STALLED_S = 1.0, LEASE_S + 0.5
AT_ONCE, TRIALS, CAMPAIGN = 4, 20, 200
SOON_S = 30.0
OFF = "OUTP OFF"
pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="kill -9 and SIGSTOP are POSIX"),
    pytest.mark.timeout(3600),  # of the campaign; every wait has its own limit
]


class Took(NamedTuple):
    """Real seconds until off, by who died."""

    station_killed: float
    station_stopped: float
    guardian_killed: float


@pytest.fixture
def trials(request: pytest.FixtureRequest) -> int:
    return CAMPAIGN if request.config.getoption("--campaign") else TRIALS


async def shared_out(part: Callable[[Path, int], Coroutine[None, None, None]], folder: Path, trials: int) -> None:
    """All parts at once, each with its share of the trials and a folder of its own."""
    async with asyncio.TaskGroup() as group:
        for number in range(AT_ONCE):
            own = folder / str(number)
            own.mkdir()
            group.create_task(part(own, trials // AT_ONCE))


async def station_dies(smu: Smu, both: Watched, life: int, how: signal.Signals, at_most_s: float) -> float:
    await both.energised(life)
    assert await smu.is_on()
    died_s = await smu.now_s()
    os.kill(both.station(), how)
    return await off_in_time(smu, died_s, at_most_s)


async def guardian_dies(smu: Smu, both: Watched) -> float:
    assert await smu.is_on()
    died_s = await smu.now_s()
    both.guardian.kill()
    took_s = await off_in_time(smu, died_s, KILLED_S)
    await both.until(lambda lives: lives[-1] == "guardian gone")
    return took_s


async def off_in_time(smu: Smu, since_s: float, at_most_s: float) -> float:
    """By the instrument's own clock: it does not count how late we look."""
    async with asyncio.timeout(SOON_S):
        while await smu.is_on():
            await real_sleep(0.01)
    took_s = next(at_s for at_s, text in await smu.told(since_s) if OFF in text) - since_s
    assert took_s <= at_most_s, f"off only after {took_s:.3f} s"
    return took_s


async def all_die(smu: Smu, both: Watched, life: int) -> float:
    """Nobody is left to turn it off, and what they said last is heard. Returns when, by the instrument's clock."""
    await both.energised(life)
    os.kill(both.guardian.pid, signal.SIGSTOP)  # or one of the two would turn off before it is killed
    os.kill(both.station(), signal.SIGKILL)
    both.guardian.kill()
    await both.guardian.wait()
    await stranger_asks(smu)
    assert await smu.is_on()
    return await smu.now_s()


async def stranger_asks(smu: Smu) -> None:
    """Answered only once the line is free: a process that was just killed may hold it for another moment."""
    async with asyncio.timeout(SOON_S):
        answer = b""
        while not answer:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(smu.address.split("::")[2]))
            with closing(writer), contextlib.suppress(ConnectionError):
                writer.write(b"*IDN?\n")
                answer = await reader.readline()


async def off_is_first(smu: Smu, since_s: float) -> None:
    _, first = (await smu.told(since_s))[0]
    assert OFF in first, first


async def every_death(smu: Smu, folder: Path, life: int) -> Took:
    async with watched(folder, smu.address) as both:
        killed_s = await station_dies(smu, both, life, signal.SIGKILL, KILLED_S)
        stopped_s = await station_dies(smu, both, life + 1, signal.SIGSTOP, STALLED_S)
        died_s = await all_die(smu, both, life + 2)
    async with watched(folder, smu.address) as both:
        await both.energised(life + 3)
        await off_is_first(smu, died_s)
        return Took(killed_s, stopped_s, await guardian_dies(smu, both))


async def test_whoever_dies_the_output_is_off_in_time_and_after_all_of_them_off_is_said_first(
    tmp_path: Path, trials: int
) -> None:
    took: list[Took] = []

    async def part(folder: Path, share: int) -> None:
        async with simulated() as smu:
            took.extend([await every_death(smu, folder, 1 + 4 * number) for number in range(share)])

    await shared_out(part, tmp_path, trials)
    assert len(took) == trials
    longest = (f"{name} {max(all_s):.3f} s" for name, all_s in zip(Took._fields, zip(*took, strict=True), strict=True))
    sys.stderr.write(f"{trials} trials of each death, off after at most: {', '.join(longest)}\n")


async def test_no_stall_of_a_second_trips_anything_under_the_shortest_lease_of_a_service(
    tmp_path: Path, trials: int
) -> None:
    async def part(folder: Path, share: int) -> None:
        async with simulated() as smu, watched(folder, smu.address, "long stall", lease_s=3.0) as both:
            await both.until(lambda lives: lives.count("stalled") >= share, 20.0 + 2.0 * share)
            assert sum(line.startswith("start") for line in both.lives()) == 1
            assert await smu.is_on()
            assert await both.stopped() == 0

    await shared_out(part, tmp_path, trials)


async def test_a_guardian_that_waits_twice_as_long_is_caught(tmp_path: Path) -> None:
    async with simulated() as smu, watched(tmp_path, smu.address, lease_s=2.0 * LEASE_S) as both:
        with pytest.raises(AssertionError, match="off only after"):
            await station_dies(smu, both, 1, signal.SIGSTOP, STALLED_S)


async def test_whoever_says_something_else_than_off_first_is_caught(tmp_path: Path) -> None:
    async with simulated() as smu:
        async with watched(tmp_path, smu.address) as both:
            died_s = await all_die(smu, both, 1)
        await stranger_asks(smu)
        async with watched(tmp_path, smu.address) as both:
            await both.energised(2)
            with pytest.raises(AssertionError, match="IDN"):
                await off_is_first(smu, died_s)
            assert await both.stopped() == 0
