"""How a sample ends a step: by the envelope, by ``abort_if``, or by its own ``until``."""

from __future__ import annotations

from functools import partial

from protocols.events import Sampled
from protocols.model import CurrentStep, GittStep, OnStartMet, Program, TimedStep
from protocols.record import EventKind, Outcome
from protocols.running.place import Doing
from protocols.running.sampling import Verdict, spent_Ah
from protocols.running.state import State
from protocols.running.steps import Decided, Result, close, course_after, depart, finish
from protocols.running.written import Closing, told, trip_reason, word


def _texts(step: TimedStep, verdict: Verdict) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(step.abort_if[n].text for n in verdict.abort), tuple(step.until[n].text for n in verdict.until)


def trip(program: Program, what: Doing, state: State, verdict: Verdict, sample: Sampled) -> Result:
    charge_Ah = spent_Ah(state)
    reason, *others = (trip_reason(limit, program.safety, sample, charge_Ah) for limit in verdict.limits)
    aborts, ends = _texts(what.step, verdict)
    also_met = (*others, *aborts, *ends)
    closing = Closing(f"safety: {reason}", also_met)
    state, written = close(what, state, sample, closing, course_after(what, state, closing))
    tripped = told(state.course, sample, EventKind.TRIP, reason=reason, also_met=list(also_met))
    return finish(state, sample, Outcome.TRIPPED, reason, (*verdict.gaps, *written, tripped))


def abort(what: Doing, state: State, verdict: Verdict, sample: Sampled) -> Result:
    (reason, *others), ends = _texts(what.step, verdict)
    return _aborted(what, state, verdict, sample, Closing(f"abort_if: {reason}", (*others, *ends)))


def _aborted(what: Doing, state: State, verdict: Verdict, sample: Sampled, closing: Closing) -> Result:
    state, written = close(what, state, sample, closing, course_after(what, state, closing))
    return finish(state, sample, Outcome.ABORTED, closing.end_reason, (*verdict.gaps, *written))


def end(program: Program, what: Doing, state: State, verdict: Verdict, sample: Sampled) -> Decided:
    """A pulse is never over before it began: what its train watches is looked at in all of them."""
    _, (reason, *others) = _texts(what.step, verdict)
    at_start = state.step is not None and state.step.first is sample
    if at_start and isinstance(what.step, CurrentStep) and not isinstance(what.whole, GittStep):
        return _already(program, what, state, verdict, sample)
    closing = Closing(reason, tuple(others), verdict.until[0], completed=True, moved=not at_start)
    course = course_after(what, state, closing)
    return depart(program, what, state, sample, closing=closing, course=course, before=verdict.gaps)


def _already(program: Program, what: Doing, state: State, verdict: Verdict, sample: Sampled) -> Decided:
    """A current step whose end was reached before it began: no charge is its own. The hold after it may still run."""
    _, (first, *others) = _texts(what.step, verdict)
    reason = f"already: {first}"
    closing = Closing(reason, tuple(others), verdict.until[0], moved=False)
    if isinstance(what.step, CurrentStep) and what.step.on_start_met is OnStartMet.ABORT:
        return Decided(turns_off=True, conclude=partial(_aborted, what, state, verdict, sample, closing))
    text = f"{word(what.step)} skipped, {reason}"
    warning = told(state.course, sample, EventKind.WARNING, step_id=what.step.path, message=text)
    course = course_after(what, state, closing)
    return depart(program, what, state, sample, closing=closing, course=course, before=verdict.gaps, then=(warning,))
