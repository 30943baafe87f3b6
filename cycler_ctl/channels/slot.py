"""One channel: at most one run at a time, and what is known of its output."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from cycler_ctl.channels.host import InstrumentHost
from cycler_ctl.clock import Clock
from cycler_ctl.config import ChannelSettings
from cycler_ctl.errors import InstrumentError, RefusedError
from cycler_ctl.live import ChannelState, ChannelStatus, QueueStatus
from cycler_ctl.runner import Runner
from cycler_ctl.running.beginning import Beginning
from cycler_ctl.running.current import Beside, CurrentRun, Shown, latest_of, steps_of
from cycler_ctl.running.doing import still
from cycler_ctl.running.escalation import Case, chase, strike_out
from cycler_ctl.running.fittings import End
from cycler_ctl.running.recording import unrecorded
from cycler_ctl.store.info import RunInfo
from cycler_ctl.watching.lease import Lease
from protocols.record import EventKind, Outcome, Row

log = logging.getLogger(__name__)

ACTIVE = frozenset({ChannelState.RUNNING, ChannelState.PAUSED})
LATCHED = frozenset(
    {ChannelState.TRIPPED, ChannelState.FAULTED, ChannelState.CANNOT_DEENERGISE, ChannelState.INTERRUPTED}
)
CANCELLED = "the service ended during the run"
ACT_S = 10.0  # a request is carried out within a reading and, at worst, a setpoint
FLUSH_S, CLOSE_S = 2.0, 30.0  # how long the disk may take for a pause, for the last commit; off comes long before


class Slot:
    """Owns the runs of one channel. Its status is replaced as a whole, so any thread may read it."""

    def __init__(
        self,
        name: str,
        settings: ChannelSettings,
        host: InstrumentHost,
        clock: Clock,
        lease: Lease,
        *,
        changed: Callable[[ChannelStatus], None],
        keep: Callable[[str, str], Awaitable[None]],
    ) -> None:
        self.name = name
        self.settings = settings
        self.host = host
        self._clock = clock
        self._lease = lease
        self._changed, self._keep = changed, keep
        self._current: CurrentRun | None = None
        self.beginning = Beginning(name)
        self._ended = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self._base = ChannelStatus(name, settings.instrument, ChannelState.IDLE, "", clock.utc(), None)
        self._shown = Shown()

    def status(self, queue: QueueStatus | None = None, rows: Callable[[str], int] | None = None) -> ChannelStatus:
        """The base facts with what the engine says at this moment. ``rows``: of a run, how many wait for a broker."""
        waiting = None if rows is None or self._base.run is None else rows(self._base.run)
        beside = Beside(self._energised(), self._protection(), queue, waiting)
        return self._shown.of(self._base, beside, self._current)

    def _protection(self) -> str | None:
        """The class of this output as it is set up; unseen, that of the driver."""
        seen = None if (instrument := self.host.there) is None else instrument.channels.get(self.settings.output)
        return self.host.protection if seen is None else seen.ratings.protection.value

    def _energised(self) -> bool | None:
        """While no run has it, connected means: every output was turned off and that was read back."""
        if (current := self._current) is not None and self._base.state in ACTIVE:
            return current.runner.energised
        return None if self._base.state is ChannelState.CANNOT_DEENERGISE or not self.host.heard else False

    def steps(self) -> tuple[int, int]:
        """(steps ended, steps at most) of the current or last run; (0, 1) before any."""
        return (0, 1) if (current := self._current) is None else steps_of(current)

    def latest(self) -> tuple[str, Row] | None:
        return None if (current := self._current) is None else latest_of(current)

    @property
    def active(self) -> bool:
        return self._base.state in ACTIVE

    @property
    def busy(self) -> bool:
        return self.beginning.under_way or self.active

    def refuse_if_busy(self) -> None:
        self.beginning.refuse()
        if self._base.state in ACTIVE:
            raise RefusedError(f"channel {self.name} is {self._base.state}: stop it first")
        self.refuse_if_latched()

    def refuse_if_latched(self) -> None:
        state = self._base.state
        if state in LATCHED:
            either = f"'cycler-ctl resume {self.name}' or " if state is ChannelState.INTERRUPTED else ""
            raise RefusedError(
                f"channel {self.name} is {state} ({self._base.reason}): look at the cell, then "
                f"{either}'cycler-ctl acknowledge {self.name}'"
            )

    def refuse_unless_interrupted(self) -> str:
        """The run that may go on here; RefusedError where there is none, or somebody was faster."""
        run = self._base.run
        if self._base.state is not ChannelState.INTERRUPTED or run is None:
            raise RefusedError(f"channel {self.name} is {self._base.state}: there is nothing to resume")
        return run

    def interrupted(
        self, run: str | None, info: RunInfo | None, reason: str, state: ChannelState = ChannelState.INTERRUPTED
    ) -> None:
        """A run of an earlier session never ended, or nobody has looked since. ``info`` None: no record can be read."""
        if info is not None:
            cell = info.cell.get("name")
            name = None if cell is None else str(cell)
            self._base = replace(self._base, protocol=info.protocol_name, cell=name)
        self._base = replace(self._base, run=run)
        self._set(state, reason)

    def cannot_deenergise(self, reason: str) -> Case:
        """The loudest alarm there is; what chases the output says more through what is returned."""
        self._set(ChannelState.CANNOT_DEENERGISE, reason)
        return self._case(reason, log.warning)

    def was_on(self, before: ChannelStatus, why: str) -> None:
        """Latched, now that it is off; a person may go on with an interrupted run all the same."""
        reason = f"{before.reason}; {why}" if before.state in LATCHED else why
        interrupted = before.state is ChannelState.INTERRUPTED
        self._set(ChannelState.INTERRUPTED if interrupted else ChannelState.FAULTED, reason)

    def begin(self, current: CurrentRun, group: asyncio.TaskGroup) -> None:
        self._current = current
        self._ended.clear()
        program = current.program
        self._base = replace(self._base, run=current.run, protocol=program.name, cell=program.cell.name)
        self._set(ChannelState.RUNNING, "")
        self.task = group.create_task(self._run(current), name=f"run {current.run}")

    async def _run(self, current: CurrentRun) -> None:
        try:
            try:
                end = await self._to_confirmed_off(current)
            finally:
                kept = await asyncio.to_thread(current.writer.close, CLOSE_S)
            if kept:
                state = ChannelState.INTERRUPTED if end.outcome is None else ChannelState(end.outcome.value)
                self._set(state, end.reason)
            else:
                why = f"{end.reason}; its last rows are NOT on disk: {current.writer.failed}"
                self._set(ChannelState.FAULTED, why)
                await self._keep(self.name, why)
        finally:
            self._ended.set()

    async def _to_confirmed_off(self, current: CurrentRun) -> End:
        end = await self._outcome(current)
        if not end.off_confirmed:
            await self._until_off(current.runner, end)
        await strike_out(self.name, self._lease)
        return end

    async def _outcome(self, current: CurrentRun) -> End:
        """How the run ended, told to its record; an output that is not off makes any end a fault."""
        try:
            end = await current.runner.run()
        except asyncio.CancelledError:  # the record stays open, as the next service finds it
            if current.runner.energised:
                self._set(ChannelState.CANNOT_DEENERGISE, f"{CANCELLED}, and off could not be confirmed")
            else:
                self._set(ChannelState.INTERRUPTED, CANCELLED)
            raise
        except Exception as error:
            log.exception("run %s", current.run)
            end = End(Outcome.FAULTED, f"internal error: {error!r}", off_confirmed=not current.runner.energised)
            if current.runner.end is None:
                current.runner.tell(EventKind.RUN_ENDED, outcome=Outcome.FAULTED.value, reason=end.reason)
        if not end.off_confirmed:
            end = replace(end, outcome=Outcome.FAULTED, reason=f"{end.reason}; off could not be confirmed")
        if end.outcome is None:
            current.writer.interrupt(end.reason)
        else:
            current.writer.finish(end.outcome, end.reason)
        return end

    async def _until_off(self, runner: Runner, end: End) -> None:
        perhaps = still(runner.output.may_do, runner.fit.channel.ratings.protection)
        reason = f"{end.reason}: the cell may still be energised{perhaps}. Trying every 0.5 s; disconnect it"
        log.error("channel %s: %s", self.name, reason)
        self._set(ChannelState.CANNOT_DEENERGISE, reason)
        case = self._case(reason, lambda text: runner.tell(EventKind.FAULT, reason=text))
        await chase(case, self.host, runner.fit, runner.output, end.reason)

    def _case(self, reason: str, tell: Callable[[str], None]) -> Case:
        def alarm(text: str) -> None:
            self._set(ChannelState.CANNOT_DEENERGISE, f"{reason}. {text}")

        return Case(self.name, self.host.safe_off_entry(), tell, alarm)

    async def going(self) -> None:
        """Return when an interrupted run goes on; RefusedError with why it does not, InstrumentError if it ended at once."""
        current = self._current
        if current is None:
            return
        why_not = await current.runner.going
        end = current.runner.end
        if end is not None and end.outcome in {Outcome.FAULTED, Outcome.TRIPPED}:
            raise InstrumentError(f"channel {self.name}: {end.reason}")
        if why_not:
            await self._over_and_off(ACT_S)
            raise RefusedError(f"run {current.run} does not go on: {why_not}")

    async def ask(self, action: str, by: str) -> None:
        runner = (current := self.running(action)).runner
        if action == "resume" and (why := unrecorded(runner.fit.recorder)) is not None:
            raise RefusedError(f"channel {self.name}: {why}")
        asked = runner.ask(action, by)
        await asyncio.wait({asked}, timeout=ACT_S)
        if runner.end is not None and runner.end.outcome in {Outcome.FAULTED, Outcome.TRIPPED}:
            raise InstrumentError(f"channel {self.name}: {runner.end.reason}")
        if action == "resume" and runner.held_back and runner.end is None:
            raise RefusedError(f"channel {self.name}: {runner.held_back}")
        if action == "pause" and runner.energised:
            raise InstrumentError(f"channel {self.name}: off is not confirmed yet")
        if not asked.done():
            raise InstrumentError(f"channel {self.name}: {action} not carried out within {ACT_S:.0f} s; see its status")
        if why_not := asked.result():
            raise RefusedError(f"channel {self.name}: too late to {action}: {why_not}")
        if action == "pause":  # who was told so must find it so, whatever dies now: only what runs goes on by itself
            await asyncio.to_thread(current.writer.flush, FLUSH_S)

    def running(self, action: str) -> CurrentRun:
        current, state = self._current, self.status().state
        wanted = {"pause": {ChannelState.RUNNING}, "resume": {ChannelState.PAUSED}}.get(action, ACTIVE)
        if state is ChannelState.CANNOT_DEENERGISE:
            raise InstrumentError(f"channel {self.name}: {self._base.reason}")
        if current is None or state not in wanted:
            raise RefusedError(f"channel {self.name} is {state}: there is nothing to {action}")
        if action == "resume" and not current.runner.going.done():
            raise RefusedError(f"channel {self.name} is being resumed already")
        return current

    async def stop(self, by: str, timeout_s: float = ACT_S) -> None:
        """Return when off was read back and the record is closed (a slow disk is not waited for); or say it was not."""
        if self.beginning.under_way and not (self.active or self.may_be_on()):
            self.beginning.call_off(by)
            return
        self.running("stop").runner.ask("stop", by)
        await self._over_and_off(timeout_s)

    async def _over_and_off(self, timeout_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._ended.wait()
        if self.may_be_on():
            raise InstrumentError(f"channel {self.name}: {self._base.reason or 'off is not confirmed yet'}")

    def may_be_on(self) -> bool:
        """Whether a run of ours, or one before us, may have left the output on."""
        running = self._current is not None and not self._ended.is_set()
        energised = self._current is not None and running and self._current.runner.energised
        return energised or self._base.state is ChannelState.CANNOT_DEENERGISE

    async def ended(self) -> None:
        if self._current is not None:
            await self._ended.wait()

    def acknowledge(self, by: str) -> str | None:
        """A person has looked: the channel may be used again. Never while off is not confirmed. The run it was about."""
        self.beginning.refuse()
        state = self._base.state
        if state is ChannelState.CANNOT_DEENERGISE:
            raise RefusedError(f"channel {self.name}: off is not confirmed; nobody can acknowledge that away")
        if state not in LATCHED:
            raise RefusedError(f"channel {self.name} is {state}: there is nothing to acknowledge")
        log.warning("channel %s: %s acknowledged by %s", self.name, state, by)
        self._current, run = None, self._base.run
        self._base = ChannelStatus(
            self.name, self.settings.instrument, ChannelState.IDLE, f"acknowledged by {by}", self._clock.utc(), None
        )
        self._changed(self.status())
        return run

    def changed(self) -> None:
        """Tell the observers what is true now."""
        self._changed(self.status())

    def _set(self, state: ChannelState, reason: str) -> None:
        since_utc_s = self._base.since_utc_s if state is self._base.state else self._clock.utc()
        self._base = replace(self._base, state=state, reason=reason, since_utc_s=since_utc_s)
        self._changed(self.status())
