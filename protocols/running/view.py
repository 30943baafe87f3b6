"""Looking at a run from outside: its newest sample, its progress, and what a resume would apply."""

from __future__ import annotations

from dataclasses import dataclass, replace

from protocols.model import (
    ConstantCurrent,
    ConstantVoltage,
    CurrentStep,
    HoldStep,
    Program,
    Rest,
    RestStep,
    Setpoint,
    TimedStep,
)
from protocols.record import Mark, Outcome, Row
from protocols.running.place import path_at, step_at
from protocols.running.state import Phase, State
from protocols.running.written import row, set_current_A, word


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is. ``step_id``, ``path`` and ``word`` are empty before the first step.

    ``step_id`` names the very pulse (3.12p), ``path`` its place in the file (3.p): ceilings and plans go by that one.
    ``setpoint_A`` None: no current is set; ``setpoint_V`` None: no voltage is.
    """

    phase: Phase
    step_id: str
    word: str
    cycle: int
    step_count: int
    setpoint_A: float | None
    label: str | None
    outcome: Outcome | None = None
    reason: str = ""
    setpoint_V: float | None = None
    path: str = ""


def setpoint(step: TimedStep) -> Setpoint:
    match step:
        case RestStep():
            return Rest(step.window_V)
        case CurrentStep():
            return ConstantCurrent(step.current_A, step.window_V)
        case HoldStep():
            return ConstantVoltage(step.voltage_V, step.current_limit_A)


def live_row(program: Program, state: State) -> Row | None:
    """The newest sample as a row; its ``seq`` is that of the last recorded row."""
    live, step, recorded = state.live, step_at(program, state.course.place), state.live.recorded
    if not live.unwritten or live.sample is None or step is None or state.step is None:
        return recorded
    mark = Mark.PAUSED if state.phase is Phase.PAUSED else Mark.NONE
    newest = row(step, state, state.step, live.sample, mark)
    return replace(newest, seq=0 if recorded is None else recorded.seq)


def progress(program: Program, state: State) -> Progress:
    step, ending = step_at(program, state.course.place), state.ending
    running = state.phase is Phase.RUNNING
    return Progress(
        phase=state.phase,
        step_id="" if step is None else step.path,
        word="" if step is None else word(step),
        cycle=state.course.cycle,
        step_count=state.course.step_count,
        setpoint_A=set_current_A(step) if step is not None and running else None,
        label=None if step is None else step.label,
        outcome=None if ending is None else ending.outcome,
        reason="" if ending is None else ending.reason,
        setpoint_V=step.voltage_V if isinstance(step, HoldStep) and running else None,
        path=path_at(program, state.course.place),
    )


def resume_setpoint(program: Program, state: State) -> Setpoint | None:
    """What ``Resumed`` would apply; None unless the run is paused."""
    step = step_at(program, state.course.place)
    return setpoint(step) if step is not None and state.phase is Phase.PAUSED else None
