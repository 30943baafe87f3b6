"""Phase 2 of a seed: all is healed, and each channel comes to a true word, runs again, and all that is durable goes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cycler_ctl.clock import real_sleep
from cycler_ctl.live import ChannelState, ChannelStatus
from cycler_ctl.watching import latch
from sim_hardware.nmc import NmcCell
from simulated.people import BY, LATCHED
from simulated.seats import Seat

if TYPE_CHECKING:
    from simulated.world import World

HEALED_S = 120.0
SENT_S = 20.0  # a row waits ten seconds for others at most, and then for its answer
HEALTHY_V = (2.7, 4.3)
RUNS = frozenset({ChannelState.RUNNING, ChannelState.PAUSED})
CALM = RUNS | {ChannelState.IDLE, ChannelState.FINISHED}


class Healing:
    def __init__(self, world: World) -> None:
        self._world = world

    async def progress(self) -> None:
        world = self._world
        world.people.gone = True
        self._heal()
        data_dir = world.service.config.station.data_dir
        await real_sleep(HEALED_S / 2)
        if latch.latched(data_dir) is not None:
            latch.acknowledge(data_dir, BY, world.utc_s())
            await real_sleep(HEALED_S / 2)
        for seat in world.judge.seats.values():
            await self._set_going(seat)
        await real_sleep(HEALED_S / 2 - SENT_S)
        durable = dict(world.disk.durable)
        await real_sleep(SENT_S)
        for seat in world.judge.seats.values():
            self._judge_healed(seat)
        world.records.delivered(data_dir, world.broker, durable)
        world.records.as_begun(data_dir, world.people.begun)

    def _heal(self) -> None:
        world = self._world
        for cure in world.cures:
            cure()
        for wire in world.wires.by_port.values():
            wire.line.clear_faults()
        for mood in world.moods.values():
            mood.ignore = mood.sentinel = 0
        for seat in world.judge.seats.values():
            self._mend_cell(seat)

    def _mend_cell(self, seat: Seat) -> None:
        """A cell that a short has emptied would rightly be refused; a person puts it right."""
        cell = self._world.cells[seat.channel]
        seat.smu.catch_up()
        if not (seat.smu.settings.output or HEALTHY_V[0] < cell.voltage(0.0) < HEALTHY_V[1]):
            cell.restore((0.5 * NmcCell().capacity_C, 0.0))
            seat.excess_C = 0.0

    async def _set_going(self, seat: Seat) -> None:
        if seat.state in LATCHED or seat.state is ChannelState.INTERRUPTED:
            await self._world.people.act(seat, "acknowledge")
        if seat.state is not None and seat.state not in RUNS:
            await self._world.people.act(seat, "begin")

    def _judge_healed(self, seat: Seat) -> None:
        judge = self._world.judge
        status = None if seat.slot is None else seat.slot.status()
        if status is not None and self._at_its_end(seat, status):
            return
        if status is None or status.state not in CALM or status.energised is None:
            said = "no station" if status is None else f"{status.state}, energised={status.energised}: {status.reason}"
            judge.broke("liveness", f"{HEALED_S:.0f} s after all was healed {seat.channel} is still {said}")
        elif bool(status.energised) != bool(seat.smu.settings.output):
            judge.broke("d", f"{seat.channel} says energised={status.energised}")

    def _at_its_end(self, seat: Seat, status: ChannelStatus) -> bool:
        """A run that was never stopped may come to an edge of its window now, and is rightly ended there."""
        voltage_V = self._world.cells[seat.channel].voltage(0.0)
        off = status.energised is False and not seat.smu.settings.output
        return off and status.state is ChannelState.TRIPPED and not HEALTHY_V[0] < voltage_V < HEALTHY_V[1]
