"""People at the station: they start, pause, resume, skip, stop and acknowledge, sometimes when they should not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from cycler_ctl.clock import real_sleep
from cycler_ctl.errors import CyclerError
from cycler_ctl.live import ChannelState
from cycler_ctl.running.start import Order
from cycler_ctl.station import Station
from protocols.reading.documents import Document

if TYPE_CHECKING:
    from simulated.seats import Seat
    from simulated.world import World

BY = "K. Abe"
PATIENCE_S = 60.0
FILE = "trial.yaml"
EDITED = "        - hold: 4.39 V\n          until: 10 h\n"
HEAD = """
protocol: 1
name: {name}
cell: {{name: GN-7, nominal_capacity: {capacity}, discharge_means: lithiate}}
record: every {every_s:g} s
safety: {{voltage: 2.6 V to 4.35 V, current: 4 mA}}
steps:
"""
STEPS = (
    """  - repeat:
      times: 20
      steps:
        - charge: {at: 3 mA, until: 4.2 V}
        - rest: 5 min
        - discharge: {at: 3 mA, until: 2.8 V}
""",
    """  - charge: {at: 2 mA, until: 4.2 V, then_hold_until: 0.2 mA}
  - rest: 10 min
  - discharge: {at: 2 mA, until: 60 min}
  - charge: {at: 1 mA, until: 3 h}
""",
    """  - rest: 3 min
  - discharge: {at: 1 mA, until: 40 min}
  - charge: {at: 1 mA, until: 40 min}
  - rest: 2 h
""",
)
ACTS = {
    ChannelState.RUNNING: ("", "", "", "pause", "pause", "skip", "stop", "begin", "acknowledge"),
    ChannelState.PAUSED: ("resume", "resume", "resume", "stop", "pause", ""),
    ChannelState.INTERRUPTED: ("resume", "resume", "acknowledge", "begin"),
}
LATCHED_ACTS = ("acknowledge", "acknowledge", "begin", "resume", "")
FREE_ACTS = ("begin", "begin", "begin", "resume", "")
LATCHED = frozenset({ChannelState.TRIPPED, ChannelState.FAULTED, ChannelState.CANNOT_DEENERGISE})


CAPACITIES = (*["3 mAh"] * 3, "0.5 mAh")
"""The last one is wrong: a charge of 1.2 times that ends a step long before its cut-off."""


def protocol(random: Random, every_s: float) -> str:
    number, capacity = random.randrange(len(STEPS)), random.choice(CAPACITIES)
    return HEAD.format(name=f"Trial {number}", every_s=max(every_s, 10.0), capacity=capacity) + STEPS[number]


class People:
    def __init__(self, world: World, random: Random, every_s: float, folder: Path) -> None:
        self._world = world
        self._random = random
        self.every_s = every_s
        self.gone = False
        self.done: dict[str, int] = {}
        self.begun: dict[str, str] = {}
        """The text of each run, as it was given."""
        self._file = folder / FILE
        self._hurried: set[asyncio.Task[None]] = set()

    async def live(self) -> None:
        while True:
            await real_sleep(self._random.expovariate(1.0 / self.every_s))
            if self.gone:
                return
            seat = self._world.any_seat(self._random)
            if seat.state is not None:
                await self.act(seat, self._random.choice(self._likely(seat.state)))

    def edit(self) -> bool:
        """The file of the newest run, while somebody may still have it open."""
        if not self._file.exists():
            return False
        self._file.write_text(self._file.read_text(encoding="utf-8") + EDITED, encoding="utf-8")
        return True

    def hurry(self, seat: Seat, acts: Sequence[str]) -> None:
        """One after the other, as fast as they are answered."""

        async def all_of_them() -> None:
            for what in acts:
                if not self.gone:
                    await self.act(seat, what)
                    await real_sleep(0.1)

        task = asyncio.get_running_loop().create_task(all_of_them())
        self._hurried.add(task)
        task.add_done_callback(self._hurried.discard)

    def _likely(self, state: ChannelState) -> tuple[str, ...]:
        return ACTS.get(state, LATCHED_ACTS if state in LATCHED else FREE_ACTS)

    async def act(self, seat: Seat, what: str) -> None:
        """Carried out by the station's process: where that dies, nobody waits for the answer."""
        station, child = self._world.service.station, self._world.service.child
        if not what or station is None or child is None:
            return
        answer = child.process.spawn(self._do(station, seat, what), f"{what} {seat.channel}")
        await asyncio.wait({answer, child.process.died}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)

    async def _do(self, station: Station, seat: Seat, what: str) -> None:
        try:
            match what:
                case "begin":
                    self._file.write_text(protocol(self._random, seat.sample_every_s), encoding="utf-8")
                    order = Order(Document(FILE, text := self._file.read_text(encoding="utf-8")), by=BY)
                    self.begun[await station.begin(seat.channel, order)] = text
                case "acknowledge":
                    seat.acknowledging = True
                    await station.acknowledge(seat.channel, BY)
                case _:
                    seat.resuming = what == "resume" and seat.state is ChannelState.INTERRUPTED
                    await getattr(station, what)(seat.channel, BY)
        except CyclerError as error:
            self._world.say("person", f"{what} {seat.channel}: refused: {error}")
        except Exception as error:  # noqa: BLE001 - whatever else it is, is no answer to a person
            self._world.judge.broke("answer", f"{what} {seat.channel}: {error!r}")
        else:
            self.done[what] = self.done.get(what, 0) + 1
            seat.episodes += what in {"begin", "resume", "skip"}
            self._world.say("person", f"{what} {seat.channel}")
        finally:
            seat.acknowledging = seat.resuming = False
