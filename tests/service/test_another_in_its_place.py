"""Another instrument at the address of one that may be on: it is turned off, and never taken for the one that was."""

from __future__ import annotations

from pathlib import Path

import pytest
from undriven import EVERY_KIND, Lab, scene
from virtual_loop import LoopClock

from cycler_ctl.clock import real_sleep
from cycler_ctl.config import InstrumentSettings
from cycler_ctl.errors import InstrumentError
from cycler_ctl.live import ChannelState
from cycler_ctl.station import Station
from cycler_ctl.watching.lease import NoLease
from cycler_ctl.watching.register import SafeOffEntry, read_register, write_register
from cycler_ctl.watching.safeoff import safe_off_all


async def closed(one: Lab) -> SafeOffEntry:
    """The station has ended; what is needed to turn off what it had, told with an output on."""
    entry = one.station._hosts["smu1"].safe_off_entry()
    assert await one.station.close("the end of the service")
    await real_sleep(2.0)
    return entry


@EVERY_KIND
def test_what_was_on_is_confirmed_off_by_its_own_serial_number(name: str, tmp_path: Path) -> None:
    async def act(one: Lab) -> None:
        await one.flows()
        identity = one.instrument().identity
        entry = await closed(one)
        assert identity is not None
        assert entry.serial == identity["serial"]
        write_register(tmp_path, {"a1": entry})
        (result,) = await safe_off_all(read_register(tmp_path).values(), LoopClock())
        assert (result.confirmed, result.message[-14:]) == (True, "off, read back")

    scene(name, tmp_path, act)


@pytest.mark.parametrize("name", ["2400", "2450", "2602B", "B2902A", "NGU401"])
def test_another_instrument_is_turned_off_and_the_one_that_was_on_is_said_to_be_so_still(
    name: str, tmp_path: Path
) -> None:
    async def act(one: Lab) -> None:
        entry = await closed(one)
        other = SafeOffEntry(entry.name, entry.driver, entry.address, serial="X0815")
        one.press()
        mine, (result,) = await safe_off_all([other], LoopClock()), await safe_off_all([other], LoopClock())
        assert not one.is_on()
        assert mine == [result]
        assert not result.confirmed
        assert f"ANOTHER INSTRUMENT ANSWERED, serial number {entry.serial}" in result.message
        assert "serial number X0815, may still be ON" in result.message

    scene(name, tmp_path, act)


@pytest.mark.parametrize("said_by_a_person", [True, False])
def test_a_station_takes_another_for_the_one_that_was_left_on_only_if_a_person_says_so(
    said_by_a_person: bool, tmp_path: Path
) -> None:
    async def act(one: Lab) -> None:
        entry = await closed(one)
        lease, config = NoLease(), one.station.config
        lease.left_over = {"a1": SafeOffEntry(entry.name, entry.driver, entry.address, serial="X0815")}
        if said_by_a_person:
            settings = InstrumentSettings(driver=entry.driver, address=entry.address, serial=entry.serial)
            config = config.model_copy(update={"instruments": {"smu1": settings}})
        one.station = Station(config, LoopClock(), lease)
        await one.station.open(one.group)
        await real_sleep(5.0)
        state = one.status().state
        if said_by_a_person:
            assert state is ChannelState.FAULTED  # off, and a person must acknowledge it
        else:
            assert state is ChannelState.CANNOT_DEENERGISE
            assert "the output that may be on is that of X0815" in one.instrument().message
            with pytest.raises(InstrumentError):
                await one.station.stop("a1", "K. Abe")

    scene("2400", tmp_path, act)
