"""The run a channel is in, or was in last, and what it says at this moment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from cycler_ctl.live import ChannelState, ChannelStatus, QueueStatus
from cycler_ctl.runner import Runner
from cycler_ctl.running.doing import step_total, with_setpoint
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.writer import RunWriter
from protocols.model import Program, Setpoint
from protocols.record import Row
from protocols.running.place import step_at
from protocols.running.state import Course, Phase
from protocols.running.view import live_row, progress
from protocols.running.written import word


@dataclass(slots=True)
class CurrentRun:
    """What belongs to one run, from its begin until the next one of its channel."""

    run: str
    info: RunInfo
    """An amendment gives it other texts."""
    runner: Runner
    writer: RunWriter

    @property
    def program(self) -> Program:
        return self.runner.script.program


class Beside(NamedTuple):
    """What a status says of a channel that its run does not know."""

    energised: bool | None
    protection: str | None
    queue: QueueStatus | None
    rows_waiting: int | None


class Seen(NamedTuple):
    """All that a status says of a run. Between two steps a sample changes none of it."""

    program: Program
    phase: Phase
    course: Course
    held_back: str
    setpoint: Setpoint | None


Facts = tuple[ChannelStatus, Beside, Seen | None]


class Shown:
    """The status of a channel, made anew only where something in it is another: many look, and often."""

    def __init__(self) -> None:
        self._made: tuple[Facts, ChannelStatus] | None = None

    def of(self, base: ChannelStatus, beside: Beside, current: CurrentRun | None) -> ChannelStatus:
        """From any thread; what is kept goes with the very facts it was made of."""
        facts, made = (base, beside, None if current is None else _seen(current)), self._made
        if made is None or made[0] != facts:
            self._made = made = (facts, _status(*facts))
        return made[1]


def _seen(current: CurrentRun) -> Seen:
    runner, state = current.runner, current.runner.state
    return Seen(current.program, state.phase, state.course, runner.held_back, runner.output.setpoint)


def _status(base: ChannelStatus, beside: Beside, seen: Seen | None) -> ChannelStatus:
    """The channel's base facts with what the engine says."""
    energised, protection, queue, rows = beside
    base = replace(base, energised=energised, protection=protection, queue=queue, rows_waiting=rows)
    if seen is None:
        return base
    step = step_at(seen.program, seen.course.place)
    step_id, what = ("", "") if step is None else (step.path, word(step))
    paused = base.state is ChannelState.RUNNING and seen.phase is Phase.PAUSED
    state = ChannelState.PAUSED if paused else base.state
    reason = seen.held_back if paused else base.reason
    status = replace(base, state=state, reason=reason, step=step_id, what=what, cycle=seen.course.cycle)
    return with_setpoint(status, what, seen.setpoint)


def steps_of(current: CurrentRun) -> tuple[int, int]:
    """(steps ended, steps at most)."""
    now = progress(current.program, current.runner.state)
    running = now.phase in {Phase.RUNNING, Phase.PAUSED}
    # a train that only its cut-off ends is counted as one pulse, until it has had more
    return max(0, now.step_count - (1 if running else 0)), max(step_total(current.program.steps), now.step_count)


def latest_of(current: CurrentRun) -> tuple[str, Row] | None:
    row = live_row(current.program, current.runner.state)
    return None if row is None else (current.run, row)
