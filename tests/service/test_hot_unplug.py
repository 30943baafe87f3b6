"""A serial adapter is pulled out in a run and put back under another name: the alarm, off, and nothing by itself."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from rig import LIMITS, protocol, quick_links, until

from cycler_ctl.clock import SystemClock
from cycler_ctl.config import ChannelSettings, Config, HttpSettings, InstrumentSettings, StationSettings
from cycler_ctl.errors import RefusedError
from cycler_ctl.live import ChannelState, ChannelStatus
from cycler_ctl.running.start import Order
from cycler_ctl.station import Station
from cycler_ctl.watching.lease import NoLease
from protocols.reading.documents import Document
from sim_hardware.faults import Instrument
from sim_hardware.keithley2400 import Keithley2400
from sim_hardware.loads import Battery
from sim_hardware.palmsens_emstat4 import EmStat4
from sim_hardware.server import serve_pty

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
CLOCK = SystemClock()
SERIAL: dict[str, Callable[[str], Instrument]] = {
    "keithley-2400": lambda serial: Keithley2400(Battery(1.0, 10.0), CLOCK.now, serial=serial),
    "palmsens-emstat4": lambda serial: EmStat4(Battery(1.0, 10.0), CLOCK.now, serial=serial),
}


@contextmanager
def named(name: Path, device: str) -> Generator[None]:
    """The adapter's stable name is a link to whatever device file it has this time."""
    name.symlink_to(device)
    try:
        yield
    finally:
        name.unlink()


@asynccontextmanager
async def plugged(sim: Instrument, name: Path) -> AsyncGenerator[str]:
    async with serve_pty(sim) as there:
        device = there.address.removeprefix("ASRL").removesuffix("::INSTR")
        with named(name, device):
            yield device


@asynccontextmanager
async def station(driver: str, name: Path, data: Path) -> AsyncGenerator[Station]:
    channel = ChannelSettings(instrument="smu1", sample_every_s=0.3, limits=LIMITS, temperature="unmonitored")
    config = Config(
        station=StationSettings(name="rig", data_dir=data),
        http=HttpSettings(enabled=False),
        instruments={"smu1": InstrumentSettings(driver=driver, address=f"serial://{name}")},
        channels={"a1": channel},
    )
    async with asyncio.TaskGroup() as group:
        opened = Station(config, CLOCK, NoLease())
        try:
            await opened.open(group)
            await opened.first_tries()
            yield opened
        finally:
            await opened.close("the end of the test")


def status(of: Station) -> ChannelStatus:
    return of.channels()[0]


async def flowing(of: Station) -> None:
    await of.begin("a1", Order(Document("trial.yaml", protocol())))
    await until(lambda: of.latest("a1") is not None)


@pytest.mark.parametrize("driver", SERIAL)
async def test_an_adapter_pulled_out_in_a_run_is_an_alarm_and_off_once_it_is_back_under_another_name(
    driver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And an instrument that has got its old device file meanwhile hears nothing."""
    quick_links(monkeypatch, 0.3)
    sim, other, name = SERIAL[driver]("1111111"), SERIAL[driver]("2222222"), tmp_path / "usb-FTDI_1234-if00"
    async with AsyncExitStack() as adapter:
        await adapter.enter_async_context(plugged(sim, name))
        async with station(driver, name, tmp_path / "data") as lab:
            await flowing(lab)
            assert sim.truth()["output_on"]
            await adapter.aclose()
            alarm_s = await until(lambda: status(lab).state is ChannelState.CANNOT_DEENERGISE)
            assert alarm_s <= 5.0
            assert (status(lab).energised, lab.instruments()[0].link) == (None, "lost")
            assert "may still be energised at" in status(lab).reason
            assert sim.truth()["output_on"]  # nobody could tell it
            async with plugged(other, tmp_path / "usb-FTDI_5678-if00") as taken, plugged(sim, name) as again:
                assert again != taken  # which is mostly where it was before
                assert await until(lambda: status(lab).state is ChannelState.FAULTED) <= 5.0
                assert not sim.truth()["output_on"]
                assert (status(lab).energised, lab.instruments()[0].link) == (False, "connected")
                heard = len(sim.log)
                with pytest.raises(RefusedError, match="look at the cell"):
                    await flowing(lab)
                assert (len(sim.log), sim.truth()["output_on"], len(other.log)) == (heard, False, 0)
