"""Leaving a connection ends in an off that was read back, or in an error, whatever was said meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import InstrumentError
from cycler_ctl.instrument import Channel, ConstantCurrent
from cycler_ctl.link.opening import open_link
from cycler_ctl.plugins import load_driver
from sim_hardware.bench import BenchInstrument, Place, open_bench
from sim_hardware.faults import LineFault
from sim_hardware.simtime import SimTime

CHARGE = ConstantCurrent(20e-3, (2.5, 4.2))
WITH_A_KEY = {
    "keithley-2400": "keithley-2400",
    "keithley-2450": "keithley-2450",
    "keithley-2600": "keithley-2602b",
    "keysight-b2900": "keysight-b2902a",
    "rs-ngu": "rs-ngu401",
}
"""Drivers and simulated models of instruments whose output somebody can switch at the front."""
ALL = WITH_A_KEY | {"palmsens-emstat4": "palmsens-emstat4"}


@dataclass(frozen=True, slots=True)
class Connected:
    channel: Channel
    smu: BenchInstrument

    def is_connected(self) -> bool:
        return bool(self.smu.truth()["relay_closed"])


@asynccontextmanager
async def connected(driver: str) -> AsyncGenerator[Connected]:
    spec, clock = load_driver(driver), SystemClock()
    time = SimTime(asyncio.get_running_loop().time, 1.0)
    wire = replace(spec.link, timeout_s=0.2)
    async with open_bench(1, time, (Place("smu", ALL[driver], "battery"),)) as bench:
        smu = bench["smu"]
        async with (
            open_link(smu.address, wire, clock) as link,
            spec.connect(link, spec.options()) as instrument,
        ):
            yield Connected(next(iter(instrument.channels.values())), smu)
        assert not smu.truth()["relay_closed"]


@pytest.mark.parametrize("driver", WITH_A_KEY)
async def test_an_output_that_a_reading_called_off_and_somebody_switched_on_again_is_off_after_leaving(
    driver: str,
) -> None:
    async with connected(driver) as c:
        await c.channel.apply(CHARGE)
        c.smu.line.instrument.set_fault("output", False)
        with pytest.raises(InstrumentError):
            await c.channel.read()
        c.smu.line.instrument.set_fault("output", True)
        assert c.is_connected()


@pytest.mark.parametrize("driver", ALL)
async def test_leaving_what_was_never_on_is_an_off_that_was_read_back(driver: str) -> None:
    async with connected(driver) as c:
        before = len(c.smu.command_log())
    told = c.smu.command_log()[before:]
    assert told, "nothing was said on leaving"


@pytest.mark.parametrize("driver", ALL)
async def test_leaving_is_an_error_where_off_cannot_be_confirmed(driver: str) -> None:
    entered = connected(driver)
    c = await entered.__aenter__()
    await c.channel.turn_off()
    c.smu.line.inject(LineFault("silence", None))
    with pytest.raises(InstrumentError):
        await entered.__aexit__(None, None, None)
