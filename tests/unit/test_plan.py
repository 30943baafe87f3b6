"""The dry run: cycles, ranges, durations, points, ceilings, warnings, as text and as JSON."""

import json
from pathlib import Path

import pytest

from protocols.check import check_text, load_protocol
from protocols.model import CurrentStep, Program, RestStep
from protocols.plan import InstrumentLimits, Plan, PlanRepeat, plan
from protocols.planning.forecast import default_ceilings, timed_steps
from protocols.planning.plan_text import plan_json, render_plan
from protocols.shipped import library

DATA = Path(__file__).parent / "data" / "protocols"
SIM8 = InstrumentLimits("sim8", (-5.0, 5.0), 0.1, tuple((r, 0.0, r * 2e-4) for r in (1e-4, 1e-3, 1e-2, 1e-1)), 0.1)
HEAD = """\
protocol: 1
name: test
cell: {name: c, nominal_capacity: 2 mAh}
record: every 30 s or 5 mV
safety: {voltage: -0.1 V to 2.5 V}
"""
HALF_CYCLE = "lithiate: {at: 1 mA, until: 0.2 V}"


def program_of(steps: str, head: str = HEAD) -> Program:
    checked = check_text(f"{head}steps:\n{steps}", "p.yaml")
    assert checked.program is not None, checked.diagnostics
    return checked.program


def fig_s3(name: str, **overrides: str) -> Program:
    program = load_protocol(library()[name], overrides=overrides).program
    assert program is not None
    return program


def current_of(program: Program) -> CurrentStep:
    return next(step for step in timed_steps(program.steps) if isinstance(step, CurrentStep))


# The plan printed in the design, but for what it asks to add (points, what is expected, ceilings), and with a long end
# wrapped so that the columns to its right stay where they are.
PLAN_D = """\
PLAN  fig_s3_d.yaml  "Fig. S3 (d) - MgH2:AB = 99:1 at 0.05 mA/cm2"
      cell d | area 0.7854 cm2 | active mass 1.98 mg (2.52 mg/cm2) | theoretical 4.035 mAh
      sign: + = oxidation = delithiate; here discharge = lithiate
      instrument sim8: ranges 0.1 mA, 1 mA, 10 mA, 100 mA; -5 to 5 V; accuracy 0.02 % of range; fastest sample 100 ms

step     cycle   what         set to                                         ends at                                              at most   range    points
1        0       rest         0 A                                            60 min                                               60 min             122
2                repeat 3x   [cycles 1 to 3]
2.1      1-3     lithiate     -0.03927 mA (0.05 mA/cm2, C/103 of theor.)     voltage <= 0.2 V                                     4.28 d    0.1 mA   12332
2.2      1-3     rest         0 A                                            10 min                                               10 min             22
2.3      1-3     delithiate   +0.03927 mA (0.05 mA/cm2, C/103 of theor.)     voltage >= 1.2 V                                     4.28 d    0.1 mA   12332
                                                                             or capacity >= 120 % of previous lithiate
2.4      1-3     rest         0 A                                            10 min                                               10 min             22

at most 25.8 d in all (each full half cycle taken at 100 % of theoretical capacity; a real cell ends earlier)
expected about 25.8 d and 74246 points recorded
the guard stops step 2.1, 2.3 at 4.842 mAh at the latest
checks: all pass"""


def test_the_plan_of_fig_s3_d_reads_as_designed() -> None:
    assert render_plan(plan(fig_s3("fig_s3_d"), SIM8), "fig_s3_d.yaml") == PLAN_D


def test_at_ten_times_the_current_range_and_times_follow() -> None:
    text = render_plan(plan(fig_s3("fig_s3_d", j="0.5 mA/cm2"), SIM8), "fig_s3_d.yaml")
    assert (
        "2.1      1-3     lithiate     -0.3927 mA (0.5 mA/cm2, C/10.3 of theor.)      voltage <= 0.2 V       "
        "                              10.3 h    1 mA" in text
    )
    assert "at most 2.65 d in all (each full half cycle taken at 100 % of theoretical capacity" in text


def test_a_current_too_small_for_its_range_is_a_warning() -> None:
    text = render_plan(plan(fig_s3("fig_s3_d", j="0.005 mA/cm2"), SIM8), "fig_s3_d.yaml")
    assert "at most 257 d in all" in text
    assert text.endswith("""\
checks:
  warn step 2.1: 0.003927 mA on the 0.1 mA range is known to ±0.51 % (so is the capacity)
  warn step 2.3: 0.003927 mA on the 0.1 mA range is known to ±0.51 % (so is the capacity)""")


@pytest.mark.parametrize(
    ("name", "current_mA"),
    [("fig_s3_a", 0.3927), ("fig_s3_b", 0.3927), ("fig_s3_c", 0.3927), ("fig_s3_d", 0.03927), ("fig_s3_e", 0.3927)],
)
def test_json_has_signed_currents_and_the_promised_keys(name: str, current_mA: float) -> None:
    document = json.loads(json.dumps(plan_json(plan(fig_s3(name), SIM8)), allow_nan=False))
    assert document.keys() >= {"protocol", "cell", "steps", "at_most_s", "warnings", "expected_rows"}
    assert [step["current_mA"] for step in document["steps"]] == [None, -current_mA, None, current_mA, None]
    assert [step["step"] for step in document["steps"]] == ["1", "2.1", "2.2", "2.3", "2.4"]
    lithiate = document["steps"][1]
    assert lithiate.keys() >= {"step", "what", "cycles", "current_mA", "for_each", "ends_at", "at_most_s", "range"}
    assert (lithiate["what"], lithiate["cycles"], lithiate["for_each"]) == ("lithiate", "1-3", None)
    assert (document["cell"], document["warnings"]) == (name[-1], [])


def repeats(planned: Plan) -> list[tuple[str, int, tuple[int, int, int] | None]]:
    return [
        (row.path, row.times, None if row.cycles is None else (row.cycles.first, row.cycles.last, row.cycles.rounds))
        for row in planned.rows
        if isinstance(row, PlanRepeat)
    ]


NESTED = f"""\
  - repeat: {{times: 3, steps: [{HALF_CYCLE}]}}
  - repeat:
      times: 20
      steps:
        - repeat: {{times: 50, steps: [{HALF_CYCLE}]}}
        - repeat: {{times: 1, steps: [{HALF_CYCLE}, rest: 1 h]}}
  - rest: 1 h
"""


def test_nested_cycles_are_numbered_for_the_first_of_all_passes() -> None:
    planned = plan(program_of(NESTED))
    assert repeats(planned) == [
        ("1", 3, (1, 3, 1)),
        ("2", 20, None),
        ("2.1", 50, (4, 53, 20)),
        ("2.2", 1, (54, 54, 20)),
    ]
    assert [(step.path, step.cycles.text, step.times) for step in planned.steps] == [
        ("1.1", "1-3", 3),
        ("2.1.1", "4-53", 1000),
        ("2.2.1", "54", 20),
        ("2.2.2", "54", 20),
        ("3", "1023", 1),
    ]
    assert "repeat 50x   [cycles 4 to 53] (first of 20)" in render_plan(planned, "p")


def test_the_time_in_all_counts_every_pass() -> None:
    planned = plan(program_of(NESTED))
    assert planned.bounded
    assert planned.at_most_s == pytest.approx((3 + 1020) * 2 * 3600 + 20 * 3600 + 3600)


def test_a_step_nothing_bounds_is_said_to_be_open() -> None:
    planned = plan(program_of("  - rest: {until: dV/dt <= 1 mV/h}\n  - rest: 1 h\n"))
    assert not planned.bounded
    assert plan_json(planned)["at_most_s"] is None
    assert "no longest time: nothing bounds step 1 (the others take at most 60 min)" in render_plan(planned, "p")


def test_an_abort_bounds_a_rest_that_nothing_else_does() -> None:
    planned = plan(program_of("  - rest: {until: temperature >= 118 °C, abort_if: time >= 6 h}\n"))
    assert planned.steps[0].at_most_s == 6 * 3600


@pytest.mark.parametrize(
    ("settings", "charge_Ah", "time_s"),
    [
        ("until: 0.2 V", 2.4e-3, 2 * 2.4 * 3600),
        ("until: 0.2 V, for: 3 h", 2.4e-3, None),
        ("until: 0.2 V, abort_if: 3 h", 2.4e-3, None),
        ("until: 0.2 V or 1 mAh", None, 2 * 3600),
        ("until: 0.2 V or 1 mAh, for: 3 h", None, None),
        ("until: 0.2 V or 120 % of previous lithiate", 2.4e-3, 2 * 2.4 * 3600),
        ("until: [0.2 V, time >= 1 h and capacity >= 1 mAh]", 2.4e-3, 2 * 2.4 * 3600),
    ],
)
def test_the_guards_ceilings_stand_in_for_those_a_step_does_not_name(
    settings: str, charge_Ah: float | None, time_s: float | None
) -> None:
    program = program_of(f"  - lithiate: {{at: 1 mA, for: 1 h}}\n  - lithiate: {{at: 1 mA, {settings}}}\n")
    ceilings = default_ceilings(program, [*timed_steps(program.steps)][1])
    assert ceilings == (
        None if charge_Ah is None else pytest.approx(charge_Ah),
        None if time_s is None else pytest.approx(time_s),
    )


def test_the_theoretical_capacity_goes_before_the_nominal() -> None:
    head = HEAD.replace("{name: c,", "{name: c, active_mass: 1 mg, theoretical_capacity: 2000 mAh/g,")
    program = program_of(f"  - {HALF_CYCLE}\n", head)
    assert default_ceilings(program, current_of(program))[0] == pytest.approx(2.4e-3)


def test_where_the_cells_capacity_is_unknown_one_ceiling_follows_from_the_other() -> None:
    head = HEAD.replace(", nominal_capacity: 2 mAh", "")
    program = program_of("  - lithiate: {at: 1 mA, until: 0.2 V, for: 10 h}\n", head)
    charge_Ah, time_s = default_ceilings(program, current_of(program))
    assert charge_Ah == pytest.approx(12e-3)
    assert time_s is None


def test_a_rest_has_no_ceiling() -> None:
    program = program_of("  - rest: 1 h\n")
    assert isinstance(program.steps[0], RestStep)
    assert default_ceilings(program, program.steps[0]) == (None, None)


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ("lithiate: {at: 1 mA, until: 0.2 V, record: every 10 min}", "coarse-record"),
        ("lithiate: {at: 1 mA, until: 0.2 V, record: every 10 ms}", "fast-record"),
        ("lithiate: {at: 1 mA, until: 0.2 V, abort_if: voltage <= 0.1 V}", "unreachable-abort"),
        ("lithiate: {at: 3 µA, until: 0.2 V}", "range-accuracy"),
    ],
)
def test_a_doubtful_step_is_a_warning(step: str, code: str) -> None:
    planned = plan(program_of(f"  - {step}\n"), SIM8)
    assert [(each.code, each.step) for each in planned.warnings] == [(code, "1")]
    assert planned.errors == ()


def test_a_step_without_any_bound_is_a_warning() -> None:
    head = HEAD.replace(", nominal_capacity: 2 mAh", "")
    assert [each.code for each in plan(program_of(f"  - {HALF_CYCLE}\n", head), SIM8).warnings] == ["no-ceiling"]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("lithiate: {at: 200 mA, for: 1 h}", "200 mA is above the largest current of sim8, 100 mA"),
        ("delithiate: {at: 1 mA, until: 6 V}", "6 V is outside sim8, -5 to 5 V"),
        ("rest: {until: voltage <= -6 V, for: 1 h}", "-6 V is outside sim8, -5 to 5 V"),
    ],
)
def test_what_the_instrument_cannot_do_is_an_error(step: str, message: str) -> None:
    head = HEAD.replace("safety: {voltage: -0.1 V to 2.5 V}", "safety: {current: 1 A}")
    planned = plan(program_of(f"  - {step}\n", head), SIM8)
    assert [(each.code, each.message) for each in planned.errors] == [("instrument-range", message)]
    assert f"  error step 1: {message}" in render_plan(planned, "p")


def test_the_smallest_range_that_holds_the_current_is_taken() -> None:
    planned = plan(program_of("  - lithiate: {at: 1 mA, for: 1 h}\n  - lithiate: {at: 1.001 mA, for: 1 h}\n"), SIM8)
    assert [step.range_A for step in planned.steps] == [1e-3, 1e-2]


def test_a_note_is_shown_and_takes_no_time() -> None:
    planned = plan(program_of("  - note: heat first\n  - rest: 1 h\n"))
    assert "1        0       note         heat first" in render_plan(planned, "p")
    assert planned.at_most_s == 3600


def test_formation_plans_with_its_shared_cell() -> None:
    program = load_protocol(DATA / "formation.yaml").program
    assert program is not None
    text = render_plan(plan(program, SIM8), "formation.yaml")
    assert "nominal 2.24 mAh (1C = 2.24 mA)" in text
    assert "-0.056 mA (C/40 = 0.0713 mA/cm2, C/50.9 of theor.)" in text
    assert "12 h or dV/dt <= 1 mV/h" in text
