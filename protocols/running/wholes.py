"""What the end of a step means for the steps after it: whether its whole goes on, and what ``% of`` refers to then."""

from __future__ import annotations

from dataclasses import replace

from protocols.charge import throughput_Ah, throughput_Wh
from protocols.model import CccvStep, RestStep, TimedStep, Verb, Whole
from protocols.record import Counters
from protocols.running.place import Doing, train_until
from protocols.running.state import Course, Frame, Past, Together
from protocols.running.written import Closing


def settled(what: Doing, course: Course, passed: Counters, closing: Closing) -> tuple[Together | None, Past]:
    """After a step: what it passed is the past's now, or, within a whole that goes on, that of its parts."""
    step, whole = what
    if whole is None:
        counts = _counts(step, closing)
        return course.whole, _past(step, course.past, throughput_Ah(passed)) if counts else course.past
    together = _together(what, course.whole, passed, closing)
    if together is None or _goes_on(whole, course.place[-1], together, closing):
        return together, course.past
    complete = together.moved and closing.completed
    past = _remembered(course.past, _verb(whole), whole.label, together.charge_Ah) if complete else course.past
    return None, past


def _counts(step: TimedStep, closing: Closing) -> bool:
    """A hold that was over before it began passed nothing anyone could refer to."""
    return closing.completed and (closing.moved or isinstance(step, RestStep))


def _past(step: TimedStep, past: Past, charge_Ah: float) -> Past:
    if isinstance(step, RestStep):
        return _labelled(past, step.label, charge_Ah)
    return _remembered(past, step.verb, step.label, charge_Ah)


def _remembered(past: Past, verb: Verb | None, label: str | None, charge_Ah: float) -> Past:
    past = _labelled(past, label, charge_Ah)
    if verb is Verb.LITHIATE:
        return replace(past, lithiate_Ah=charge_Ah, either_Ah=charge_Ah)
    if verb is Verb.DELITHIATE:
        return replace(past, delithiate_Ah=charge_Ah, either_Ah=charge_Ah)
    return replace(past, either_Ah=charge_Ah)


def _labelled(past: Past, label: str | None, charge_Ah: float) -> Past:
    if label is None:
        return past
    others = tuple((name, charge) for name, charge in past.labels if name != label)
    return replace(past, labels=(*others, (label, charge_Ah)))


def _verb(whole: Whole) -> Verb:
    return whole.current.verb if isinstance(whole, CccvStep) else whole.pulse.verb


def _together(what: Doing, together: Together | None, passed: Counters, closing: Closing) -> Together | None:
    """With the part that is over; None if it never had a sample. A rest of a train adds nothing to its charge."""
    if together is None:
        return None
    if isinstance(what.step, RestStep):
        return together
    ends = closing.number is not None and closing.number < len(train_until(what))
    return replace(
        together,
        charge_Ah=together.charge_Ah + throughput_Ah(passed),
        energy_Wh=together.energy_Wh + throughput_Wh(passed),
        moved=together.moved or closing.moved,
        ending=closing.end_reason if ends else together.ending,
    )


def _goes_on(whole: Whole, frame: Frame, together: Together, closing: Closing) -> bool:
    """Does another part follow? Not after a skip, which leaves the whole."""
    if closing.number is None:
        return False
    if isinstance(whole, CccvStep):
        return frame.index == 0 and closing.number in whole.hold_after
    if frame.index == 0:
        return True
    return together.ending is None and (whole.pulses is None or frame.passes < whole.pulses)
