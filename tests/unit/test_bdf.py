"""The Battery Data Format's names and sign; facts from its ontology 1.3.0 and specification."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cycler_ctl.records.bdf import Value, bdf_columns, bdf_values
from protocols.model import Verb
from protocols.record import Counters, Mark, Mode, Row

LITHIATING = Row(
    7, 35.0, 1.7e9, 0.4, -3e-4, 120.5, 2, 5, "2.1", Mode.CURRENT, -1, 12.0, Mark.START,
    Counters(0.1, 0.2, 0.01, 0.02), Counters(0.3, 0.4, 0.03, 0.04), Counters(0.0, 0.5, 0.0, 0.05),
)  # fmt: skip


def named(row: Row, means: Verb | None) -> dict[str, Value]:
    names = [column.machine_name for column in bdf_columns()]
    return dict(zip(names, bdf_values(row, means), strict=True))


def test_names_are_unique_and_begin_with_the_required_ones() -> None:
    columns = bdf_columns()
    assert [column.label for column in columns[:3]] == ["Test Time / s", "Voltage / V", "Current / A"]
    assert len({column.label for column in columns}) == len({column.machine_name for column in columns}) == len(columns)


def test_every_column_is_a_term_of_the_format_s_ontology_under_its_preferred_label() -> None:
    """data/bdf-terms-1.3.0.csv: all terms of that ontology that are not deprecated."""
    text = Path(__file__).with_name("data").joinpath("bdf-terms-1.3.0.csv").read_text(encoding="utf-8")
    terms = dict(line.split(",") for line in text.splitlines()[1:])
    assert {column.machine_name: column.label for column in bdf_columns()}.items() <= terms.items()


@pytest.mark.parametrize("means", [Verb.LITHIATE, None])
def test_where_discharge_lithiates_the_sign_is_the_records(means: Verb | None) -> None:
    found = named(LITHIATING, means)
    assert (found["current_ampere"], found["step_type"]) == (-3e-4, "CC_DCH")
    assert (found["charging_capacity_ah"], found["discharging_capacity_ah"]) == (0.1, 0.2)
    assert (found["cycle_charging_energy_wh"], found["cycle_discharging_energy_wh"]) == (0.03, 0.04)
    assert (found["step_charging_capacity_ah"], found["step_discharging_capacity_ah"]) == (0.0, 0.5)


def test_where_discharge_delithiates_the_sign_is_turned() -> None:
    found = named(LITHIATING, Verb.DELITHIATE)
    assert (found["current_ampere"], found["step_type"]) == (3e-4, "CC_CHG")
    assert (found["charging_capacity_ah"], found["discharging_capacity_ah"]) == (0.2, 0.1)
    assert (found["step_charging_energy_wh"], found["step_discharging_energy_wh"]) == (0.05, 0.0)


def test_no_current_turned_is_not_minus_zero() -> None:
    assert str(named(replace(LITHIATING, current_A=0.0), Verb.DELITHIATE)["current_ampere"]) == "0.0"


@pytest.mark.parametrize(
    ("mode", "direction", "current_A", "expected"),
    [
        (Mode.REST, 0, -1e-9, "REST"),
        (Mode.CURRENT, 1, 1e-4, "CC_CHG"),
        (Mode.CURRENT, -1, 1e-9, "CC_DCH"),
        (Mode.VOLTAGE, 1, 1e-4, "CV_CHG"),
        (Mode.VOLTAGE, -1, -1e-4, "CV_DCH"),
        (Mode.VOLTAGE, 0, -1e-4, "CV_DCH"),
        (Mode.VOLTAGE, 0, 1e-4, "CV_CHG"),
    ],
)
def test_the_step_type_says_mode_and_direction(mode: Mode, direction: int, current_A: float, expected: str) -> None:
    row = replace(LITHIATING, mode=mode, direction=direction, current_A=current_A)
    assert named(row, Verb.LITHIATE)["step_type"] == expected


def test_what_was_not_measured_is_none() -> None:
    assert named(replace(LITHIATING, temperature_degC=None), None)["ambient_temperature_celsius"] is None
