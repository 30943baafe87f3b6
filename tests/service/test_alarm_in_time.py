"""Every driver with its own time-out, in virtual time: a link that gives nothing is an alarm in time, one lost answer is none.

What was said is held against the instrument's own truth at every message it takes and every moment that is told.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from alarmed import ALARM_S, DRIVERS, HEALED_S, lab
from virtual_loop import leap

from cycler_ctl.clock import real_sleep
from cycler_ctl.errors import InstrumentError
from cycler_ctl.live import ChannelState
from cycler_ctl.plugins import load_driver
from sim_hardware.faults import LineFault

EVERY_DRIVER = pytest.mark.parametrize("driver", DRIVERS)


@EVERY_DRIVER
@pytest.mark.parametrize("phase_s", [0.0, 0.3, 0.6, 0.95])
def test_a_link_that_gives_nothing_is_an_alarm_in_time_whenever_it_begins(
    driver: str, phase_s: float, tmp_path: Path
) -> None:
    async def scene() -> float:
        async with lab(driver, tmp_path) as one:
            await one.start()
            for _ in range(3):
                await one.next_row()
            await real_sleep(phase_s)
            one.fall_silent()
            return await one.alarm()

    assert 0.5 < leap(scene()) <= ALARM_S


@EVERY_DRIVER
@pytest.mark.parametrize("away_s", [0.0, 0.7, 40.0])
def test_once_a_link_is_healed_the_output_is_off_in_time_and_stays_off(
    driver: str, away_s: float, tmp_path: Path
) -> None:
    async def scene() -> float:
        async with lab(driver, tmp_path) as one:
            await one.start()
            for _ in range(2):
                await one.next_row()
            one.fall_silent()
            await one.alarm()
            await real_sleep(away_s)
            return await one.heal()

    assert leap(scene()) <= HEALED_S


@EVERY_DRIVER
@pytest.mark.parametrize("messages", [1, 2, 3])
def test_silence_while_a_setpoint_is_applied_is_an_alarm_in_time(driver: str, messages: int, tmp_path: Path) -> None:
    """And a healed one is off in time, whether or not the output had been switched on by then."""

    async def scene() -> tuple[float, float]:
        async with lab(driver, tmp_path) as one:
            await one.start()
            await one.fall_silent_after(messages * (1 if driver == "palmsens-emstat4" else 4))
            return await one.alarm(), await one.heal()

    alarm_s, healed_s = leap(scene())
    assert 0.5 < alarm_s <= ALARM_S
    assert healed_s <= HEALED_S


@EVERY_DRIVER
def test_a_paused_run_whose_cable_was_pulled_is_an_alarm_in_time_when_it_is_resumed(
    driver: str, tmp_path: Path
) -> None:
    """Off was read back at the pause; the first message of the resume may have undone that."""

    async def scene() -> tuple[float, str, float]:
        async with lab(driver, tmp_path) as one:
            await one.start()
            await one.next_row()
            await one.station.pause("a1", "K. Abe")
            assert one.station.channels()[0].energised is False
            one.fall_silent()
            resuming = asyncio.ensure_future(one.station.resume("a1", "K. Abe"))
            alarm_s = await one.alarm()
            reason = one.station.channels()[0].reason
            with pytest.raises(InstrumentError):
                await resuming
            return alarm_s, reason, await one.heal()

    alarm_s, reason, healed_s = leap(scene())
    assert 0.5 < alarm_s <= ALARM_S
    assert reason.startswith("not gone on with: contact lost: ")
    assert healed_s <= HEALED_S


def test_the_judge_of_what_is_said_sees_a_lie(tmp_path: Path) -> None:
    """The negative control."""

    async def scene() -> tuple[int, bool]:
        async with lab("keithley-2400", tmp_path) as one:
            await one.start()
            await one.next_row()
            told = one.station.channels()[0]
            one.channel_changed(replace(told, energised=False))
            one.channel_changed(replace(told, state=ChannelState.CANNOT_DEENERGISE, energised=None, reason="lost"))
            seen, one.lies = len(one.lies), []
            return seen, bool(one.again)

    assert leap(scene()) == (2, True)


@EVERY_DRIVER
@pytest.mark.parametrize("kind", ["drop", "truncate", "garble"])
def test_one_lost_answer_ends_no_run_however_long_it_was_waited_for(driver: str, kind: str, tmp_path: Path) -> None:
    async def scene() -> ChannelState:
        async with lab(driver, tmp_path) as one:
            await one.start()
            for _ in range(3):
                await one.next_row()
            one.smu.line.inject(LineFault(kind))
            await one.until(lambda: bool(one.smu.line.hits.get(kind)))
            for _ in range(3):
                await one.next_row()
            return one.state()

    assert leap(scene()) is ChannelState.RUNNING


@EVERY_DRIVER
def test_no_driver_waits_longer_for_an_answer_than_a_second(driver: str) -> None:
    """Of each call to a link (reliability F47); with more, one lost answer would look like lost contact."""
    assert load_driver(driver).link.timeout_s <= 1.0
