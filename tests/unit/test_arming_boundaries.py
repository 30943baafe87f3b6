"""Where exactly a program, a channel and an instrument stop to fit: what is equal fits."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from cycler_ctl.guard import Ceilings
from cycler_ctl.guarding.for_a_run import contains, guard_limits, inside_guard, polarity_V
from cycler_ctl.instrument import Protection, Ratings
from cycler_ctl.running.arming import check_nesting, unseen_temperatures
from cycler_ctl.settings import ChannelSettings, Limits
from protocols.model import (
    Alternative,
    Cell,
    Clause,
    CurrentStep,
    HoldStep,
    Op,
    Program,
    Record,
    RestStep,
    Safety,
    TimedStep,
    Verb,
    Watched,
)

INF = math.inf
LIMITS = Limits(voltage_V=(-0.5, 3.0), current_A=0.5)
CHANNEL = ChannelSettings(instrument="smu1", limits=LIMITS)
RATINGS = Ratings((-0.5, 3.0), 0.5, (), 0.5, Protection.B, "", "", slowest_sample_s=2.0)
HOUR = (Alternative((Clause(Watched.TIME, Op.AT_LEAST, 3600.0),), "time >= 1 h"),)
DOWN = CurrentStep("1", "lithiate", Verb.LITHIATE, -0.25, HOUR, (), Record(), (0.5, 2.0))
SAFETY = Safety(voltage_V=(-0.5, 3.0), current_A=0.5)


def channel(**changes: object) -> ChannelSettings:
    return CHANNEL.model_copy(update=changes)


def limited(**changes: object) -> ChannelSettings:
    return channel(limits=LIMITS.model_copy(update=changes))


def refused(step: TimedStep = DOWN, at: ChannelSettings = CHANNEL, safety: Safety = SAFETY) -> str:
    return " | ".join(check_nesting(Program("p", Cell("c", theoretical_capacity_Ah=1.0), safety, (step,)), at, RATINGS))


def test_a_channel_and_a_safety_may_take_all_that_is_around_them() -> None:
    assert refused() == ""


@pytest.mark.parametrize(("every_s", "words"), [(0.5, ""), (2.0, ""), (0.49, "faster"), (2.01, "slower")])
def test_a_channel_may_sample_at_both_ends_of_what_its_instrument_can(every_s: float, words: str) -> None:
    said = refused(at=channel(sample_every_s=every_s))
    assert words in said
    assert bool(words) == bool(said)


@pytest.mark.parametrize(("edge_V", "well"), [(0.48, True), (0.4799995, True), (0.47999875, False), (0.479, False)])
def test_a_window_stands_twenty_millivolts_outside_the_safety_and_a_rounding_more(edge_V: float, *, well: bool) -> None:
    said = refused(replace(DOWN, window_V=(edge_V, 2.0)), safety=Safety(voltage_V=(0.5, 3.0)))
    assert (said == "") == well


@pytest.mark.parametrize(("voltage_V", "well"), [(2.99, True), (2.9945, True), (2.9946, False), (2.998, False)])
def test_a_held_voltage_needs_room_for_its_own_error(voltage_V: float, *, well: bool) -> None:
    assert (refused(HoldStep("1", "hold", voltage_V, 0.1, HOUR, (), Record())) == "") == well


@pytest.mark.parametrize(
    ("outer", "inner", "inside"),
    [
        ((0.0, 1.0), (0.0, 1.0), True),
        ((0.0, 1.0), (0.5, 0.5), True),
        ((0.0, 1.0), (-0.01, 0.5), False),
        ((0.0, 1.0), (0.5, 1.01), False),
        ((0.0, 1.0), (0.6, 0.5), False),
        ((0.0, 1.0), (math.nan, 0.5), False),
        ((0.0, 1.0), (0.5, math.nan), False),
    ],
)
def test_a_window_contains_itself_and_nothing_that_is_no_window(
    outer: tuple[float, float], inner: tuple[float, float], *, inside: bool
) -> None:
    assert contains(outer, inner) == inside


@pytest.mark.parametrize(("every_s", "stale_s"), [(0.1, 2.0), (0.7, 2.1), (1.0, 3.0), (10.0, 30.0)])
def test_a_reading_is_stale_after_three_periods_but_not_before_two_seconds(every_s: float, stale_s: float) -> None:
    assert guard_limits(channel(sample_every_s=every_s), RATINGS, SAFETY).stale_s == pytest.approx(stale_s)


@pytest.mark.parametrize(("every_s", "samples"), [(1.0, 2), (1.1, 1)])
def test_one_reading_tells_an_open_circuit_where_they_come_more_slowly_than_each_second(
    every_s: float, samples: int
) -> None:
    assert guard_limits(channel(sample_every_s=every_s, debounce=2), RATINGS, SAFETY).open_samples == samples


def test_the_channels_own_ceilings_are_the_guards_and_where_it_has_none_there_is_none() -> None:
    limited_to = guard_limits(limited(step_charge_Ah=0.25, step_time_s=60.0), RATINGS, SAFETY).step
    assert limited_to == Ceilings(charge_Ah=0.25, time_s=60.0)
    assert guard_limits(CHANNEL, RATINGS, SAFETY).step == Ceilings(INF, INF)


def test_the_guard_knows_whether_a_current_is_bounded() -> None:
    assert guard_limits(channel(regulation="bounded"), RATINGS, SAFETY).bounded
    assert not guard_limits(channel(regulation="current"), RATINGS, SAFETY).bounded


def test_where_no_polarity_is_known_none_is_watched() -> None:
    assert guard_limits(CHANNEL, RATINGS, SAFETY).polarity_V == (-INF, INF)
    assert polarity_V(CHANNEL, Safety(voltage_V=(0.0, 3.0))) is None  # a cell that may be at 0 V may be just below


def inside(step: TimedStep, at: ChannelSettings) -> bool:
    return not list(inside_guard(Program("p", Cell("c"), Safety(), (step,)), at))


def test_a_step_may_go_to_the_very_edges_of_the_polarity_window() -> None:
    at = channel(polarity_V=(0.5, 2.0))
    for voltage_V, well in ((0.5, True), (2.0, True), (0.499, False), (2.001, False)):
        assert inside(HoldStep("1", "hold", voltage_V, 0.1, HOUR, (), Record()), at) == well


def test_a_step_may_take_98_percent_of_the_power_and_no_more() -> None:
    hold = HoldStep("1", "hold", 1.0, 0.98 * 0.25, HOUR, (), Record())
    assert inside(hold, limited(power_W=0.25))
    assert not inside(replace(hold, current_limit_A=0.246), limited(power_W=0.25))


def test_a_step_may_take_98_percent_of_the_channels_current_and_no_more() -> None:
    hold = HoldStep("1", "hold", 1.0, 0.98 * 0.5, HOUR, (), Record())
    assert refused(hold) == ""
    assert "too much for the channel's limit" in refused(replace(hold, current_limit_A=0.4901))


def test_a_rest_goes_nowhere() -> None:
    assert inside(RestStep("1", HOUR, (), Record(), (0.0, 5.0)), channel(polarity_V=(0.5, 2.0)))


def test_one_clause_of_several_that_watches_the_temperature_needs_a_sensor() -> None:
    clauses = (Clause(Watched.TIME, Op.AT_LEAST, 60.0), Clause(Watched.TEMPERATURE, Op.AT_LEAST, 40.0))
    step = replace(DOWN, until=(Alternative(clauses, "time >= 1 min and temperature >= 40 degC"),))
    assert list(unseen_temperatures(Program("p", Cell("c"), SAFETY, (step,)), CHANNEL))
    assert not list(unseen_temperatures(Program("p", Cell("c"), SAFETY, (DOWN,)), CHANNEL))
