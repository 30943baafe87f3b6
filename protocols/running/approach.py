"""How long until a sample may meet a condition of the present step: where to place the next reading, and nothing more.

What grows with time or with a known current is computed; a voltage, a current or a temperature is drawn on in straight
lines through the last samples, or in a parabola where that comes sooner. Of such a guess half is used, so that a
curve that bends meets several readings on its last stretch. A wrong guess costs a reading; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import inf, sqrt
from operator import attrgetter
from typing import NamedTuple

from protocols.charge import SECONDS_PER_HOUR
from protocols.conditions import threshold_of, value_of
from protocols.events import Sampled
from protocols.model import Alternative, Clause, Condition, Op, Program, Watched, Window
from protocols.running.looking import is_rest_of_train, of_whole
from protocols.running.place import Doing, doing, train_until
from protocols.running.state import Past, Phase, Seen, State, Streak, Streaks

CAUTION = 0.5
AFTER_S = 1e-3
"""What is computed is met this much later, so that no rounding makes the reading come too early."""
REMEMBERED = 8
"""Samples of a step from which its curve is drawn on."""


DRAWN_ON: Mapping[Watched, Callable[[Seen], float | None]] = {
    Watched.VOLTAGE: attrgetter("voltage_V"),
    Watched.CURRENT: attrgetter("current_A"),
    Watched.TEMPERATURE: attrgetter("temperature_degC"),
}
"""What is not computed. Getters, because each is asked eight times at every sample."""


def remembered(earlier: Sequence[Seen], before: State, after: State) -> tuple[Seen, ...]:
    """The newest samples of the step being executed, the newest last."""
    seen, same = after.live.seen, before.course.step_count == after.course.step_count
    if seen is None or after.step is None or after.step.fresh:
        return ()
    kept = earlier if same and before.phase is after.phase else ()
    if kept and not kept[-1].at_s < seen.at_s:
        return tuple(kept)
    return (*kept, seen)[-REMEMBERED:]


class Trend(NamedTuple):
    """How a quantity moves: the steepest rise and fall from any earlier sample to the newest, and a parabola there."""

    rise: float
    fall: float
    slope: float
    bend: float


class Curve:
    """The newest samples of a step; each quantity is drawn on once, however many conditions look at it."""

    def __init__(self, seen: Sequence[Seen], sample: Sampled, past: Past) -> None:
        self.sample, self.past = sample, past
        self._seen = seen
        self._trends: dict[Watched, Trend | None] = {}

    def trend(self, watched: Watched) -> Trend | None:
        if watched not in self._trends:
            self._trends[watched] = _trend(DRAWN_ON[watched], self._seen)
        return self._trends[watched]


def until_met_s(program: Program, state: State, seen: Sequence[Seen]) -> float:
    """Seconds after the newest of ``seen``; 0: the next sample may decide, infinite: nothing is in sight."""
    what, sample, live = doing(program, state.course.place), state.live.sample, state.live
    if what is None or sample is None or not seen or state.phase is not Phase.RUNNING:
        return inf
    step, train, newest = what.step, len(train_until(what)), seen[-1]
    curve, whole = Curve(seen, sample, state.course.past), _of_whole(what, state, newest)
    return min(
        _soonest(step.until[train:], live.until, newest, curve),
        _soonest(step.until[:train], live.train, whole, curve),
        _soonest(step.abort_if, live.abort, whole, curve),
        _soonest(_envelope(program.safety.voltage_V), (), newest, curve),
    )


def _of_whole(what: Doing, state: State, seen: Seen) -> Seen:
    together, step = state.course.whole, state.step
    if together is None or step is None:
        return seen
    return of_whole(seen, together, step.zero_s - together.zero_s, counts=not is_rest_of_train(what))


@lru_cache(64)
def _envelope(voltage_V: Window | None) -> Condition:
    """The voltages at which the run's own safety looks closer."""
    if voltage_V is None:
        return ()
    below = Clause(Watched.VOLTAGE, Op.AT_MOST, voltage_V[0])
    above = Clause(Watched.VOLTAGE, Op.AT_LEAST, voltage_V[1])
    return Alternative((below,), ""), Alternative((above,), "")


def _soonest(condition: Condition, streaks: Streaks, newest: Seen, curve: Curve) -> float:
    """All clauses of an alternative must hold: the last of them counts."""
    soonest_s, start = inf, 0
    for alternative in condition:
        last_s = 0.0
        for number, clause in enumerate(alternative.clauses, start):
            last_s = max(last_s, _clause_s(clause, streaks[number] if streaks else None, newest, curve))
        start += len(alternative.clauses)
        soonest_s = min(soonest_s, last_s)
    return soonest_s


def _clause_s(clause: Clause, streak: Streak | None, newest: Seen, curve: Curve) -> float:
    if streak is None or streak.samples == 0:
        return _crossing_s(clause, newest, curve)
    if clause.for_s is not None:
        return max(0.0, streak.since_s + clause.for_s + AFTER_S - newest.time_s)
    return 0.0  # once more, as the debounce wants it


def _crossing_s(clause: Clause, newest: Seen, curve: Curve) -> float:
    threshold, value = threshold_of(clause, curve.past), value_of(clause.watched, newest)
    if threshold is None or value is None:
        return inf
    missing = threshold - value if clause.op is Op.AT_LEAST else value - threshold
    if missing <= 0:
        return inf  # it holds; that it did not count yet is not for a reading to change
    match clause.watched:
        case Watched.VOLTAGE | Watched.CURRENT | Watched.TEMPERATURE:
            return CAUTION * _drawn_on_s(missing, curve.trend(clause.watched), clause.op)
        case Watched.TIME:
            return _at_rate_s(missing, 1.0, clause.op)
        case Watched.CAPACITY:
            return _at_rate_s(missing, abs(curve.sample.current_A) / SECONDS_PER_HOUR, clause.op)
        case Watched.ENERGY:
            return _at_rate_s(
                missing, abs(curve.sample.current_A * curve.sample.voltage_V) / SECONDS_PER_HOUR, clause.op
            )
        case Watched.SLOPE:
            return inf


def _at_rate_s(missing: float, rate: float, op: Op) -> float:
    return missing / rate + AFTER_S if rate > 0 and op is Op.AT_LEAST else inf


def _trend(read: Callable[[Seen], float | None], seen: Sequence[Seen]) -> Trend | None:
    """Two samples close to each other may show noise alone, so all that are remembered are asked. None: there is one."""
    curve = [(each.at_s, value) for each in seen if (value := read(each)) is not None]
    if len(curve) < 2:
        return None
    newest, first, middle = curve[-1], curve[0], curve[len(curve) // 2]
    newest_s, newest_value = newest
    slopes = [(newest_value - value) / (newest_s - at_s) for at_s, value in curve[:-1]]
    if middle is newest:
        return Trend(max(slopes), -min(slopes), 0.0, 0.0)
    early, late = _slope(first, middle), _slope(middle, newest)
    bend = 2 * (late - early) / (newest[0] - first[0])
    return Trend(max(slopes), -min(slopes), late + bend * (newest[0] - middle[0]) / 2, bend)


def _drawn_on_s(missing: float, trend: Trend | None, op: Op) -> float:
    """The soonest that a line through the newest sample and one before, or a parabola, comes to the threshold."""
    if trend is None:
        return inf
    up = op is Op.AT_LEAST
    steepest = trend.rise if up else trend.fall
    straight_s = missing / steepest if steepest > 0 else inf
    return min(straight_s, _bent_s(missing, trend.slope if up else -trend.slope, trend.bend if up else -trend.bend))


def _slope(one: tuple[float, float], other: tuple[float, float]) -> float:
    return (other[1] - one[1]) / (other[0] - one[0])


def _bent_s(missing: float, slope: float, bend: float) -> float:
    """Where slope * t + bend * t^2 / 2 comes to ``missing``, for a curve that bends towards it."""
    if bend <= 0:
        return inf
    return (sqrt(slope * slope + 2 * bend * missing) - slope) / bend
