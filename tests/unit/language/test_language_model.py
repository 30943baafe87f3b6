"""What the whole language becomes for the engine: holds, CCCV, pulse trains, lists of values, stop_when."""

import math

import pytest

from protocols.check import Checked, check_text
from protocols.diagnostics import render
from protocols.model import (
    CccvStep,
    Clause,
    CurrentStep,
    GittStep,
    HoldStep,
    LabelOf,
    Op,
    PreviousOf,
    Program,
    Record,
    RepeatStep,
    RestStep,
    Retention,
    Step,
    StopWhen,
    Verb,
    Watched,
)

HEAD = """\
protocol: 1
name: test
variables: {slow: 0.1 mA, low: 0.2 V}
cell: {name: c, area: 2 cm2, active_mass: 2 mg, theoretical_capacity: 2000 mAh/g, nominal_capacity: 3 mAh,
  discharge_means: lithiate}
record: every 30 s or 5 mV
safety: {voltage: -0.1 V to 2.5 V, current: 10 mA}
steps:
"""
DOWN, UP = "lithiate: {at: 1 mA, until: 0.2 V}", "delithiate: {at: 1 mA, until: 1.2 V}"


def check(*steps: str, head: str = HEAD) -> Checked:
    return check_text(head + "".join(f"  - {step}\n" for step in steps), "p.yaml")


def program_of(checked: Checked) -> Program:
    assert checked.program is not None, "\n".join(render(each) for each in checked.diagnostics)
    return checked.program


def steps_of(*steps: str, head: str = HEAD) -> tuple[Step, ...]:
    return program_of(check(*steps, head=head)).steps


def hold(settings: str, head: str = HEAD) -> HoldStep:
    (step,) = steps_of(f"hold: {{{settings}}}", head=head)
    assert isinstance(step, HoldStep)
    return step


def cccv(settings: str, word: str = "lithiate") -> CccvStep:
    (step,) = steps_of(f"{word}: {{{settings}}}")
    assert isinstance(step, CccvStep)
    return step


def gitt(settings: str, head: str = HEAD) -> GittStep:
    (step,) = steps_of(f"gitt: {{{settings}}}", head=head)
    assert isinstance(step, GittStep)
    return step


def repeat(settings: str, *before: str, head: str = HEAD) -> RepeatStep:
    step = steps_of(*before, f"repeat: {{{settings}}}", head=head)[-1]
    assert isinstance(step, RepeatStep)
    return step


def stop_when(text: str, head: str = HEAD) -> StopWhen:
    found = repeat(f"times: 9, stop_when: {text}, steps: [{DOWN}, {UP}]", head=head).stop_when
    assert found is not None
    return found


def texts(step: HoldStep | CurrentStep | RestStep) -> list[str]:
    return [each.text for each in step.until]


def test_a_hold_keeps_its_voltage_its_limit_and_its_ends() -> None:
    step = hold("at: 1.2 V, until: C/50 or 1 mAh, for: 2 h, current_limit: C/2, record: 1 s, label: top, note: slow")
    assert (step.path, step.word, step.voltage_V, step.verb) == ("1", "hold", 1.2, None)
    assert step.current_limit_A == pytest.approx(1.5e-3)
    assert texts(step) == ["current <= C/50", "capacity >= 1 mAh", "time >= 2 h"]
    assert step.until[0].clauses == (Clause(Watched.CURRENT, Op.AT_MOST, 3e-3 / 50),)
    assert (step.record, step.label, step.note) == (Record(time_s=1.0), "top", "slow")


def test_a_hold_may_end_by_temperature_and_by_a_rising_current() -> None:
    assert texts(hold("at: 1 V, until: temperature >= 40 °C or current >= 2 mA")) == [
        "temperature >= 40 °C",
        "current >= 2 mA",
    ]


def test_a_hold_at_zero_volts_is_a_hold() -> None:
    assert hold("at: 0 V, for: 1 h").voltage_V == 0.0


def test_without_a_limit_a_hold_takes_the_safety_current_or_none_at_all() -> None:
    assert hold("at: 1 V, for: 1 h").current_limit_A == 10e-3
    assert hold("at: 1 V, for: 1 h", HEAD.replace(", current: 10 mA", "")).current_limit_A == math.inf


def test_a_current_and_its_hold_are_one_step_of_two_parts() -> None:
    step = cccv(
        "at: 1 mA, until: 1 h or voltage <= 0.2 V for 5 s, then_hold_until: C/20 or 2 h, for: 9 h, "
        "abort_if: 20 h, record: 2 s, label: top, note: n, on_start_met: abort"
    )
    assert (step.path, step.current.path, step.hold.path) == ("1", "1.cc", "1.cv")
    assert texts(step.current) == ["time >= 1 h", "voltage <= 0.2 V for 5 s", "time >= 9 h"]
    assert step.hold_after == (1,)
    assert (step.hold.voltage_V, step.hold.current_limit_A, step.hold.verb) == (0.2, 1e-3, Verb.LITHIATE)
    assert texts(step.hold) == ["current <= C/20", "time >= 2 h"]
    assert step.current.record == step.hold.record == Record(time_s=2.0)
    assert [each.text for each in step.abort_if] == ["time >= 20 h"]
    assert (step.label, step.note) == ("top", "n")
    for part in (step.current, step.hold):
        assert (part.abort_if, part.label, part.note) == ((), None, None)


def test_the_parts_of_a_charge_know_the_words_and_the_verb() -> None:
    step = cccv("at: 1 mA, until: 1.2 V, then_hold_until: 0.1 mA", "charge")
    assert (step.current.word, step.current.verb, step.current.current_A) == ("charge", Verb.DELITHIATE, 1e-3)
    assert step.hold.verb is Verb.DELITHIATE


def test_a_share_of_a_label_may_mean_a_cccv_or_a_train() -> None:
    steps = steps_of(
        "lithiate: {at: 1 mA, until: 0.2 V, then_hold_until: 0.1 mA, label: full}",
        "gitt: {delithiate: {at: 1 mA, for: 1 h}, rest: 1 h, until: 1.2 V or 90 % of full, label: train}",
        "lithiate: {at: 1 mA, until: 0.2 V or 90 % of train or 80 % of previous delithiate}",
    )
    train, last = steps[1], steps[2]
    assert isinstance(train, GittStep)
    assert train.until[1].clauses[0].reference == LabelOf("full")
    assert isinstance(last, CurrentStep)
    assert [each.clauses[0].reference for each in last.until[1:]] == [LabelOf("train"), PreviousOf(Verb.DELITHIATE)]


def test_a_step_before_may_be_a_hold_but_not_a_rest() -> None:
    step = "lithiate: {at: 1 mA, until: 0.2 V or 50 % of previous step}"
    assert check("hold: {at: 1 V, for: 1 h}", step).diagnostics == ()
    assert [each.code for each in check("rest: 1 h", step).diagnostics] == ["reference"]


def test_a_train_is_a_pulse_a_rest_and_what_ends_them() -> None:
    step = gitt(
        "lithiate: {at: C/30, for: 30 min, record: 1 s}, rest: {until: dV/dt <= 1 mV/h, for: 4 h}, until: 0.2 V or 2 mAh, "
        "pulses: 60, abort_if: 500 h, record: 10 s, label: down, note: n"
    )
    assert (step.path, step.pulses, step.label, step.note) == ("1", 60, "down", "n")
    assert [each.text for each in step.until] == ["voltage <= 0.2 V", "capacity >= 2 mAh"]
    assert [each.text for each in step.abort_if] == ["time >= 500 h"]
    pulse, rest = step.pulse, step.rest
    assert (pulse.path, pulse.word, pulse.verb) == ("1.p", "lithiate", Verb.LITHIATE)
    assert pulse.current_A == pytest.approx(-1e-4)
    assert (texts(pulse), pulse.record) == (["time >= 30 min"], Record(time_s=1.0))
    assert pulse.window_V == pytest.approx((0.18, 2.5))
    assert (rest.path, texts(rest)) == ("1.r", ["dV/dt <= 1 mV/h", "time >= 4 h"])
    assert (rest.record, rest.window_V) == (Record(time_s=10.0), (-0.1, 2.5))
    for part in (pulse, rest):
        assert (part.abort_if, part.label, part.note) == ((), None, None)


def test_the_pulses_record_as_the_train_unless_they_say_otherwise() -> None:
    step = gitt("lithiate: {at: 1 mA, for: 1 h}, rest: 1 h, until: 0.2 V, record: 7 s")
    assert step.pulse.record == step.rest.record == Record(time_s=7.0)
    assert step.pulses is None


def test_a_rest_whose_longest_time_stands_in_its_until_has_one() -> None:
    step = gitt("charge: {at: 1 mA, for: 1 h}, rest: {until: dV/dt <= 1 mV/h or 4 h}, until: 1.2 V")
    assert texts(step.rest) == ["dV/dt <= 1 mV/h", "time >= 4 h"]
    assert (step.pulse.word, step.pulse.verb) == ("charge", Verb.DELITHIATE)


def test_for_each_is_one_pass_over_a_repeat_for_each_value() -> None:
    step = repeat(
        "times: 5, for_each: {rate: [0.5 mA, C/3], low: [0.2 V, 0.3 V]}, label: rates, note: n, "
        "steps: [lithiate: {at: $rate, until: $low}, rest: 1 h]".replace("C/3", "1 mA")
    )
    assert (step.path, step.times, step.counts, step.label, step.note) == ("1", 1, False, "rates", "n")
    first, second = (inner for inner in step.steps if isinstance(inner, RepeatStep))
    assert len(step.steps) == 2
    assert first.values == (("rate", "0.5 mA"), ("low", "0.2 V"))
    assert second.values == (("rate", "1 mA"), ("low", "0.3 V"))
    for inner, current_A, low_V in ((first, -5e-4, 0.2), (second, -1e-3, 0.3)):
        assert (inner.path, inner.times, inner.counts, inner.label, inner.note) == ("1", 5, True, None, None)
        down = inner.steps[0]
        assert isinstance(down, CurrentStep)
        assert (down.path, down.current_A, down.until[0].clauses[0].value) == ("1.1", current_A, low_V)


def test_for_each_alone_takes_each_value_once() -> None:
    step = repeat("for_each: {low: [0.3 V]}, steps: [lithiate: {at: 1 mA, until: $low}]")
    assert [(inner.times, inner.values) for inner in step.steps if isinstance(inner, RepeatStep)] == [
        (1, (("low", "0.3 V"),))
    ]


def test_a_name_of_for_each_shadows_the_one_above_inside_only() -> None:
    steps = steps_of(
        "repeat: {for_each: {low: [0.3 V, 0.4 V]}, steps: [lithiate: {at: 1 mA, until: $low}]}",
        "lithiate: {at: 1 mA, until: $low}",
    )
    block, after = steps
    assert isinstance(block, RepeatStep)
    assert isinstance(after, CurrentStep)
    assert after.until[0].text == "voltage <= 0.2 V"
    inside = [step for inner in block.steps if isinstance(inner, RepeatStep) for step in inner.steps]
    assert [step.until[0].text for step in inside if isinstance(step, CurrentStep)] == [
        "voltage <= 0.3 V",
        "voltage <= 0.4 V",
    ]


def test_a_value_may_be_a_variable_above() -> None:
    step = repeat("for_each: {r: [$slow, 1 mA]}, steps: [lithiate: {at: $r, until: 0.2 V}]")
    assert [inner.values for inner in step.steps if isinstance(inner, RepeatStep)] == [
        (("r", "0.1 mA"),),
        (("r", "1 mA"),),
    ]


def test_lists_inside_lists_multiply() -> None:
    inner = "repeat: {for_each: {low: [0.2 V, 0.3 V, 0.4 V]}, steps: [lithiate: {at: $r, until: $low, label: x}]}"
    step = repeat(f"times: 2, for_each: {{r: [0.5 mA, 1 mA]}}, steps: [{inner}]")
    pairs = [
        (outer.values[0][1], each.values[0][1])
        for outer in step.steps
        if isinstance(outer, RepeatStep)
        for block in outer.steps
        if isinstance(block, RepeatStep)
        for each in block.steps
        if isinstance(each, RepeatStep)
    ]
    assert pairs == [(r, low) for r in ("0.5 mA", "1 mA") for low in ("0.2 V", "0.3 V", "0.4 V")]
    assert [outer.counts for outer in step.steps if isinstance(outer, RepeatStep)] == [False, False]


def test_a_step_that_comes_with_the_next_value_may_be_referred_to() -> None:
    body = "steps: [delithiate: {at: $r, until: 1.2 V or 90 % of previous lithiate}, lithiate: {at: $r, until: 0.2 V}]"
    assert check(f"repeat: {{for_each: {{r: [1 mA, 2 mA]}}, {body}}}").diagnostics == ()
    assert [each.code for each in check(f"repeat: {{for_each: {{r: [1 mA]}}, {body}}}").diagnostics] == ["reference"]


def test_stop_when_asks_for_a_share_of_a_cycle() -> None:
    assert stop_when("delithiate capacity < 80 % of cycle 4 for 2 cycles") == StopWhen(
        watched=Retention.CAPACITY,
        verb=Verb.DELITHIATE,
        op=Op.AT_MOST,
        value=0.8,
        text="delithiate capacity <= 80 % of cycle 4 for 2 cycles",
        of_cycle=4,
        cycles=2,
    )


@pytest.mark.parametrize("amount", ["2 mAh", "1 mAh/cm2", "1000 mAh/g"])
def test_stop_when_asks_for_an_amount_of_any_kind(amount: str) -> None:
    found = stop_when(f"lithiate capacity >= {amount}")
    assert (found.watched, found.verb, found.op, found.of_cycle, found.cycles) == (
        Retention.CAPACITY,
        Verb.LITHIATE,
        Op.AT_LEAST,
        None,
        1,
    )
    assert found.value == pytest.approx(2e-3)


@pytest.mark.parametrize(
    ("word", "means", "verb"),
    [
        ("discharge", "lithiate", Verb.LITHIATE),
        ("charge", "lithiate", Verb.DELITHIATE),
        ("discharge", "delithiate", Verb.DELITHIATE),
    ],
)
def test_stop_when_takes_the_words_of_the_cell(word: str, means: str, verb: Verb) -> None:
    head = HEAD.replace("means: lithiate", f"means: {means}")
    assert stop_when(f"{word} capacity <= 1 mAh", head).verb is verb


def test_an_efficiency_counts_what_the_second_step_of_a_cycle_gives_back() -> None:
    found = stop_when("coulombic efficiency <= 95.5 % for 3 cycles")
    assert (found.watched, found.verb, found.cycles) == (Retention.EFFICIENCY, Verb.DELITHIATE, 3)
    assert found.value == pytest.approx(0.955)
    turned = repeat(f"times: 9, stop_when: coulombic efficiency <= 95 %, steps: [rest: 1 h, {UP}, {UP}, {DOWN}]")
    assert turned.stop_when is not None
    assert turned.stop_when.verb is Verb.LITHIATE


@pytest.mark.parametrize(("built", "verb"), [("lithiated", Verb.LITHIATE), ("delithiated", Verb.DELITHIATE)])
@pytest.mark.parametrize("order", [(DOWN, UP), (UP, DOWN)])
def test_how_the_cell_was_built_says_what_gives_back(built: str, verb: Verb, order: tuple[str, str]) -> None:
    head = HEAD.replace("means: lithiate}", f"means: lithiate, as_built: {built}}}")
    found = repeat(f"times: 9, stop_when: coulombic efficiency <= 95 %, steps: [{', '.join(order)}]", head=head)
    assert found.stop_when is not None
    assert found.stop_when.verb is verb


def test_an_efficiency_looks_into_the_pass_that_counts() -> None:
    inner = f"repeat: {{times: 5, steps: [{UP}, {DOWN}]}}"
    found = repeat(f"times: 2, stop_when: coulombic efficiency <= 95 %, steps: [{DOWN}, {inner}]")
    assert found.stop_when is not None
    assert found.stop_when.verb is Verb.LITHIATE


@pytest.mark.parametrize(
    ("settings", "before", "highest"),
    [
        ("times: 9", (), 9),
        ("times: 9", (f"repeat: {{times: 3, steps: [{DOWN}]}}",), 12),
        ("times: 9, for_each: {r: [1 mA, 2 mA]}", (), 18),
        ("times: 9, count_cycles: yes", (f"repeat: {{times: 3, count_cycles: no, steps: [{DOWN}]}}",), 9),
    ],
)
def test_a_cycle_that_can_be_counted_can_be_compared_with(settings: str, before: tuple[str, ...], highest: int) -> None:
    block = "repeat: {{{}, stop_when: lithiate capacity <= 80 % of cycle {}, steps: [{}]}}"
    assert check(*before, block.format(settings, highest, DOWN)).diagnostics == ()
    (found,) = check(*before, block.format(settings, highest + 1, DOWN)).diagnostics
    assert found.code == "reference"
    assert found.message.endswith(f"the last that this repeat can count is cycle {highest}")


def test_cycles_of_all_passes_around_a_repeat_can_be_compared_with() -> None:
    inner = "repeat: {times: 5, stop_when: lithiate capacity <= 80 % of cycle NUMBER, steps: [" + DOWN + "]}"
    after = f"repeat: {{times: 2, steps: [{DOWN}]}}"
    for cycle, codes in ((1, []), (19, []), (20, ["reference"])):
        checked = check(f"repeat: {{times: 3, steps: [{inner.replace('NUMBER', str(cycle))}, {after}]}}")
        assert [each.code for each in checked.diagnostics] == codes


def test_a_label_and_a_fault_of_a_body_read_again_are_said_once() -> None:
    checked = check(
        "repeat: {for_each: {r: [1 mA, 2 mA, 20 mA]}, steps: ["
        "lithiate: {at: $r, until: 0.2 V, label: x}, lithiate: {at: $r, for: 1 h}, lithiate: {at: $q, until: 0.3 V}]}"
    )
    assert [(each.code, each.message) for each in checked.diagnostics] == [
        ("safety-conflict", "20 mA is above the safety current of 10 mA"),
        ("no-voltage-cutoff", "lithiate has no voltage cutoff"),
        ("safety-conflict", "20 mA is above the safety current of 10 mA"),
        ("unknown-variable", "no variable 'q' is defined"),
    ]


def test_a_million_steps_are_the_most_and_a_pulse_counts_two() -> None:
    train = "gitt: {{lithiate: {{at: 1 mA, for: 1 h}}, rest: 1 h, until: 0.2 V, pulses: {}}}"
    assert check(train.format(500_000)).diagnostics == ()
    codes = [each.code for each in check(train.format(500_000), "rest: 1 h").diagnostics]
    assert codes == ["limit"]
