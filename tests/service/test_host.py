from __future__ import annotations

import asyncio

import pytest

from cycler_ctl.clock import SystemClock
from cycler_ctl.config import InstrumentSettings
from cycler_ctl.host import InstrumentHost, Wiring
from cycler_ctl.plugins import load_driver
from sim_hardware.keithley2400 import Keithley2400
from sim_hardware.loads import Battery
from sim_hardware.server import serve_tcp


def instrument(serial: str) -> Keithley2400:
    return Keithley2400(Battery(1.0, 10.0), SystemClock().now, serial=serial)


@pytest.mark.parametrize(("urgent", "link"), [(True, "lost"), (False, "connected")])
async def test_another_instrument_in_its_place_cannot_confirm_that_an_output_is_off(*, urgent: bool, link: str) -> None:
    async with asyncio.timeout(60):
        async with serve_tcp(instrument("1111111")) as first:
            address, port = first.address, int(first.address.split("::")[2])
            settings = InstrumentSettings(driver="keithley-2400", address=address)
            wiring = Wiring("smu1", settings, {}, load_driver("keithley-2400"), "@py")
            host = InstrumentHost(wiring, SystemClock(), lambda: None)
            task = asyncio.create_task(host.run(), name="host")
            await host.online()
        host.drop()
        if urgent:
            host.hurry()
        async with serve_tcp(instrument("2222222"), port=port):
            while "1111111" not in host.status().message and host.status().link != "connected":
                await host.next_try()
            assert host.status().link == link
            task.cancel()
            await asyncio.wait({task})
