"""What people write by habit: each is refused with what to write here instead."""

import pytest

from protocols.check import check_text
from protocols.diagnostics import Severity

HEAD = """\
protocol: 1
name: test
cell: {name: c, nominal_capacity: 2 mAh, area: 1 cm2, active_mass: 2 mg, discharge_means: lithiate}
record: every 30 s or 5 mV
variables: {j: C/10}
safety: {voltage: -0.1 V to 5 V}
steps:
"""


def help_for(step: str) -> str | None:
    """Of the only error in the step."""
    checked = check_text(f"{HEAD}  - {step}\n", "p.yaml")
    (error,) = (each for each in checked.diagnostics if each.severity is Severity.ERROR)
    return error.help


@pytest.mark.parametrize(
    ("at", "written"),
    [
        ("0.1 A g⁻¹", "'A/g'"),
        ("0.5 mA·cm⁻²", "'mA/cm2'"),
        ("0.5 mA cm^-2", "'mA/cm2'"),
        ("0.5 µA cm⁻²", "'µA/cm2'"),
        ("C / 10", "'C/10'"),
        ("c/10", "'C/10'"),
        ("C10", "'C/10'"),
        ("1/10 C", "'C/10'"),
        ("0.1 C-rate", "'0.1C'"),
        ("j", "'$j'"),
    ],
)
def test_a_current_as_in_a_paper_is_answered_with_the_unit_here(at: str, written: str) -> None:
    assert written in (help_for(f'lithiate: {{at: "{at}", until: 0.2 V}}') or "")


@pytest.mark.parametrize(
    ("until", "written"),
    [
        ("0.2 V OR 10 h", "put 'or' between them"),
        ("0.2 V, 10 h", "put 'or' between them"),
        ("0.2 V | 10 h", "put 'or' between them"),
        ("0.2 V oder 10 h", "put 'or' between them"),
        ("0.2 V or10 h", "put 'or' between them"),
        ("0.2 V vs. Li/Li+", "leave out 'vs ...'"),
        ("- 0.05 V", "write '-0.05 V'"),
        ("Ewe <= 0.2 V", "'voltage'"),
        ("voltage 0.2 V", "'voltage >= 0.5 V', or the amount alone"),
        ("0.2 V >= voltage", "begin with what is watched"),
        ("previous lithiate", "'100 % of previous lithiate'"),
        ("1.2 * previous lithiate", "'120 % of previous lithiate'"),
        ("10 % SOC", "'10 % of nominal'"),
        ("500 Wh/kg", "write Wh or mWh"),
        ("1:30 h", "'90 s' or '1.5 h'"),
        ("1 week", "'7 d'"),
    ],
)
def test_an_end_as_elsewhere_is_answered_with_how_it_is_said_here(until: str, written: str) -> None:
    assert written in (help_for(f'lithiate: {{at: C/10, until: "{until}"}}') or "")


@pytest.mark.parametrize(
    ("step", "meant"),
    [
        ("lithiate: {current: C/10, until: 0.2 V}", "at"),
        ("charge: {at: C/10, to: 4.2 V}", "until"),
        ("charge: {at: C/10, duration: 1 h}", "for"),
        ("charge: {at: C/10, until: 4.2 V, hold_until: C/20}", "then_hold_until"),
        ("hold: {voltage: 4.2 V, for: 1 h}", "at"),
        ("hold: {at: 4.2 V, for: 1 h, current: C/2}", "current_limit"),
        ("rest: {time: 1 h}", "for"),
        ("lithiate: {at: C/10, until: 0.2 V, name: first}", "label"),
        ("repeat: {n: 3, steps: [rest: 1 h]}", "times"),
        ("GITT: {lithiate: {at: C/20, for: 30 min}, rest: 2 h, until: 0.2 V}", "gitt"),
        ("strip: {at: C/10, for: 1 h}", "delithiate"),
        ("reduce: {at: C/10, for: 1 h}", "lithiate"),
    ],
)
def test_a_word_of_another_program_is_one_error_that_names_the_word_here(step: str, meant: str) -> None:
    assert help_for(step) == f"did you mean '{meant}'?"


def test_an_efficiency_as_a_fraction_is_answered_in_per_cent() -> None:
    """'0.95 %' would have been accepted, and never met."""
    steps = "steps: [charge: {at: C/2, until: 4.2 V}, discharge: {at: C/2, until: 2.8 V}]"
    assert help_for(f"repeat: {{times: 9, stop_when: coulombic efficiency <= 0.95, {steps}}}") == "write '95 %'"


@pytest.mark.parametrize(
    ("step", "written"), [("hold: 4.2 V", "'hold: {at: "), ("charge: C/10 until 4.2 V", "'charge: {at: ")]
)
def test_a_step_in_one_line_is_answered_with_its_settings(step: str, written: str) -> None:
    assert written in (help_for(step) or "")


def test_help_costs_nothing_however_long_the_mistake() -> None:
    assert help_for(f'rest: "1 {"V or " * 5000}2 h"') is not None


def test_a_taper_is_no_share() -> None:
    assert help_for("charge: {at: C/2, until: 4.2 V, then_hold_until: 10 %}") == "write a current, for example 'C/20'"


def test_a_file_to_include_that_is_checked_by_itself_is_told_so_once() -> None:
    (only,) = check_text("cell: {name: c}\nsafety: {voltage: 0 V to 2 V}\n", "lab/cell_17.yaml").diagnostics
    assert (only.code, only.message) == ("shape", "this is no protocol, but a file for one to include")
    assert only.help == "check the protocol that says 'include: cell_17.yaml', or begin with 'protocol: 1'"
