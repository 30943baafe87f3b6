"""The check itself, on one output: guarded like a run, off in the end, refused when it is no resistor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

from cycler_ctl.channels.contact import Contact
from cycler_ctl.clock import Clock
from cycler_ctl.errors import InstrumentError, RefusedError
from cycler_ctl.guard import Ceilings, Guard
from cycler_ctl.instrument import Channel, Reading
from cycler_ctl.running.fittings import SETTLE_S
from cycler_ctl.running.output import Output
from cycler_ctl.verify.judge import Seen, cell_at_rest, no_resistor
from cycler_ctl.verify.points import Point, Resistor, rest_room_V
from cycler_ctl.watching.lease import Lease
from cycler_ctl.watching.register import SafeOffEntry
from protocols.model import Rest, Setpoint, Window

READINGS = 5
PROBED = 2  # after the first points in both directions a capacitor or a cell shows that it has kept something
POINT = Ceilings(charge_Ah=1e-3, time_s=60.0)


@dataclass(frozen=True, slots=True)
class Terminals:
    """What the check is connected to."""

    name: str
    channel: Channel
    clock: Clock
    guard: Guard
    sample_every_s: float
    lease: Lease
    safe_off: SafeOffEntry
    contact: Contact


class Bench:
    """One output with a resistor on it, it is said."""

    def __init__(self, fit: Terminals, output: Output, resistor: Resistor, window_V: Window) -> None:
        self._fit = fit
        self._output = output
        self._resistor = resistor
        self._rest = Rest(window_V)

    async def measured(self, points: tuple[Point, ...], told: Callable[[Seen], None]) -> list[Seen]:
        """Every point, in order. RefusedError: what is there is no resistor, or not this one."""
        found: list[Seen] = []
        await self._expect_nothing()
        for number, point in enumerate(points):
            seen = Seen(point, *await self._at(point.setpoint))
            why_not = no_resistor(seen, self._resistor)
            if why_not is not None:
                raise RefusedError(why_not)
            told(seen)
            found.append(seen)
            if number + 1 == PROBED:
                await self._expect_nothing()
        await self._expect_nothing()
        return found

    async def _expect_nothing(self) -> None:
        voltage_V, _ = await self._at(self._rest)
        why_not = cell_at_rest(voltage_V, rest_room_V(self._resistor, self._fit.channel.ratings))
        if why_not is not None:
            raise RefusedError(why_not)

    async def _at(self, setpoint: Setpoint) -> tuple[float, float]:
        """Medians of voltage and current, when they have settled; each reading passes the guard first."""
        await self._output.apply(setpoint)
        guarded = self._fit.guard.begin_step(setpoint, POINT, self._fit.clock.now())
        seen: list[Reading] = []
        for pause_s in self._pauses():
            await self._fit.clock.sleep_until(self._fit.clock.now() + pause_s)
            reading = await self._fit.channel.read()
            guarded, trip = self._fit.guard.check(guarded, reading, None, self._fit.clock.now())
            if trip is not None:
                raise InstrumentError(f"{trip.reason}; a lead is open, or something else is connected")
            self._output.renew()
            seen.append(reading)
        return median(one.voltage_V for one in seen), median(one.current_A for one in seen)

    def _pauses(self) -> Iterator[float]:
        fastest_s = self._fit.channel.ratings.fastest_sample_s
        yield max(2 * SETTLE_S, 3 * fastest_s)
        for _ in range(READINGS - 1):
            yield fastest_s
