"""How long until a sample may meet a condition of the present step: where to place the next reading, and nothing more.

What grows with time or with a known current is computed; a voltage, a current or a temperature is drawn on in straight
lines through the last samples, or in a parabola where that comes sooner. Of such a guess half is used, so that a
curve that bends meets several readings on its last stretch. A wrong guess costs a reading; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, sqrt

from protocols.charge import SECONDS_PER_HOUR
from protocols.conditions import threshold_of, value_of
from protocols.events import Sampled
from protocols.model import Alternative, Clause, Condition, Op, Program, Safety, Watched
from protocols.running.looking import is_rest_of_train, of_whole
from protocols.running.place import Doing, doing, train_until
from protocols.running.state import Past, Phase, Seen, State, Streak, Streaks

CAUTION = 0.5
AFTER_S = 1e-3
"""What is computed is met this much later, so that no rounding makes the reading come too early."""
REMEMBERED = 8
"""Samples of a step from which its curve is drawn on."""


def remembered(earlier: Sequence[Seen], before: State, after: State) -> tuple[Seen, ...]:
    """The newest samples of the step being executed, the newest last."""
    seen, same = after.live.seen, before.course.step_count == after.course.step_count
    if seen is None or after.step is None or after.step.fresh:
        return ()
    kept = earlier if same and before.phase is after.phase else ()
    if kept and not kept[-1].at_s < seen.at_s:
        return tuple(kept)
    return (*kept, seen)[-REMEMBERED:]


def until_met_s(program: Program, state: State, seen: Sequence[Seen]) -> float:
    """Seconds after the newest of ``seen``; 0: the next sample may decide, infinite: nothing is in sight."""
    what, sample = doing(program, state.course.place), state.live.sample
    if what is None or sample is None or not seen or state.phase is not Phase.RUNNING:
        return inf
    train = len(train_until(what))
    whole = [_of_whole(what, state, each) for each in seen]
    looks = (
        (what.step.until[train:], state.live.until, seen),
        (what.step.until[:train], state.live.train, whole),
        (what.step.abort_if, state.live.abort, whole),
        (_envelope(program.safety), (), seen),
    )
    return min(_soonest(condition, streaks, curve, sample, state.course.past) for condition, streaks, curve in looks)


def _of_whole(what: Doing, state: State, seen: Seen) -> Seen:
    together, step = state.course.whole, state.step
    if together is None or step is None:
        return seen
    return of_whole(seen, together, step.zero_s - together.zero_s, counts=not is_rest_of_train(what))


def _envelope(safety: Safety) -> Condition:
    """The voltages at which the run's own safety looks closer."""
    if safety.voltage_V is None:
        return ()
    low_V, high_V = safety.voltage_V
    below, above = Clause(Watched.VOLTAGE, Op.AT_MOST, low_V), Clause(Watched.VOLTAGE, Op.AT_LEAST, high_V)
    return Alternative((below,), ""), Alternative((above,), "")


def _soonest(condition: Condition, streaks: Streaks, seen: Sequence[Seen], sample: Sampled, past: Past) -> float:
    """All clauses of an alternative must hold: the last of them counts."""
    soonest_s, start = inf, 0
    for alternative in condition:
        own = streaks[start : start + len(alternative.clauses)] or (None,) * len(alternative.clauses)
        start += len(alternative.clauses)
        pairs = zip(alternative.clauses, own, strict=True)
        soonest_s = min(soonest_s, max(_clause_s(one, streak, seen, sample, past) for one, streak in pairs))
    return soonest_s


def _clause_s(clause: Clause, streak: Streak | None, seen: Sequence[Seen], sample: Sampled, past: Past) -> float:
    if streak is None or streak.samples == 0:
        return _crossing_s(clause, seen, sample, past)
    if clause.for_s is not None:
        return max(0.0, streak.since_s + clause.for_s + AFTER_S - seen[-1].time_s)
    return 0.0  # once more, as the debounce wants it


def _crossing_s(clause: Clause, seen: Sequence[Seen], sample: Sampled, past: Past) -> float:
    threshold, value = threshold_of(clause, past), value_of(clause.watched, seen[-1])
    if threshold is None or value is None:
        return inf
    missing = threshold - value if clause.op is Op.AT_LEAST else value - threshold
    if missing <= 0:
        return inf  # it holds; that it did not count yet is not for a reading to change
    match clause.watched:
        case Watched.TIME:
            return _at_rate_s(missing, 1.0, clause.op)
        case Watched.CAPACITY:
            return _at_rate_s(missing, abs(sample.current_A) / SECONDS_PER_HOUR, clause.op)
        case Watched.ENERGY:
            return _at_rate_s(missing, abs(sample.current_A * sample.voltage_V) / SECONDS_PER_HOUR, clause.op)
        case Watched.SLOPE:
            return inf
        case Watched.VOLTAGE | Watched.CURRENT | Watched.TEMPERATURE:
            return CAUTION * _drawn_on_s(clause, seen, missing)


def _at_rate_s(missing: float, rate: float, op: Op) -> float:
    return missing / rate + AFTER_S if rate > 0 and op is Op.AT_LEAST else inf


def _drawn_on_s(clause: Clause, seen: Sequence[Seen], missing: float) -> float:
    """The soonest that a line through the newest sample and one before, or a parabola, comes to the threshold.

    Two samples close to each other may show noise alone, so all that are remembered are asked.
    """
    sign = 1.0 if clause.op is Op.AT_LEAST else -1.0
    curve = [(each.at_s, sign * value) for each in seen if (value := value_of(clause.watched, each)) is not None]
    if len(curve) < 2:
        return inf
    newest, first, middle = curve[-1], curve[0], curve[len(curve) // 2]
    steepest = max(_slope(each, newest) for each in curve[:-1])
    straight_s = missing / steepest if steepest > 0 else inf
    if middle is newest:
        return straight_s
    early, late = _slope(first, middle), _slope(middle, newest)
    bend = 2 * (late - early) / (newest[0] - first[0])
    return min(straight_s, _bent_s(missing, late + bend * (newest[0] - middle[0]) / 2, bend))


def _slope(one: tuple[float, float], other: tuple[float, float]) -> float:
    return (other[1] - one[1]) / (other[0] - one[0])


def _bent_s(missing: float, slope: float, bend: float) -> float:
    """Where slope * t + bend * t^2 / 2 comes to ``missing``, for a curve that bends towards it."""
    if bend <= 0:
        return inf
    return (sqrt(slope * slope + 2 * bend * missing) - slope) / bend
