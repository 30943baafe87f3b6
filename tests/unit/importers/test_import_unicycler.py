"""Every row of the table for aurora-unicycler; the numbers are those its reader (0.4.6) gives the same file."""

from __future__ import annotations

import json
from typing import Any

import pytest

from protocols.check import check_text
from protocols.importers.report import Imported, Refused, Request
from protocols.importers.unicycler import import_unicycler
from protocols.model import (
    CccvStep,
    Clause,
    CurrentStep,
    HoldStep,
    NoteStep,
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
from protocols.reading.documents import Document

REST = {"step": "open_circuit_voltage", "until_time_s": 600}
CHARGE = {"step": "constant_current", "rate_C": 0.5, "until_voltage_V": 4.2}
DISCHARGE = {"step": "constant_current", "rate_C": "-0.5", "until_voltage_V": "3.0"}
HOLD = {"step": "constant_voltage", "voltage_V": 4.2, "until_rate_C": "0.05", "until_time_s": 3600}


def loop(to: str | int, times: int) -> dict[str, Any]:
    return {"step": "loop", "loop_to": to, "cycle_count": times}


def tag(name: str) -> dict[str, Any]:
    return {"step": "tag", "tag": name}


def bring(*method: dict[str, Any], skip: bool = False, means: str = "lithiate", **sections: Any) -> Imported:
    data = {
        "unicycler": {"version": "0.4.6"},
        "sample": {"name": "cell 1", "capacity_mAh": 2},
        "record": {"time_s": 10},
        "safety": {"max_voltage_V": 5, "min_voltage_V": -0.1},
        "method": list(method) or [REST],
        **sections,
    }
    request = Request(Document("lab/test.json", json.dumps(data)), means, skip_unsupported=skip)
    return import_unicycler(request)


def program_of(imported: Imported) -> Program:
    checked = check_text(imported.text, "test.yaml")
    assert checked.program is not None, checked.diagnostics
    return checked.program


def program(*method: dict[str, Any], **sections: Any) -> Program:
    return program_of(bring(*method, **sections))


def only(*method: dict[str, Any]) -> Step:
    (step,) = program(*method).steps
    return step


def ends(step: CurrentStep | HoldStep | RestStep) -> list[tuple[Watched, Op, float]]:
    assert all(len(each.clauses) == 1 for each in step.until)
    return [(clause.watched, clause.op, clause.value) for each in step.until for clause in each.clauses]


def problems(*method: dict[str, Any], **options: Any) -> list[str]:
    with pytest.raises(Refused) as caught:
        bring(*method, **options)
    return [problem.told("test.json") for problem in caught.value.problems]


def test_the_file_says_where_it_came_from() -> None:
    imported = bring()
    assert imported.text.startswith("protocol: 1\nname: test\n")
    read = program_of(imported)
    assert read.source.startswith("test.json (aurora-unicycler 0.4.6), sha256 ")
    assert len(read.source.rsplit(" ", 1)[-1]) == 64


def test_a_sample_is_the_cell() -> None:
    cell = program(sample={"name": "LFP #4: one", "capacity_mAh": "2.5"}).cell
    assert (cell.name, cell.nominal_capacity_Ah, cell.discharge_means) == ("LFP #4: one", 0.0025, Verb.LITHIATE)


def test_the_placeholder_for_a_name_is_reported() -> None:
    imported = bring(sample={"name": "$NAME"})
    assert program_of(imported).cell.name == "unnamed"
    assert any("placeholder" in line for line in imported.changed)


def test_a_rate_without_a_capacity_is_the_checkers_usual_error() -> None:
    checked = check_text(bring(CHARGE, sample={}).text, "test.yaml")
    assert [each.code for each in checked.diagnostics] == ["cell-data"]


@pytest.mark.parametrize("key", ["record", "measurement"])
def test_record_and_its_old_name_are_read(key: str) -> None:
    sections = {"record": None, key: {"time_s": "10", "voltage_V": "0.005", "current_mA": 0.1}}
    (step,) = program(REST, **sections).steps
    assert isinstance(step, RestStep)
    assert step.record == Record(time_s=10.0, voltage_V=0.005, current_A=0.0001)


def test_safety_is_kept_with_the_smaller_of_two_unequal_currents() -> None:
    limits = {"max_voltage_V": "5", "min_voltage_V": 0, "max_current_mA": 10, "min_current_mA": "-8"}
    imported = bring(safety={**limits, "max_capacity_mAh": 3, "delay_s": "2"})
    assert program_of(imported).safety == Safety(voltage_V=(0.0, 5.0), current_A=0.008, step_charge_Ah=0.003, for_s=2.0)
    assert any("safety.current: 8 mA" in line for line in imported.changed)


def test_equal_currents_are_nothing_to_report() -> None:
    imported = bring(safety={"max_current_mA": 8, "min_current_mA": -8})
    assert not any("safety" in line for line in imported.changed)


@pytest.mark.parametrize(
    ("limits", "window"), [({"max_voltage_V": 5}, (-1000.0, 5.0)), ({"min_voltage_V": 0}, (0.0, 1000.0))]
)
def test_one_side_of_a_voltage_range_is_left_to_the_instrument_and_reported(
    limits: dict[str, float], window: tuple[float, float]
) -> None:
    imported = bring(safety=limits)
    assert program_of(imported).safety.voltage_V == window
    assert any("instrument's limit" in line for line in imported.changed)


def test_an_open_circuit_is_a_rest() -> None:
    step = only({"step": "open_circuit_voltage", "until_time_s": "5400.0"})
    assert isinstance(step, RestStep)
    assert ends(step) == [(Watched.TIME, Op.AT_LEAST, 5400.0)]


@pytest.mark.parametrize(
    ("amount", "word", "current_A"),
    [
        ({"rate_C": 0.5}, "charge", 0.001),
        ({"rate_C": "-0.5"}, "discharge", -0.001),
        ({"rate_C": "C/3"}, "charge", 0.002 / 3),
        ({"rate_C": "D / 2"}, "discharge", -0.001),
        ({"rate_C": "1/5"}, "charge", 0.0004),
        ({"rate_C": "2C/5"}, "charge", 0.0008),
        ({"current_mA": "1e-1"}, "charge", 0.0001),
        ({"current_mA": -1.5, "rate_C": None}, "discharge", -0.0015),
        ({"current_mA": 1, "rate_C": ""}, "charge", 0.001),
    ],
)
def test_the_sign_of_a_current_becomes_a_word(amount: dict[str, Any], word: str, current_A: float) -> None:
    step = only({"step": "constant_current", **amount, "until_time_s": 60})
    assert isinstance(step, CurrentStep)
    assert step.word == word
    assert step.current_A == pytest.approx(current_A, rel=1e-15)


def test_a_rate_beats_a_current_and_that_is_reported() -> None:
    imported = bring({**CHARGE, "current_mA": 7})
    (step,) = program_of(imported).steps
    assert isinstance(step, CurrentStep)
    assert step.current_A == 0.001
    assert any("current_mA: 7 is left out" in line for line in imported.changed)


def test_a_zero_rate_is_not_set_and_that_is_reported() -> None:
    imported = bring({**CHARGE, "rate_C": 0, "current_mA": 7})
    (step,) = program_of(imported).steps
    assert isinstance(step, CurrentStep)
    assert step.current_A == 0.007
    assert any("rate_C: 0 means 'not set'" in line for line in imported.changed)


def test_the_ends_of_a_current_go_the_way_of_its_word() -> None:
    charge, discharge = program(CHARGE, {**DISCHARGE, "until_time_s": 7200}).steps
    assert isinstance(charge, CurrentStep)
    assert isinstance(discharge, CurrentStep)
    assert ends(charge) == [(Watched.VOLTAGE, Op.AT_LEAST, 4.2)]
    assert ends(discharge) == [(Watched.VOLTAGE, Op.AT_MOST, 3.0), (Watched.TIME, Op.AT_LEAST, 7200.0)]


def test_an_end_at_zero_volts_is_not_set_and_that_is_reported() -> None:
    imported = bring({**DISCHARGE, "until_voltage_V": 0, "until_time_s": 60})
    (step,) = program_of(imported).steps
    assert isinstance(step, CurrentStep)
    assert ends(step) == [(Watched.TIME, Op.AT_LEAST, 60.0)]
    assert any("until_voltage_V: 0 means 'not set'" in line for line in imported.changed)


def test_a_voltage_by_itself_is_a_hold() -> None:
    step = only({"step": "constant_voltage", "voltage_V": 4, "until_current_mA": -0.1, "until_time_s": 3600})
    assert isinstance(step, HoldStep)
    assert step.voltage_V == 4.0
    assert ends(step) == [(Watched.CURRENT, Op.AT_MOST, 0.0001), (Watched.TIME, Op.AT_LEAST, 3600.0)]


def test_a_voltage_at_the_cut_off_before_it_belongs_to_that_step() -> None:
    step = only(CHARGE, HOLD)
    assert isinstance(step, CccvStep)
    assert step.hold.voltage_V == 4.2
    assert step.hold.until[0].clauses == (Clause(Watched.CURRENT, Op.AT_MOST, 0.0001),)
    assert ends(step.hold)[1] == (Watched.TIME, Op.AT_LEAST, 3600.0)


def test_a_voltage_other_than_the_cut_off_before_it_stays_a_step() -> None:
    assert [type(step) for step in program(CHARGE, {**HOLD, "voltage_V": 4.1}).steps] == [CurrentStep, HoldStep]


def test_a_hold_that_would_have_run_after_a_time_as_well_is_reported() -> None:
    imported = bring({**CHARGE, "until_time_s": 60}, HOLD)
    assert any("becomes then_hold_until" in line and "(1 min)" in line for line in imported.changed)
    assert not any("then_hold_until" in line for line in bring(CHARGE, HOLD).changed)


def test_a_loop_takes_the_steps_from_its_tag_on_and_counts_in_total() -> None:
    rest, repeat = program(REST, tag("a"), CHARGE, DISCHARGE, loop("a", 5)).steps
    assert isinstance(rest, RestStep)
    assert isinstance(repeat, RepeatStep)
    assert (repeat.times, len(repeat.steps)) == (5, 2)


def test_an_integer_counts_the_tags() -> None:
    """Place 3 of REST, tag, CHARGE, DISCHARGE is CHARGE; without the tag it would be DISCHARGE."""
    _, repeat = program(REST, tag("a"), CHARGE, DISCHARGE, loop(3, 5)).steps
    assert isinstance(repeat, RepeatStep)
    assert [type(step) for step in repeat.steps] == [CurrentStep, CurrentStep]
    assert repeat == program(REST, CHARGE, DISCHARGE, loop(2, 5)).steps[1]


def test_loops_inside_a_loop_are_repeats_inside_a_repeat() -> None:
    """As in the file with 480 fast cycles among 20 slow ones: two loops begin at the same step."""
    (outer,) = program(CHARGE, HOLD, DISCHARGE, loop(1, 24), CHARGE, HOLD, DISCHARGE, loop(1, 20)).steps
    assert isinstance(outer, RepeatStep)
    inner, charge, discharge = outer.steps
    assert isinstance(inner, RepeatStep)
    assert (outer.times, inner.times, outer.counts, inner.counts) == (20, 24, False, True)
    assert isinstance(charge, CccvStep)
    assert isinstance(discharge, CurrentStep)


def test_a_hold_does_not_join_a_current_outside_its_loop() -> None:
    charge, repeat = program(CHARGE, HOLD, DISCHARGE, loop(2, 3)).steps
    assert isinstance(charge, CurrentStep)
    assert isinstance(repeat, RepeatStep)
    assert isinstance(repeat.steps[0], HoldStep)


@pytest.mark.parametrize(
    ("method", "place", "words"),
    [
        ([REST, CHARGE, loop(1, 2), DISCHARGE, loop(2, 2)], "method[4]", "crosses another"),
        ([REST, loop("b", 2)], "method[1].loop_to", "no tag 'b'"),
        ([loop("a", 2), tag("a"), REST], "method[0].loop_to", "no tag 'a' above"),
        ([REST, loop(2, 2)], "method[1].loop_to", "not the place of a step above"),
        ([REST, loop(0, 2)], "method[1].loop_to", "needs a tag or the place"),
        ([REST, loop(1, 0)], "method[1].cycle_count", "above zero"),
        ([REST, loop(1, 100_001)], "method[1].cycle_count", "more than 100000"),
        ([tag("a"), loop("a", 2), REST], "method[1]", "nothing to repeat"),
        ([tag("a"), tag("a"), REST], "method[1]", "given twice"),
        ([tag("a")], "method", "no step that does anything"),
        ([{**CHARGE, "rate_C": 0}], "method[0]", "needs rate_C or current_mA"),
        ([{**CHARGE, "rate_C": "C/0"}], "method[0].rate_C", "is not a rate"),
        ([{**CHARGE, "until_voltage_V": None}], "method[0]", "needs until_voltage_V or until_time_s"),
        ([{"step": "constant_voltage", "until_time_s": 5}], "method[0]", "needs voltage_V"),
        ([{**REST, "until_time_s": -1}], "method[0].until_time_s", "above zero"),
        ([{**REST, "until_time_s": True}], "method[0].until_time_s", "not true"),
        ([{**REST, "until_time_s": "1,5"}], "method[0].until_time_s", "needs a number"),
        ([{**REST, "until_s": 5}], "method[0].until_s", "not known"),
        ([{"step": "voltage_scan"}], "method[0]", "voltage_scan has no equivalent"),
        ([{"step": "impedance_spectroscopy"}], "method[0]", "impedance_spectroscopy has no equivalent"),
        ([{"step": "wait"}], "method[0].step", "'wait' is not a kind of step"),
        ([{}], "method[0].step", "null is not a kind of step"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(method: list[dict[str, Any]], place: str, words: str) -> None:
    (message,) = problems(*method)
    assert message.startswith(f"test.json: {place}: ")
    assert words in message


def test_every_faulty_step_is_told_at_once() -> None:
    assert len(problems({"step": "voltage_scan"}, REST, {"step": "wait"}, {**REST, "until_time_s": "x"})) == 3


def test_the_unsupported_leaves_a_note_where_that_is_wanted() -> None:
    imported = bring(REST, {"step": "voltage_scan", "scan_rate_mV_per_s": 1}, REST, skip=True)
    note = program_of(imported).steps[1]
    assert isinstance(note, NoteStep)
    assert "voltage_scan has no equivalent" in note.text
    assert imported.lost == ("method[1]: voltage_scan has no equivalent in this language",)


def test_the_wrong_is_never_skipped() -> None:
    assert problems({**REST, "until_time_s": "x"}, skip=True)


@pytest.mark.parametrize(
    "sections",
    [{"safety": {"max_current_mA": -1}}, {"safety": {"max_voltage_V": 1, "min_voltage_V": 2}}, {"method": []}],
)
def test_sections_that_make_no_sense_are_refused(sections: dict[str, Any]) -> None:
    assert problems(**sections)


def test_a_convention_that_turns_the_voltage_is_pointed_out() -> None:
    imported = bring(CHARGE, means="delithiate")
    (step,) = program_of(imported).steps
    assert isinstance(step, CurrentStep)
    assert (step.verb, ends(step)[0][1]) == (Verb.LITHIATE, Op.AT_MOST)
    assert any("check the sign" in line for line in imported.changed)


def test_each_translated_step_has_a_comment_and_a_line_in_the_report() -> None:
    imported = bring(REST, CHARGE, HOLD)
    for index, kind in enumerate(("open_circuit_voltage", "constant_current", "constant_voltage")):
        assert f"method[{index}]: {kind}" in imported.text
        assert any(line.startswith(f"method[{index}] {kind}") for line in imported.kept)


def test_a_cell_file_gives_the_cell_and_tightens_the_voltages() -> None:
    text = "cell: {name: MG-1, nominal_capacity: 3 mAh, composition: {A: 70 %, B: 30 %}}\n"
    cell = Document("cell.yaml", text + "safety: {voltage: 0.1 V to 6 V, current: 4 mA}\n")
    data = {"sample": {"capacity_mAh": 2}, "record": {"time_s": 1}, "method": [CHARGE]}
    data["safety"] = {"max_voltage_V": 5, "min_voltage_V": -0.1}
    imported = import_unicycler(Request(Document("x.json", json.dumps(data)), cell=cell))
    read = program_of(imported)
    assert (read.cell.name, read.cell.nominal_capacity_Ah) == ("MG-1", 0.003)
    assert read.safety == Safety(voltage_V=(0.1, 5.0), current_A=0.004)
    assert any("cell.nominal_capacity: 3 mAh" in line for line in imported.changed)
    assert any(line.startswith("safety.voltage: 0.1 V to 5 V") for line in imported.changed)


LIMITS = {"max_voltage_V": 5, "min_voltage_V": -0.1, "max_current_mA": 6, "min_current_mA": -6, "max_capacity_mAh": 7}


def with_cell(safety: str, **there: float) -> Imported:
    cell = Document("cell.yaml", f"cell: {{name: MG-1, nominal_capacity: 3 mAh, area: 2 cm2}}\nsafety: {safety}\n")
    data = {"record": {"time_s": 1}, "safety": there, "method": [REST]}
    return import_unicycler(Request(Document("x.json", json.dumps(data)), cell=cell))


def test_of_every_limit_given_twice_the_tighter_is_taken_and_reported() -> None:
    imported = with_cell("{current: 10 mA, capacity: 5 mAh, for: 10 s}", **LIMITS, delay_s=2)
    assert program_of(imported).safety == Safety(
        voltage_V=(-0.1, 5.0), current_A=0.006, step_charge_Ah=0.005, for_s=2.0
    )
    assert "safety.current: 6 mA, from 6 mA there and 10 mA of the cell" in imported.changed
    assert "safety.capacity: 5 mAh, from 7 mAh there and 5 mAh of the cell" in imported.changed
    assert "safety.for: 2 s, from 2 s there and 10 s of the cell" in imported.changed


@pytest.mark.parametrize(
    ("safety", "current_A", "charge_Ah"),
    [
        ("{current: 1C, capacity: 3 mAh/cm2}", 0.003, 0.006),
        ("{current: 4 mA/cm2, capacity: 4 mAh/cm2}", 0.006, 0.007),
    ],
)
def test_the_tighter_limit_is_found_by_the_cell_s_size(safety: str, current_A: float, charge_Ah: float) -> None:
    read = program_of(with_cell(safety, **LIMITS)).safety
    assert read.current_A == pytest.approx(current_A)
    assert read.step_charge_Ah == pytest.approx(charge_Ah)


def test_limits_that_hold_at_once_are_not_given_time_by_the_other_file() -> None:
    for imported in (
        with_cell("{current: 10 mA, for: 10 s}", **LIMITS),
        with_cell("{current: 10 mA}", **LIMITS, delay_s=9),
    ):
        assert program_of(imported).safety.for_s == program().safety.for_s
        assert any(line.startswith("safety.for: left out") for line in imported.changed)


def test_the_delay_of_the_only_limits_is_kept() -> None:
    assert program_of(with_cell("{current: 10 mA, for: 10 s}")).safety.for_s == 10.0


def test_limits_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(Refused) as caught:
        with_cell("{current: 1 mA/g}", **LIMITS)
    assert "safety.current: 6 mA there and 1 mA/g of the cell's file cannot be compared" in str(caught.value)
