"""The shipped protocols do on simulated cells what they are for; each file is run as it is, sampled coarsely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from cycler_ctl.predict import model_of, predict
from cycler_ctl.terminal.predicted import Predicted, Prediction
from protocols.check import load_protocol
from protocols.model import ConstantVoltage, Program
from protocols.record import Outcome
from protocols.shipped import FOLDER, library
from sim_hardware.loads import Load


def program_of(name: str, every_s: float, overrides: Mapping[str, str] | None = None) -> Program:
    program = load_protocol(library()[name], overrides=overrides).program
    assert program is not None
    return replace(program, settings=replace(program.settings, sample_every_s=every_s))


def run(name: str, folder: Path, *, cell: str = "a", every_s: float = 30.0, **overrides: str) -> Prediction:
    program = program_of(name, every_s, overrides)
    found = predict(program, model_of(cell, program.cell), folder)
    assert (found.outcome, found.warnings) == (Outcome.FINISHED, ())
    return found


def steps_at(found: Prediction, path: str) -> list[Predicted]:
    return [each for each in found.steps if each.path == path]


def reasons(steps: list[Predicted]) -> set[str]:
    return {each.step.end_reason for each in steps}


@pytest.mark.parametrize("name", library())
def test_every_shipped_protocol_passes_without_a_warning(name: str) -> None:
    checked = load_protocol(library()[name])
    assert checked.diagnostics == ()
    assert checked.program is not None


def test_the_library_holds_protocols_and_not_the_cells_they_include() -> None:
    assert set(library()) == {
        *(f"fig_s3_{letter}" for letter in "abcde"),
        *("formation", "cccv", "rate_capability", "gitt", "dqdv_slow", "cycle_life", "self_discharge"),
    }
    assert (FOLDER / "cell_mgh2.yaml").is_file()


def test_formation_waits_for_heat_and_rest_then_cycles_twice_and_slowly(tmp_path: Path) -> None:
    found = run("formation", tmp_path)
    heating, settling = steps_at(found, "2")[0], steps_at(found, "3")[0]
    assert heating.step.end_reason == "temperature >= 118 °C for 10 min"
    assert heating.duration_s == pytest.approx(600, abs=30)
    assert settling.step.end_reason == "dV/dt <= 1 mV/h"
    first, second = found.cycles
    assert steps_at(found, "4.1")[0].duration_s > 40 * 3600  # at C/40
    assert first.efficiency is not None
    assert second.efficiency is not None
    assert first.efficiency < 0.95  # what formation is for
    assert 0.99 < second.efficiency < 1.01


def test_cccv_holds_the_cutoff_until_the_current_has_tapered_below_c_over_20(tmp_path: Path) -> None:
    found = run("cccv", tmp_path, cell="nmc", every_s=120.0)
    assert len(found.cycles) == 100
    charges, holds, discharges = (steps_at(found, path) for path in ("1.1.cc", "1.1.cv", "1.3"))
    assert reasons(charges) == {"voltage >= 4.2 V"}
    assert reasons(holds) == {"current <= C/20"}
    assert reasons(discharges) == {"voltage <= 2.8 V"}
    for charge, hold, discharge in zip(charges, holds, discharges, strict=True):
        assert isinstance(hold.setpoint, ConstantVoltage)
        assert hold.setpoint.voltage_V == 4.2
        assert hold.setpoint.current_limit_A == pytest.approx(3.2e-3 * 1.54 / 2)
        assert 0 < hold.step.charge_Ah < 0.1 * charge.step.charge_Ah
        assert charge.step.charge_Ah + hold.step.charge_Ah == pytest.approx(discharge.step.charge_Ah, rel=0.02)
    mean_A = holds[0].step.charge_Ah / holds[0].duration_s * 3600
    assert 3.2e-3 * 1.54 / 20 < mean_A < 3.2e-3 * 1.54 / 2


def test_rate_capability_gives_less_at_each_higher_rate_and_all_of_it_at_the_first_again(tmp_path: Path) -> None:
    found = run("rate_capability", tmp_path, every_s=240.0, slow="0.1 mA/cm2")
    assert len(found.cycles) == 25
    settled = [found.cycles[number].lithiation_mAh for number in (4, 9, 14, 19, 24)]  # the last cycle of each rate
    assert all(slower > faster for slower, faster in pairwise(settled[:4]))
    assert settled[3] < 0.8 * settled[0]
    assert settled[4] == pytest.approx(settled[0], rel=0.02)


def test_gitt_has_a_rest_after_every_pulse_and_ends_each_train_under_load(tmp_path: Path) -> None:
    found = run("gitt", tmp_path, every_s=15.0)
    for train, end in (("2", "voltage <= 0.2 V"), ("3", "voltage >= 1.2 V")):
        pulses, rests = steps_at(found, f"{train}.p"), steps_at(found, f"{train}.r")
        assert len(pulses) == len(rests) > 30
        assert reasons(pulses[:-1]) == {"time >= 30 min"}
        assert pulses[-1].step.end_reason == end
        assert reasons(rests) <= {"dV/dt <= 1 mV/h", "time >= 4 h"}
        assert {each.step.charge_Ah for each in rests} == {0.0}
        for pulse, rest in zip(pulses, rests, strict=True):
            assert rest.step.started_s >= pulse.step.ended_s
            assert rest.duration_s > 600  # a real relaxation, not a rest skipped
    assert found.cycles == ()  # a train is no cycle


def test_the_slow_cycle_gives_many_points_along_voltage_and_charge(tmp_path: Path) -> None:
    found = run("dqdv_slow", tmp_path)
    down, up = steps_at(found, "2")[0], steps_at(found, "4")[0]
    assert (down.step.end_reason, up.step.end_reason) == ("voltage <= 0.2 V", "voltage >= 1.2 V")
    assert up.step.charge_Ah > 0.85 * down.step.charge_Ah
    assert found.rows > 3000  # 2000 at 1 mAh/g a way, and more where the voltage moves


def test_cycle_life_ends_at_the_second_cycle_in_a_row_below_80_per_cent_of_cycle_4(tmp_path: Path) -> None:
    found = run("cycle_life", tmp_path)
    kept = [cycle.delithiation_mAh / found.cycles[3].delithiation_mAh for cycle in found.cycles[3:]]
    assert 20 < len(found.cycles) < 1023  # it faded; not the whole of three, and twenty times fifty-one
    assert [share <= 0.8 for share in kept[-3:]] == [False, True, True]
    assert all(share > 0.8 for share in kept[:-3])


class Leaky:
    """A cell with a steady parasitic current that delithiates its working electrode."""

    def __init__(self, inner: Load, leak_A: float) -> None:
        self._inner = inner
        self._leak_A = leak_A
        self.set_temperature, self.save = inner.set_temperature, inner.save
        self.restore, self.truth = inner.restore, inner.truth

    def advance(self, dt_s: float, current_A: float) -> None:
        self._inner.advance(dt_s, current_A + self._leak_A)

    def voltage(self, current_A: float) -> float:
        return self._inner.voltage(current_A + self._leak_A)

    def current_for(self, voltage_V: float, limit_A: float) -> float:
        return self._inner.current_for(voltage_V, limit_A) - self._leak_A


def lost_mAh_per_g(found: Prediction) -> float:
    """As the protocol's description says: cycle 3 against the mean of 2 and 4."""
    shares = [cycle.delithiation_mAh / cycle.lithiation_mAh for cycle in found.cycles]
    return ((shares[1] + shares[3]) / 2 - shares[2]) * found.cycles[2].lithiation_mAh


@pytest.mark.parametrize("leak_A", [0.0, 2e-6])
def test_the_self_discharge_check_measures_what_leaked_away_in_storage_and_nothing_else(
    leak_A: float, tmp_path: Path
) -> None:
    program = program_of("self_discharge", 30.0)
    model = model_of("a", program.cell)
    found = predict(program, replace(model, load=Leaky(model.load, leak_A)), tmp_path)
    assert (found.outcome, len(found.cycles)) == (Outcome.FINISHED, 4)
    assert [round(each.duration_s / 60) for each in steps_at(found, "2.2")] == [10, 10, 72 * 60, 10]
    leaked_mAh_per_g = leak_A * 72 * 1000 / 1.4e-3  # in 72 h, from 1.4 mg of MgH2
    assert lost_mAh_per_g(found) == pytest.approx(leaked_mAh_per_g, rel=0.1, abs=5.0)
