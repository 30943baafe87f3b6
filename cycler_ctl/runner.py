"""One run: the only place where engine, guard, channel, clock and store meet.

At each sample: guard, then engine, then the output, then the record; turning off never waits for the record.
"""

from __future__ import annotations

import asyncio

from cycler_ctl.clock import real_sleep
from cycler_ctl.computer.awake import Awake
from cycler_ctl.errors import InstrumentError, NotAsLeft, RefusedError, StoreError
from cycler_ctl.guarding.beyond import WAITS, beyond, is_ending, let_through, no_current
from cycler_ctl.guarding.losses import Losses
from cycler_ctl.guarding.watched import Watched
from cycler_ctl.instrument import Reading
from cycler_ctl.running.cellcheck import AtRest, LastSeen, last_seen, looked, not_begun, recounted
from cycler_ctl.running.fittings import End, Fittings
from cycler_ctl.running.going_on import UNTOLD, Remains
from cycler_ctl.running.inbox import Inbox, Request, amended, event_of
from cycler_ctl.running.noticing import Notices
from cycler_ctl.running.output import Output, said
from cycler_ctl.running.pacing import Pace
from cycler_ctl.running.paused import FOUND_ON, PausedLook
from cycler_ctl.running.recording import hand_over, is_news, tell, unrecorded
from cycler_ctl.running.script import Amendment, Script
from cycler_ctl.to_its_end import to_its_end
from protocols import engine
from protocols.events import Apply, Event, Faulted, Finish, Interrupted, Paused, Resumed, Sampled, Started
from protocols.model import ConstantCurrent, Program, Setpoint
from protocols.record import JSON, EventKind, EventRecord
from protocols.running.state import Phase, State
from protocols.running.view import progress


class Runner:
    """Drives one program on one channel from start to a confirmed off, or on from where it was interrupted."""

    def __init__(self, program: Program, fittings: Fittings, remains: Remains | None = None) -> None:
        self.script = Script(program, fittings)
        self.fit = fittings
        self._remains = remains
        self._state = engine.begin(program) if remains is None else remains.state
        self._start_s = 0.0
        self._pace = Pace(fittings.sample_every_s)
        self._losses, self._watched = Losses(fittings, self._missed), Watched(fittings)
        self.end: Finish | None = None
        self.output = Output(fittings)
        self._paused, self._notices = PausedLook(fittings), Notices(fittings)
        self._awake, self._inbox = Awake(), Inbox()
        self._arming = False
        self._wanted: ConstantCurrent | None = None
        self._before_pause: LastSeen | None = None
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

    def ask(self, action: str, by: str, amendment: Amendment | None = None) -> asyncio.Future[str]:
        """Hand in a request; it is carried out before the next sample. Done when it was, or when the run is over."""
        return self._inbox.put(action, by, amendment)

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
        while self.end is None:
            if self._paused.lost and not self._inbox.is_stopping():
                self.held_back = self._paused.lost
                self.tell(EventKind.FAULT, reason=self.held_back)
                return self._paused.let_go()
            if self._inbox:
                await self._carry_out(self._inbox.take())
                continue
            await self.fit.clock.sleep_until(self._pace.due_s, self._inbox.wake)
            self._inbox.wake.clear()
            if self.output.off_confirmed:
                await self._look_paused()
            elif slept := self._awake.slept():
                await self._hold_back(slept)
            elif self.fit.clock.now() >= self._pace.due_s:
                await self._sample()
        return End(self.end.outcome, self.end.reason, self.output.off_confirmed)

    async def _look_paused(self) -> None:
        """An open relay shows no cell; whether it is open is asked all the same."""
        self._pace.wait(self.fit.clock.now())
        self._awake.slept()  # nothing was on meanwhile
        await real_sleep(0.0)  # virtual time may come here without ever waiting
        if await self._paused.found_on():
            self.output.off_confirmed = False
            await self._handle(Faulted(*self._moment(), FOUND_ON))

    async def _start(self) -> None:
        """The run's clock starts when the cell was looked at; a cell that is refused ends the run."""
        self._start_s = self.fit.clock.now()
        if self.fit.started_by:
            self.tell(EventKind.OPERATOR, action="start", by=self.fit.started_by)
        found = await self._look()
        if isinstance(found, AtRest):
            self._start_s = self.fit.clock.now()
            self._watched.seen_at_rest(found.guarded)
            await self._begin(found, Started(*self._moment()))
        elif not self._inbox.is_stopping():  # a stop is carried out as any other: off is tried once
            await self._handle(not_begun(found, *self._moment()))

    async def _go_on(self, remains: Remains) -> str | None:
        """Where the run was, on its own clock; why not, with the output off, where the cell is not as it must be."""
        gap_s = max(0.0, self.fit.clock.utc() - remains.alive_utc_s)
        self._start_s = self.fit.clock.now() - remains.alive_s - gap_s
        await self._handle(Interrupted(*self._moment()))
        self.tell(EventKind.GAP, reason=UNTOLD, gap_s=remains.untold_s(self.fit.clock.utc()))
        if self.end is not None:
            return None  # off could not be confirmed
        by, now = self.fit.started_by, progress(self.script.program, self._state)
        found = await self._look(last_seen(self.script.program, self._state))
        if not isinstance(found, AtRest):
            await self._turn_off()
            return said(found)
        self._watched.counts_from(recounted(found.guarded, self._state, self.script.ceilings(now.path)), now)
        await self._begin(found, Resumed(*self._moment(), by))
        return None

    async def _resume(self, by: str) -> None:
        """A paused run goes on where its cell is as it must be, and stays paused, with the output off, where it is not."""
        found = RefusedError(why) if (why := unrecorded(self.fit.recorder)) else await self._look(self._before_pause)
        if isinstance(found, AtRest):
            self._watched.seen_at_rest(found.guarded)
            await self._begin(found, Resumed(*self._moment(), by))
            return
        await self._turn_off()
        self.held_back = f"not gone on with: {said(found)}"
        self.tell(EventKind.NOTE, text=self.held_back)
        self.fit.changed()
        if not self.output.off_confirmed:
            await self._handle(Faulted(*self._moment(), self.held_back), tried_off=True)

    async def _look(self, last: LastSeen | None = None) -> AtRest | Exception:
        """The one way to go on: at 0 A. The caller turns off what must not stay on, once: a second try is a late alarm."""
        return await looked(self.fit, self.output, self.script.program, self._state, self._inbox.is_stopping, last=last)

    async def _begin(self, found: AtRest, coming: Started | Resumed) -> None:
        self.tell(EventKind.NOTE, **found.told())
        self._arming = True
        await self._handle(coming)
        self._arming = False

    async def _carry_out(self, request: Request) -> None:
        try:
            if request.amendment is not None:
                self._state, actions = amended(request, self.script, self._state, self._moment())
                hand_over(self.fit.recorder, actions, self._state)
                self.fit.changed()
            elif request.action == "resume" and self._state.phase is Phase.PAUSED:
                await self._resume(request.by)
            else:
                await self._handle(event_of(request, *self._moment()))
        finally:
            request.close()

    async def _sample(self) -> None:
        try:
            await self._read_once()
        except NotAsLeft as error:  # reset or rebooted: it goes on only when a person says so (reliability F7)
            await self._hold_back(str(error))

    async def _hold_back(self, why: str) -> None:
        """Off, and paused until a person says resume."""
        self.held_back = why
        await self._handle(Paused(*self._moment(), f"the service: {why}"))

    async def _read_once(self) -> None:
        reading = await self._losses.read(self.output.setpoint, self._watched.overdue)
        if slept := self._awake.slept():  # on which side of the sleep was it answered, or why was it not?
            raise NotAsLeft(slept)
        if not isinstance(reading, Reading):
            self._pace.missed(self.fit.clock.now())
            if reading is not None:
                await self._handle(Faulted(*self._moment(), reading))
            return
        self._pace.read(reading.at_s, self.fit.clock.now())
        before = self._state
        event, wanted = self._watched.judged(reading, reading.at_s - self._start_s), self._wanted
        if isinstance(event, Sampled) and wanted is not None:
            await self._read_at_rest(wanted, event)
        elif event is not None:
            if trips := not isinstance(event, Sampled):
                await self._turn_off()  # at the guard's word, whatever the engine makes of it
            await self._handle(event, tried_off=trips)
        for kind, data in self._notices.of(before, self._state, reading, self.output.setpoint):
            self.tell(kind, **data)
        self._pace.sooner(reading.at_s + self.script.soon_s(before, self._state))
        self.output.renew()

    async def _read_at_rest(self, wanted: ConstantCurrent, sample: Sampled) -> None:
        """The cell was beyond this current's window. Back within it, the step begins as if it had been so at once."""
        back = not beyond(wanted, sample.voltage_V)
        begun = self._state.step is not None and not self._state.step.fresh
        if begun or not back:
            await self._handle(sample)
        if self._wanted is not wanted:
            return  # that reading was enough for the step
        if back:
            await self._apply(wanted, goes_on=True)
        elif not is_ending(self.script.program, self._state):
            await self._handle(Faulted(*self._moment(), no_current(wanted, sample.voltage_V)))

    def _missed(self, error: InstrumentError) -> None:
        for kind, data in self._notices.lost(self._state, error):
            self.tell(kind, **data)
        self.output.renew()  # what is lost is the instrument's answer, not the station: the lease is there for that one

    def _moment(self) -> tuple[float, float]:
        return self.fit.clock.now() - self._start_s, self.fit.clock.utc()

    async def _handle(self, event: Event, *, tried_off: bool = False) -> None:
        resuming = isinstance(event, Resumed)
        self._see_pause(event)
        decided = engine.decide(self.script.program, self._state, event)
        if decided.turns_off and not tried_off:  # in vain: once more makes the alarm late
            await self._turn_off()  # before the record of it is made, which takes a while
        self._state, actions = decided.conclude()
        hand_over(self.fit.recorder, actions, self._state)
        if is_news(actions):
            self.fit.changed()
        for action in actions:
            if isinstance(action, Apply):
                await self._apply(action.setpoint, goes_on=resuming)
            elif isinstance(action, Finish):
                self.end = action
        if decided.turns_off and not self.output.off_confirmed and self.end is None:
            await self._handle(Faulted(*self._moment(), self.held_back or "off was not confirmed"), tried_off=True)
        if self._state.phase is Phase.RUNNING and (why := unrecorded(self.fit.recorder)) is not None:
            await self._hold_back(why)

    def _see_pause(self, event: Event) -> None:
        if isinstance(event, Paused):
            self._before_pause = last_seen(self.script.program, self._state)
        elif isinstance(event, Resumed):
            self.held_back = ""

    async def _apply(self, setpoint: Setpoint, *, goes_on: bool) -> None:
        """``goes_on``: within a step that has begun. A current whose window the cell is beyond waits, at 0 A."""
        now, self._wanted = progress(self.script.program, self._state), None
        try:
            allowed, self._wanted = let_through(self.fit, setpoint, self._watched.voltage_V)
            if self._wanted is not None:
                self.tell(EventKind.NOTE, text=WAITS, voltage_V=self._watched.voltage_V)
            ceilings = self.script.ceilings(now.path)
            async with self.fit.contact.patience():
                opened_s = await self.output.apply(allowed)
        except (InstrumentError, RefusedError, StoreError, TimeoutError) as error:
            await self._handle(Faulted(*self._moment(), f"the setpoint was not accepted: {said(error)}"))
            return
        if opened_s is not None:
            for kind, data in self.fit.switches.rewired(self.fit.clock.now(), opened_s, starting=self._arming):
                self.tell(kind, **data)
        self._watched.begins(allowed, now, ceilings, resuming=goes_on)
        self._pace.settle(self.fit.clock.now())

    async def _turn_off(self) -> None:
        why = await self.output.turn_off()
        if why is not None:
            self.tell(EventKind.FAULT, reason=f"off was not confirmed: {why}")
        self._wanted = None
        self._paused.begins()
        self._pace.wait(self.fit.clock.now())
        self._watched.turned_off()

    def tell(self, kind: EventKind, **data: JSON) -> None:
        """An event that the engine knows nothing of."""
        tell(self.fit.recorder, EventRecord(*self._moment(), kind, data), self._state)
