"""A trigger model that somebody left running on a 2450 goes on switching: it must be stopped, not only switched off."""

from __future__ import annotations

from judged import Provokes

from cycler_ctl.clock import SystemClock
from cycler_ctl.link.opening import open_link
from drivers.keithley_2450 import DRIVER, Options
from drivers.keithley_2450_wire import switch_off
from sim_hardware.faults import Line
from sim_hardware.keithley2450 import Keithley2450
from sim_hardware.keithley2450_smu import TRIGGER_STEP_S
from sim_hardware.loads import Battery
from sim_hardware.server import serve_tcp


class Left:
    """A 2450 with a time of its own, on which a trigger model runs."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.sim = Keithley2450(Battery(3.7, 50.0), lambda: self.now_s)
        self.sim.set_fault("trigger_model", True)

    def is_on_later(self) -> bool:
        self.now_s += 2 * TRIGGER_STEP_S
        self.sim.receive(b"*OPC\n")
        return self.sim.truth()["output_on"] is True


async def test_it_is_stopped_when_connecting() -> None:
    left, clock = Left(), SystemClock()
    async with (
        serve_tcp(Line(left.sim)) as endpoint,
        open_link(endpoint.address, DRIVER.link, clock) as link,
        DRIVER.connect(link, Options()),
    ):
        assert not left.is_on_later()


async def test_it_is_stopped_by_safe_off() -> None:
    left, clock = Left(), SystemClock()
    async with serve_tcp(Line(left.sim)) as endpoint, open_link(endpoint.address, DRIVER.link, clock) as link:
        assert DRIVER.safe_off is not None
        await DRIVER.safe_off(link)
        assert not left.is_on_later()


async def test_off_alone_does_not_stop_it(provokes: Provokes) -> None:
    provokes("on in two wires")
    left, clock = Left(), SystemClock()
    async with serve_tcp(Line(left.sim)) as endpoint, open_link(endpoint.address, DRIVER.link, clock) as link:
        await switch_off(link)
        assert not left.sim.truth()["output_on"]
        assert left.is_on_later()
