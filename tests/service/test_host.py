from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from virtual import open_virtual

from cycler_ctl.channels.host import InstrumentHost, Wiring
from cycler_ctl.clock import SystemClock, real_sleep
from cycler_ctl.config import InstrumentSettings
from cycler_ctl.errors import LinkClosed
from cycler_ctl.instrument import ConstantCurrent
from cycler_ctl.plugins import load_driver
from sim_hardware.keithley2400 import Keithley2400
from sim_hardware.loads import Battery
from sim_hardware.server import serve_pty, serve_tcp


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


async def test_an_absent_instrument_is_tried_ever_more_rarely_and_never_less_than_every_half_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits_s: list[float] = []
    enough = asyncio.Event()

    async def noted(_: InstrumentHost, wait_s: float) -> None:
        waits_s.append(wait_s)
        if len(waits_s) == 7:
            enough.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(InstrumentHost, "_back_off", noted)
    settings = InstrumentSettings(driver="keithley-2400", address="TCPIP0::127.0.0.1::9::SOCKET")
    host = InstrumentHost(
        Wiring("smu1", settings, {}, load_driver("keithley-2400"), "@py"), SystemClock(), lambda: None
    )
    async with asyncio.timeout(30):
        task = asyncio.create_task(host.run(), name="host")
        await enough.wait()
        task.cancel()
        await asyncio.wait({task})
    assert waits_s == [1, 2, 4, 8, 16, 30, 30]


async def test_giving_up_a_connection_that_is_just_being_made_spoils_nothing() -> None:
    """Two who find it lost: the second one's word must not be held against the connection made since."""
    async with serve_tcp(instrument("1111111")) as there, asyncio.timeout(30):
        settings = InstrumentSettings(driver="keithley-2400", address=there.address)
        wiring = Wiring("smu1", settings, {}, load_driver("keithley-2400"), "@py")
        host = InstrumentHost(wiring, SystemClock(), lambda: None)
        task = asyncio.create_task(host.run(), name="host")
        while host._contact is None:
            await real_sleep(0.0)
        host.drop("the other channel's link was lost")
        await host.online()
        assert host.contact().given_up == ""
        async with host.contact().patience():
            await host.connected().resync()
        task.cancel()
        await asyncio.wait({task})


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
async def test_a_host_ends_when_told_so_though_its_instrument_is_gone_and_cannot_be_turned_off() -> None:
    """Closing the dead connection fails; the service would wait for ever for a host that took that for another loss."""
    async with asyncio.timeout(30):
        async with serve_pty(instrument("1111111")) as plugged:
            settings = InstrumentSettings(driver="keithley-2400", address=plugged.address)
            wiring = Wiring("smu1", settings, {}, load_driver("keithley-2400"), "@py")
            host = InstrumentHost(wiring, SystemClock(), lambda: None)
            task = asyncio.create_task(host.run(), name="host")
            await host.online()
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
async def test_an_adapter_that_was_pulled_out_and_put_back_is_reached_by_its_stable_name_and_off_first(
    tmp_path: Path,
) -> None:
    sim, name = instrument("1111111"), tmp_path / "usb-FTDI_1234-if00"
    settings = InstrumentSettings(driver="keithley-2400", address=f"serial://{name}")
    host = InstrumentHost(
        Wiring("smu1", settings, {}, load_driver("keithley-2400"), "@py"), SystemClock(), lambda: None
    )
    async with asyncio.timeout(60):
        async with serve_pty(sim) as plugged:
            name.symlink_to(plugged.address.removeprefix("ASRL").removesuffix("::INSTR"))
            task = asyncio.create_task(host.run(), name="host")
            channel = (await host.online()).channels["1"]
            await channel.apply(ConstantCurrent(1e-4, (0.5, 1.5)))
            assert sim.truth()["output_on"]
        name.unlink()
        with pytest.raises(LinkClosed):
            await channel.read()
        host.drop()
        await host.next_try()
        assert host.status().link == "lost"
        assert "plugged in" in host.status().message
        assert sim.truth()["output_on"]  # nobody could tell it
        async with serve_pty(sim) as again:
            name.symlink_to(again.address.removeprefix("ASRL").removesuffix("::INSTR"))
            await host.online()
            assert not sim.truth()["output_on"]
            task.cancel()
            await asyncio.wait({task})


async def test_a_status_is_told_though_the_connection_is_lost_while_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alarms, messages and the page ask from threads of their own: an error there would have ended them."""

    def lost_meanwhile(host: InstrumentHost) -> str:
        host.drop("somebody pulled the plug")
        return "connected"

    async with open_virtual(tmp_path) as lab:
        monkeypatch.setattr(InstrumentHost, "link", property(lost_meanwhile))
        (status,) = lab.station.channels()
        (instrument,) = lab.station.instruments()
        (after,) = lab.station.channels()
    assert (status.energised, after.energised) == (False, None)
    assert instrument.link == "connected"
