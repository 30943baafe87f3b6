"""What every driver must pass before it may touch a cell: ``pip install pytest``, then ``pytest``."""

from __future__ import annotations

import asyncio

import pytest
from acme_smu1 import DRIVER, Options
from simulated_smu1 import SimulatedSmu1, simulated

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import BadReply, DeviceFault
from cycler_ctl.instrument import ConstantCurrent, ConstantVoltage
from cycler_ctl.link.opening import open_link
from cycler_ctl.plugins import driver_names, load_driver
from cycler_ctl.testing.contract import Case, check_contract

CASE = Case(Options(), current_A=1e-3, window_V=(2.5, 4.2))


def test_the_program_finds_the_driver_by_its_entry_point() -> None:
    assert "acme-smu1" in driver_names()
    assert load_driver("acme-smu1") is DRIVER


def test_the_driver_keeps_the_contract() -> None:
    async def check() -> None:
        async with simulated() as (_, address):
            await check_contract(DRIVER, lambda: open_link(address, DRIVER.link, SystemClock()), CASE)

    asyncio.run(check())


def test_a_held_voltage_is_limited_in_current() -> None:
    async def check() -> None:
        async with simulated() as (_, address), open_link(address, DRIVER.link, SystemClock()) as link:
            async with DRIVER.connect(link, Options()) as smu:
                await smu.channels["1"].apply(ConstantVoltage(4.2, 1e-3))
                reading = await smu.channels["1"].read()
                assert reading.current_A == pytest.approx(1e-3)

    asyncio.run(check())


class Deaf(SimulatedSmu1):
    """Says OK and does nothing: what a read-back is for."""

    def answer(self, line: str) -> str:
        return "OK" if line.startswith("CC") else super().answer(line)


class Garbled(SimulatedSmu1):
    def answer(self, line: str) -> str:
        return "3.7o0 0.0 ON" if line == "READ?" else super().answer(line)


@pytest.mark.parametrize(("smu", "error"), [(Deaf(), DeviceFault), (Garbled(), BadReply)])
def test_what_cannot_be_believed_is_an_error_and_the_output_ends_off(smu: SimulatedSmu1, error: type) -> None:
    async def check() -> None:
        server = await asyncio.start_server(smu.serve, "127.0.0.1", 0)
        async with server:
            address = f"TCPIP0::127.0.0.1::{server.sockets[0].getsockname()[1]}::SOCKET"
            async with open_link(address, DRIVER.link, SystemClock()) as link:
                with pytest.raises(error):
                    async with DRIVER.connect(link, Options()) as instrument:
                        await instrument.channels["1"].apply(ConstantCurrent(1e-3, (2.5, 4.2)))
                        await instrument.channels["1"].read()

    asyncio.run(check())
    assert smu.state == "OFF"
