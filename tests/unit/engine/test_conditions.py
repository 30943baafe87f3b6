"""What a sample meets, clause by clause."""

from __future__ import annotations

import pytest

from protocols.conditions import already, beyond, crossed, debounce, due, expired, look, watches_slope
from protocols.events import Sampled
from protocols.model import (
    Clause,
    Condition,
    LabelOf,
    PreviousOf,
    Record,
    Reference,
    Safety,
    Settings,
    Verb,
    Watched,
)
from protocols.record import Counters, Mark, Mode, Row
from protocols.running.state import Limit, Past, Seen, Streaks
from tests.unit.engine.conftest import clause, lithiate, time, voltage, when

POINT = Seen(
    at_s=110.0,
    time_s=10.0,
    voltage_V=1.0,
    current_A=0.002,
    charge_Ah=0.5,
    energy_Wh=0.4,
    temperature_degC=25.0,
    slope_V_s=1e-6,
)
PAST = Past(lithiate_Ah=1.0, delithiate_Ah=2.0, either_Ah=3.0, labels=(("a", 4.0), ("b", 5.0)))


def met(condition: Condition, *points: Seen, needed: int = 1, past: Past = PAST) -> tuple[tuple[int, ...], Streaks]:
    """What the last of these points meets."""
    streaks: Streaks = ()
    found: tuple[int, ...] = ()
    before = None
    for point in points:
        found, streaks = look(condition, streaks, point, before, past, debounce=needed)
        before = point
    return found, streaks


def points(*voltages_V: float) -> list[Seen]:
    return [POINT._replace(time_s=float(k), voltage_V=volts) for k, volts in enumerate(voltages_V)]


@pytest.mark.parametrize(
    ("watched", "value"),
    [
        (Watched.VOLTAGE, 1.0),
        (Watched.CURRENT, 0.002),
        (Watched.TIME, 10.0),
        (Watched.CAPACITY, 0.5),
        (Watched.ENERGY, 0.4),
        (Watched.TEMPERATURE, 25.0),
        (Watched.SLOPE, 1e-6),
    ],
)
def test_a_value_meets_its_threshold_from_either_side_when_equal_and_not_beyond(watched: Watched, value: float) -> None:
    assert met(when(clause(watched, ">=", value)), POINT)[0] == (0,)
    assert met(when(clause(watched, ">=", value * 1.01)), POINT)[0] == ()
    assert met(when(clause(watched, "<=", value * 1.01)), POINT)[0] == (0,)
    assert met(when(clause(watched, "<=", value * 0.99)), POINT)[0] == ()


@pytest.mark.parametrize("watched", [Watched.TEMPERATURE, Watched.SLOPE])
@pytest.mark.parametrize("op", ["<=", ">="])
def test_what_is_not_known_meets_nothing(watched: Watched, op: str) -> None:
    assert met(when(clause(watched, op, 0.0)), POINT._replace(temperature_degC=None, slope_V_s=None))[0] == ()


def test_zero_is_a_value() -> None:
    assert met(when(voltage("<=", 0.0)), POINT._replace(voltage_V=0.0))[0] == (0,)
    assert met(when(voltage("<=", 0.0)), POINT._replace(voltage_V=0.001))[0] == ()


@pytest.mark.parametrize(
    ("reference", "charge_Ah"),
    [
        (PreviousOf(Verb.LITHIATE), 1.0),
        (PreviousOf(Verb.DELITHIATE), 2.0),
        (PreviousOf(None), 3.0),
        (LabelOf("a"), 4.0),
        (LabelOf("b"), 5.0),
    ],
)
def test_a_share_refers_to_its_own_step(reference: Reference, charge_Ah: float) -> None:
    share = when(clause(Watched.CAPACITY, ">=", 1.2, None, reference))
    assert met(share, POINT._replace(charge_Ah=1.2 * charge_Ah))[0] == (0,)
    assert met(share, POINT._replace(charge_Ah=1.19 * charge_Ah))[0] == ()
    assert met(share, POINT._replace(charge_Ah=1e9), past=Past())[0] == ()


def test_all_alternatives_that_hold_come_in_written_order() -> None:
    assert met(when(time(10), voltage(">=", 9), voltage("<=", 1)), POINT)[0] == (0, 2)


def test_in_an_and_each_clause_keeps_its_own_clock() -> None:
    both = when((voltage("<=", 0.5, for_s=3), clause(Watched.CURRENT, "<=", 0.01, for_s=1)))
    falling = points(0.5, 0.5, 0.5, 0.5)
    falling[2] = falling[2]._replace(current_A=1.0)
    assert met(both, *falling)[0] == ()
    assert met(both, *falling, POINT._replace(time_s=4.0, voltage_V=0.5))[0] == (0,)


def test_a_streak_is_broken_by_one_sample() -> None:
    low = when(voltage("<=", 0.5))
    assert met(low, *points(1.0, 0.5, 0.5), needed=2)[0] == (0,)
    assert met(low, *points(0.5, 1.0, 0.5), needed=2)[0] == ()


def test_only_a_voltage_without_for_needs_several_samples() -> None:
    others: list[Clause] = [time(0), voltage("<=", 9, for_s=0), clause(Watched.CURRENT, "<=", 9)]
    assert met(when(*others), POINT, needed=5)[0] == (0, 1, 2)
    assert met(when(voltage("<=", 9)), POINT, needed=5)[0] == ()


def test_nothing_is_kept_while_nothing_has_held() -> None:
    assert met(when(voltage("<=", 0.5), time(99)), *points(1.0, 0.9))[1] == ()


def test_debounce_is_for_fast_samples_only() -> None:
    assert debounce(Settings(sample_every_s=1.0, debounce=3)) == 3
    assert debounce(Settings(sample_every_s=1.01, debounce=3)) == 1


def test_alternatives_that_watch_time_are_not_already_met() -> None:
    assert already(when(time(0), voltage("<=", 1), (voltage("<=", 1), time(0))), (0, 1, 2)) == (1,)


def test_a_crossing_belongs_to_the_alternative_that_ended_the_step() -> None:
    condition = when((time(0), time(1)), voltage("<=", 0.5))
    _, streaks = met(condition, *points(1.0, 0.0))
    assert crossed(condition, streaks, 0) is None
    found = crossed(condition, streaks, 1)
    assert found is not None
    assert found[1].time_s == pytest.approx(0.5)


def test_a_step_watches_the_slope_in_until_or_abort_if() -> None:
    flat = clause(Watched.SLOPE, "<=", 1.0)
    assert watches_slope(lithiate((time(1), flat)))
    assert watches_slope(lithiate(time(1), abort_if=when(flat)))
    assert not watches_slope(lithiate(time(1)))


EVERYTHING = Safety((0.0, 2.0), (10.0, 60.0), 1.0, 5.0)


@pytest.mark.parametrize(
    ("volts", "amperes", "degC", "charge_Ah", "limits"),
    [
        (0.0, -1.0, 10.0, 5.0, []),
        (2.0, 1.0, 60.0, 0.0, []),
        (-0.01, 0.0, 20.0, 0.0, [Limit.VOLTAGE]),
        (2.01, 0.0, 20.0, 0.0, [Limit.VOLTAGE]),
        (1.0, -1.01, 20.0, 0.0, [Limit.CURRENT]),
        (1.0, 0.0, 9.9, 0.0, [Limit.TEMPERATURE]),
        (1.0, 0.0, None, 0.0, [Limit.TEMPERATURE]),
        (float("nan"), float("nan"), float("nan"), float("nan"), list(Limit)),
        (1.0, 0.0, 20.0, 5.01, [Limit.CHARGE]),
    ],
)
def test_the_envelope_includes_its_edges_and_nothing_beyond(
    volts: float, amperes: float, degC: float | None, charge_Ah: float, limits: list[Limit]
) -> None:
    sample = Sampled(7.0, 7.0, volts, amperes, degC)
    found = beyond(EVERYTHING, (), sample, charge_Ah, resting=False, thermometer=True)
    assert found == tuple((limit, 7.0) for limit in limits)
    assert beyond(Safety(), (), sample, charge_Ah, resting=False, thermometer=True) == ()


def test_a_limit_remembers_since_when_it_is_broken_until_it_is_kept_again() -> None:
    high, good = Sampled(9.0, 9.0, 3.0, 0.0, 20.0), Sampled(10.0, 10.0, 1.0, 0.0, 20.0)
    old = ((Limit.VOLTAGE, 4.0), (Limit.CURRENT, 5.0))
    assert beyond(EVERYTHING, old, high, 0.0, resting=False, thermometer=True) == ((Limit.VOLTAGE, 4.0),)
    assert beyond(EVERYTHING, old, good, 0.0, resting=False, thermometer=True) == ()
    assert expired(((Limit.VOLTAGE, 4.0), (Limit.CURRENT, 8.0)), 9.0, 5.0) == (Limit.VOLTAGE,)


ROW = Row(
    1, 100.0, 0.0, 1.0, 0.5, None, 0, 1, "1", Mode.REST, 0, 0.0, Mark.START, Counters(1.0, 2.0), Counters(), Counters()
)


def test_a_row_is_due_by_none_of_what_is_not_asked_for() -> None:
    moved = Sampled(1e6, 1e6, 9.0, 9.0, 9.0)
    assert not due(Record(), ROW, 1e6, moved, 99.0, slack_s=0.0)
    assert not due(Record(temperature_K=1.0), ROW, 1e6, moved, 99.0, slack_s=0.0)
    assert due(Record(charge_Ah=0.5), ROW, 100.0, moved, 3.5, slack_s=0.0)
    assert not due(Record(charge_Ah=0.5), ROW, 100.0, moved, 3.4, slack_s=0.0)
    assert due(Record(voltage_V=0.5), ROW, 100.0, Sampled(1, 1, 0.5, 0.5, None), 3.0, slack_s=0.0)
