"""The dry run of holds, CCCV, pulse trains, ``for_each`` and ``stop_when``."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cycler_ctl.predict import model_of, predict
from protocols.check import check_text, load_protocol
from protocols.model import GittStep, HoldStep, Program, RepeatStep, Step
from protocols.plan import InstrumentLimits, plan
from protocols.planning.forecast import ceilings_by_path, default_ceilings, leaves, named_time_s, timed_steps
from protocols.planning.plan_text import plan_json, render_plan
from protocols.record import JSON, Outcome

DATA = Path(__file__).parent / "data" / "protocols"
RANGES = tuple((r, 0.0, r * 2e-4) for r in (1e-4, 1e-3, 1e-2, 1e-1))
SIM8 = InstrumentLimits("sim8", (-5.0, 5.0), 0.1, RANGES, 0.1)
HEAD = """\
protocol: 1
name: test
cell: {name: c, nominal_capacity: 2 mAh}
record: every 30 s or 5 mV
safety: {voltage: -0.1 V to 5 V}
"""


def program_of(steps: str, head: str = HEAD) -> Program:
    checked = check_text(f"{head}steps:\n{steps}", "p.yaml")
    assert checked.program is not None, checked.diagnostics
    return checked.program


def example(name: str, sample_every_s: float = 1.0) -> Program:
    program = load_protocol(DATA / f"{name}.yaml").program
    assert program is not None
    return replace(program, settings=replace(program.settings, sample_every_s=sample_every_s))


# Rows of the plans printed in the design, but for blanks; to their right stand the expected points, which it asks to add.
ROWS = {
    "gitt": """\
1        0       rest         0 A                                            12 h or dV/dt <= 0.5 mV/h                            12 h
2        0       gitt         -0.112 mA (C/20 = 0.143 mA/cm2, C/25.5 of theor.) voltage <= 0.2 V (≤ 51 pulses of 30 min + 4 h)       9.56 d    1 mA
3        0       gitt         +0.112 mA (C/20 = 0.143 mA/cm2, C/25.5 of theor.) voltage >= 1.2 V (≤ 51 pulses of 30 min + 4 h)       9.56 d    1 mA

at most 19.6 d in all (each full half cycle taken at 100 % of theoretical capacity; a real cell ends earlier)
expected about 9.45 d and 97479 points recorded
the guard stops step 2.p, 3.p at 0.0672 mAh at the latest
checks: all pass""",
    "cycle_life": """\
1                repeat 3x   [cycles 1 to 3]
1.1      1-3     lithiate     -0.112 mA (C/20 = 0.143 mA/cm2, C/25.5 of theor.) voltage <= 0.2 V                                     25.5 h    1 mA
1.2      1-3     delithiate   +0.112 mA (C/20 = 0.143 mA/cm2, C/25.5 of theor.) voltage >= 1.2 V                                     25.5 h    1 mA
2                repeat 20x   stops when delithiate capacity <= 80 % of cycle 4 for 2 cycles
2.1              repeat 50x   [cycles 4 to 53] (first of 20)
2.1.1    4-53    lithiate     -0.448 mA (C/5 = 0.57 mA/cm2, C/6.37 of theor.) voltage <= 0.2 V                                     6.37 h    1 mA
2.1.2    4-53    delithiate   +0.448 mA (C/5 = 0.57 mA/cm2, C/6.37 of theor.) voltage >= 1.2 V                                     6.37 h    1 mA
2.2              repeat 1x   [cycle 54] (first of 20)
2.2.1    54      lithiate     -0.112 mA (C/20 = 0.143 mA/cm2, C/25.5 of theor.) voltage <= 0.2 V                                     25.5 h    1 mA
2.2.2    54      rest         0 A                                            60 min                                               60 min
2.2.3    54      delithiate   +0.112 mA (C/20 = 0.143 mA/cm2, C/25.5 of theor.) voltage >= 1.2 V                                     25.5 h    1 mA

at most 580 d in all (each full half cycle taken at 100 % of theoretical capacity; a real cell ends earlier)""",
    "cccv": """\
1                repeat 100x   [cycles 1 to 100]
1.1.cc   1-100   charge       +2.464 mA (C/2 = 1.6 mA/cm2)                   voltage >= 4.2 V                                     2 h       10 mA
1.1.cv   1-100   hold         4.2 V, at most 2.464 mA (C/2 = 1.6 mA/cm2)     2 h or current <= C/20                               2 h       10 mA
1.2      1-100   rest         0 A                                            10 min                                               10 min
1.3      1-100   discharge    -2.464 mA (C/2 = 1.6 mA/cm2)                   voltage <= 2.8 V                                     2 h       10 mA
1.4      1-100   rest         0 A                                            10 min                                               10 min
""",
    "rate_capability": """\
1        0       rest         0 A                                            30 min                                               30 min
2                for each of 5 values of rate
2                repeat 5x   [cycles 1 to 5]   rate = 0.05 mA/cm2
2.1      1-5     lithiate     -0.03927 mA (C/57 = 0.05 mA/cm2, C/72.7 of theor.) voltage <= 0.2 V                                     3.03 d    0.1 mA
2.2      1-5     rest         0 A                                            10 min                                               10 min
2.3      1-5     delithiate   +0.03927 mA (C/57 = 0.05 mA/cm2, C/72.7 of theor.) voltage >= 1.2 V                                     3.03 d    0.1 mA
2.4      1-5     rest         0 A                                            10 min                                               10 min
2                repeat 5x   [cycles 6 to 10]   rate = 0.1 mA/cm2
2.1      6-10    lithiate     -0.07854 mA (C/28.5 = 0.1 mA/cm2, C/36.3 of theor.) voltage <= 0.2 V                                     36.3 h    0.1 mA
""",
}


@pytest.mark.parametrize("name", ROWS)
def test_the_plan_reads_as_designed(name: str) -> None:
    lines = render_plan(plan(example(name), SIM8), f"{name}.yaml").splitlines()
    wanted = ROWS[name].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("step ")) + 1
    for seen, line in zip(lines[start:], wanted, strict=False):
        words, wanted_words = seen.split(), line.split()
        assert words[: len(wanted_words)] == wanted_words
        assert words[len(wanted_words) :] == [] or words[-1].isdigit()


ENDS = "until: [0.2 V, 120 % of previous lithiate, 100 % of a_step_with_a_long_name]"


def test_every_column_of_the_table_begins_in_one_place() -> None:
    """However long a current is, and with what ends a step in as many lines as it needs."""
    head = HEAD.replace("name: c,", "name: c, area: 1 cm2, active_mass: 3 mg, theoretical_capacity: 1000 mAh/g,")
    steps = f"""\
  - lithiate: {{at: 0.05 mA, until: 0.2 V, label: a_step_with_a_long_name}}
  - lithiate: {{at: 0.2345 mA, {ENDS}}}
  - rest: 1 h
"""
    lines = render_plan(plan(program_of(steps, head)), "p").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("step "))
    rows = lines[start : lines.index("", start)]
    ends, at_most = rows[0].index("ends at"), rows[0].index("at most")
    assert [row[ends:at_most].strip() for row in rows[1:]] == [
        "voltage <= 0.2 V",
        "voltage <= 0.2 V",
        "or capacity >= 120 % of previous lithiate",
        "or capacity >= 100 % of a_step_with_a_long_name",
        "60 min",
    ]
    assert all(row[column - 1] == " " for row in rows for column in (ends, at_most) if len(row) > column)
    assert "(C/8.53 = 0.235 mA/cm2, C/12.8 of theor.)" in rows[2]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("1C", "1C"),
        ("0.75C", "0.75C"),
        ("0.05C", "C/20"),
        ("C/3", "C/3"),
        ("2C", "2C"),
        ("0.5C", "C/2"),
        ("0.3C", "0.3C"),
    ],
)
def test_a_c_rate_is_shown_the_shorter_way(written: str, shown: str) -> None:
    text = render_plan(plan(program_of(f"  - lithiate: {{at: {written}, until: 0.2 V}}\n")), "p")
    assert f"mA ({shown})" in text


def entries(program: Program) -> list[dict[str, JSON]]:
    found: list[dict[str, JSON]] = json.loads(json.dumps(plan_json(plan(program, SIM8)), allow_nan=False))["steps"]
    return found


def test_there_is_one_entry_for_each_step_and_value() -> None:
    found = entries(example("rate_capability"))
    assert [(each["step"], each["for_each"]) for each in found[:6]] == [
        ("1", None),
        *((f"2.{n}", {"rate": "0.05 mA/cm2"}) for n in (1, 2, 3, 4)),
        ("2.1", {"rate": "0.1 mA/cm2"}),
    ]
    assert [each["current_mA"] for each in found if each["step"] == "2.1"] == [
        -0.03927, -0.07854, -0.1571, -0.3927, -0.03927,
    ]  # fmt: skip
    assert [each["cycles"] for each in found if each["step"] == "2.3"] == ["1-5", "6-10", "11-15", "16-20", "21-25"]


def test_a_current_and_the_hold_after_it_are_two_entries() -> None:
    cc, cv = entries(example("cccv"))[:2]
    assert (cc["step"], cc["what"], cc["current_mA"], cc["voltage_V"]) == ("1.1.cc", "charge", 2.464, None)
    assert (cv["step"], cv["what"], cv["current_mA"], cv["voltage_V"]) == ("1.1.cv", "hold", None, 4.2)
    assert (cv["current_limit_mA"], cv["range"], cv["at_most_s"]) == (2.464, "10 mA", 7200)


def test_a_train_is_one_entry_with_its_signed_current() -> None:
    (_, down, up) = entries(example("gitt"))
    assert (down["step"], down["what"], down["current_mA"], up["current_mA"]) == ("2", "gitt", -0.112, 0.112)
    assert down["ends_at"] == "voltage <= 0.2 V (≤ 51 pulses of 30 min + 4 h)"
    assert down["at_most_s"] == pytest.approx(51 * 4.5 * 3600)


@pytest.mark.parametrize(
    ("ends", "text", "hours"),
    [
        ("pulses: 10", "10 pulses of 30 min + 60 min", 15),
        ("pulses: 1", "1 pulse of 30 min + 60 min", 1.5),
        ("pulses: 10, until: 0.2 V", "voltage <= 0.2 V (≤ 10 pulses of 30 min + 60 min)", 15),
        # 2 mAh at 0.1 mA are 20 h of pulses.
        ("until: 0.2 V", "voltage <= 0.2 V (≤ 40 pulses of 30 min + 60 min)", 60),
        ("until: 1 mAh", "capacity >= 1 mAh (≤ 20 pulses of 30 min + 60 min)", 30),
        # After its time is over the rest of the last pulse still runs.
        ("until: 6 h", "6 h (≤ 40 pulses of 30 min + 60 min)", 7),
    ],
)
def test_a_train_has_as_many_pulses_as_its_ends_and_the_cell_allow(ends: str, text: str, hours: float) -> None:
    program = program_of(f"  - gitt: {{lithiate: {{at: 0.1 mA, for: 30 min}}, rest: 1 h, {ends}}}\n")
    (found,) = entries(program)
    assert found["ends_at"] == text
    assert found["at_most_s"] == pytest.approx(hours * 3600)


def test_pulses_without_a_cut_off_go_on_whatever_the_cell_holds() -> None:
    (found,) = entries(program_of("  - gitt: {lithiate: {at: 1 mA, for: 1 h}, rest: 1 h, pulses: 10}\n"))
    assert found["at_most_s"] == 20 * 3600


def hold_of(text: str, head: str = HEAD) -> tuple[Program, HoldStep]:
    program = program_of(f"  - hold: {{{text}}}\n", head)
    (step,) = timed_steps(program.steps)
    assert isinstance(step, HoldStep)
    return program, step


@pytest.mark.parametrize(
    ("text", "charge_Ah", "time_s"),
    [
        ("at: 1 V, for: 2 h, current_limit: 1 mA", 2.4e-3, None),
        ("at: 1 V, until: 0.1 mA, current_limit: 1 mA", 2.4e-3, 24 * 3600),
        ("at: 1 V, until: 0.1 mA or 0.2 mA, current_limit: 1 mA", 2.4e-3, 12 * 3600),
        ("at: 1 V, until: 1 mAh or 0.1 mA, current_limit: 1 mA", None, 10 * 3600),
        ("at: 1 V, until: 0.1 mA, abort_if: 5 h, current_limit: 1 mA", 2.4e-3, None),
        ("at: 1 V, until: temperature >= 90 °C, current_limit: 1 mA", 2.4e-3, None),
    ],
)
def test_a_hold_is_ended_by_the_guard_at_its_charge_or_when_its_end_current_has_passed_that(
    text: str, charge_Ah: float | None, time_s: float | None
) -> None:
    found = default_ceilings(*hold_of(text))
    assert found == (
        None if charge_Ah is None else pytest.approx(charge_Ah),
        None if time_s is None else pytest.approx(time_s),
    )


def test_of_a_cell_of_unknown_capacity_a_holds_limit_and_time_bound_its_charge() -> None:
    head = HEAD.replace(", nominal_capacity: 2 mAh", "")
    assert default_ceilings(*hold_of("at: 1 V, for: 2 h, current_limit: 1 mA", head))[0] == pytest.approx(2.4e-3)
    assert default_ceilings(*hold_of("at: 1 V, for: 2 h", head)) == (None, None)


def test_a_hold_nothing_bounds_is_a_warning() -> None:
    program, _ = hold_of("at: 1 V, until: temperature >= 90 °C, current_limit: 1 mA")
    assert "no-ceiling" in [each.code for each in plan(program, SIM8).warnings]


def test_abort_if_of_a_whole_bounds_its_parts() -> None:
    steps = (
        "  - charge: {at: 1 mA, until: 4.2 V, then_hold_until: 0.1 mA, abort_if: 5 h}\n"
        "  - gitt: {lithiate: {at: 1 mA, for: 1 h}, rest: {until: dV/dt <= 1 mV/h, for: 9 h}, until: 0.2 V, abort_if: 7 h}\n"
    )
    head = HEAD.replace("2 mAh}", "2 mAh, discharge_means: lithiate}")
    found = {leaf.step.path: leaf for leaf in leaves(program_of(steps, head).steps)}
    assert list(found) == ["1.cc", "1.cv", "2.p", "2.r"]
    assert [named_time_s(leaf.step, leaf.whole) for leaf in found.values()] == [5 * 3600, 5 * 3600, 3600, 7 * 3600]
    assert named_time_s(found["1.cc"].step) is None


def test_several_values_at_one_path_leave_the_largest_ceiling() -> None:
    steps = "  - repeat:\n      for_each: {c: [0.5 mA, 2 mA, 1 mA]}\n      steps: [lithiate: {at: $c, until: 0.2 V}]\n"
    program = program_of(steps)
    assert [abs(step.current_A) * 1e3 for step in timed_steps(program.steps) if hasattr(step, "current_A")] == [
        0.5,
        2,
        1,
    ]
    charge_Ah, time_s = ceilings_by_path(program)["1.1"]
    assert charge_Ah == pytest.approx(2.4e-3)
    assert time_s == pytest.approx(2 * 2.4 / 0.5 * 3600)


def test_a_value_set_inside_shadows_the_one_around_it() -> None:
    steps = """\
  - repeat:
      for_each: {c: [1 mA, 2 mA], t: [1 h, 2 h]}
      steps:
        - repeat:
            for_each: {c: [3 mA]}
            steps: [lithiate: {at: $c, for: $t}]
"""
    program = program_of(steps)
    assert [dict(leaf.values) for leaf in leaves(program.steps)] == [
        {"c": "3 mA", "t": "1 h"},
        {"c": "3 mA", "t": "2 h"},
    ]
    assert [each["for_each"] for each in entries(program)] == [dict(leaf.values) for leaf in leaves(program.steps)]


@pytest.mark.parametrize(
    ("step", "code", "path"),
    [
        ("gitt: {lithiate: {at: 1 mA, for: 10 min, record: every 30 s}, rest: 1 h, pulses: 9}", "coarse-record", "1"),
        ("gitt: {lithiate: {at: 3 µA, for: 1 h}, rest: 1 h, pulses: 9}", "range-accuracy", "1"),
        ("hold: {at: 1 V, until: 2 µA, current_limit: 10 mA}", "range-accuracy", "1"),
        ("hold: {at: 1 V, for: 1 h, current_limit: 1 mA, record: every 0.2 s}", "fast-record", "1"),
    ],
)
def test_a_doubtful_step_is_a_warning(step: str, code: str, path: str) -> None:
    planned = plan(program_of(f"  - {step}\n"), SIM8)
    assert [(each.code, each.step) for each in planned.warnings] == [(code, path)]


def test_what_holds_for_every_value_is_warned_of_once() -> None:
    steps = "  - repeat:\n      for_each: {v: [0.2 V, 0.3 V]}\n      steps: [lithiate: {at: 3 µA, until: $v}]\n"
    assert [each.code for each in plan(program_of(steps), SIM8).warnings] == ["range-accuracy"]


def test_a_record_faster_than_the_channel_samples_is_a_warning() -> None:
    program = program_of("  - lithiate: {at: 1 mA, until: 0.2 V, record: every 2 s}\n")
    slow = replace(program, settings=replace(program.settings, sample_every_s=5.0))
    assert plan(program, SIM8).warnings == ()
    (found,) = plan(slow, SIM8).warnings
    assert (found.code, found.message) == ("fast-record", "record every 2 s, but the channel samples every 5 s")


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("hold: {at: 6 V, for: 1 h, current_limit: 1 mA}", "6 V is outside sim8, -5 to 5 V"),
        (
            "hold: {at: 1 V, for: 1 h, current_limit: 200 mA}",
            "the current limit, 200 mA, is above the largest current of sim8, 100 mA",
        ),
        (
            "gitt: {lithiate: {at: 200 mA, for: 1 h}, rest: 1 h, pulses: 2}",
            "200 mA is above the largest current of sim8, 100 mA",
        ),
        ("gitt: {delithiate: {at: 1 mA, for: 1 h}, rest: 1 h, until: 6 V}", "6 V is outside sim8, -5 to 5 V"),
        ("lithiate: {at: 1 mA, until: -6 V, then_hold_until: 0.1 mA}", "-6 V is outside sim8, -5 to 5 V"),
    ],
)
def test_what_the_instrument_cannot_do_is_an_error(step: str, message: str) -> None:
    head = HEAD.replace("safety: {voltage: -0.1 V to 5 V}", "safety: {current: 1 A}")
    errors = plan(program_of(f"  - {step}\n", head), SIM8).errors
    assert {(each.code, each.message) for each in errors} == {("instrument-range", message)}


def test_a_hold_that_leaves_its_current_to_the_channel_takes_the_range_of_the_instruments_most() -> None:
    head = HEAD.replace("safety: {voltage: -0.1 V to 5 V}\n", "")
    (found,) = entries(hold_of("at: 1 V, for: 1 h", head)[0])
    assert (found["current_limit_mA"], found["range"]) == (None, "100 mA")


def fewer(step: Step) -> Step:
    match step:
        case RepeatStep():
            return replace(step, times=1, steps=tuple(map(fewer, step.steps)))
        case GittStep():
            return replace(step, pulses=3)
        case _:
            return step


@pytest.mark.parametrize(
    ("name", "model"),
    [("cccv", "nmc"), ("gitt", "a"), ("formation", "a"), ("dqdv_slow", "a"), ("rate_capability", "a")],
)
def test_a_simulated_cell_leaves_the_points_and_takes_the_time_expected_of_it(
    name: str, model: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    whole = bool(request.config.getoption("--campaign"))
    program = example(name, 10.0 if whole else 60.0)
    program = program if whole else replace(program, steps=tuple(map(fewer, program.steps)))  # soon done
    found = predict(program, model_of(model, program.cell), tmp_path)
    planned = plan(program)
    assert found.outcome is Outcome.FINISHED, found.reason
    assert 1 / 3 <= found.rows / planned.expected_rows <= 1.5
    assert 1 / 3 <= found.total_s / planned.expected_s <= 1.5


FULL = """\
protocol: 1
name: test
cell: {name: c, nominal_capacity: 2 mAh, discharge_means: MEANS}
record: every 30 s or 5 mV
safety: {voltage: -0.1 V to 5 V}
"""


def warned(program: Program) -> list[tuple[str, str]]:
    return [(each.step, each.message) for each in plan(program).warnings if each.code in {"turned", "lingering"}]


def test_a_full_cell_whose_discharge_means_the_wrong_thing_is_seen_in_its_cut_offs() -> None:
    steps = """\
  - charge: {at: C/2, until: 4.2 V, then_hold_until: C/20}
  - rest: 1 h
  - discharge: {at: C/2, until: 2.8 V}
  - charge: {at: C/2, until: 4.2 V}
"""
    assert not warned(program_of(steps, FULL.replace("MEANS", "lithiate")))
    wrong = warned(program_of(steps, FULL.replace("MEANS", "delithiate")))
    assert [step for step, _ in wrong] == ["3", "4"]
    why = "discharge is over before it begins: >= 2.8 V holds where charge before it ends, at <= 4.2 V"
    assert wrong[0][1] == f"{why}; is discharge_means right?"


def test_a_half_cell_cycled_between_its_cut_offs_is_not_warned_of() -> None:
    assert not warned(program_of("  - lithiate: {at: 1 mA, until: 0.2 V}\n  - delithiate: {at: 1 mA, until: 1.2 V}\n"))
    swapped = "  - lithiate: {at: 1 mA, until: 1.2 V}\n  - delithiate: {at: 1 mA, until: 0.2 V}\n"
    ((step, message),) = warned(program_of(swapped))
    assert step == "2"
    assert message.endswith("ends, at <= 1.2 V; is the direction right?")


def test_a_time_behind_a_voltage_that_was_meant_as_a_longest_time_is_pointed_out() -> None:
    text = "  - lithiate: {at: 1 mA, until: %s}\n"
    assert not warned(program_of(text % "voltage <= 0.2 V for 5 s or 10 h"))
    ((step, message),) = warned(program_of(text % "0.2 V for 10 h"))
    means = "the current flows on for 10 h beyond 0.2 V: that is what voltage <= 0.2 V for 10 h means"
    assert (step, message) == ("1", f"{means}; for a longest time write 'for: 10 h'")
