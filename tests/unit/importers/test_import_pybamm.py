"""Every row of the table for PyBaMM; tests/interop compares with what PyBaMM itself reads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from protocols.check import check_text
from protocols.importers.pybamm import import_pybamm
from protocols.importers.report import Imported, Refused, Request
from protocols.model import (
    CccvStep,
    CurrentStep,
    HoldStep,
    NoteStep,
    OnStartMet,
    Op,
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
from protocols.reading.documents import Document

CELL = Document("cell.yaml", "cell: {name: A, nominal_capacity: 2 Ah}\n")


def bring(text: str, *, name: str = "exp.py", skip: bool = False) -> Imported:
    return import_pybamm(Request(Document(name, text), cell=CELL, skip_unsupported=skip))


def program_of(imported: Imported) -> Program:
    checked = check_text(imported.text, "exp.yaml")
    assert checked.program is not None, [(each.line, each.message) for each in checked.diagnostics]
    return checked.program


def steps(text: str, **options: Any) -> tuple[Step, ...]:
    return program_of(bring(text, **options)).steps


def repeat(step: Step) -> RepeatStep:
    assert isinstance(step, RepeatStep)
    return step


def one(text: str) -> Step:
    """The step of a list of one step."""
    (only,) = repeat(steps(f"[{text!r}]")[0]).steps
    return only


def ends(step: CurrentStep | HoldStep | RestStep) -> list[tuple[Watched, Op, float]]:
    return [(clause.watched, clause.op, clause.value) for each in step.until for clause in each.clauses]


def problems(text: str, **options: Any) -> list[str]:
    with pytest.raises(Refused) as caught:
        bring(text, **options)
    return [problem.told("exp.py") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "word", "current_A", "expected"),
    [
        ("Discharge at 1 A for 1 hour", "discharge", -1.0, [(Watched.TIME, 3600.0)]),
        ("Charge at 200 mA for 45 minutes", "charge", 0.2, [(Watched.TIME, 2700.0)]),
        ("Charge at 0.5 C for 30m or until 4.1V", "charge", 1.0, [(Watched.VOLTAGE, 4.1), (Watched.TIME, 1800.0)]),
        ("Discharge at C/20 until 2500 mV", "discharge", -0.1, [(Watched.VOLTAGE, 2.5), (Watched.TIME, 144000.0)]),
        ("Charge at .5C for 90 sec", "charge", 1.0, [(Watched.TIME, 90.0)]),
        ("Charge at 1e-3 A until 4 V", "charge", 0.001, [(Watched.VOLTAGE, 4.0), (Watched.TIME, 86400.0)]),
    ],
)
def test_a_current_keeps_its_word_its_size_and_its_ends(
    text: str, word: str, current_A: float, expected: list[tuple[Watched, float]]
) -> None:
    step = one(text)
    assert isinstance(step, CurrentStep)
    assert step.word == word
    assert step.current_A == pytest.approx(current_A)
    assert [(watched, value) for watched, _, value in ends(step)] == expected


def test_bare_volts_go_the_way_of_the_word() -> None:
    charge, discharge = one("Charge at 1 A until 4 V"), one("Discharge at 1 A until 3 V")
    assert isinstance(charge, CurrentStep)
    assert isinstance(discharge, CurrentStep)
    assert (ends(charge)[0][1], ends(discharge)[0][1]) == (Op.AT_LEAST, Op.AT_MOST)


def test_a_default_duration_is_written_out_and_reported() -> None:
    imported = bring("['Charge at C/10 until 4 V', 'Discharge at 1 A until 3 V']")
    assert "for: 20 h" in imported.text
    assert "for: 24 h" in imported.text
    assert sum("no longest time is given" in line for line in imported.changed) == 2


@pytest.mark.parametrize(("end", "taper_A"), [("C/50", 0.04), ("50mA", 0.05), ("50 mA", 0.05), ("0.02C", 0.04)])
def test_a_hold_ends_by_its_falling_current(end: str, taper_A: float) -> None:
    step = one(f"Hold at 4.1 V for 1 hour or until {end}")
    assert isinstance(step, HoldStep)
    assert step.voltage_V == 4.1
    assert ends(step) == [(Watched.CURRENT, Op.AT_MOST, pytest.approx(taper_A)), (Watched.TIME, Op.AT_LEAST, 3600.0)]


def test_a_hold_after_a_charge_to_the_same_voltage_belongs_to_it() -> None:
    body = repeat(steps("[('Charge at 1 A until 4.1 V', 'Hold at 4.1 V until C/50', 'Rest for 1 hour')]")[0]).steps
    assert [type(step) for step in body] == [CccvStep, RestStep]


def test_a_hold_is_a_step_of_its_own_in_another_cycle_or_with_another_period() -> None:
    apart = steps("['Charge at 1 A until 4.1 V', 'Hold at 4.1 V until C/50']")
    assert [type(repeat(cycle).steps[0]) for cycle in apart] == [CurrentStep, HoldStep]
    text = "[('Charge at 1 A until 4.1 V', 'Hold at 4.1 V until C/50 (2 minute period)')]"
    assert [type(step) for step in repeat(steps(text)[0]).steps] == [CurrentStep, HoldStep]


def test_a_rising_current_on_a_hold_is_explicit_and_its_sign_is_pointed_out() -> None:
    imported = bring("['Hold at 4.1 V until > 5A']")
    step = repeat(program_of(imported).steps[0]).steps[0]
    assert isinstance(step, HoldStep)
    assert ends(step)[0] == (Watched.CURRENT, Op.AT_LEAST, 5.0)
    assert any("magnitude here" in line for line in imported.changed)


def test_an_operator_is_kept() -> None:
    rest, charge = one("Rest for 1 hour or until < 2.5 V"), one("Charge at 1 A until > 4 V")
    assert isinstance(rest, RestStep)
    assert isinstance(charge, CurrentStep)
    assert ends(rest) == [(Watched.VOLTAGE, Op.AT_MOST, 2.5), (Watched.TIME, Op.AT_LEAST, 3600.0)]
    assert ends(charge)[0] == (Watched.VOLTAGE, Op.AT_LEAST, 4.0)


def test_periods_are_records() -> None:
    text = "pybamm.Experiment([('Rest for 1 h', 'Rest for 2 h (2 minute period)')], period='30 seconds')"
    first, second = repeat(steps(text)[0]).steps
    assert isinstance(first, RestStep)
    assert isinstance(second, RestStep)
    assert (first.record, second.record) == (Record(time_s=30.0), Record(time_s=120.0))


CYCLE = "('Discharge at 1 A until 3 V', 'Charge at 1 A until 4 V')"


@pytest.mark.parametrize(
    "text",
    [
        f"[{CYCLE}] * 3",
        f"3 * [{CYCLE}]",
        f"[{CYCLE}, {CYCLE}, {CYCLE}]",
        f"[{CYCLE}] + [{CYCLE}] * 2",
        f"import pybamm\n# as published\ncycle = {CYCLE}\nexperiment = pybamm.Experiment([cycle] * 3)\n",
        f"experiment = pybamm.Experiment(\n    [\n        {CYCLE},\n    ]\n    * 3,\n)",
    ],
)
def test_a_tuple_is_a_cycle_and_equal_ones_are_a_repeat(text: str) -> None:
    (cycles,) = steps(text)
    assert (repeat(cycles).times, repeat(cycles).counts, len(repeat(cycles).steps)) == (3, True, 2)


def test_a_step_outside_a_tuple_is_a_cycle_of_its_own() -> None:
    found = steps("['Rest for 1 h', 'Discharge at 1 A for 1 h']")
    assert [(repeat(each).times, repeat(each).counts) for each in found] == [(1, True), (1, True)]


def test_a_list_of_two_cycles_again_and_again_counts_both() -> None:
    (outer,) = steps(f"['Rest for 1 h', {CYCLE}] * 7")
    assert (repeat(outer).times, repeat(outer).counts) == (7, False)
    assert [repeat(each).counts for each in repeat(outer).steps] == [True, True]


def test_a_tuple_times_a_number_stays_one_cycle() -> None:
    (cycle,) = steps("[('Discharge at 1 A for 1 h', 'Rest for 1 h') * 4]")
    assert (repeat(cycle).times, repeat(cycle).counts) == (1, True)
    assert (repeat(repeat(cycle).steps[0]).times, repeat(repeat(cycle).steps[0]).counts) == (4, False)


def test_cycles_written_out_become_repeats_again() -> None:
    cycle = ["Discharge at 1 A until 3 V", "Charge at 1 A until 4 V"]
    (outer,) = steps(json.dumps([["Rest for 1 h"], cycle, cycle] * 5), name="exp.json")
    assert repeat(outer).times == 5
    assert [repeat(each).times for each in repeat(outer).steps] == [1, 2]


@pytest.mark.parametrize(
    ("said", "value", "of_cycle"),
    [("80% capacity", 0.8, 1), ("80 % capacity", 0.8, 1), ("4 Ah capacity", 4.0, None), ("4Ah capacity", 4.0, None)],
)
def test_a_capacity_that_ends_the_experiment_is_a_stop_when(said: str, value: float, of_cycle: int | None) -> None:
    imported = bring(f"Experiment([{CYCLE}] * 3, termination={said!r})")
    stop = repeat(program_of(imported).steps[0]).stop_when
    assert isinstance(stop, StopWhen)
    assert (stop.watched, stop.verb, stop.op) == (Retention.CAPACITY, Verb.LITHIATE, Op.AT_MOST)
    assert stop.value == pytest.approx(value)
    assert stop.of_cycle == of_cycle
    assert any("its model's capacity" in line for line in imported.changed)


def test_a_capacity_is_refused_where_a_cycle_has_no_discharge() -> None:
    """Its capacity would be zero and stop the run after it."""
    text = f"Experiment(['Rest for 1 h', {CYCLE}], termination='80% capacity')"
    (message,) = problems(text)
    assert "has no discharge" in message
    assert isinstance(steps(text, skip=True)[0], NoteStep)


def test_a_voltage_that_ends_the_experiment_is_an_abort_if_of_every_step() -> None:
    imported = bring(f"Experiment([{CYCLE}, 'Rest for 1 h'], termination=['2.5 V'])")
    cycle, rest = program_of(imported).steps
    for step in (*repeat(cycle).steps, *repeat(rest).steps):
        assert isinstance(step, CurrentStep | RestStep)
        assert [each.text for each in step.abort_if] == ["voltage <= 2.5 V"]
    assert any("abort_if of every step" in line for line in imported.changed)


def test_a_time_that_ends_the_experiment_is_reported_and_noted_in_the_file() -> None:
    imported = bring(f"Experiment([{CYCLE}], termination='10 hours')")
    assert any("10 hours" in line for line in imported.lost)
    assert isinstance(program_of(imported).steps[0], NoteStep)


@pytest.mark.parametrize("said", ["'25oC'", "298.15", "'298.15 K'"])
def test_a_temperature_is_the_cells(said: str) -> None:
    assert program_of(bring(f"Experiment(['Rest for 1 h'], temperature={said})")).cell.temperature_degC == 25.0


def test_that_a_temperature_is_only_written_down_is_said() -> None:
    (said,) = [
        line for line in bring("Experiment(['Rest for 1 h'], temperature='25oC')").changed if "temperature" in line
    ]
    assert said == "temperature: 25 °C is written down for the cell; nothing here sets an oven"
    hot = "pybamm.step.string('Rest for 1 h', temperature='40oC')"
    assert any("40 °C of some steps" in line for line in bring(f"Experiment([{hot}, 'Rest for 1 h'])").changed)


def test_different_temperatures_are_refused() -> None:
    hot = "pybamm.step.string('Rest for 1 h', temperature='40oC')"
    (message,) = problems(f"Experiment([{hot}, 'Rest for 1 h'], temperature='25oC')")
    assert "different temperatures" in message


def test_calls_of_steps_are_read_with_their_arguments() -> None:
    text = """[(
        pybamm.step.current(1, duration="1 hour", termination="2.5 V", tags="slow", skip_ok=False),
        pybamm.step.c_rate(-0.5, duration=1800, period="1 minute"),
        pybamm.step.voltage(4.1, termination=["50 mA", "C/50"], duration="1 h"),
        pybamm.step.rest(600),
    )]"""
    discharge, charge, hold, rest = repeat(steps(text)[0]).steps
    assert isinstance(discharge, CurrentStep)
    assert (discharge.word, discharge.current_A, discharge.note) == ("discharge", -1.0, "tags: slow")
    assert discharge.on_start_met is OnStartMet.ABORT
    assert isinstance(charge, CurrentStep)
    assert (charge.word, charge.current_A, charge.record.time_s) == ("charge", 1.0, 60.0)
    assert isinstance(hold, HoldStep)
    assert [value for _, _, value in ends(hold)] == [0.05, 0.04, 3600.0]
    assert isinstance(rest, RestStep)


def test_the_object_of_to_config_is_read() -> None:
    discharge = {
        "type": "c-rate",
        "value": 0.1,
        "duration": "10 hours",
        "terminations": [{"type": "voltage", "value": 3.3}],
    }
    hold = {"type": "voltage", "value": 4.1, "terminations": [{"type": "current", "value": 5.0, "operator": ">"}]}
    config = {"cycles": [[discharge, {"type": "rest", "duration": "1 hour"}], [hold]], "period": 10.0}
    first, second = steps(json.dumps(config), name="exp.json")
    step = repeat(first).steps[0]
    assert isinstance(step, CurrentStep)
    assert (step.current_A, step.record) == (-0.2, Record(time_s=10.0))
    held = repeat(second).steps[0]
    assert isinstance(held, HoldStep)
    assert ends(held)[0] == (Watched.CURRENT, Op.AT_LEAST, 5.0)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("'Discharge at 1 W for 1 h'", "a constant power (1 W)"),
        ("'Discharge at 4 Ohm for 1 h'", "a constant resistance"),
        ("'Run US06 (A)'", "drive cycles"),
        ("'Charge at -1 A for 1 h'", "write the other word"),
        ("'Charge at 4 V for 1 h'", "Hold at 4 V"),
        ("'Hold at 1 A for 1 h'", "Discharge at 1 A"),
        ("'Rest for 1 h or until 3 V'", "PyBaMM itself ignores"),
        ("'Hold at 4 V until 3 V'", "cannot end a hold"),
        ("'Hold at 4 V until > C/2'", "PyBaMM itself ignores the >"),
        ("'Charge at 1 A until 50 mA'", "cannot end a charge"),
        ("'charge at 1 A for 1 h'", "is not 'Charge at"),
        ("'Charge at 1 A for 1 day'", "not a time"),
        ("'Charge at 1 A for 0 s'", "not above zero"),
        ("'Charge at 1,5 A for 1 h'", "is not a quantity"),
        ("'Charge at 1 A'", "neither 'for' nor 'until'"),
        ("pybamm.step.power(1, duration=5)", "type 'power'"),
        ("pybamm.step.CustomStepExplicit(f)", "'f' is not given a value"),
        ("pybamm.step.current(np.array([[0, 1]]), duration=5)", "a drive cycle"),
        ("pybamm.step.string('Rest for 1 h', start_time='x')", "start_time"),
        ("pybamm.step.current(1, termination=pybamm.step.CustomTermination('x'))", "type 'CustomTermination'"),
        ("['Rest for 1 h']", "takes a cycle as a tuple"),
        ("()", "a cycle without a step"),
        ("5", "a step is a text"),
        ("f'Rest for 1 h'", "'f' is not given a value above"),
    ],
)
def test_what_cannot_be_read_is_said_with_line_and_column(step: str, words: str) -> None:
    (message,) = problems(f"[\n  {step},\n]")
    assert message.startswith("exp.py:2:"), message
    assert words in message


def test_the_unsupported_leaves_a_note_where_that_is_wanted() -> None:
    imported = bring("['Discharge at 1 W for 1 h', 'Rest for 1 h']", skip=True)
    note, cycle = program_of(imported).steps
    assert isinstance(note, NoteStep)
    assert "a constant power" in note.text
    assert isinstance(repeat(cycle).steps[0], RestStep)
    assert any("a constant power" in line for line in imported.lost)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Experiment(['Rest for 1 h'], cccv_handling='x')", "x.py"),
        ('{"steps": ["Rest for 1 h"], "solver": 1}', "x.json"),
    ],
)
def test_a_setting_without_equivalent_is_refused_or_reported(text: str, name: str) -> None:
    (message,) = problems(text, name=name)
    assert "no equivalent" in message or "not known" in message
    assert bring(text, name=name, skip=True).lost


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no experiment"),
        ("import os\n", "no experiment"),
        ("[]", "no step"),
        ("['Rest for 1 h'] * 0", "above zero"),
        ("['Rest for 1 h'] * -1", "above zero"),
        ("['Rest for 1 h'] * 100001", "more than 100000"),
        ("['Rest for 1 h'] * 1.5", "whole number"),
        ("['Rest for 1 h'] * 10**9", "not expected"),
        ("experiment", "not given a value"),
        ("Experiment(['Rest for 1 h'], drive_cycles={})", "cannot stand"),
        ("Experiment(['Rest for 1 h'])\nExperiment(['Rest for 2 h'])", "a second experiment"),
    ],
)
def test_a_file_that_is_no_experiment_is_refused(text: str, words: str) -> None:
    assert any(words in message for message in problems(text))
