"""One channel: at most one run at a time, and what is known of its output."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from cycler_ctl.clock import Clock
from cycler_ctl.config import ChannelSettings
from cycler_ctl.errors import InstrumentError, RefusedError
from cycler_ctl.host import InstrumentHost
from cycler_ctl.lease import Lease
from cycler_ctl.live import ChannelState, ChannelStatus
from cycler_ctl.runner import End, Request, Runner
from cycler_ctl.store.writer import RunWriter
from protocols.model import CurrentStep, NoteStep, Program, RepeatStep, RestStep, Step
from protocols.record import Outcome, Row
from protocols.state import Phase
from protocols.view import live_row, progress

log = logging.getLogger(__name__)

ACTIVE = frozenset({ChannelState.RUNNING, ChannelState.PAUSED})
LATCHED = frozenset(
    {ChannelState.TRIPPED, ChannelState.FAULTED, ChannelState.CANNOT_DEENERGISE, ChannelState.INTERRUPTED}
)
CLOSE_S = 30.0  # a slow disk may take this long for the last commit; the output is off long before


@dataclass(frozen=True, slots=True)
class CurrentRun:
    """The run a channel is in, or was in last."""

    run: str
    program: Program
    runner: Runner
    writer: RunWriter


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
    ) -> None:
        self.name = name
        self.settings = settings
        self.host = host
        self._clock = clock
        self._lease = lease
        self._changed = changed
        self._current: CurrentRun | None = None
        self._ended = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self._base = ChannelStatus(name, settings.instrument, ChannelState.IDLE, "", clock.utc(), None)

    def status(self) -> ChannelStatus:
        """The base facts with what the engine says at this moment."""
        current, base = self._current, replace(self._base, energised=self._energised())
        if current is None:
            return base
        now = progress(current.program, current.runner.state)
        paused = base.state is ChannelState.RUNNING and now.phase is Phase.PAUSED
        state = ChannelState.PAUSED if paused else base.state
        return replace(base, state=state, step=now.step_id, what=now.word, cycle=now.cycle)

    def _energised(self) -> bool | None:
        """While no run has it, connected means: every output was turned off and that was read back."""
        if self._current is not None and self._base.state in ACTIVE:
            return self._current.runner.energised
        if self._base.state is ChannelState.CANNOT_DEENERGISE or self.host.status().link != "connected":
            return None
        return False

    def steps(self) -> tuple[int, int]:
        """(steps ended, steps at most) of the current or last run; (0, 1) before any."""
        current = self._current
        if current is None:
            return 0, 1
        now = progress(current.program, current.runner.state)
        running = now.phase in {Phase.RUNNING, Phase.PAUSED}
        return max(0, now.step_count - (1 if running else 0)), step_total(current.program.steps)

    def latest(self) -> tuple[str, Row] | None:
        current = self._current
        if current is None:
            return None
        row = live_row(current.program, current.runner.state)
        return None if row is None else (current.run, row)

    def refuse_if_busy(self) -> None:
        state = self._base.state
        if state in ACTIVE:
            raise RefusedError(f"channel {self.name} is {state}: stop it first")
        if state in LATCHED:
            raise RefusedError(
                f"channel {self.name} is {state} ({self._base.reason}): look at the cell, then "
                f"'cycler-ctl acknowledge {self.name}'"
            )

    def interrupted(self, run: str, reason: str) -> None:
        """A run of an earlier session never ended."""
        self._base = replace(self._base, run=run)
        self._set(ChannelState.INTERRUPTED, reason)

    async def confirm_left_over(self) -> None:
        """The register says this output may still be on: it is so until the instrument was reached, which turns it off."""
        before = self._base
        self._set(ChannelState.CANNOT_DEENERGISE, "off could not be confirmed when the service was away; trying")
        await self.host.online()
        await self._lease.is_off(self.name)
        run = "" if before.run is None else f" during run {before.run}"
        self._set(ChannelState.FAULTED, f"the output may have stayed on after the service ended{run}; it is off now")

    def begin(self, current: CurrentRun, group: asyncio.TaskGroup) -> None:
        self._current = current
        self._ended.clear()
        self._base = replace(self._base, run=current.run, protocol=current.program.name, cell=current.program.cell.name)
        self._set(ChannelState.RUNNING, "")
        self.task = group.create_task(self._run(current), name=f"run {current.run}")

    async def _run(self, current: CurrentRun) -> None:
        try:
            end = await current.runner.run()
        except Exception as error:
            log.exception("run %s", current.run)
            end = End(Outcome.FAULTED, f"internal error: {error!r}", off_confirmed=not current.runner.energised)
        current.writer.finish(end.outcome, end.reason)
        if not end.off_confirmed:
            await self._until_off(end)
        await self._lease.is_off(self.name)
        await asyncio.to_thread(current.writer.close, CLOSE_S)
        self._set(ChannelState(end.outcome.value), end.reason)
        self._ended.set()

    async def _until_off(self, end: End) -> None:
        """The loudest state there is, until off was read back: to reconnect is to turn off first."""
        reason = (
            f"{end.reason}; off is NOT confirmed: the cell may still be energised. Trying every 0.5 s; disconnect it"
        )
        log.error("channel %s: %s", self.name, reason)
        self._set(ChannelState.CANNOT_DEENERGISE, reason)
        self.host.drop(urgent=True)
        await self.host.online()
        log.warning("channel %s: off is confirmed now", self.name)

    async def ask(self, action: str, by: str) -> None:
        current = self._current
        if current is None or self._base.state not in ACTIVE:
            raise RefusedError(f"channel {self.name} is {self._base.state}: there is nothing to {action}")
        current.runner.ask(Request(action, by))

    async def stop(self, by: str, timeout_s: float = 10.0) -> None:
        """Return when off was read back and the record is closed; otherwise say loudly that it was not."""
        await self.ask("stop", by)
        try:
            async with asyncio.timeout(timeout_s):
                await self._ended.wait()
        except TimeoutError as error:
            raise InstrumentError(f"channel {self.name}: {self._base.reason or 'off is not confirmed yet'}") from error

    async def ended(self) -> None:
        if self._current is not None:
            await self._ended.wait()

    def acknowledge(self, by: str) -> None:
        """A person has looked: the channel may be used again. Never while off is not confirmed."""
        state = self._base.state
        if state is ChannelState.CANNOT_DEENERGISE:
            raise RefusedError(f"channel {self.name}: off is not confirmed; nobody can acknowledge that away")
        if state not in LATCHED:
            raise RefusedError(f"channel {self.name} is {state}: there is nothing to acknowledge")
        log.warning("channel %s: %s acknowledged by %s", self.name, state, by)
        self._current = None
        self._base = ChannelStatus(
            self.name, self.settings.instrument, ChannelState.IDLE, f"acknowledged by {by}", self._clock.utc(), None
        )
        self._changed(self.status())

    def changed(self) -> None:
        """Tell the observers what is true now."""
        self._changed(self.status())

    def _set(self, state: ChannelState, reason: str) -> None:
        since_utc_s = self._base.since_utc_s if state is self._base.state else self._clock.utc()
        self._base = replace(self._base, state=state, reason=reason, since_utc_s=since_utc_s)
        self._changed(self.status())


def step_total(steps: tuple[Step, ...]) -> int:
    """How many steps a program executes at most."""
    total = 0
    for step in steps:
        match step:
            case RepeatStep():
                total += step.times * step_total(step.steps)
            case RestStep() | CurrentStep():
                total += 1
            case NoteStep():
                pass
    return total
