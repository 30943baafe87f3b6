"""Which conditions of the step being executed a sample meets, alone or as a part of a whole.

A whole has a run time, a charge and an energy of its own: those of its finished parts and of the present one.
"""

from __future__ import annotations

from typing import NamedTuple

from protocols.conditions import Met, already, look
from protocols.model import GittStep, RestStep, TimedStep
from protocols.running.place import Doing, train_until
from protocols.running.state import Seen, State, Streaks, Together


class Found(NamedTuple):
    """Alternatives met, and every clause's own clock."""

    until_met: Met
    until: Streaks
    train: Streaks
    abort_met: Met
    abort: Streaks


def alone(step: TimedStep, state: State, seen: Seen, before: Seen | None, *, debounce: int, at_start: bool) -> Found:
    """Sample 0 needs no second sample: what it meets was met before the step."""
    live, past, needed = state.live, state.course.past, 1 if at_start else debounce
    until_met, until = look(step.until, live.until, seen, before, past, debounce=needed)
    abort_met, abort = look(step.abort_if, live.abort, seen, before, past, debounce=needed)
    if at_start and until_met:
        until_met = already(step.until, until_met)
    return Found(until_met, until, (), abort_met, abort)


def in_whole(what: Doing, state: State, seen: Seen, before: Seen | None, *, debounce: int, at_start: bool) -> Found:
    """``abort_if`` is the whole's, the first alternatives of a pulse's ``until`` are its train's."""
    live, past, together, step = state.live, state.course.past, state.course.whole, what.step
    if together is None or state.step is None:
        return alone(step, state, seen, before, debounce=debounce, at_start=at_start)
    began_s, counts = state.step.zero_s - together.zero_s, not is_rest_of_train(what)
    so_far = of_whole(seen, together, began_s, counts=counts)
    earlier = None if before is None else of_whole(before, together, began_s, counts=counts)
    needed = 1 if seen.at_s == together.zero_s else debounce
    abort_met, abort = look(step.abort_if, live.abort, so_far, earlier, past, debounce=needed)
    of_train = train_until(what)
    train_met, train = look(of_train, live.train, so_far, earlier, past, debounce=debounce)
    own = step.until[len(of_train) :]
    own_met, until = look(own, live.until, _tapered(seen), before, past, debounce=1 if at_start else debounce)
    if at_start:
        own_met = already(own, own_met)
    return Found((*train_met, *(len(of_train) + n for n in own_met)), until, train, abort_met, abort)


def _tapered(seen: Seen) -> Seen:
    """A hold must not turn its verb round: a cell already beyond the voltage has nothing left to taper."""
    return seen._replace(current_A=0.0) if seen.against_verb and seen.current_A is not None else seen


def is_rest_of_train(what: Doing) -> bool:
    return isinstance(what.whole, GittStep) and isinstance(what.step, RestStep)


def of_whole(seen: Seen, together: Together, began_s: float, *, counts: bool) -> Seen:
    """The sample in the time, charge and energy of the whole. ``counts``: those of the present part are the whole's."""
    return seen._replace(
        time_s=seen.time_s + began_s,
        charge_Ah=together.charge_Ah + (seen.charge_Ah if counts else 0.0),
        energy_Wh=together.energy_Wh + (seen.energy_Wh if counts else 0.0),
    )
