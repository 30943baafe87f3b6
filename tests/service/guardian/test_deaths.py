"""How soon an output is off when a process dies or stands still: a few times here, 200 times each with --campaign."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from guarded import LEASE_S, Smu, Watched, simulated, watched

KILLED_S, STALLED_S = 1.0, LEASE_S + 0.5
TRIALS, CAMPAIGN = 2, 200
pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="kill -9 and SIGSTOP are POSIX"),
    pytest.mark.timeout(3600),  # of the campaign; every wait has its own limit
]


@pytest.fixture
def trials(request: pytest.FixtureRequest) -> int:
    return CAMPAIGN if request.config.getoption("--campaign") else TRIALS


async def station_killed(both: Watched) -> None:
    os.kill(both.station(), signal.SIGKILL)


async def station_stopped(both: Watched) -> None:
    os.kill(both.station(), signal.SIGSTOP)


async def guardian_killed(both: Watched) -> None:
    both.guardian.kill()


@pytest.mark.parametrize(
    ("death", "at_most_s"),
    [(station_killed, KILLED_S), (station_stopped, STALLED_S), (guardian_killed, KILLED_S)],
)
async def test_every_output_is_off_in_time_after_every_death(
    tmp_path: Path, trials: int, death: Callable[[Watched], Awaitable[None]], at_most_s: float
) -> None:
    took_s: list[float] = []
    async with simulated() as smu:
        for trial in range(trials):
            folder = tmp_path / str(trial)
            folder.mkdir()
            async with watched(folder, smu.address) as both:
                await both.energised()
                assert await smu.is_on()
                await death(both)
                took_s.append(await smu.off_after_s(at_most_s))
                if death is not guardian_killed:
                    assert await both.stopped() == 0
                else:
                    await both.until(lambda lives: lives[-1] == "guardian gone")
    sys.stderr.write(f"{death.__name__}: {trials} trials, off after {max(took_s):.3f} s at most\n")


async def test_a_stall_of_a_second_trips_nothing_under_the_shortest_lease_of_a_service(
    tmp_path: Path, trials: int
) -> None:
    async with simulated() as smu, watched(tmp_path, smu.address, "long stall", lease_s=3.0) as both:
        await both.until(lambda lives: lives.count("stalled") >= trials, 20.0 + 2.0 * trials)
        assert sum(line.startswith("start") for line in both.lives()) == 1
        assert await smu.is_on()
        assert await both.stopped() == 0


async def test_the_first_traffic_after_every_process_was_killed_is_off(tmp_path: Path, trials: int) -> None:
    async with simulated() as smu:
        for trial in range(trials):
            async with watched(tmp_path, smu.address) as both:
                await both.energised(1 + 2 * trial)
                os.kill(both.guardian.pid, signal.SIGSTOP)  # or one of the two would turn off before it is killed
                os.kill(both.station(), signal.SIGKILL)
                both.guardian.kill()
                await both.guardian.wait()
            assert await smu.is_on()
            before = await taken(smu)
            async with watched(tmp_path, smu.address) as both:
                await both.energised(2 + 2 * trial)
                first = next(message for at_s, message in await taken(smu) if at_s > before[-1][0])
                assert "OUTP OFF" in first, first
                assert await both.stopped() == 0


async def taken(smu: Smu) -> list[tuple[float, str]]:
    """What the instrument was told last, and when."""
    log = (await smu.ask(do="log", last=1000))["log"]
    assert isinstance(log, list)
    return [(float(at_s), str(message)) for at_s, message in log]
