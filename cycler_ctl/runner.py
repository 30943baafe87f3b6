"""One run: the only place where engine, guard, channel, clock and store meet.

At each sample: guard, then engine, then the output, then the record; turning off never waits for the disk.
"""

from __future__ import annotations

import asyncio
import math
from functools import partial

from cycler_ctl.clock import real_sleep
from cycler_ctl.errors import BadReply, InstrumentError, LinkTimeout, RefusedError, StoreError
from cycler_ctl.fittings import End, Fittings, ceilings_of, goes_on, narrowed
from cycler_ctl.guard import Ceilings, GuardState, Severity
from cycler_ctl.inbox import Inbox, Request, event_of
from cycler_ctl.instrument import Measurement, Reading
from cycler_ctl.lease import lease_for
from cycler_ctl.to_its_end import to_its_end
from protocols import engine
from protocols.events import (
    Action,
    Apply,
    Event,
    Faulted,
    Finish,
    RecordCycle,
    RecordEvent,
    RecordRow,
    RecordStep,
    Resumed,
    Sampled,
    Started,
    Tripped,
    TurnOff,
)
from protocols.model import Program, Setpoint
from protocols.record import JSON, EventKind, EventRecord
from protocols.state import State
from protocols.view import progress

SETTLE_S = 0.1  # a new setpoint's first sample is taken when it has settled: 100 ms or 3 sample periods
STALE_TEMPERATURE_S = 30.0
WITHOUT_DISK_S = 60.0  # how long a run goes on from memory when nothing can be made durable (reliability F16)
# Real seconds. From a hung instrument's first missed answer: 1 (the link's) + 1.2 + 1.5 to the alarm (reliability F1: 5).
RESYNC_S = 1.2
OFF_S = 1.5
APPLY_S = 10.0  # a slow serial line takes two seconds; while it does nobody can be heard
REWIRED = "the output was off for a moment: another range or regulation"
TOLERATED = 3  # in a row: the third lost or unreadable answer ends the run (reliability F3, F5)

TOLERANT: tuple[type[InstrumentError], ...] = (LinkTimeout, BadReply)
"""The error policy: these cost one reading until they come three in a row; every other instrument error ends the run."""


class Runner:
    """Drives one program on one channel from start to a confirmed off."""

    def __init__(self, program: Program, fittings: Fittings) -> None:
        self._program = program
        self._fit = fittings
        self._state = engine.begin(program)
        self._start_s = 0.0
        self._due_s = 0.0
        self._settling = False
        self._misses = 0
        self._guarded: GuardState | None = None
        self._end: Finish | None = None
        self._off_confirmed = True
        self._inbox = Inbox()
        self._lease_s = lease_for(fittings.sample_every_s)
        self._guarded_step = ""
        self._resuming = False
        self._applied: Setpoint | None = None

    @property
    def state(self) -> State:
        """The engine's newest state: immutable, safe to read from any thread."""
        return self._state

    @property
    def energised(self) -> bool:
        return not self._off_confirmed

    @property
    def setpoint(self) -> Setpoint | None:
        """What the instrument was told and has accepted; None while it is off."""
        return None if self._off_confirmed else self._applied

    @property
    def end(self) -> Finish | None:
        """What the run came to; None while it goes on."""
        return self._end

    def ask(self, action: str, by: str) -> asyncio.Future[None]:
        """Hand in a request; it is carried out before the next sample. Done when it was, or when the run is over."""
        return self._inbox.put(action, by)

    async def run(self) -> End:
        """Run to the end. Whatever happens, the output is off, or said not to be, when this returns or raises."""
        with self._fit.clock.member():
            try:
                return await self._run()
            except BaseException:
                if not self._off_confirmed:
                    await to_its_end(self._turn_off())
                raise
            finally:
                self._inbox.close()

    async def _run(self) -> End:
        self._start_s = self._fit.clock.now()
        if self._fit.started_by:
            self._tell(EventKind.OPERATOR, action="start", by=self._fit.started_by)
        await self._handle(Started(0.0, self._fit.clock.utc()))
        while self._end is None:
            if self._inbox:
                await self._carry_out(self._inbox.take())
                continue
            await self._fit.clock.sleep_until(self._due_s, self._inbox.wake)
            self._inbox.wake.clear()
            if self._off_confirmed:
                self._due_s = self._fit.clock.now() + self._fit.sample_every_s  # paused: an open relay shows no cell
                await real_sleep(0.0)  # virtual time may come here without ever waiting
            elif self._fit.clock.now() >= self._due_s:
                await self._sample()
        return End(self._end.outcome, self._end.reason, self._off_confirmed)

    async def _carry_out(self, request: Request) -> None:
        try:
            await self._handle(event_of(request, *self._moment()))
        finally:
            request.close()

    async def _sample(self) -> None:
        try:
            reading = await self._fit.channel.read()
        except TOLERANT as error:
            await self._missed(error)
            return
        except InstrumentError as error:
            await self._handle(Faulted(*self._moment(), str(error)))
            return
        self._misses = 0
        self._schedule_next(reading.at_s)
        if (event := self._judged(reading)) is not None:
            await self._handle(event)
        self._renew()

    def _renew(self) -> None:
        """Work was done. Never after off: a lease without an output would lapse and take the whole station down."""
        if not self._off_confirmed:
            self._fit.lease.renew(self._fit.name, self._lease_s)

    def _judged(self, reading: Reading) -> Event | None:
        """What the guard makes of a reading: only what it passes becomes a sample, and what it doubts is dropped."""
        temperature = self._fit.temperature()
        at_s, utc_s = reading.at_s - self._start_s, self._fit.clock.utc()
        if self._guarded is None:
            return Faulted(at_s, utc_s, "a reading came before any setpoint")
        self._guarded, trip = self._fit.guard.check(self._guarded, reading, temperature, self._fit.clock.now())
        if trip is not None:
            return (Tripped if trip.severity is Severity.TRIPPED else Faulted)(at_s, utc_s, trip.reason)
        sample = Sampled(at_s, utc_s, reading.voltage_V, reading.current_A, self._fresh(temperature))
        return None if self._guarded.held.odd else sample

    def _fresh(self, temperature: Measurement | None) -> float | None:
        if temperature is None or self._fit.clock.now() - temperature.at_s > STALE_TEMPERATURE_S:
            return None
        return temperature.value

    async def _missed(self, error: InstrumentError) -> None:
        """One reading is lost; prove that the next answer belongs to the next question, or end the run."""
        self._misses += 1
        self._renew()  # what is lost is the instrument's answer, not the station: the lease is there for that one
        self._due_s = self._fit.clock.now() + self._fit.sample_every_s
        if self._misses >= TOLERATED:
            await self._handle(Faulted(*self._moment(), f"{TOLERATED} readings in a row failed, last: {error}"))
            return
        trip = None if self._guarded is None else self._fit.guard.overdue(self._guarded, self._fit.clock.now())
        if trip is not None:
            await self._handle(Faulted(*self._moment(), f"{trip.reason}; last: {error}"))
            return
        try:
            async with asyncio.timeout(RESYNC_S):
                await self._fit.instrument.resync()
        except (LinkTimeout, TimeoutError):
            await self._missed(error)
        except InstrumentError as fault:
            await self._handle(Faulted(*self._moment(), str(fault)))

    def _schedule_next(self, read_at_s: float) -> None:
        """Absolute deadlines: a grid from the step's first sample, so that lateness never adds up."""
        every_s = self._fit.sample_every_s
        if self._settling:
            self._settling = False
            self._due_s = read_at_s + every_s
            return
        behind = max(0.0, self._fit.clock.now() - self._due_s)
        self._due_s += every_s * (1 + math.floor(behind / every_s))

    def _moment(self) -> tuple[float, float]:
        return self._fit.clock.now() - self._start_s, self._fit.clock.utc()

    async def _handle(self, event: Event) -> None:
        self._resuming = isinstance(event, Resumed)
        self._state, actions = engine.advance(self._program, self._state, event)
        if actions and isinstance(actions[0], TurnOff):
            await self._turn_off()
        self._record(actions)
        for action in actions:
            match action:
                case Apply():
                    await self._apply(action.setpoint)
                case Finish():
                    self._end = action
                case _:
                    pass
        trouble = self._trouble(actions)
        if trouble is not None and self._end is None:
            await self._handle(Faulted(*self._moment(), trouble))

    def _trouble(self, actions: tuple[Action, ...]) -> str | None:
        """What ends a run that the engine would go on with."""
        if actions and isinstance(actions[0], TurnOff) and not self._off_confirmed:
            return "off was not confirmed"
        if self._fit.recorder.pending().lag_s > WITHOUT_DISK_S:
            return f"no record, no current: {self._fit.recorder.failed or 'the disk has not answered for a minute'}"
        return None

    def _record(self, actions: tuple[Action, ...]) -> None:
        """Hand the records over to the writer; it never blocks. The newest state is every commit's checkpoint."""
        self._fit.recorder.append(
            tuple(action.row for action in actions if isinstance(action, RecordRow)),
            tuple(action.event for action in actions if isinstance(action, RecordEvent)),
            tuple(action.step for action in actions if isinstance(action, RecordStep)),
            tuple(action.cycle for action in actions if isinstance(action, RecordCycle)),
            partial(engine.to_json, self._state),
        )
        if any(not isinstance(action, RecordRow) for action in actions):
            self._fit.changed()

    async def _apply(self, setpoint: Setpoint) -> None:
        now = progress(self._program, self._state)
        try:
            allowed = narrowed(setpoint, self._fit.limits_V, self._fit.hold_limit_A)
            ceilings = ceilings_of(self._fit, now.path)
            async with asyncio.timeout(APPLY_S):
                await self._energise(allowed)
        except (InstrumentError, RefusedError, StoreError, TimeoutError) as error:
            why = str(error) or f"it took longer than {APPLY_S:.0f} s"
            await self._handle(Faulted(*self._moment(), f"the setpoint was not accepted: {why}"))
            return
        self._applied = allowed
        self._guarded = self._guard_step(allowed, now.step_id, ceilings)
        self._settling = True
        self._due_s = self._fit.clock.now() + min(SETTLE_S, 3 * self._fit.sample_every_s)

    async def _energise(self, setpoint: Setpoint) -> None:
        """On disk first, then at the instrument."""
        lease_s = self._lease_s + APPLY_S
        was_on, began_s = not self._off_confirmed, self._fit.clock.now()
        if self._off_confirmed:
            await self._fit.lease.will_energise(self._fit.name, self._fit.safe_off, lease_s)
            self._off_confirmed = False
        self._fit.lease.renew(self._fit.name, lease_s)
        opened = await self._fit.channel.apply(setpoint)
        if opened and was_on:
            self._tell(EventKind.NOTE, text=REWIRED, took_s=round(self._fit.clock.now() - began_s, 3))

    def _guard_step(self, setpoint: Setpoint, step_id: str, ceilings: Ceilings) -> GuardState:
        """A new step starts the guard's counts anew; a step that goes on after a pause keeps them."""
        now_s = self._fit.clock.now()
        before, was = self._guarded, self._guarded_step
        if before is not None and was == step_id and self._resuming:
            return self._fit.guard.turned_on(before, setpoint, now_s)
        self._guarded_step = step_id
        return self._fit.guard.begin_step(setpoint, ceilings, now_s, before if goes_on(was, step_id) else None)

    async def _turn_off(self) -> None:
        """One verified attempt here; what cannot be confirmed is escalated by the station, for as long as it takes."""
        self._renew()
        try:
            async with asyncio.timeout(OFF_S):
                await self._fit.channel.turn_off()
        except (InstrumentError, TimeoutError) as error:
            self._off_confirmed = False
            why = str(error) or f"no confirmation within {OFF_S} s"
            self._tell(EventKind.FAULT, reason=f"off was not confirmed: {why}")
        else:
            self._off_confirmed = True
            self._fit.lease.release(self._fit.name)
        if self._guarded is not None:
            self._guarded = self._fit.guard.turned_off(self._guarded, self._fit.clock.now())
        self._fit.changed()

    def _tell(self, kind: EventKind, **data: JSON) -> None:
        """An event that the engine knows nothing of."""
        told = (EventRecord(*self._moment(), kind, data),)
        self._fit.recorder.append((), told, (), (), partial(engine.to_json, self._state))
