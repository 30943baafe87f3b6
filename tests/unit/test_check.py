"""A checked protocol: what the engine gets, and the faults the 44 examples do not show."""

import hashlib
import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocols.check import Checked, check_text, load_protocol
from protocols.diagnostics import Severity, as_json, render
from protocols.model import (
    Alternative,
    Clause,
    CurrentStep,
    LabelOf,
    NoteStep,
    OnStartMet,
    Op,
    PreviousOf,
    Program,
    Record,
    RepeatStep,
    RestStep,
    Verb,
    Watched,
)
from protocols.plan import plan
from protocols.planning.plan_text import plan_json, render_plan
from protocols.reading.documents import Document
from protocols.shipped import library

DATA = Path(__file__).parent / "data" / "protocols"
HEAD = """\
protocol: 1
name: test
cell: {name: c, area: 2 cm2, active_mass: 2 mg, theoretical_capacity: 2000 mAh/g, nominal_capacity: 3 mAh,
  discharge_means: lithiate}
record: every 30 s or 5 mV
safety: {voltage: -0.1 V to 2.5 V, current: 10 mA}
"""


def check(steps: str, head: str = HEAD) -> Checked:
    return check_text(f"{head}steps:\n{steps}", "p.yaml")


def program_of(checked: Checked) -> Program:
    assert checked.program is not None, "\n".join(render(each) for each in checked.diagnostics)
    return checked.program


def current_step(settings: str, word: str = "lithiate") -> CurrentStep:
    step = program_of(check(f"  - {word}: {{{settings}}}\n")).steps[0]
    assert isinstance(step, CurrentStep)
    return step


def codes(checked: Checked) -> list[str]:
    return [each.code for each in checked.diagnostics]


def test_a_decimal_comma_between_braces_is_called_one() -> None:
    found = check("  - lithiate: {at: 0,5 mA, until: 0.2 V}\n").diagnostics
    assert [each.message for each in found] == ["at '0' has no unit", "lithiate has no '5 mA'"]
    assert "with a point" in (found[1].help or "")


def test_the_five_protocols_of_fig_s3_ship_and_pass_without_a_warning() -> None:
    for letter in "abcde":
        path = library()[f"fig_s3_{letter}"]
        assert load_protocol(path).diagnostics == ()
        assert "assumptions of ours" in path.read_text(encoding="utf-8")


def test_fig_s3_a_becomes_what_the_engine_runs() -> None:
    program = program_of(load_protocol(library()["fig_s3_a"]))
    rest, repeat = program.steps
    current_A = 0.5e-3 * math.pi / 4
    assert rest == RestStep("1", (_alternative("time >= 1 h", _time(3600)),), (), Record(30.0, 0.005), (-0.1, 2.5))
    assert isinstance(repeat, RepeatStep)
    assert (repeat.times, repeat.counts, [step.path for step in repeat.steps]) == (
        3,
        True,
        ["2.1", "2.2", "2.3", "2.4"],
    )
    down, _, up, _ = repeat.steps
    assert isinstance(down, CurrentStep)
    assert isinstance(up, CurrentStep)
    assert (down.current_A, up.current_A) == pytest.approx((-current_A, current_A), rel=1e-12)
    assert down.until == (_alternative("voltage <= 0.2 V", Clause(Watched.VOLTAGE, Op.AT_MOST, 0.2)),)
    assert down.abort_if == (_alternative("time >= 20 h", _time(72000)),)
    assert down.window_V == pytest.approx((0.18, 2.5))
    assert up.window_V == pytest.approx((-0.1, 1.22))
    assert up.until[1] == _alternative(
        "capacity >= 120 % of previous lithiate",
        Clause(Watched.CAPACITY, Op.AT_LEAST, 1.2, None, PreviousOf(Verb.LITHIATE)),
    )
    assert program.safety.for_s == 2.0
    assert program.safety.temperature_degC == (110.0, 135.0)
    assert program.cell.active_mass_g == pytest.approx(0.0014)
    assert program.variables == (("j", "0.5 mA/cm2"), ("v_low", "0.2 V"), ("v_high", "1.2 V"))


def _alternative(text: str, *clauses: Clause) -> Alternative:
    return Alternative(clauses, text)


def _time(seconds: float) -> Clause:
    return Clause(Watched.TIME, Op.AT_LEAST, seconds)


@pytest.mark.parametrize(
    ("at", "current_A"),
    [("1 mA", 1e-3), ("0.5 mA/cm2", 1e-3), ("500 mA/g", 1e-3), ("C/3", 1e-3), ("0.5C", 1.5e-3), ("5 A/m2", 1e-3)],
)
def test_every_kind_of_current_is_resolved_to_amperes(at: str, current_A: float) -> None:
    assert current_step(f"at: {at}, until: 0.2 V").current_A == pytest.approx(-current_A)


@pytest.mark.parametrize(
    ("word", "means", "verb"),
    [
        ("discharge", "lithiate", Verb.LITHIATE),
        ("charge", "lithiate", Verb.DELITHIATE),
        ("discharge", "delithiate", Verb.DELITHIATE),
        ("charge", "delithiate", Verb.LITHIATE),
    ],
)
def test_words_follow_discharge_means_and_oxidation_is_positive(word: str, means: str, verb: Verb) -> None:
    checked = check(f"  - {word}: {{at: 1 mA, for: 1 h}}\n", HEAD.replace("means: lithiate", f"means: {means}"))
    step = program_of(checked).steps[0]
    assert isinstance(step, CurrentStep)
    assert (step.word, step.verb) == (word, verb)
    assert step.current_A == (1e-3 if verb is Verb.DELITHIATE else -1e-3)


def test_for_is_looked_at_after_everything_in_until() -> None:
    step = current_step("for: 2 h, at: 1 mA, until: 0.2 V or 1 mAh")
    assert [each.text for each in step.until] == ["voltage <= 0.2 V", "capacity >= 1 mAh", "time >= 2 h"]


def test_a_list_is_a_list_of_alternatives() -> None:
    step = current_step("at: 1 mA, until: [0.2 V and time >= 1 h, 100 % of theoretical]")
    assert [each.text for each in step.until] == [
        "voltage <= 0.2 V and time >= 1 h",
        "capacity >= 100 % of theoretical",
    ]
    whole = step.until[1].clauses[0]
    assert (whole.watched, whole.op, whole.reference) == (Watched.CAPACITY, Op.AT_LEAST, None)
    assert whole.value == pytest.approx(0.004)


def test_a_share_of_nominal_is_an_amount() -> None:
    clause = current_step("at: 1 mA, until: 0.2 V or 50 % of nominal").until[1].clauses[0]
    assert clause.value == pytest.approx(0.0015)
    assert clause.reference is None


def test_a_clause_may_have_to_hold_for_a_time() -> None:
    alternative = current_step("at: 1 mA, until: voltage <= 0.2 V for 5 s").until[0]
    assert alternative.text == "voltage <= 0.2 V for 5 s"
    assert alternative.clauses[0].for_s == 5.0


@pytest.mark.parametrize("op", ["<=", "<", "≤", "=<"])
def test_operators_of_one_direction_mean_the_same(op: str) -> None:
    assert current_step(f"at: 1 mA, until: voltage {op} 0.2 V").until[0].text == "voltage <= 0.2 V"


@pytest.mark.parametrize(
    ("word", "until", "window_V"),
    [
        ("lithiate", "0.2 V", (0.18, 2.5)),
        ("delithiate", "1.2 V", (-0.1, 1.22)),
        ("lithiate", "0.2 V or 0.3 V", (0.28, 2.5)),
        ("delithiate", "1.2 V or 1.1 V", (-0.1, 1.12)),
        ("lithiate", "0 V", (-0.02, 2.5)),
        ("lithiate", "0.2 V and 1 h", (-0.1, 2.5)),
        ("lithiate", "1 h", (-0.1, 2.5)),
    ],
)
def test_the_hardware_window_lies_20_mv_beyond_the_cutoff(word: str, until: str, window_V: tuple[float, float]) -> None:
    assert current_step(f"at: 1 mA, until: {until}", word).window_V == pytest.approx(window_V)


def test_without_safety_the_other_side_of_the_window_is_open() -> None:
    head = HEAD.replace("safety: {voltage: -0.1 V to 2.5 V, current: 10 mA}\n", "")
    program = program_of(check("  - rest: 1 h\n  - lithiate: {at: 1 mA, until: 0.2 V}\n", head))
    rest, lithiate = program.steps
    assert isinstance(rest, RestStep)
    assert isinstance(lithiate, CurrentStep)
    assert rest.window_V == (-math.inf, math.inf)
    assert lithiate.window_V == pytest.approx((0.18, math.inf))


def test_a_steps_record_replaces_the_default_and_a_temperature_step_is_a_difference() -> None:
    step = current_step("at: 1 mA, until: 0.2 V, record: every 1 s or 5 mAh/g or 2 K or 10 µA")
    record = step.record
    assert (record.time_s, record.voltage_V) == (1.0, None)
    assert (record.current_A, record.charge_Ah, record.temperature_K) == pytest.approx((1e-5, 1e-5, 2.0))


def test_a_capacity_step_of_the_record_is_in_ampere_hours() -> None:
    assert current_step("at: 1 mA, until: 0.2 V, record: 5 mAh/g").record.charge_Ah == pytest.approx(1e-5)


def test_notes_labels_and_the_start_rule_are_kept() -> None:
    steps = """\
  - note: heat first
  - lithiate: {at: 1 mA, until: 0.2 V, label: first, note: slow, on_start_met: abort}
  - delithiate: {at: 1 mA, until: 1.2 V or 90 % of first}
"""
    note, down, up = program_of(check(steps)).steps
    assert note == NoteStep("1", "heat first")
    assert isinstance(down, CurrentStep)
    assert (down.label, down.note, down.on_start_met) == ("first", "slow", OnStartMet.ABORT)
    assert isinstance(up, CurrentStep)
    assert up.until[1].clauses[0].reference == LabelOf("first")


def test_a_repeat_counts_unless_it_holds_another_or_says_so() -> None:
    steps = """\
  - repeat:
      times: 2
      steps:
        - repeat: {times: 3, steps: [rest: 1 h]}
        - repeat: {times: 3, count_cycles: no, note: pause, steps: [rest: 1 h]}
"""
    outer = program_of(check(steps)).steps[0]
    assert isinstance(outer, RepeatStep)
    inner = [step for step in outer.steps if isinstance(step, RepeatStep)]
    assert (outer.counts, [step.counts for step in inner]) == (False, [True, False])
    assert inner[1].note == "pause"


def test_a_reference_may_point_to_a_step_that_comes_round_earlier() -> None:
    turned = """\
  - repeat:
      times: {times}
      steps:
        - delithiate: {{at: 1 mA, until: 1.2 V or 120 % of previous lithiate}}
        - lithiate: {{at: 1 mA, until: 0.2 V}}
"""
    assert check(turned.format(times=2)).diagnostics == ()
    assert codes(check(turned.format(times=1))) == ["reference"]


@pytest.mark.parametrize(
    ("settings", "code", "message"),
    [
        ("at: 1 mA, until: 0.2 V, abort_if: 2.4 V", "condition", "'2.4 V' in abort_if does not say which way"),
        ("at: 1 mA, until: 0.2 V, abort_if: 30 °C", "condition", "'30 °C' in abort_if does not say which way"),
        ("at: 1 mA, until: 0.2 V or 30 °C", "condition", "'30 °C' in until does not say which way"),
        (
            "at: 1 mA, until: 0.2 V or time <= 1 h",
            "direction",
            "the time only grows, so 'time <= 1 h' holds from the start",
        ),
        ("at: 1 mA, until: 0.2 V or", "condition", "a condition is missing here"),
        ("at: 1 mA, until: 0.2 V or voltage <= 1 mA", "dimension", None),
        ("at: 1 mA, until: 0.2 V or <= 0.1 V", "condition", "what is watched is missing"),
        ("at: 1 mA, until: 0.2 V or 80 %", "condition", "cannot read '80 %'"),
        ("at: 1 mA, until: 0.2 V or 80 % of first", "reference", "'first' names no earlier step"),
        ("at: 1 mA, until: 0.2 V or time >= 80 % of nominal", "condition", None),
        ("at: 1 mA, until: 0.2 V or 2 mg", "condition", "'2 mg' is nothing a condition can watch"),
        ("at: 1 mA, until: 0.2 V for 0 s", "out-of-range", "for '0 s' is zero"),
        ("at: 1 mA, until: 0.2 V for 1 s for 2 s", "condition", None),
        ("at: 1 mA, until: {voltage: 0.2 V}", "shape", "until needs a condition, not settings"),
        ("at: 1 mA, until: 0.2 V, on_start_met: skp", "choice", "on_start_met is 'skip' or 'abort', not 'skp'"),
        ("at: 1 mA, until: 0.2 V, label: this or that", "conflict", None),
        ("at: 1 mA, until: 0.2 V, record: 1 s or 2 s", "conflict", None),
        ("at: 1 mA, until: 0.2 V, record: 1 mg", "dimension", None),
        ("at: 1 mA, until: 0.2 V, for: ''", "missing-value", "'for' has no value"),
        ("until: 0.2 V", "missing-key", "lithiate needs 'at'"),
        ("at: [1 mA], until: 0.2 V", "shape", None),
        ("at: 2 A/g, until: 0.2 V or 100 Ah, for: 0 h", "out-of-range", "for '0 h' is zero"),
        ("at: 8 mA/cm2, until: 0.2 V", "safety-conflict", "8 mA/cm2 (16 mA) is above the safety current of 10 mA"),
        ("at: 1 mA, then_hold_until: C/20 or", "no-end", None),
    ],
)
def test_a_faulty_step_is_named(settings: str, code: str, message: str | None) -> None:
    checked = check(f"  - lithiate: {{{settings}}}\n")
    errors = [each for each in checked.diagnostics if each.severity is Severity.ERROR]
    assert errors[0].code == code
    assert message is None or errors[0].message == message


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ("  - rest: {until: 0.3 V, for: 1 h}\n", "condition"),
        ("  - rest: {until: capacity >= 1 mAh}\n", "direction"),
        ("  - rest: {note: x}\n", "no-end"),
        ("  - rest:\n", "missing-value"),
        ("  - rest: 0 s\n", "out-of-range"),
        ("  - {rest: 1 h, note: x}\n", "shape"),
        ("  -\n", "shape"),
        ("  rest: 1 h\n", "shape"),
        ("  []\n", "shape"),
        ("  - repeat: {times: 2}\n", "missing-key"),
        ("  - repeat: {times: 2.5, steps: [rest: 1 h]}\n", "number"),
        ("  - repeat: {times: 100001, steps: [rest: 1 h]}\n", "out-of-range"),
        ("  - repeat: {times: 2, count_cycles: true, steps: [rest: 1 h]}\n", "choice"),
        ("  - repeat: {times: 2, steps: [note: x]}\n", "shape"),
        ("  - repeat: {times: 100000, steps: [repeat: {times: 11, steps: [rest: 1 h]}]}\n", "limit"),
        ("  - rest: {for: 1 h, label: a}\n  - rest: {for: 1 h, label: a}\n", "duplicate-label"),
        ("  - lithiate: 1 mA\n", "shape"),
    ],
)
def test_a_faulty_list_of_steps_is_refused(steps: str, code: str) -> None:
    checked = check(steps)
    assert checked.program is None
    assert codes(checked)[0] == code


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ("  - hold: {at: 1 mA, until: C/50}\n", "dimension"),
        ("  - hold: {at: 1 V}\n", "no-end"),
        ("  - hold: {at: 1 V, untl: C/50}\n", "unknown-key"),
        ("  - hold: {at: 1 V, until: voltage >= 1 V}\n", "direction"),
        ("  - gitt: {rest: 1 h, pulses: 3}\n", "missing-key"),
        ("  - repeat: {times: 2, for_each: {r: [C/5, 1 V]}, steps: [rest: 1 h]}\n", "dimension"),
        ("  - repeat: {times: 2, for_each: {r: [C/5], s: [1 V, 2 V]}, steps: [rest: 1 h]}\n", "shape"),
        ("  - repeat: {times: 2, stop_when: often, steps: [rest: 1 h]}\n", "condition"),
    ],
)
def test_a_misspelt_hold_train_or_list_is_refused(steps: str, code: str) -> None:
    assert codes(check(steps)) == [code]


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("{name: c, area: 1 cm2, diameter: 1 cm}", "conflict"),
        ("{area: 1 cm2}", "missing-key"),
        (
            "{name: c, active_mass: 3 mg, electrode_mass: 2 mg, composition: {A: 100 %}, active_material: A}",
            "inconsistent",
        ),
        ("{name: c, composition: {A: 99.8 %}}", "inconsistent"),
        ("{name: c, composition: A}", "shape"),
        ("{name: c, composition: {A: 1 g}}", "dimension"),
        ("{name: c, nominal_capacity: 1 mAh/cm2}", "cell-data"),
        ("{name: c, as_built: full}", "choice"),
        ("{name: c, temperature: 25 C}", "dimension"),
        ("{name: c, area: 0 cm2}", "out-of-range"),
        ("c", "shape"),
    ],
)
def test_a_cell_that_cannot_be_is_refused(cell: str, code: str) -> None:
    checked = check_text(
        f"protocol: 1\nname: x\ncell: {cell}\nrecord: 1 s\nsafety: {{current: 1 A}}\nsteps: [rest: 1 h]\n", "p"
    )
    assert codes(checked) == [code]


def test_warnings_do_not_stop_a_protocol() -> None:
    text = """\
protocol: 1
name: x
cell: {name: c, counter_electrode: Li, composition: {MgH2: 100 %}}
steps:
  - lithiate: {at: 1 mA, until: 0.1 V}
  - lithiate: {at: 1 mA, for: 1 h}
"""
    checked = check_text(text, "p")
    assert checked.program is not None
    assert [(each.code, each.line) for each in checked.diagnostics] == [
        ("no-record", 1),
        ("no-safety", 1),
        ("alloying", 5),
        ("no-voltage-cutoff", 6),
    ]


def test_an_override_replaces_a_variable_of_its_kind() -> None:
    checked = load_protocol(library()["fig_s3_d"], overrides={"j": "0.5 mA/cm2"})
    assert ("j", "0.5 mA/cm2") in program_of(checked).variables


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("jj", "1 mA", "the protocol has no variable 'jj' to set"),
        ("j", "1 V", "j is a current density (0.05 mA/cm2), but '1 V' is a voltage"),
        ("j", "1 mA", "j is a current density (0.05 mA/cm2), but '1 mA' is a current"),
        ("j", "much", "cannot read 'much' as a quantity"),
    ],
)
def test_an_override_of_another_kind_is_refused(name: str, text: str, message: str) -> None:
    (only,) = load_protocol(library()["fig_s3_d"], overrides={name: text}).diagnostics
    assert (only.file, only.code, only.message) == ("--set", "override", message)


def test_an_included_cell_is_used_and_its_faults_are_its_own(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(
        "protocol: 1\nname: x\ninclude: c.yaml\nrecord: 1 s\nsteps:\n  - lithiate: {at: C/2, until: 0.2 V}\n"
    )
    (tmp_path / "c.yaml").write_text("cell: {name: c, nominal_capacity: 2 mAh}\nsafety: {current: 1 A}\n")
    checked = load_protocol(path)
    assert program_of(checked).cell.nominal_capacity_Ah == pytest.approx(0.002)
    assert [document.name for document in checked.documents] == ["c.yaml"]
    (tmp_path / "c.yaml").write_text("cell: {name: c, nominal_capacity: 2 mA}\nsafety: {current: 1 A}\n")
    (only,) = load_protocol(path).diagnostics
    assert (only.file, only.line, only.code) == ("c.yaml", 1, "dimension")


@pytest.mark.parametrize("name", ["../c.yaml", "/etc/passwd", "a/b.yaml", "C:c.yaml", "..\\c.yaml", ".."])
def test_an_include_stays_in_its_folder(name: str, tmp_path: Path) -> None:
    text = f"protocol: 1\nname: x\ninclude: '{name}'\nsteps: [rest: 1 h]\n"
    assert codes(check_text(text, "p", folder=tmp_path)) == ["include"]


def test_a_name_no_file_system_takes_is_no_file(tmp_path: Path) -> None:
    text = f"protocol: 1\nname: x\ninclude: {'x' * 5000}\nsteps: [rest: 1 h]\n"
    assert codes(check_text(text, "p", folder=tmp_path)) == ["include"]


@pytest.mark.parametrize(
    ("right", "wrong"), [("variables:", "variable:"), ("cell:", "cel:"), ("safety:", "saftey:"), ("record:", "recrd:")]
)
def test_a_misspelt_section_is_one_error(right: str, wrong: str) -> None:
    base = (DATA / "base.yaml").read_text(encoding="utf-8")
    assert codes(check_text(base.replace(right, wrong), "p")) == ["unknown-key"]


def test_a_missing_include_does_not_make_everything_else_missing(tmp_path: Path) -> None:
    text = "protocol: 1\nname: x\ninclude: c.yaml\nsteps:\n  - discharge: {at: $j, until: $v}\n"
    assert codes(check_text(text, "p", folder=tmp_path)) == ["include"]


def test_a_section_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("record: 1 s\n")
    text = "protocol: 1\nname: x\ninclude: [c.yaml]\nrecord: 1 s\nsafety: {current: 1 A}\nsteps: [rest: 1 h]\n"
    assert codes(check_text(text, "p", folder=tmp_path)) == ["include"]


def test_a_cell_given_at_the_start_replaces_the_protocols_and_says_so() -> None:
    cell = Document("mine.yaml", "cell: {name: mine, diameter: 10 mm, theoretical_capacity: 2038 mAh/g}\n")
    text = library()["fig_s3_a"].read_text(encoding="utf-8")
    checked = check_text(text, "p", cell=cell)
    assert program_of(checked).cell.name == "mine"
    assert codes(checked) == ["cell-replaced"]


def test_the_text_and_its_hash_come_back_as_read() -> None:
    path = library()["fig_s3_a"]
    checked = load_protocol(path)
    assert checked.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_that_cannot_be_read_is_one_diagnostic(tmp_path: Path) -> None:
    assert codes(load_protocol(tmp_path / "none.yaml")) == ["file"]
    (tmp_path / "latin.yaml").write_bytes("name: µ".encode("latin-1"))
    assert codes(load_protocol(tmp_path / "latin.yaml")) == ["file"]


def test_errors_come_in_the_order_of_the_file() -> None:
    checked = check("  - lithiate: {until: 5 hh, at: 1 V}\n  - rst: 1\n", HEAD.replace("30 s", "30 x"))
    assert [each.line for each in checked.diagnostics] == sorted(each.line for each in checked.diagnostics)
    assert [(each.line, each.column) for each in checked.diagnostics][1:] == [(8, 25), (8, 33), (9, 5)]


def test_a_file_with_thousands_of_faults_is_not_read_to_the_end() -> None:
    checked = check("  - rst: 1\n" * 5000)
    assert checked.program is None
    assert len(checked.diagnostics) == 201


def test_json_has_the_seven_fields() -> None:
    (only,) = check("  - rst: 1 h\n").diagnostics
    assert as_json(only) == {
        "file": "p.yaml",
        "line": 8,
        "column": 5,
        "severity": "error",
        "code": "unknown-step",
        "message": "'rst' is not a kind of step",
        "help": "did you mean 'rest'?",
    }


GOOD = (
    *(path.read_text(encoding="utf-8") for path in library().values()),
    (DATA / "formation.yaml").read_text("utf-8"),
)
PIECES = st.sampled_from(
    (
        "<<",
        "&a ",
        "*a",
        "{",
        "}",
        "[",
        "]",
        ": ",
        "- ",
        "\t",
        "\n",
        "|",
        "'",
        '"',
        "#",
        "%",
        "C/0",
        "0 V",
        "1e-19 mA/g",
        "$",
        "$j",
        " for ",
        " or ",
        " and ",
        " of ",
        "previous lithiate",
        "  ",
        "\0",
        "\ud800",
        "µ",
        "1,5",
        ".",
        "nan",
        "---\n",
    )
) | st.text(max_size=3)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(GOOD), st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 20), PIECES), max_size=4))
def test_no_file_however_spoilt_raises(text: str, cuts: list[tuple[int, int, str]]) -> None:
    for start, length, piece in cuts:
        text = text[:start] + piece + text[start + length :]
    checked = check_text(text, "p", folder=DATA)
    for diagnostic in checked.diagnostics:
        assert render(diagnostic)
    if checked.program is not None:
        planned = plan(checked.program)
        assert render_plan(planned, "p")
        assert plan_json(planned)
    else:
        assert checked.diagnostics
