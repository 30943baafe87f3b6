"""A run goes on without a person only where its channel says so, and where every single condition of that holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from virtual import Virtual, open_virtual

from cycler_ctl.channels.auto_resume import AUTO
from cycler_ctl.clock import real_sleep
from cycler_ctl.live import ChannelState
from protocols.record import EventKind
from sim_hardware.loads import Battery

CHARGE = "  - charge: {at: 1 mA, for: 30 min}\n  - rest: 5 min\n"


def allow(lab: Virtual, **more: object) -> None:
    """For the next station."""
    config = lab.station.config
    changed = config.channels["a1"].model_copy(update={"auto_resume": True, **more})
    lab.station.config = config.model_copy(update={"channels": {"a1": changed}})


async def settles(lab: Virtual) -> ChannelState:
    """Some time for the service to do what it wants to by itself."""
    for _ in range(120):
        await lab.clock.sleep_until(lab.clock.now() + 0.05)
        await real_sleep(0.005)
        status = lab.status()
        if abs(lab.truth()["current_A"]) > 0.9e-3 or "by itself" in status.reason:
            break
    return lab.status().state


async def running(lab: Virtual) -> None:
    await lab.start(CHARGE)
    await lab.at(600.0)
    allow(lab)


async def test_a_run_goes_on_by_itself_after_a_short_crash_and_its_record_says_who(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        await running(lab)
        await lab.dies(20.0)
        assert await settles(lab) is ChannelState.RUNNING
        assert (await lab.ends()).state is ChannelState.FINISHED
        assert lab.steps()[0].charge_Ah == pytest.approx(0.5e-3, rel=5e-3)
        (resumed,) = [event for event in lab.events(EventKind.OPERATOR) if event.data["action"] == "resume"]
        assert resumed.data["by"] == AUTO


async def waits(lab: Virtual, why: str) -> None:
    assert await settles(lab) is ChannelState.INTERRUPTED
    assert why in lab.status().reason
    assert lab.is_off()


async def test_without_the_setting_it_waits_for_a_person(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        await lab.start(CHARGE)
        await lab.at(600.0)
        await lab.dies(20.0)
        assert await settles(lab) is ChannelState.INTERRUPTED
        assert lab.is_off()


async def test_after_a_longer_gap_it_waits_for_a_person(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        await running(lab)
        await lab.dies(100.0)
        await waits(lab, "auto_resume_gap is 60 s")


async def test_a_clock_that_went_back_is_no_short_gap(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        await running(lab)
        lab.clock.utc_is_set(-3600.0)
        await lab.dies(20.0)
        await waits(lab, "auto_resume_gap is 60 s")


async def test_a_paused_run_stays_paused_by_whoever_paused_it(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        await running(lab)
        await lab.acting(lab.station.pause("a1", "K. Abe"))
        await lab.dies(20.0)
        await waits(lab, "it was paused")


async def dies_and(lab: Virtual, cell: Battery) -> None:
    """Somebody puts another cell on while nobody looks."""
    await lab.closes_unheard()
    lab.swap(cell)
    await lab.another_station()


async def test_another_cell_waits_for_a_person(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        await running(lab)
        await dies_and(lab, Battery(3.9, 5.0))
        await waits(lab, "is it the same cell")


async def test_another_setup_waits_for_a_person(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        await running(lab)
        allow(lab, debounce=3)
        await lab.dies(20.0)
        await waits(lab, "debounce was 2 and is 3")


async def test_a_run_that_was_refused_once_is_not_tried_again_by_itself(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        await running(lab)
        own = lab.load()
        await dies_and(lab, Battery(3.9, 5.0))
        await waits(lab, "is it the same cell")
        lab.swap(own)
        await lab.acting(lab.closes("again"))
        await lab.another_station()
        await waits(lab, "no crash and no loss of power")


async def test_the_fourth_time_in_a_day_it_waits_for_a_person(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        await running(lab)
        for _ in range(3):
            await lab.dies(20.0)
            assert await settles(lab) is ChannelState.RUNNING
            await lab.at(lab.clock.now() + 90.0)
        await lab.dies(20.0)
        await waits(lab, "3 times within a day")
