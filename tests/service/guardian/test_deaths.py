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
OFF, ON = "OUTP OFF", "OUTP ON"
CHARGING = ":SOUR:FUNC VOLT"  # bounded; to look at the cell it sources 0 A
STARTS = 4  # of a station that dies each time, before it is held back
STARVED = 128  # times so many deaths in the campaign: 512
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
            group.create_task(part(made(folder / str(number)), trials // AT_ONCE))


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


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


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


async def starves(smu: Smu, folder: Path) -> list[float]:
    """Each life of a station that gets no more memory, until it is not begun again: instrument's s until each off."""
    began_s = await smu.now_s()
    async with watched(folder, smu.address, "hungry") as both:
        await both.said("IS NOT STARTED AGAIN. Every output is off, read back.")
        assert starved(both) == STARTS
        assert await both.stopped() == 1
    assert not await smu.is_on()
    return offs_after(await smu.told(began_s, 5000))


def starved(both: Watched) -> int:
    """Of how many lives it is known that they got no more memory, wherever that was."""
    lives = "\n".join(both.lives()).split("start ")[1:]
    words = both.words().split("starting the station again")
    return sum("out of memory" in life or "MemoryError" in said for life, said in zip(lives, words, strict=True))


def offs_after(told: list[tuple[float, str]]) -> list[float]:
    """For each time that current flowed: how long after the last word of whoever read it came off."""
    waits: list[float] = []
    last_s: float | None = None
    for at_s, text in told:
        if OFF in text and last_s is not None:
            waits.append(at_s - last_s)
            last_s = None
        elif (ON in text and CHARGING in text) or last_s is not None:
            last_s = at_s
    return waits


@pytest.mark.skipif(sys.platform != "linux", reason="the room that a process takes is told by Linux")
async def test_a_station_that_gets_no_more_memory_leaves_its_output_off_within_a_second(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The cap of systemd kills, and then it is as any other death; here the process is left to itself."""
    campaign = bool(request.config.getoption("--campaign"))
    waits: list[float] = []

    async def part(folder: Path, share: int) -> None:
        async with simulated() as smu:
            for number in range(share):
                waits.extend(await starves(smu, made(folder / str(number))))

    await (shared_out(part, tmp_path, STARVED) if campaign else part(tmp_path, 1))
    assert len(waits) == STARTS * (STARVED if campaign else 1)
    assert max(waits) <= KILLED_S, f"off only after {max(waits):.3f} s"
    sys.stderr.write(f"F38: {len(waits)} stations without memory, off after at most {max(waits):.3f} s\n")


@pytest.mark.skipif(sys.platform != "linux", reason="the room that a process takes is told by Linux")
async def test_a_station_that_stands_still_without_memory_is_off_once_its_lease_lapses(tmp_path: Path) -> None:
    """The negative control of the test above: nobody dies, and off comes later."""
    async with simulated() as smu, watched(tmp_path, smu.address, "hungry and deaf", lease_s=2.0 * LEASE_S) as both:
        await both.said("taking over")
        await both.stopped()
        waits = offs_after(await smu.told(0.0, 5000))
    assert KILLED_S < max(waits) <= 2.0 * LEASE_S + 0.5


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
