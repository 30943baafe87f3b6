"""The contract kit on drivers that break one rule each; on those that ship it is run in test_all_drivers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import InstrumentError
from cycler_ctl.instrument import ConstantVoltage, DriverSpec, Instrument, Link, Reading, Setpoint
from cycler_ctl.link.opening import open_link
from cycler_ctl.testing.contract import Case, ContractBroken, check_contract
from drivers import keithley_2400
from drivers.keithley_2400 import Options, Output, SourceMeter
from drivers.keithley_2400_wire import safe_off
from sim_hardware.faults import Line
from sim_hardware.keithley2400 import Keithley2400
from sim_hardware.loads import Battery
from sim_hardware.server import serve_tcp

CASE = Case(Options(), current_A=200e-6, window_V=(2.5, 4.2), lost=(0, 13, 15))


@asynccontextmanager
async def simulated() -> AsyncGenerator[Callable[[], AbstractAsyncContextManager[Link]]]:
    clock = SystemClock()
    async with serve_tcp(Line(Keithley2400(Battery(3.7, 50.0), clock.now))) as endpoint:
        yield lambda: open_link(endpoint.address, keithley_2400.DRIVER.link, clock)


class WrongSign(Output):
    async def read(self) -> Reading:
        reading = await super().read()
        return replace(reading, current_A=-reading.current_A)


class NeverOff(Output):
    async def turn_off(self) -> None:
        """Says so, and does not."""


class StaleTime(Output):
    async def read(self) -> Reading:
        return replace(await super().read(), at_s=-1.0)


class TakesAnything(Output):
    async def apply(self, setpoint: Setpoint) -> bool:
        try:
            return await super().apply(setpoint)
        except InstrumentError:
            return False


class StaysOn(Output):
    """Leaves the output as it is when it does not know what became of a setting."""

    async def apply(self, setpoint: Setpoint) -> bool:
        return await self._apply(setpoint)


class TenTimesTheLimit(Output):
    async def apply(self, setpoint: Setpoint) -> bool:
        if isinstance(setpoint, ConstantVoltage):
            setpoint = replace(setpoint, current_limit_A=10 * setpoint.current_limit_A)
        return await super().apply(setpoint)


@dataclass(frozen=True, slots=True)
class NoResync(SourceMeter):
    async def resync(self) -> None:
        """Believes in luck."""


def broken(output: type[Output], meter: type[SourceMeter] = SourceMeter) -> DriverSpec:
    @asynccontextmanager
    async def connect(link: Link, options: Options) -> AsyncGenerator[Instrument]:
        async with keithley_2400.connect(link, options) as instrument:
            made = output(link, "2400", options)
            yield meter(link, instrument.identity, made)
            await safe_off(link)

    return replace(keithley_2400.DRIVER, connect=connect)


def asks_first() -> DriverSpec:
    """Wants to know who is there before it says off."""

    @asynccontextmanager
    async def connect(link: Link, options: Options) -> AsyncGenerator[Instrument]:
        await link.query(b"*IDN?")
        async with keithley_2400.connect(link, options) as instrument:
            yield instrument

    return replace(keithley_2400.DRIVER, connect=connect)


@pytest.mark.parametrize(
    ("spec", "rule"),
    [
        (broken(WrongSign), "wrong sign"),
        (broken(NeverOff), "turned off does not read as on"),
        (broken(StaleTime), "time of its arrival"),
        (broken(TakesAnything), "is refused"),
        (broken(StaysOn), "leaves the output off"),
        (broken(TenTimesTheLimit), "beyond the limit"),
        (asks_first(), "begins with off"),
        (broken(Output, NoResync), "resync clears the link"),
        (replace(keithley_2400.DRIVER, safe_off=None), "has a safe_off"),
    ],
)
async def test_a_driver_that_breaks_a_rule_is_found(spec: DriverSpec, rule: str) -> None:
    async with simulated() as open_it:
        with pytest.raises(ContractBroken, match=rule):
            await check_contract(spec, open_it, CASE)


async def test_the_control_itself_is_sound() -> None:
    async with simulated() as open_it:
        await check_contract(broken(Output), open_it, CASE)
