"""An NGM202 has one set of commands and a selector: whatever the line does, one output's commands never reach the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

import pytest

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import InstrumentError
from cycler_ctl.instrument import ConstantCurrent
from cycler_ctl.link.opening import open_link
from drivers import scpi
from drivers.rs_ngu import DRIVER, Options
from drivers.rs_ngu_wire import Selector
from sim_hardware.faults import Delivery, Line, LineFault
from sim_hardware.loads import Battery
from sim_hardware.rs_ngu import RsNgu
from sim_hardware.server import serve_tcp

WINDOW_V = (2.5, 4.2)
FIRST, SECOND = ConstantCurrent(5e-3, WINDOW_V), ConstantCurrent(20e-3, WINDOW_V)
HASTY = replace(DRIVER.link, timeout_s=0.1)
SELECTION = "lose the selection"
KINDS = ("lose", SELECTION, "lose byte", SELECTION, "drop", SELECTION, "garble", SELECTION, "truncate", SELECTION)
EXCHANGES, STRIDE = 60, 2  # of one apply, and of these each second
SELECTS = b":INST:NSEL 2;:INST:NSEL?"  # and the next message belongs to the same turn


class Struck(Line):
    """Counts exchanges once armed, and is struck at one of them."""

    left = -2
    kind = ""
    before = b""

    def exchange(self, data: bytes) -> Sequence[Delivery]:
        before, self.before = self.before, data
        self.left -= 1
        if self.left != -1:
            return super().exchange(data)
        if self.kind != SELECTION:
            self.inject(LineFault(self.kind))
            return super().exchange(data)
        if before.strip() != SELECTS:  # the other output may have been spoken to meanwhile
            self.instrument.receive(b":INST:NSEL 1\n")
        return super().exchange(data.replace(b"NSEL 2", b"NSL 2"))


@pytest.fixture(autouse=True)
def _fresh_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.rs_ngu_output.SETTLE_S", (0.01,))


async def struck_while_set(at: int) -> bool:
    """Whether the first output is as it was; the second is off where its setting was refused, else it carries its own."""
    clock = SystemClock()
    sim = RsNgu(Battery(3.7, 5.0), clock.now, model="ngm202", second=Battery(3.3, 5.0))
    line = Struck(sim)
    async with (
        serve_tcp(line) as endpoint,
        open_link(endpoint.address, HASTY, clock) as link,
        DRIVER.connect(link, Options(model="NGM202")) as instrument,
    ):
        await instrument.channels["1"].apply(FIRST)
        first, second = sim.frame.outputs
        before = (first.is_on, first.settings.level_V, first.settings.limit_A)
        line.left, line.kind = at, KINDS[at // STRIDE % len(KINDS)]
        try:
            await instrument.channels["2"].apply(SECOND)
        except InstrumentError:
            assert not second.is_on
        else:
            assert second.is_on
            assert second.terminals.operating().current_A == pytest.approx(20e-3, rel=0.05)
        return (first.is_on, first.settings.level_V, first.settings.limit_A) == before and first.is_on


@pytest.mark.parametrize("at", range(0, EXCHANGES, STRIDE))
async def test_a_fault_while_one_output_is_set_leaves_the_other_as_it_was(at: int) -> None:
    assert await struck_while_set(at)


async def test_commands_that_trust_an_earlier_selection_reach_the_other_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control."""

    async def told_blindly(self: Selector, commands: Iterable[str]) -> None:
        async with self.turn:
            await scpi.send(self.link, commands)

    monkeypatch.setattr(Selector, "tell", told_blindly)
    for at in range(EXCHANGES):
        if KINDS[at // STRIDE % len(KINDS)] == SELECTION:
            with suppress(AssertionError):
                if not await struck_while_set(at):
                    return
    pytest.fail("nobody noticed")
