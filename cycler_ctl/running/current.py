"""The run a channel is in, or was in last, and what it says at this moment."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cycler_ctl.live import ChannelState, ChannelStatus
from cycler_ctl.runner import Runner
from cycler_ctl.running.doing import step_total, with_setpoint
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.writer import RunWriter
from protocols.model import Program
from protocols.record import Row
from protocols.running.state import Phase
from protocols.running.view import live_row, progress


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


def status_of(base: ChannelStatus, current: CurrentRun) -> ChannelStatus:
    """The channel's base facts with what the engine says."""
    now = progress(current.program, current.runner.state)
    paused = base.state is ChannelState.RUNNING and now.phase is Phase.PAUSED
    state = ChannelState.PAUSED if paused else base.state
    reason = current.runner.held_back if paused else base.reason
    status = replace(base, state=state, reason=reason, step=now.step_id, what=now.word, cycle=now.cycle)
    return with_setpoint(status, now.word, current.runner.output.setpoint)


def steps_of(current: CurrentRun) -> tuple[int, int]:
    """(steps ended, steps at most)."""
    now = progress(current.program, current.runner.state)
    running = now.phase in {Phase.RUNNING, Phase.PAUSED}
    # a train that only its cut-off ends is counted as one pulse, until it has had more
    return max(0, now.step_count - (1 if running else 0)), max(step_total(current.program.steps), now.step_count)


def latest_of(current: CurrentRun) -> tuple[str, Row] | None:
    row = live_row(current.program, current.runner.state)
    return None if row is None else (current.run, row)
