"""What one sample adds to a step: charge and time first, then what its conditions make of it.

Charge is counted from measured samples. Between a setpoint and the first sample after it the current is taken as that
sample's: the setpoint is sent in the control period of its event, so the new current flows for nearly all of that
time. Before sample 0 it belongs to no step and counts in the run and its cycle only. Beyond five sample intervals
without a sample, a charge is inferred from the setpoint (in a hold: from the current last measured), and a gap event says so.
"""

from __future__ import annotations

from dataclasses import replace
from math import isfinite

from protocols.charge import (
    SECONDS_PER_HOUR,
    TIME_SLACK_S,
    add_constant,
    add_trapezoid,
    plus,
    throughput_Ah,
    throughput_Wh,
)
from protocols.conditions import Met, beyond, debounce, expired, tapers
from protocols.events import Action, Event, Sampled
from protocols.model import HoldStep, Program, RestStep, TimedStep
from protocols.quick import quick
from protocols.record import Counters, EventKind
from protocols.running.looking import alone, in_whole
from protocols.running.place import Doing
from protocols.running.slope import extend, slope_V_s
from protocols.running.state import Beyond, Course, Execution, Limit, Live, Phase, Seen, State, Together
from protocols.running.written import direction, set_current_A, told

GAP_INTERVALS = 5
OVERFLOW = 1e30
"""Instruments say "cannot measure" with numbers from 9.9e30 up; such a value, an infinity or NaN is no reading."""


@quick(frozen=True, slots=True)
class Verdict:
    """What a sample meets: expired safety limits, alternatives of abort_if and of until; and gaps to be told."""

    limits: tuple[Limit, ...] = ()
    abort: Met = ()
    until: Met = ()
    gaps: tuple[Action, ...] = ()


NOTHING = Verdict()
Observation = tuple[State, Verdict]


def measured(sample: Sampled) -> Sampled:
    """A temperature that is no number is a missing one."""
    temperature = sample.temperature_degC
    if temperature is None or -OVERFLOW < temperature < OVERFLOW:
        return sample
    return replace(sample, temperature_degC=None)


def unreadable(sample: Sampled, last: Sampled | None) -> str | None:
    """Why this cannot be a reading of this run."""
    if not (-OVERFLOW < sample.voltage_V < OVERFLOW and -OVERFLOW < sample.current_A < OVERFLOW):
        return f"a reading is no number: {sample.voltage_V!r} V, {sample.current_A!r} A"
    if not ((-OVERFLOW if last is None else last.at_s) <= sample.at_s < OVERFLOW):
        return "a reading is older than the one before it, or has no time"
    return None


def observe(program: Program, what: Doing, state: State, sample: Sampled) -> Observation:
    """The running state with this sample counted and looked at, and what it meets."""
    execution, live, step = state.step, state.live, what.step
    if execution is None:
        return state, NOTHING
    last = live.sample
    if execution.fresh or last is None or _is_gap(program, step, last.at_s, sample.at_s):
        number = 0 if execution.fresh or live.seen is None else live.seen.number + 1
        state, gaps = _leap(program, step, state, execution, sample)
        if what.whole is not None and state.course.whole is None:
            state = replace(state, course=replace(state.course, whole=Together(sample.at_s)))
        total = state.live.step_total
        state, verdict = _looked(program, what, state, sample, total=total, before=None, number=number)
        return state, replace(verdict, gaps=gaps)
    total, number = add_trapezoid(live.step_total, last, sample), 0 if live.seen is None else live.seen.number + 1
    return _looked(program, what, state, sample, total=total, before=live.seen, number=number)


def _looked(
    program: Program,
    what: Doing,
    state: State,
    sample: Sampled,
    *,
    total: Counters,
    before: Seen | None,
    number: int,
) -> Observation:
    live, execution, course, step = state.live, state.step, state.course, what.step
    if execution is None:
        return state, NOTHING
    at_start = execution.first is sample
    time_s, charge_Ah = sample.at_s - execution.zero_s, throughput_Ah(total)
    window, slope = live.window, None
    if window is not None:
        window = extend(window, time_s, sample.voltage_V, program.settings.slope_window_s)
        slope = slope_V_s(window, program.settings.slope_window_s)
    seen = Seen(
        sample.at_s,
        time_s,
        sample.voltage_V,
        _tapered_A(execution, sample, number, time_s) if isinstance(step, HoldStep) else abs(sample.current_A),
        charge_Ah,
        throughput_Wh(total),
        sample.temperature_degC,
        slope,
        number,
        isinstance(step, HoldStep) and sample.current_A * direction(step) < 0,
    )
    needed = debounce(program.settings)
    if what.whole is None:
        found = alone(step, state, seen, before, debounce=needed, at_start=at_start)
    else:
        found = in_whole(what, state, seen, before, debounce=needed, at_start=at_start)
    spent = charge_Ah if course.whole is None else charge_Ah + course.whole.charge_Ah
    limits = _beyond(program, live, sample, spent, resting=isinstance(step, RestStep))
    after = Live(
        sample, seen, total, found.until, found.train, found.abort, limits, window, live.recorded, unwritten=True
    )
    state = State(state.phase, course, execution, after)
    if not (limits or found.abort_met or found.until_met):
        return state, NOTHING
    return state, Verdict(expired(limits, sample.at_s, program.safety.for_s), found.abort_met, found.until_met)


def _beyond(program: Program, live: Live, sample: Sampled, charge_Ah: float, *, resting: bool) -> Beyond:
    thermometer = program.settings.temperature_watched
    return beyond(program.safety, live.beyond, sample, charge_Ah, resting=resting, thermometer=thermometer)


def _tapered_A(execution: Execution, sample: Sampled, number: int, time_s: float) -> float | None:
    return abs(sample.current_A) if tapers(number, time_s - execution.clock_s) else None


def _is_gap(program: Program, step: TimedStep, since_s: float, at_s: float) -> bool:
    longest_s = GAP_INTERVALS * program.settings.sample_every_s + TIME_SLACK_S
    return at_s - since_s > longest_s and not isinstance(step, RestStep)


def _leap(
    program: Program, step: TimedStep, state: State, execution: Execution, sample: Sampled
) -> tuple[State, tuple[Action, ...]]:
    """Count up to a sample that no line joins to the one before: the first after a setpoint, or after a gap."""
    since_s = execution.applied_s if execution.fresh or state.live.sample is None else state.live.sample.at_s
    gap = _is_gap(program, step, since_s, sample.at_s)
    current_A = _inferred_A(step, state, execution, sample) if gap else sample.current_A
    passed = add_constant(Counters(), current_A, sample.voltage_V, sample.at_s - since_s)
    gaps = (_gap(state.course, sample, since_s, inferred_Ah=throughput_Ah(passed)),) if gap else ()
    if execution.first is None:
        begun = replace(execution, fresh=False, zero_s=sample.at_s, first=sample)
        return replace(state, course=counted(state.course, passed), step=begun), gaps
    live = state.live._replace(step_total=plus(state.live.step_total, passed))
    return replace(state, live=live, step=replace(execution, fresh=False)), gaps


def _inferred_A(step: TimedStep, state: State, execution: Execution, sample: Sampled) -> float:
    """The current of a gap. A hold sets none: the one last measured in it, which may be the one after the gap."""
    set_A, last = set_current_A(step), state.live.sample
    if set_A is not None:
        return set_A
    return sample.current_A if execution.fresh or last is None else last.current_A


def spent_Ah(state: State) -> float:
    """The charge of the step so far; a step of several parts is one."""
    together = state.course.whole
    return throughput_Ah(state.live.step_total) + (0.0 if together is None else together.charge_Ah)


def counted(course: Course, passed: Counters) -> Course:
    """The course with a charge that belongs to no step."""
    return replace(course, run_total=plus(course.run_total, passed), cycle_total=plus(course.cycle_total, passed))


def _gap(course: Course, event: Event, since_s: float, **charge: float | None) -> Action:
    began_s, ended_s = since_s - course.started_s, event.at_s - course.started_s
    return told(course, event, EventKind.GAP, from_s=began_s, to_s=ended_s, gap_s=event.at_s - since_s, **charge)


def observe_pause(program: Program, state: State, sample: Sampled) -> Observation:
    """The paused state with this sample counted outside the step; only safety is watched."""
    live, execution = state.live, state.step
    if execution is None:
        return state, NOTHING
    if execution.fresh or live.sample is None:
        duration_s = sample.at_s - execution.applied_s
        passed = add_constant(Counters(), sample.current_A, sample.voltage_V, duration_s)
    else:
        passed = add_trapezoid(Counters(), live.sample, sample)
    limits = _beyond(program, live, sample, spent_Ah(state), resting=True)
    live = live._replace(sample=sample, beyond=limits, unwritten=True)
    state = replace(state, course=counted(state.course, passed), step=replace(execution, fresh=False), live=live)
    return state, Verdict(expired(limits, sample.at_s, program.safety.for_s))


def tail(program: Program, step: TimedStep, state: State, event: Event) -> tuple[Counters, tuple[Action, ...]]:
    """What passed between the last sample and an event that changes the setpoint: the current last measured.

    After a gap nobody knows for how long it flowed (the process may have been dead and the output off): nothing is
    counted, and the event says how much it was at most.
    """
    execution, last = state.step, state.live.sample
    if execution is None:
        return Counters(), ()
    voltage_V = 0.0 if last is None else last.voltage_V
    since_s, current_A = execution.applied_s, _applied_A(step, state)
    if last is not None and not execution.fresh:
        since_s, current_A = last.at_s, last.current_A
    duration_s = event.at_s - since_s
    if state.phase is Phase.RUNNING and _is_gap(program, step, since_s, event.at_s):
        return Counters(), (_gap(state.course, event, since_s, at_most_Ah=_at_most_Ah(step, duration_s)),)
    return add_constant(Counters(), current_A, voltage_V, duration_s), ()


def _applied_A(step: TimedStep, state: State) -> float:
    """What flows before the first sample after a setpoint; under a voltage nobody knows, and the last one is taken."""
    if state.phase is not Phase.RUNNING:
        return 0.0
    set_A, last = set_current_A(step), state.live.sample
    if set_A is not None:
        return set_A
    return 0.0 if last is None else last.current_A


def _at_most_Ah(step: TimedStep, duration_s: float) -> float | None:
    """None: the protocol does not limit the current of this hold, only the channel does."""
    most_A = step.current_limit_A if isinstance(step, HoldStep) else abs(set_current_A(step) or 0.0)
    return most_A * duration_s / SECONDS_PER_HOUR if isfinite(most_A) else None
