"""Before the output goes on: what does not nest, has no ceiling or was not accepted is refused, with numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from cycler_ctl.guard import Ceilings
from cycler_ctl.guarding.for_a_run import guard_limits, inside_guard, polarity_V
from cycler_ctl.instrument import Accuracy, Protection, Ratings
from cycler_ctl.running.arming import (
    ceilings_by_path,
    check_nesting,
    class_refusal,
    hold_limit_A,
    largest_capacity_Ah,
)
from cycler_ctl.settings import Acceptance, ChannelSettings, Limits
from protocols.model import (
    Alternative,
    CccvStep,
    Cell,
    Clause,
    CurrentStep,
    GittStep,
    HoldStep,
    Op,
    Program,
    Record,
    RepeatStep,
    RestStep,
    Safety,
    Step,
    Verb,
    Watched,
)

LIMITS = Limits(voltage_V=(-0.5, 3.0), current_A=0.010, temperature_degC=(20.0, 140.0))
CHANNEL = ChannelSettings(instrument="smu1", limits=LIMITS, temperature="oven1")
RATINGS = Ratings((-20.0, 20.0), 1.0, (), 0.15, Protection.B, "bounded only", "0 A", slowest_sample_s=2.0)
CELL = Cell("c", theoretical_capacity_Ah=4e-3)
HOUR = Alternative((Clause(Watched.TIME, Op.AT_LEAST, 3600.0),), "time >= 1 h")
LOW = Alternative((Clause(Watched.VOLTAGE, Op.AT_MOST, 0.2),), "voltage <= 0.2 V")
CHARGE = Alternative((Clause(Watched.CAPACITY, Op.AT_LEAST, 2e-3),), "capacity >= 2 mAh")
LITHIATE = CurrentStep("1", "lithiate", Verb.LITHIATE, -0.4e-3, (LOW,), (), Record(), (0.18, 2.5))
REST = RestStep("2", (HOUR,), (), Record(), (-0.1, 2.5))
SAFETY = Safety(voltage_V=(-0.1, 2.5), temperature_degC=(110.0, 135.0), current_A=2e-3)


def program(*steps: Step, cell: Cell = CELL, safety: Safety = SAFETY) -> Program:
    return Program("p", cell, safety, steps or (LITHIATE, REST))


def with_limits(**changes: object) -> ChannelSettings:
    return CHANNEL.model_copy(update={"limits": LIMITS.model_copy(update=changes)})


def test_limits_inside_limits_are_accepted() -> None:
    assert check_nesting(program(), CHANNEL, RATINGS) == ()
    assert check_nesting(program(RepeatStep("1", 3, True, (LITHIATE, REST))), CHANNEL, RATINGS) == ()


@pytest.mark.parametrize(
    ("channel", "words"),
    [
        (with_limits(current_A=1.5), "channel's current limit 1500 mA is above the instrument's 1000 mA"),
        (with_limits(voltage_V=(-30.0, 3.0)), "channel's voltage limits -30 V to 3 V reach beyond"),
        (with_limits(voltage_V=(0.0, 3.0)), "safety voltage -0.1 V to 2.5 V reaches beyond the channel's limits"),
        (with_limits(voltage_V=(math.nan, 3.0)), "reach beyond"),
        (with_limits(current_A=1e-3), "safety current 2 mA is above the channel's limit 1 mA"),
        (with_limits(temperature_degC=(20.0, 130.0)), "safety temperature 110 °C to 135 °C reaches beyond"),
        (CHANNEL.model_copy(update={"sample_every_s": 0.05}), "faster than the instrument's 0.15 s"),
        (
            CHANNEL.model_copy(update={"sample_every_s": 2.5}),
            "slower than 2 s, and asked more rarely the instrument lets",
        ),
    ],
)
def test_settings_that_do_not_nest_are_refused(channel: ChannelSettings, words: str) -> None:
    assert any(words in reason for reason in check_nesting(program(), channel, RATINGS))


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (replace(LITHIATE, window_V=(0.18, 3.2)), "step 1: its window (20 mV beyond the cut-off) reaches 3.2 V"),
        (replace(LITHIATE, window_V=(-0.2, 2.5)), "step 1: its window reaches -0.2 V"),
        (replace(LITHIATE, current_A=-0.0099), "step 1: 9.9 mA is too much for the channel's limit 10 mA"),
        (replace(LITHIATE, current_A=math.nan), "step 1"),
        (replace(LITHIATE, path="2.1", window_V=(0.18, 9.0)), "step 2.1"),
    ],
)
def test_a_step_that_reaches_beyond_is_named(step: CurrentStep, words: str) -> None:
    nested = RepeatStep("2", 2, True, (step,))
    assert any(words in reason for reason in check_nesting(program(nested), CHANNEL, RATINGS))


def test_a_window_without_sides_is_the_channels_matter() -> None:
    assert check_nesting(program(replace(REST, window_V=(-math.inf, math.inf))), CHANNEL, RATINGS) == ()


def test_a_current_step_without_any_ceiling_is_refused() -> None:
    nameless = program(cell=Cell("c"))
    (reason,) = check_nesting(nameless, CHANNEL, RATINGS)
    assert "step 1 has no ceiling of charge or time" in reason
    assert check_nesting(nameless, with_limits(step_charge_Ah=0.02, step_time_s=1e6), RATINGS) == ()
    timed = program(replace(LITHIATE, until=(LOW, HOUR)), cell=Cell("c"))
    assert check_nesting(timed, CHANNEL, RATINGS) == ()


def test_the_guard_counts_for_itself_even_what_the_step_names() -> None:
    named = replace(LITHIATE, until=(LOW, CHARGE), abort_if=(HOUR,))
    ceilings = ceilings_by_path(program(named), CHANNEL)["1"]
    assert ceilings.charge_Ah == pytest.approx(2.1e-3)
    assert ceilings.time_s == pytest.approx(3600 * 1.02 + 60)
    default = ceilings_by_path(program(), CHANNEL)
    assert default["1"].charge_Ah == pytest.approx(4.8e-3)
    assert default["1"].time_s == pytest.approx(2 * 4.8e-3 / 0.4e-3 * 3600)
    assert default["2"] == Ceilings(math.inf, 3600 * 1.02 + 60)


def until(watched: Watched, op: Op, value: float) -> Alternative:
    return Alternative((Clause(watched, op, value),), f"{watched} {op} {value}")


TAPER = until(Watched.CURRENT, Op.AT_MOST, 0.04e-3)
HOLD = HoldStep("1", "hold", 1.2, 0.4e-3, (TAPER,), (), Record())
CCCV = CccvStep(
    "1",
    replace(LITHIATE, path="1.cc"),
    replace(HOLD, path="1.cv", voltage_V=0.2, verb=Verb.LITHIATE),
    (0,),
    (until(Watched.TIME, Op.AT_LEAST, 1000.0),),
)
PULSE = replace(LITHIATE, path="3.p", until=(until(Watched.TIME, Op.AT_LEAST, 360.0),))
GITT = GittStep("3", PULSE, replace(REST, path="3.r"), (LOW,), None, ())


def reasons(*steps: Step, channel: ChannelSettings = CHANNEL, safety: Safety = SAFETY, cell: Cell = CELL) -> str:
    return "; ".join(check_nesting(program(*steps, cell=cell, safety=safety), channel, RATINGS))


def test_every_part_of_a_whole_and_every_value_of_for_each_is_looked_at() -> None:
    assert reasons(HOLD, CCCV, GITT) == ""
    assert "step 1.cc: 20 mA is too much" in reasons(replace(CCCV, current=replace(CCCV.current, current_A=-20e-3)))
    assert "step 1.cv: 2.6 V is not inside" in reasons(replace(CCCV, hold=replace(CCCV.hold, voltage_V=2.6)))
    assert "step 3.p: its window" in reasons(replace(GITT, pulse=replace(PULSE, window_V=(-9.0, 2.5))))
    assert "step 3.r: its window" in reasons(replace(GITT, rest=replace(GITT.rest, window_V=(0.0, 9.0))))
    small, large = (RepeatStep("2", 1, True, (replace(LITHIATE, path="2.1", current_A=i),)) for i in (-1e-3, -20e-3))
    assert "step 2.1: 20 mA is too much" in reasons(RepeatStep("2", 1, False, (small, large)))
    twice = check_nesting(program(RepeatStep("2", 1, False, (large, large))), CHANNEL, RATINGS)
    assert len(twice) == 1


@pytest.mark.parametrize(
    ("hold", "words"),
    [
        (replace(HOLD, voltage_V=3.1), "3.1 V is not inside the channel's limits -0.5 V to 3 V"),
        (replace(HOLD, voltage_V=2.4999), "is not inside the safety voltage -0.1 V to 2.5 V"),
        (replace(HOLD, voltage_V=-0.0999), "needs 4.0 mV of room on either side"),
        (replace(HOLD, voltage_V=math.nan), "is not inside the channel's limits"),
        (replace(HOLD, current_limit_A=9.9e-3), "step 1: 9.9 mA is too much for the channel's limit 10 mA"),
        (replace(HOLD, current_limit_A=math.nan), "is too much for the channel's limit"),
    ],
)
def test_a_hold_needs_room_inside_every_limit(hold: HoldStep, words: str) -> None:
    assert words in reasons(hold)


def test_a_hold_without_a_limit_of_its_own_takes_what_channel_and_safety_leave() -> None:
    assert reasons(replace(HOLD, current_limit_A=math.inf)) == ""
    assert hold_limit_A(CHANNEL, Safety()) == pytest.approx(9.8e-3)
    assert hold_limit_A(CHANNEL, SAFETY) == pytest.approx(1.96e-3)  # the engine trips at 2 mA


def test_a_hold_without_any_ceiling_is_refused() -> None:
    endless = replace(HOLD, until=(until(Watched.CAPACITY, Op.AT_LEAST, 1e-3),))
    assert "step 1 has no ceiling of charge or time" in reasons(endless)
    assert reasons(endless, channel=with_limits(step_time_s=1e5)) == ""
    assert "step 1.cv has no ceiling" in reasons(replace(CCCV, abort_if=()), cell=Cell("c"))
    assert (
        reasons(replace(CCCV, abort_if=()), cell=Cell("c"), channel=with_limits(step_time_s=1e5, step_charge_Ah=1.0))
        == ""
    )


def test_a_train_that_only_a_cutoff_ends_needs_a_ceiling_for_all_its_pulses() -> None:
    assert "step 3.p has no ceiling" in reasons(GITT, cell=Cell("c"))
    assert reasons(replace(GITT, pulses=5), cell=Cell("c")) == ""
    assert reasons(GITT, cell=Cell("c"), channel=with_limits(step_charge_Ah=0.02)) == ""


def test_a_held_current_may_fall_to_its_end_and_is_bounded_by_what_it_passes_until_then() -> None:
    ceilings = ceilings_by_path(program(HOLD), CHANNEL)["1"]
    assert ceilings.charge_Ah == pytest.approx(1.2 * 4e-3)
    assert ceilings.time_s == pytest.approx(1.2 * 4e-3 / 0.04e-3 * 3600)
    timed = replace(HOLD, until=(HOUR,), current_limit_A=math.inf)
    unknown = ceilings_by_path(program(timed, cell=Cell("c")), CHANNEL)["1"]
    assert unknown.charge_Ah == pytest.approx(1.2 * 1.96e-3)  # at what the channel lets it take, for an hour
    assert unknown.time_s == pytest.approx(3600 * 1.02 + 60)


def test_the_parts_of_a_whole_are_bounded_by_what_the_whole_names() -> None:
    ceilings = ceilings_by_path(program(CCCV), CHANNEL)
    assert set(ceilings) == {"1.cc", "1.cv"}
    assert {one.time_s for one in ceilings.values()} == {1000 * 1.02 + 60}
    train = ceilings_by_path(program(GITT), CHANNEL)
    assert set(train) == {"3.p", "3.r"}
    assert train["3.p"].whole_Ah == pytest.approx(1.2 * 4e-3)  # all pulses together
    named = replace(GITT, until=(LOW, *(until(Watched.CAPACITY, Op.AT_LEAST, one_Ah) for one_Ah in (2e-3, 1e-3))))
    assert ceilings_by_path(program(named), CHANNEL)["3.p"].whole_Ah == pytest.approx(1.05e-3)
    both = replace(CCCV, abort_if=(until(Watched.CAPACITY, Op.AT_LEAST, 1e-3),))
    assert ceilings_by_path(program(both), CHANNEL)["1.cv"].whole_Ah == pytest.approx(1.3e-3)
    assert train["3.p"].time_s == pytest.approx(360 * 1.02 + 60)
    assert train["3.p"].charge_Ah == pytest.approx(1.2 * 0.4e-3 * 360 / 3600)


def test_a_path_with_several_values_is_bounded_by_the_largest() -> None:
    slow, fast = (RepeatStep("2", 1, True, (replace(LITHIATE, path="2.1", current_A=i),)) for i in (-1e-4, -1e-3))
    for order in ((slow, fast), (fast, slow)):
        ceilings = ceilings_by_path(program(RepeatStep("2", 1, False, order)), CHANNEL)
        assert ceilings["2.1"].time_s == pytest.approx(2 * 4.8e-3 / 1e-4 * 3600)
        assert ceilings["2.1"].charge_Ah == pytest.approx(4.8e-3)
    little, much = (
        replace(GITT, until=(until(Watched.CAPACITY, Op.AT_LEAST, value),), pulse=replace(PULSE, current_A=-value))
        for value in (1e-4, 1e-3)
    )
    for both in ((little, much), (much, little)):
        parts = RepeatStep("2", 1, False, tuple(RepeatStep("2", 1, True, (one,)) for one in both))
        ceilings = ceilings_by_path(program(parts), CHANNEL)
        assert ceilings["3.p"].charge_Ah == pytest.approx(1.05e-3)
        assert ceilings["3.p"].whole_Ah == pytest.approx(1.05e-3)


def test_class_c_needs_a_name_and_class_b_only_for_large_cells() -> None:
    me = Acceptance(who="A. N.", when="2026-01-01")
    accepted_b, accepted_c = (CHANNEL.model_copy(update={f"accept_class_{one}": me}) for one in "bc")
    assert class_refusal(Protection.A, "", CHANNEL, 100.0) is None
    assert class_refusal(Protection.B, "", CHANNEL, 5.0) is None
    assert class_refusal(Protection.B, "", CHANNEL, None) is None
    assert "accept_class_b" in (class_refusal(Protection.B, "no watchdog", CHANNEL, 5.1) or "")
    assert "accept_class_b" in (class_refusal(Protection.B, "no watchdog", CHANNEL, math.nan) or "")
    assert class_refusal(Protection.B, "", accepted_b, 5.1) is None
    assert "accept_class_c" in (class_refusal(Protection.C, "no watchdog", accepted_b, 0.001) or "")
    assert class_refusal(Protection.C, "", accepted_c, 0.001) is None


def test_a_cells_size_is_the_largest_it_is_said_to_have() -> None:
    assert largest_capacity_Ah(program(cell=Cell("c"))) is None
    both = Cell("c", theoretical_capacity_Ah=4.0, nominal_capacity_Ah=6.0)
    assert largest_capacity_Ah(program(cell=both)) == 6.0


def test_the_guard_stands_just_behind_the_runs_safety_and_never_outside_the_channel() -> None:
    limits = guard_limits(CHANNEL, RATINGS, SAFETY)
    assert limits.voltage_V == pytest.approx((-0.15, 2.55))
    assert limits.current_A == pytest.approx(2.1e-3)
    assert limits.temperature_degC == (105.0, 140.0)
    assert limits.stale_s == 3.0
    assert limits.open_samples == 2
    plain = guard_limits(CHANNEL, RATINGS, Safety())
    assert plain.voltage_V == (-0.5, 3.0)
    assert plain.current_A == 0.010
    small = replace(RATINGS, voltage_V=(-1.0, 2.0), current_A=1e-3)
    assert guard_limits(CHANNEL, small, Safety()).voltage_V == (-0.5, 2.0)
    assert guard_limits(CHANNEL, small, Safety()).current_A == 1e-3


def test_slow_sampling_means_one_sample_for_an_open_circuit_and_a_longer_stale_limit() -> None:
    slow = guard_limits(CHANNEL.model_copy(update={"sample_every_s": 5.0}), RATINGS, SAFETY)
    assert (slow.open_samples, slow.stale_s) == (1, 15.0)


def test_at_rest_a_small_share_of_the_limit_or_the_instruments_offset_may_flow() -> None:
    ranges = (Accuracy(1e-3, 1e-3, 1e-6, 1e-3, 1e-6), Accuracy(0.1, 1e-3, 1e-4, 1e-3, 2e-5))
    coarse = replace(RATINGS, ranges=ranges)
    assert guard_limits(CHANNEL, RATINGS, SAFETY).rest_A == pytest.approx(0.2e-3)
    assert guard_limits(CHANNEL, coarse, SAFETY).rest_A == pytest.approx(3 * 1.2e-4)
    assert guard_limits(with_limits(current_A=1e-3), coarse, SAFETY).rest_A == pytest.approx(20e-6)
    assert guard_limits(with_limits(current_A=1e-4), coarse, SAFETY).rest_A == pytest.approx(6e-6)


def test_only_where_the_instrument_shows_its_noise_can_readings_be_stuck() -> None:
    assert guard_limits(CHANNEL, RATINGS, SAFETY).stuck_s == math.inf
    assert guard_limits(CHANNEL, replace(RATINGS, shows_noise=True), SAFETY).stuck_s == 1800.0


def test_an_unmonitored_channel_has_no_temperature_limits() -> None:
    assert (
        guard_limits(CHANNEL.model_copy(update={"temperature": "unmonitored"}), RATINGS, SAFETY).temperature_degC
        is None
    )


GUARDED = CHANNEL.model_copy(update={"v_short_V": 0.1, "polarity_V": (0.05, 2.9)})
NARROW = Safety(voltage_V=(0.15, 2.5))


def nested(step: Step, channel: ChannelSettings = GUARDED, safety: Safety = NARROW) -> str:
    return " | ".join(inside_guard(program(step, safety=safety), channel))


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (LITHIATE, ""),
        (replace(LITHIATE, window_V=(0.07, 2.5)), "step 1 goes to 0.09 V, outside the polarity window and v_short"),
        (replace(LITHIATE, window_V=(-math.inf, 2.5)), ""),
        (replace(LITHIATE, current_A=1e-3, window_V=(0.0, 2.93)), "step 1 goes to 2.91 V, outside"),
        (HoldStep("1", "hold", 0.09, 1e-3, (HOUR,), (), Record()), "step 1 goes to 0.09 V, outside"),
        (HoldStep("1", "hold", 1.0, 1e-3, (HOUR,), (), Record()), ""),
        (REST, ""),
    ],
)
def test_no_step_goes_where_a_channel_takes_a_cell_for_reversed_or_shorted(step: Step, words: str) -> None:
    assert words in nested(step)
    assert bool(words) == bool(nested(step))
    assert nested(step, CHANNEL) == ""


def test_a_safety_that_reaches_beyond_the_polarity_window_is_refused() -> None:
    assert "safety voltage 0.02 V to 2.5 V reaches beyond" in nested(REST, safety=Safety(voltage_V=(0.02, 2.5)))
    assert nested(REST, safety=Safety()) == ""


@pytest.mark.parametrize(("limit_A", "refused"), [(1e-3, False), (5e-3, True), (math.inf, False)])
def test_a_hold_that_is_sure_to_pass_the_power_limit_is_refused(limit_A: float, refused: bool) -> None:
    hold = HoldStep("1", "hold", 2.0, limit_A, (HOUR,), (), Record())
    assert bool(nested(hold, with_limits(power_W=5e-3))) == refused


def test_the_polarity_of_a_cell_whose_range_is_positive_is_watched_by_itself() -> None:
    assert polarity_V(CHANNEL, NARROW) == (0.0, math.inf)
    assert polarity_V(CHANNEL, SAFETY) is None
    assert polarity_V(CHANNEL, Safety()) is None
    assert polarity_V(GUARDED, SAFETY) == (0.05, 2.9)


def test_what_a_channel_limits_reaches_the_guard() -> None:
    more = {"r_max_ohm": 50.0, "slew_max_V_s": 0.05, "temperature_slew_max_K_s": 0.1, "temperature_stuck_s": 3600.0}
    limits = guard_limits(GUARDED.model_copy(update=more), RATINGS, NARROW)
    assert (limits.r_max_ohm, limits.slew_max_V_s, limits.v_short_V, limits.polarity_V) == (
        50.0,
        0.05,
        0.1,
        (0.05, 2.9),
    )
    assert (limits.heating_K_s, limits.temperature_stuck_s) == (0.1, 3600.0)
    assert guard_limits(with_limits(power_W=5e-3), RATINGS, NARROW).power_W == 5e-3
    none = guard_limits(CHANNEL, RATINGS, SAFETY)
    assert (none.r_max_ohm, none.slew_max_V_s, none.v_short_V, none.power_W) == (
        math.inf,
        math.inf,
        -math.inf,
        math.inf,
    )


def test_a_sensor_that_is_lost_ends_a_run_whose_slope_alone_is_limited() -> None:
    unlimited = with_limits(temperature_degC=None)
    sloped = unlimited.model_copy(update={"temperature_slew_max_K_s": 0.1})
    assert guard_limits(unlimited, RATINGS, Safety()).temperature_degC is None
    assert guard_limits(sloped, RATINGS, Safety()).temperature_degC == (-273.15, 2000.0)
