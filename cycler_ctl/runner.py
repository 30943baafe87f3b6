"""One run: the only place where engine, guard, channel, clock and store meet.

At each sample: guard, then engine, then the output, then the record; turning off never waits for the disk.
"""

from __future__ import annotations

import asyncio

from cycler_ctl.cellcheck import at_rest
from cycler_ctl.clock import real_sleep
from cycler_ctl.errors import BadReply, InstrumentError, LinkTimeout, RefusedError, StoreError
from cycler_ctl.fittings import End, Fittings, ceilings_of, fresh, goes_on, narrowed
from cycler_ctl.going_on import Remains
from cycler_ctl.guard import Ceilings, GuardState, Severity
from cycler_ctl.inbox import Inbox, Request, event_of
from cycler_ctl.instrument import Reading
from cycler_ctl.noticing import Notices
from cycler_ctl.output import APPLY_S, Output
from cycler_ctl.pacing import Pace
from cycler_ctl.recording import hand_over, tell
from cycler_ctl.to_its_end import to_its_end
from protocols import engine
from protocols.events import (
    Apply,
    Event,
    Faulted,
    Finish,
    Interrupted,
    Paused,
    RecordRow,
    Resumed,
    Sampled,
    Started,
    Tripped,
    TurnOff,
)
from protocols.model import Program, Setpoint
from protocols.record import JSON, EventKind, EventRecord
from protocols.running.approach import remembered, until_met_s
from protocols.running.state import Phase, Seen, State
from protocols.running.view import progress

WITHOUT_DISK_S = 60.0  # how long a run goes on from memory when nothing can be made durable (reliability F16)
RESYNC_S = 2.0  # real seconds, for an instrument that answers; see contact.PATIENCE_S for one that does not
REWIRED = "the output was off for a moment: another range or regulation"
BEFORE = "the cell at rest before the interrupted run goes on"
TOLERATED = 3  # in a row: the third lost or unreadable answer ends the run (reliability F3, F5)

TOLERANT: tuple[type[InstrumentError], ...] = (LinkTimeout, BadReply)
"""The error policy: these cost one reading until they come three in a row; every other instrument error ends the run."""


class Runner:
    """Drives one program on one channel from start to a confirmed off, or on from where it was interrupted."""

    def __init__(self, program: Program, fittings: Fittings, remains: Remains | None = None) -> None:
        self._program = program
        self.fit = fittings
        self._remains = remains
        self._state = engine.begin(program) if remains is None else remains.state
        self._start_s = 0.0
        self._pace = Pace(fittings.sample_every_s)
        self._misses = 0
        self._seen: tuple[Seen, ...] = ()
        self._guarded: GuardState | None = None
        self._end: Finish | None = None
        self.output = Output(fittings)
        self._notices = Notices(fittings)
        self._inbox = Inbox()
        self._guarded_step = ""
        self._resuming = False
        self.held_back = ""
        """Why the last pause nobody asked for was made."""
        self.going: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done once it is under way: nothing, or why an interrupted run does not go on."""

    @property
    def state(self) -> State:
        """The engine's newest state: immutable, safe to read from any thread."""
        return self._state

    @property
    def energised(self) -> bool:
        return not self.output.off_confirmed

    @property
    def setpoint(self) -> Setpoint | None:
        """What the instrument was told and has accepted; None while it is off."""
        return None if self.output.off_confirmed else self.output.applied

    @property
    def end(self) -> Finish | None:
        return self._end

    @property
    def unrecorded(self) -> str | None:
        """Why no current may flow for want of a disk: so early that the reserve still takes what happened until then."""
        if self.fit.recorder.pending().lag_s <= WITHOUT_DISK_S:
            return None
        return f"no record, no current: {self.fit.recorder.failed or 'the disk has not answered for a minute'}"

    def ask(self, action: str, by: str) -> asyncio.Future[None]:
        """Hand in a request; it is carried out before the next sample. Done when it was, or when the run is over."""
        return self._inbox.put(action, by)

    async def run(self) -> End:
        """Run to the end. Whatever happens, the output is off, or said not to be, when this returns or raises."""
        with self.fit.clock.member():
            try:
                return await self._run()
            except BaseException:
                if not self.output.off_confirmed:
                    await to_its_end(self._turn_off())
                raise
            finally:
                self._inbox.close()
                self._is_going("the run is over")

    def _is_going(self, why_not: str) -> None:
        if not self.going.done():
            self.going.set_result(why_not)

    async def _run(self) -> End:
        refusal = await (self._start() if self._remains is None else self._go_on(self._remains))
        self._is_going(refusal or "")
        if refusal is not None:
            self.tell(EventKind.NOTE, text=f"not gone on with: {refusal}")
            return End(None, refusal, self.output.off_confirmed)
        while self._end is None:
            if self._inbox:
                await self._carry_out(self._inbox.take())
                continue
            await self.fit.clock.sleep_until(self._pace.due_s, self._inbox.wake)
            self._inbox.wake.clear()
            if self.output.off_confirmed:
                self._pace.wait(self.fit.clock.now())  # paused: an open relay shows no cell
                await real_sleep(0.0)  # virtual time may come here without ever waiting
            elif self.fit.clock.now() >= self._pace.due_s:
                await self._sample()
        return End(self._end.outcome, self._end.reason, self.output.off_confirmed)

    async def _start(self) -> None:
        self._start_s = self.fit.clock.now()
        if self.fit.started_by:
            self.tell(EventKind.OPERATOR, action="start", by=self.fit.started_by)
        await self._handle(Started(0.0, self.fit.clock.utc()))

    async def _go_on(self, remains: Remains) -> str | None:
        """Where the run was, on its own clock; why not, with the output off, where the cell is not as it must be."""
        gap_s = max(0.0, self.fit.clock.utc() - remains.alive_utc_s)
        self._start_s = self.fit.clock.now() - remains.alive_s - gap_s
        await self._handle(Interrupted(*self._moment()))
        untold_s = max(0.0, self.fit.clock.utc() - remains.told_utc_s)
        self.tell(EventKind.GAP, reason="nobody went on with the interrupted run", gap_s=untold_s)
        if self._end is not None:
            return None  # off could not be confirmed
        try:
            async with self.fit.contact.patience():
                found = await at_rest(self.fit, self.output, self._program, remains.state, lambda: bool(self._inbox))
        except (InstrumentError, RefusedError, StoreError, TimeoutError) as error:
            await self._turn_off()
            return str(error) or f"the instrument took longer than {APPLY_S:.0f} s"
        self.tell(EventKind.NOTE, text=BEFORE, voltage_V=found.voltage_V, last_voltage_V=found.last_V)
        self._guarded, self._guarded_step = found.guarded, progress(self._program, self._state).step_id
        await self._handle(Resumed(*self._moment(), self.fit.started_by))
        return None

    async def _carry_out(self, request: Request) -> None:
        try:
            await self._handle(event_of(request, *self._moment()))
        finally:
            request.close()

    async def _sample(self) -> None:
        try:
            async with self.fit.contact.patience():
                reading = await self.fit.channel.read()
        except TOLERANT as error:
            self._pace.missed(self.fit.clock.now())
            await self._missed(error)
            return
        except InstrumentError as error:
            await self._handle(Faulted(*self._moment(), str(error)))
            return
        self._misses = 0
        self._pace.read(reading.at_s, self.fit.clock.now())
        before = self._state
        if (event := self._judged(reading)) is not None:
            await self._handle(event)
        for kind, data in self._notices.of(before, self._state, reading, self.setpoint):
            self.tell(kind, **data)
        self._look_ahead(before, reading.at_s)
        self.output.renew()

    def _look_ahead(self, before: State, read_at_s: float) -> None:
        """The next reading where a condition may be met, so that how far it is overshot is the instrument's speed."""
        self._seen = remembered(self._seen, before, self._state)
        soon_s = until_met_s(self._program, self._state, self._seen)
        self._pace.sooner(read_at_s + max(soon_s, self.fit.channel.ratings.fastest_sample_s))

    def _judged(self, reading: Reading) -> Event | None:
        """What the guard makes of a reading: only what it passes becomes a sample, and what it doubts is dropped."""
        temperature = self.fit.temperature()
        at_s, utc_s = reading.at_s - self._start_s, self.fit.clock.utc()
        if self._guarded is None:
            return Faulted(at_s, utc_s, "a reading came before any setpoint")
        self._guarded, trip = self.fit.guard.check(self._guarded, reading, temperature, self.fit.clock.now())
        if trip is not None:
            return (Tripped if trip.severity is Severity.TRIPPED else Faulted)(at_s, utc_s, trip.reason)
        sample = Sampled(at_s, utc_s, reading.voltage_V, reading.current_A, fresh(temperature, self.fit.clock.now()))
        return None if self._guarded.held.odd else sample

    async def _missed(self, error: InstrumentError) -> None:
        """One reading is lost; prove that the next answer belongs to the next question, or end the run."""
        self._misses += 1
        for kind, data in self._notices.lost(self._state, error):
            self.tell(kind, **data)
        self.output.renew()  # what is lost is the instrument's answer, not the station: the lease is there for that one
        if hopeless := self._hopeless():
            return await self._handle(Faulted(*self._moment(), f"{hopeless}; last: {error}"))
        try:
            async with asyncio.timeout(RESYNC_S), self.fit.contact.patience():
                await self.fit.instrument.resync()
        except (LinkTimeout, TimeoutError):
            await self._missed(error)
        except InstrumentError as fault:
            await self._handle(Faulted(*self._moment(), str(fault)))

    def _hopeless(self) -> str:
        """Why the run does not try any longer; empty while it does."""
        if self.fit.contact.lost or self._misses >= TOLERATED:
            return self.fit.contact.lost or f"{TOLERATED} readings in a row failed"
        trip = None if self._guarded is None else self.fit.guard.overdue(self._guarded, self.fit.clock.now())
        return "" if trip is None else trip.reason

    def _moment(self) -> tuple[float, float]:
        return self.fit.clock.now() - self._start_s, self.fit.clock.utc()

    async def _handle(self, event: Event) -> None:
        self._resuming = isinstance(event, Resumed)
        self.held_back = "" if self._resuming else self.held_back
        self._state, actions = engine.advance(self._program, self._state, event)
        if actions and isinstance(actions[0], TurnOff):
            await self._turn_off()
        hand_over(self.fit.recorder, actions, self._state)
        if any(not isinstance(action, RecordRow) for action in actions):
            self.fit.changed()
        for action in actions:
            match action:
                case Apply():
                    await self._apply(action.setpoint)
                case Finish():
                    self._end = action
                case _:
                    pass
        if isinstance(next(iter(actions), None), TurnOff) and not self.output.off_confirmed and self._end is None:
            await self._handle(Faulted(*self._moment(), "off was not confirmed"))  # the engine would go on
        unrecorded = self.unrecorded
        if unrecorded is not None and self._state.phase is Phase.RUNNING:
            self.held_back = unrecorded
            await self._handle(Paused(*self._moment(), f"the service: {unrecorded}"))

    async def _apply(self, setpoint: Setpoint) -> None:
        now = progress(self._program, self._state)
        try:
            allowed = narrowed(setpoint, self.fit.limits_V, self.fit.hold_limit_A)
            ceilings = ceilings_of(self.fit, now.path)
            async with self.fit.contact.patience():
                opened_s = await self.output.apply(allowed)
        except (InstrumentError, RefusedError, StoreError, TimeoutError) as error:
            why = str(error) or f"it took longer than {APPLY_S:.0f} s"
            await self._handle(Faulted(*self._moment(), f"the setpoint was not accepted: {why}"))
            return
        if opened_s is not None:
            self.tell(EventKind.NOTE, text=REWIRED, took_s=round(opened_s, 3))
        self._guarded = self._guard_step(allowed, now.step_id, ceilings)
        self._pace.settle(self.fit.clock.now())

    def _guard_step(self, setpoint: Setpoint, step_id: str, ceilings: Ceilings) -> GuardState:
        """A new step starts the guard's counts anew; a step that goes on after a pause keeps them."""
        now_s = self.fit.clock.now()
        before, was = self._guarded, self._guarded_step
        if before is not None and was == step_id and self._resuming:
            return self.fit.guard.turned_on(before, setpoint, now_s)
        self._guarded_step = step_id
        return self.fit.guard.begin_step(setpoint, ceilings, now_s, before if goes_on(was, step_id) else None)

    async def _turn_off(self) -> None:
        why = await self.output.turn_off()
        if why is not None:
            self.tell(EventKind.FAULT, reason=f"off was not confirmed: {why}")
        if self._guarded is not None:
            self._guarded = self.fit.guard.turned_off(self._guarded, self.fit.clock.now())
        self.fit.changed()

    def tell(self, kind: EventKind, **data: JSON) -> None:
        """An event that the engine knows nothing of."""
        tell(self.fit.recorder, EventRecord(*self._moment(), kind, data), self._state)

    def tell_try(self, text: str) -> None:
        """After the end, while off is not confirmed."""
        self.tell(EventKind.FAULT, reason=text)
