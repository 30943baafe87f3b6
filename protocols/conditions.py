"""Which conditions a sample meets: until and abort_if, the safety envelope, and what is worth a row."""

from __future__ import annotations

from protocols.charge import TIME_SLACK_S, crossing
from protocols.events import Sampled
from protocols.model import (
    TAPER_AFTER_S,
    TAPER_AFTER_SAMPLES,
    Alternative,
    Clause,
    Condition,
    LabelOf,
    Op,
    PreviousOf,
    Record,
    Reference,
    Safety,
    Settings,
    TimedStep,
    Verb,
    Watched,
)
from protocols.record import Row
from protocols.running.state import Beyond, Crossing, Limit, Past, Seen, Streak, Streaks

Met = tuple[int, ...]
"""Numbers of the alternatives that hold, in written order."""


def look(
    condition: Condition, streaks: Streaks, seen: Seen, before: Seen | None, past: Past, *, debounce: int
) -> tuple[Met, Streaks]:
    """What a sample meets, and each clause's own clock after it. ``before`` is the sample it follows in a line."""
    if not condition:
        return (), ()
    holding = [_holds(clause, seen, past) for alternative in condition for clause in alternative.clauses]
    if not streaks and True not in holding:
        return (), ()
    after = _streaks(condition, streaks, holding, seen, before)
    met: list[int] = []
    start = 0
    for number, alternative in enumerate(condition):
        stop = start + len(alternative.clauses)
        if _all_last(alternative, after[start:stop], seen, debounce):
            met.append(number)
        start = stop
    return tuple(met), after


def _streaks(condition: Condition, streaks: Streaks, holding: list[bool], seen: Seen, before: Seen | None) -> Streaks:
    clauses = [clause for alternative in condition for clause in alternative.clauses]
    old = streaks or (None,) * len(clauses)
    return tuple(
        _streak(clause, streak, seen, before) if holds else _broken(streak)
        for clause, streak, holds in zip(clauses, old, holding, strict=True)
    )


def _streak(clause: Clause, streak: Streak | None, seen: Seen, before: Seen | None) -> Streak:
    if streak is not None and streak.samples > 0:
        return Streak(streak.since_s, streak.samples + 1, streak.crossing)
    # A clause that held before and failed again is crossed by noise: no one moment is its crossing.
    if streak is None and before is not None and clause.watched is Watched.VOLTAGE:
        return Streak(seen.time_s, 1, crossing(before, seen, clause.value))
    return Streak(seen.time_s, 1)


def _broken(streak: Streak | None) -> Streak | None:
    return None if streak is None else Streak(streak.since_s, 0)


def _all_last(alternative: Alternative, streaks: Streaks, seen: Seen, debounce: int) -> bool:
    return bool(streaks) and all(
        _lasts(clause, streak, seen, debounce) for clause, streak in zip(alternative.clauses, streaks, strict=True)
    )


def _lasts(clause: Clause, streak: Streak | None, seen: Seen, debounce: int) -> bool:
    if streak is None or streak.samples == 0:
        return False
    if clause.for_s is not None:
        return seen.time_s - streak.since_s >= clause.for_s - TIME_SLACK_S
    return clause.watched is not Watched.VOLTAGE or streak.samples >= debounce


def _holds(clause: Clause, seen: Seen, past: Past) -> bool:
    value, threshold = value_of(clause.watched, seen), threshold_of(clause, past)
    if value is None or threshold is None:
        return False
    return value >= threshold if clause.op is Op.AT_LEAST else value <= threshold


def threshold_of(clause: Clause, past: Past) -> float | None:
    """None: there is nothing yet that it refers to."""
    return clause.value if clause.reference is None else _share(clause.value, clause.reference, past)


def value_of(watched: Watched, seen: Seen) -> float | None:
    """None: not measured, or not the cell's yet."""
    match watched:
        case Watched.VOLTAGE:
            return seen.voltage_V
        case Watched.TIME:
            return seen.time_s + TIME_SLACK_S
        case Watched.CAPACITY:
            return seen.charge_Ah
        case Watched.ENERGY:
            return seen.energy_Wh
        case Watched.CURRENT:
            return seen.current_A
        case Watched.TEMPERATURE:
            return seen.temperature_degC
        case Watched.SLOPE:
            return seen.slope_V_s


def _share(fraction: float, reference: Reference, past: Past) -> float | None:
    charge_Ah = _completed(reference, past)
    return None if charge_Ah is None else fraction * charge_Ah


def _completed(reference: Reference, past: Past) -> float | None:
    match reference:
        case PreviousOf(verb=Verb.LITHIATE):
            return past.lithiate_Ah
        case PreviousOf(verb=Verb.DELITHIATE):
            return past.delithiate_Ah
        case PreviousOf():
            return past.either_Ah
        case LabelOf(label=label):
            return dict(past.labels).get(label)


def already(condition: Condition, met: Met) -> Met:
    """Of the alternatives that hold at sample 0, those that count as met before the step: none that watches time."""
    return tuple(n for n in met if all(clause.watched is not Watched.TIME for clause in condition[n].clauses))


def tapers(number: int, time_s: float) -> bool:
    """Is the current of a hold the cell's by now? ``number`` and ``time_s`` count from the voltage's first sample."""
    return number >= TAPER_AFTER_SAMPLES or (number > 0 and time_s >= TAPER_AFTER_S - TIME_SLACK_S)


def debounce(settings: Settings) -> int:
    """Consecutive samples a voltage needs."""
    return settings.debounce if settings.sample_every_s <= 1.0 else 1


def watches_slope(step: TimedStep) -> bool:
    return any(
        clause.watched is Watched.SLOPE
        for condition in (step.until, step.abort_if)
        for alternative in condition
        for clause in alternative.clauses
    )


def crossed(condition: Condition, streaks: Streaks, number: int) -> tuple[Clause, Crossing] | None:
    """The threshold that ended a step and its crossing, if the alternative is a lone voltage without ``for``."""
    start = sum(len(alternative.clauses) for alternative in condition[:number])
    clause, streak = condition[number].clauses[0], streaks[start]
    lone = len(condition[number].clauses) == 1 and clause.watched is Watched.VOLTAGE and clause.for_s is None
    return (clause, streak.crossing) if lone and streak is not None and streak.crossing is not None else None


def beyond(
    safety: Safety, old: Beyond, sample: Sampled, charge_Ah: float, *, resting: bool, thermometer: bool
) -> Beyond:
    """The limits this sample exceeds and since when. Comparisons are written so that a missing value exceeds."""
    limits = _exceeded(safety, sample, charge_Ah, resting=resting, thermometer=thermometer)
    if not limits:
        return ()
    since = dict(old)
    return tuple((limit, since.get(limit, sample.at_s)) for limit in limits)


def _exceeded(safety: Safety, sample: Sampled, charge_Ah: float, *, resting: bool, thermometer: bool) -> list[Limit]:
    found: list[Limit] = []
    if safety.voltage_V is not None and not (safety.voltage_V[0] <= sample.voltage_V <= safety.voltage_V[1]):
        found.append(Limit.VOLTAGE)
    if (
        safety.temperature_degC is not None
        and thermometer
        and not _warm(safety.temperature_degC, sample, resting=resting)
    ):
        found.append(Limit.TEMPERATURE)
    if safety.current_A is not None and not (abs(sample.current_A) <= safety.current_A):
        found.append(Limit.CURRENT)
    if safety.step_charge_Ah is not None and not (charge_Ah <= safety.step_charge_Ah):
        found.append(Limit.CHARGE)
    return found


def _warm(window_degC: tuple[float, float], sample: Sampled, *, resting: bool) -> bool:
    """Inside the limits; while the cell rests it may still be waiting to be heated."""
    temperature = sample.temperature_degC
    if temperature is None:
        return False
    return temperature <= window_degC[1] and (resting or window_degC[0] <= temperature)


def expired(limits: Beyond, at_s: float, for_s: float) -> tuple[Limit, ...]:
    """The limits exceeded for as long as the protocol lets them."""
    return tuple(limit for limit, since_s in limits if not (at_s - since_s < for_s - TIME_SLACK_S))


def due(record: Record, last: Row, time_s: float, sample: Sampled, charge_Ah: float, *, slack_s: float) -> bool:
    """Has anything moved far enough from the last recorded row? ``charge_Ah`` is the run's throughput.

    ``slack_s``: readings come a few ms early or late. Without it "every 1 s" at a reading a second would leave out
    each reading that came 1 ms early, about half of them.
    """
    if record.time_s is not None and time_s - last.time_s >= record.time_s - slack_s:
        return True
    if record.voltage_V is not None and abs(sample.voltage_V - last.voltage_V) >= record.voltage_V:
        return True
    if record.current_A is not None and abs(sample.current_A - last.current_A) >= record.current_A:
        return True
    if record.charge_Ah is not None and charge_Ah - _throughput(last) >= record.charge_Ah:
        return True
    return record.temperature_K is not None and _warmed(sample, last) >= record.temperature_K


def _throughput(row: Row) -> float:
    return row.run_total.oxidation_Ah + row.run_total.reduction_Ah


def _warmed(sample: Sampled, last: Row) -> float:
    if sample.temperature_degC is None or last.temperature_degC is None:
        return 0.0
    return abs(sample.temperature_degC - last.temperature_degC)
