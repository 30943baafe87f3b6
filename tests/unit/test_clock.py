"""Real time as runs see it: it goes on while the computer sleeps."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import pytest

import cycler_ctl.clock as clock_module
from cycler_ctl.clock import SystemClock, Wake, tick_after


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the monotonic clock itself goes on")
def test_time_goes_on_while_the_computer_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    before_s, boot_s = clock.now(), time.clock_gettime(time.CLOCK_BOOTTIME)
    assert clock_module._elapsed_s.args == (time.CLOCK_BOOTTIME,)
    monkeypatch.setattr(clock_module, "_elapsed_s", lambda: boot_s + 3600.0)
    assert clock.now() - before_s == pytest.approx(3600.0, abs=1.0)


async def test_a_deadline_that_passed_in_a_sleep_is_seen_soon_after_it() -> None:
    clock = SystemClock()
    began_s = time.monotonic()  # noqa: TID251 - how long it really took
    due_s = clock.now() + 60.0
    clock._start_s -= 3600.0
    await clock.sleep_until(due_s)
    assert time.monotonic() - began_s < 0.5  # noqa: TID251


async def test_who_is_woken_sleeps_no_longer() -> None:
    clock, wake = SystemClock(), Wake()
    wake.set()
    before_s = clock.now()
    await clock.sleep_until(before_s + 60.0, wake)
    assert clock.now() - before_s < 0.5


async def test_a_long_sleep_ends_when_it_is_due() -> None:
    clock = SystemClock(speed=10.0)
    due_s = clock.now() + 15.0
    await clock.sleep_until(due_s)
    assert due_s - 0.05 <= clock.now() <= due_s + 5.0


def test_what_is_due_within_a_tick_wakes_at_one_moment_and_never_too_early() -> None:
    due_s = [1000.0 + number * 1e-5 for number in range(100)]
    wakes_s = [tick_after(at_s - left_s, left_s) for at_s in due_s for left_s in (1e-6, 0.025, 0.9)]
    assert len({round(at_s, 6) for at_s in wakes_s}) <= 2  # a millisecond of them falls on one tick, or on two
    assert all(woken_s >= at_s - 1e-9 for woken_s, at_s in zip(wakes_s[1::3], due_s, strict=True))
    assert tick_after(1000.0001, 0.0) == 1000.0001


async def test_who_sleeps_to_the_same_tick_shares_its_timer_and_one_that_is_cancelled_takes_nobody_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, loop, timers = SystemClock(), asyncio.get_running_loop(), list[float]()
    call_at = loop.call_at

    def counted(when: float, *more: Any) -> asyncio.TimerHandle:
        timers.append(when)
        return call_at(when, *more)

    monkeypatch.setattr(loop, "call_at", counted)
    due_s = clock.now() + 0.05
    sleepers = [asyncio.ensure_future(clock.sleep_until(due_s)) for _ in range(50)]
    await asyncio.sleep(0)  # noqa: TID251 - until they all sleep
    assert 1 <= len(timers) <= 2
    sleepers[0].cancel()
    await asyncio.gather(*sleepers, return_exceptions=True)
    assert [sleeper.cancelled() for sleeper in sleepers] == [True] + 49 * [False]
    assert clock._sleepers == {}
    assert clock.now() >= due_s


async def test_a_sleep_is_never_too_short_and_one_that_is_over_does_not_wait() -> None:
    clock = SystemClock()
    for after_s in (0.0, 1e-6, 0.0011, 0.003):
        due_s = clock.now() + after_s
        await clock.sleep_until(due_s)
        assert clock.now() >= due_s
