"""A plan against an instrument shows what a start there would refuse, and the range that its driver will take."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cycler_ctl.config import load_config
from cycler_ctl.errors import DeviceFault
from cycler_ctl.instrument import ConstantCurrent, ConstantVoltage, Identity, Ratings, Setpoint
from cycler_ctl.plugins import load_driver
from cycler_ctl.running.start import Spot, instrument_json, instrument_limits
from cycler_ctl.terminal.commands import on_channel
from drivers import (
    keithley_2400_ratings,
    keithley_2400_settings,
    keithley_2450_ratings,
    keithley_2450_settings,
    keithley_2600_ratings,
    keithley_2600_settings,
    keysight_b2900_ratings,
    keysight_b2900_settings,
    palmsens_emstat4_ratings,
    palmsens_emstat4_script,
    rs_ngu_ratings,
    rs_ngu_settings,
)
from protocols.check import check_text
from protocols.model import CurrentStep, Program
from protocols.plan import Plan
from protocols.planning.advice import range_errors, range_of
from protocols.planning.forecast import timed_steps

HEAD = """\
protocol: 1
name: test
cell: {name: c, nominal_capacity: 2 mAh}
record: every 30 s or 5 mV
safety: {voltage: -0.1 V to 4.5 V}
steps:
"""
STATION = """
[station]
name = "lab"
data_dir = "data"
[instruments.smu1]
driver = "%s"
address = "TCPIP0::127.0.0.1::5025::SOCKET"
%s
[channels.a1]
instrument = "smu1"
output = "%s"
sample_every = "%s"
limits = { voltage = "-0.5 V to 5 V", current = "10 mA", step_capacity = "20 mAh" }
"""
FACTORS = (0.1, 0.107, 0.11, 0.5, 0.94, 0.96, 0.999, 1.0, 1.0 + 1e-12, 1.01, 1.03, 1.045, 1.05, 1.055, 1.069, 1.08)


def program_of(current: str) -> Program:
    checked = check_text(f"{HEAD}  - delithiate: {{at: {current}, until: 2 V}}\n", "p.yaml")
    assert checked.program is not None, checked.diagnostics
    return checked.program


def planned(tmp_path: Path, driver: str, current: str = "1 mA", every: str = "1 s", options: str = "") -> Plan:
    station = tmp_path / "station.toml"
    output = "a" if driver == "keithley-2600" else "1"
    station.write_text(STATION % (driver, options, output, every), encoding="utf-8")
    return on_channel(program_of(current), load_config(station), "a1")


def test_how_well_a_voltage_is_known_and_from_where_is_recorded_with_the_run(tmp_path: Path) -> None:
    station = tmp_path / "station.toml"
    station.write_text(STATION % ("keithley-2400", "", "1", "1 s"), encoding="utf-8")
    spec, identity = load_driver("keithley-2400"), Identity("KEITHLEY INSTRUMENTS INC.", "2400", "1000001", "C34")
    assert spec.ratings is not None
    spot = Spot("a1", load_config(station), spec, identity, spec.ratings(spec.options()))
    recorded = json.loads(json.dumps(instrument_json(spot)))
    assert recorded["voltage_from"] == "SPEC-2400 Rev. H p. 1 and 2"
    of_20_V = next(one for one in recorded["voltage_ranges"] if one["range_V"] == 20.0)
    assert (of_20_V["measure_gain"], of_20_V["measure_offset_V"]) == (1.5e-4, 1.5e-3)
    assert (of_20_V["source_gain"], of_20_V["source_offset_V"]) == (2e-4, 2.4e-3)


def told(plan: Plan) -> str:
    return "\n".join(error.message for error in plan.errors)


@pytest.mark.parametrize("current", ["1.045 mA", "1.05 mA", "1.069 mA", "10.5 mA"])
def test_a_current_between_two_ranges_of_a_2450_is_refused_by_the_plan(tmp_path: Path, current: str) -> None:
    assert "its ranges leave a gap up to" in told(planned(tmp_path, "keithley-2450", current))


@pytest.mark.parametrize("current", ["1 mA", "1.039 mA", "1.071 mA"])
def test_beside_the_gap_nothing_is_refused(tmp_path: Path, current: str) -> None:
    assert not planned(tmp_path, "keithley-2450", current).errors


def test_what_an_ngu_cannot_set_is_refused_by_the_plan(tmp_path: Path) -> None:
    assert "below the smallest current" in told(planned(tmp_path, "rs-ngu", "10 uA"))


@pytest.mark.parametrize(("driver", "watchdog"), [("keithley-2600", "dead_man_s"), ("palmsens-emstat4", "lease_s")])
def test_samples_too_rare_for_a_watchdog_are_refused_by_the_plan(tmp_path: Path, driver: str, watchdog: str) -> None:
    options = f"{watchdog} = 8.0"
    assert "is slower than" in told(planned(tmp_path, driver, every="6 s", options=options))
    assert not planned(tmp_path, driver, every="4 s", options=options).errors


def test_samples_faster_than_the_instrument_are_refused_by_the_plan(tmp_path: Path) -> None:
    assert "is faster than the instrument's" in told(planned(tmp_path, "rs-ngu", every="0.2 s"))


@dataclass(frozen=True, slots=True)
class Driver:
    """What it says it can do, and the current range it takes for a setpoint."""

    ratings: Ratings
    range_A: Callable[[Setpoint], float]


def smu_range(drive: object) -> float:
    function = str(getattr(drive, "function"))  # noqa: B009 - four drivers' own classes, alike in this
    return float(getattr(drive, "source_range" if function in {"CURR", "i"} else "measure_range"))


def drivers(regulation: str) -> Mapping[str, Driver]:
    k2400, k2450 = keithley_2400_ratings, keithley_2450_ratings
    k2600, b2900, ngu = keithley_2600_ratings, keysight_b2900_ratings, rs_ngu_ratings
    emstat = palmsens_emstat4_ratings
    return {
        "2400": Driver(
            k2400.ratings("2400", regulation, 1.0),
            lambda to: smu_range(keithley_2400_settings.drive_for(to, regulation, k2400.SPECS["2400"], 3.0)),
        ),
        "2450": Driver(
            k2450.ratings("2450", regulation, 1.0),
            lambda to: smu_range(keithley_2450_settings.drive_for(to, regulation, k2450.SPECS["2450"], 3.0)),
        ),
        "2602B": Driver(
            k2600.ratings("2602B", regulation, 1.0, 15.0, is_lan=True),
            lambda to: smu_range(keithley_2600_settings.drive_for(to, regulation, "2602B", 3.0)),
        ),
        "B2902A": Driver(
            b2900.ratings("B2902A", regulation, 1.0),
            lambda to: smu_range(
                keysight_b2900_settings.drive_for(to, 1, regulation, b2900.usable("B2902A", regulation), 3.0)
            ),
        ),
        "NGU401": Driver(
            ngu.ratings(ngu.MODELS["NGU401"]),
            lambda to: rs_ngu_settings.drive_for(to, ngu.MODELS["NGU401"], None, 3.0).range_A,
        ),
        "EmStat4 HR": Driver(
            emstat.ratings(emstat.MODELS["es4_hr"], 30.0, 0.1),
            lambda to: palmsens_emstat4_script.plan_for(to, regulation, emstat.MODELS["es4_hr"]).range_A,
        ),
    }


def currents_A(ratings: Ratings) -> list[float]:
    return [factor * one.range_A for one in ratings.ranges for factor in FACTORS]


@pytest.mark.parametrize("regulation", ["bounded", "current"])
@pytest.mark.parametrize("name", drivers("bounded"))
def test_a_driver_takes_the_range_that_the_plan_shows_or_both_refuse(name: str, regulation: str) -> None:
    driver = drivers(regulation)[name]
    limits = instrument_limits(name, driver.ratings)
    program = program_of("1 mA")
    step = next(step for step in timed_steps(program.steps) if isinstance(step, CurrentStep))
    for current_A in currents_A(driver.ratings):
        wanted = replace(step, current_A=current_A)
        errors = range_errors(replace(program, steps=(wanted,)), limits)
        taken_A: float | None
        try:
            taken_A = driver.range_A(ConstantCurrent(current_A, (2.5, 4.2)))
        except DeviceFault as fault:
            taken_A, refused = None, str(fault)
        else:
            refused = ""
        assert bool(errors) == bool(refused), f"{current_A} A: the plan {errors}, the driver {refused!r}"
        if taken_A is not None:
            chosen = driver.ratings.range_for(current_A)
            assert chosen is not None
            assert (taken_A, chosen.range_A) == (range_of(wanted, limits),) * 2, current_A


@pytest.mark.parametrize("name", drivers("bounded"))
def test_a_held_voltages_limit_takes_the_range_of_a_current_as_large(name: str) -> None:
    driver = drivers("bounded")[name]
    for current_A in currents_A(driver.ratings):
        chosen = driver.ratings.range_for(current_A)
        try:
            taken_A = driver.range_A(ConstantVoltage(4.0, current_A))
        except DeviceFault:
            continue
        assert chosen is not None
        assert taken_A == chosen.range_A, current_A


@pytest.mark.parametrize("name", drivers("bounded"))
def test_every_instrument_says_how_well_it_knows_a_cells_voltage_and_from_where(name: str) -> None:
    ratings = drivers("bounded")[name].ratings
    accuracy = ratings.voltage_range_for(4.0)
    assert accuracy is not None
    assert 0 < accuracy.measure_offset_V < 10e-3
    assert 0 < accuracy.source_offset_V < 10e-3
    assert "p. " in ratings.voltage_from or "from memory" in ratings.voltage_from
    assert [one.range_V for one in ratings.voltage_ranges] == sorted(one.range_V for one in ratings.voltage_ranges)
