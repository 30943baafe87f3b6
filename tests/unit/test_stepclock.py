from __future__ import annotations

import asyncio
from collections.abc import Coroutine

import pytest

from cycler_ctl.clock import Clock, Wake, real_sleep
from cycler_ctl.testing.stepclock import StepClock


async def ticking(clock: Clock, seen: list[tuple[str, float]], name: str, *at_s: float) -> None:
    with clock.member():
        for deadline_s in at_s:
            await clock.sleep_until(deadline_s)
            seen.append((name, clock.now()))


async def together(clock: StepClock, *tasks: Coroutine[None, None, None]) -> list[BaseException | None]:
    """Time stands still until all have joined: a member alone would jump at once."""
    with clock.member():
        running = [asyncio.ensure_future(task) for task in tasks]
        await real_sleep(0)
    return await asyncio.gather(*running, return_exceptions=True)


def task_now() -> asyncio.Task[None]:
    task = asyncio.current_task()
    assert task is not None
    return task


async def test_time_jumps_to_each_deadline_and_no_real_time_passes() -> None:
    clock, seen = StepClock(), list[tuple[str, float]]()
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    await ticking(clock, seen, "a", *(3600.0 * hour for hour in range(1, 1001)))
    assert seen[-1] == ("a", 3_600_000.0)
    assert loop.time() - started_s < 5
    assert clock.utc() == 1_767_225_600.0 + 3_600_000.0


async def test_the_earliest_wakes_first_and_of_equals_the_one_that_joined_first() -> None:
    clock, seen = StepClock(), list[tuple[str, float]]()
    await together(
        clock,
        ticking(clock, seen, "a", 2.0, 4.0),
        ticking(clock, seen, "b", 1.0, 4.0),
        ticking(clock, seen, "c", 4.0),
    )
    assert seen == [("b", 1.0), ("a", 2.0), ("a", 4.0), ("b", 4.0), ("c", 4.0)]


async def test_time_stands_still_while_a_member_waits_for_the_real_world() -> None:
    clock, seen = StepClock(), list[tuple[str, float]]()
    answered = asyncio.Event()

    async def exchange() -> None:
        with clock.member():
            asyncio.get_running_loop().call_later(0.03, answered.set)
            await answered.wait()
            seen.append(("exchange", clock.now()))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(exchange())
        tasks.create_task(ticking(clock, seen, "a", 1.0))
    assert seen == [("exchange", 0.0), ("a", 1.0)]


async def test_a_deadline_in_the_past_returns_without_turning_time_back() -> None:
    clock, seen = StepClock(), list[tuple[str, float]]()
    await ticking(clock, seen, "a", 5.0, 1.0)
    assert seen == [("a", 5.0), ("a", 5.0)]


async def test_a_cancelled_sleeper_does_not_move_time_and_does_not_hold_the_others() -> None:
    clock, seen = StepClock(), list[tuple[str, float]]()
    left_at_s: list[float] = []

    victims: list[asyncio.Task[None]] = []

    async def sleeper() -> None:
        victims.append(task_now())
        with clock.member():
            try:
                await clock.sleep_until(10.0)
            finally:
                left_at_s.append(clock.now())

    async def other() -> None:
        with clock.member():
            await clock.sleep_until(5.0)
            victims[0].cancel()
            await clock.sleep_until(20.0)
            seen.append(("other", clock.now()))

    await together(clock, sleeper(), other())
    assert left_at_s == [5.0]
    assert seen == [("other", 20.0)]


async def test_one_seed_of_deadlines_gives_one_order() -> None:
    async def run() -> list[tuple[str, float]]:
        clock, seen = StepClock(), list[tuple[str, float]]()
        steps = {str(index): sorted(float((index * 7 + k * 3) % 11) for k in range(10)) for index in range(20)}
        await together(clock, *(ticking(clock, seen, name, *deadlines) for name, deadlines in steps.items()))
        return seen

    assert await run() == await run()


async def test_who_is_no_member_may_not_sleep_and_nobody_joins_twice() -> None:
    clock = StepClock()
    with pytest.raises(RuntimeError, match="member"):
        await clock.sleep_until(1.0)
    with clock.member(), pytest.raises(RuntimeError, match="already"), clock.member():
        pass


async def test_a_wake_that_is_set_before_ends_the_sleep_at_once() -> None:
    clock, wake = StepClock(), Wake()
    wake.set()
    with clock.member():
        await clock.sleep_until(9.0, wake)
    assert clock.now() == 0.0


async def test_a_member_alone_leaves_the_loop_to_others() -> None:
    clock, others_turns = StepClock(), 0

    async def pausing() -> None:
        with clock.member():
            while others_turns < 3:
                await clock.sleep_until(clock.now() + 1.0)

    alone = asyncio.ensure_future(pausing())
    while not alone.done():
        others_turns += 1
        await real_sleep(0)
    await alone


async def test_with_a_speed_a_jump_waits_for_its_share_of_real_time() -> None:
    clock, seen = StepClock(speed=1000.0), list[tuple[str, float]]()
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    await together(clock, ticking(clock, seen, "a", 50.0, 100.0), ticking(clock, seen, "b", 75.0))
    assert seen == [("a", 50.0), ("b", 75.0), ("a", 100.0)]
    assert loop.time() - started_s >= 0.09


async def test_a_wake_ends_a_paced_sleep_early_and_time_has_not_moved() -> None:
    clock, wake = StepClock(speed=1.0), Wake()
    with clock.member():
        asyncio.get_running_loop().call_soon(wake.set)
        async with asyncio.timeout(30):
            await clock.sleep_until(1e6, wake)
        assert clock.now() == 0.0
        wake.clear()
        await clock.sleep_until(0.001, wake)
        assert clock.now() == 0.001
