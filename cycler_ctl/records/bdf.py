"""Rows as the Battery Data Format names and signs them: the one table behind every export and every MQTT message.

Terms are those of the format's ontology 1.3.0. Its sign: positive current charges the test object. The record's sign
is positive = oxidation of the working electrode: the same where discharge lithiates that electrode (every Li half
cell), turned where it delithiates it (a full cell whose working electrode is the anode).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from protocols.model import Verb
from protocols.record import Counters, Mode, Row

Value = float | int | str | None


@dataclass(frozen=True, slots=True)
class BdfColumn:
    """``label`` heads a column of a file, ``machine_name`` is the key in JSON; both name the same term and unit."""

    label: str
    machine_name: str


_COLUMNS = tuple(
    BdfColumn(label, machine_name)
    for label, machine_name in (
        ("Test Time / s", "test_time_second"),
        ("Voltage / V", "voltage_volt"),
        ("Current / A", "current_ampere"),
        ("Unix Time / s", "unix_time_second"),
        ("Cycle Count / 1", "cycle_count"),
        ("Step Count / 1", "step_count"),
        ("Ambient Temperature / degC", "ambient_temperature_celsius"),
        ("Step Type", "step_type"),
        ("Step ID", "step_id"),
        ("Step Time / s", "step_time_second"),
        ("Record Index / 1", "record_index"),
        ("Charging Capacity / Ah", "charging_capacity_ah"),
        ("Discharging Capacity / Ah", "discharging_capacity_ah"),
        ("Charging Energy / Wh", "charging_energy_wh"),
        ("Discharging Energy / Wh", "discharging_energy_wh"),
        ("Cycle Charging Capacity / Ah", "cycle_charging_capacity_ah"),
        ("Cycle Discharging Capacity / Ah", "cycle_discharging_capacity_ah"),
        ("Cycle Charging Energy / Wh", "cycle_charging_energy_wh"),
        ("Cycle Discharging Energy / Wh", "cycle_discharging_energy_wh"),
        ("Step Charging Capacity / Ah", "step_charging_capacity_ah"),
        ("Step Discharging Capacity / Ah", "step_discharging_capacity_ah"),
        ("Step Charging Energy / Wh", "step_charging_energy_wh"),
        ("Step Discharging Energy / Wh", "step_discharging_energy_wh"),
    )
)


class Columns(StrEnum):
    """How many of them a file holds."""

    PLAIN = "plain"
    """Those that readers of the format's first release know, and the four that interfaces promise beside them."""
    ALL = "all"
    """Also the counters of the cycle and of the step, which that release calls non-canonical."""


PLAIN = 15


def bdf_columns(columns: Columns = Columns.ALL) -> tuple[BdfColumn, ...]:
    """In order: the format's required ones, its recommended ones, then the optional ones we know."""
    return _COLUMNS if columns is Columns.ALL else _COLUMNS[:PLAIN]


def bdf_values(row: Row, discharge_means: Verb | None) -> tuple[Value, ...]:
    """The row's values in the order of ``bdf_columns``, in the format's sign; None where nothing was measured."""
    sign = charging_sign(discharge_means)
    turned = sign < 0
    return (
        row.time_s,
        row.voltage_V,
        0.0 - row.current_A if turned else row.current_A,
        row.utc_s,
        row.cycle,
        row.step_count,
        row.temperature_degC,
        _step_type(row, sign),
        row.step_id,
        row.step_time_s,
        row.seq,
        *charging_first(row.run_total, turned=turned),
        *charging_first(row.cycle_total, turned=turned),
        *charging_first(row.step_total, turned=turned),
    )


def charging_sign(discharge_means: Verb | None) -> int:
    """+1 where charging the test object oxidises the working electrode, -1 where it reduces it."""
    return -1 if discharge_means is Verb.DELITHIATE else 1


def charging_first(passed: Counters, *, turned: bool) -> tuple[float, float, float, float]:
    if turned:
        return passed.reduction_Ah, passed.oxidation_Ah, passed.reduction_Wh, passed.oxidation_Wh
    return passed.oxidation_Ah, passed.reduction_Ah, passed.oxidation_Wh, passed.reduction_Wh


def _step_type(row: Row, sign: int) -> str:
    """CC_CHG, CC_DCH, CV_CHG, CV_DCH or REST; a hold that names no direction is told by its current."""
    if row.mode is Mode.REST:
        return "REST"
    charging = sign * (row.direction or row.current_A) >= 0
    return f"{row.mode.upper()}_{'CHG' if charging else 'DCH'}"
