"""The generic graphite | NMC cell keeps what every simulated load promises, and looks like one."""

import itertools

import pytest

from sim_hardware.bench import make_load
from sim_hardware.circuit import Terminals, VoltageSource
from sim_hardware.nmc import NmcCell, open_circuit_V

CAPACITY_AH = 5e-3


def charged(cell: NmcCell, current_A: float, until_V: float, dt_s: float = 10.0) -> float:
    """Charge passed in Ah until the voltage is seen."""
    passed_s = 0.0
    while (cell.voltage(current_A) - until_V) * current_A < 0.0:
        cell.advance(dt_s, current_A)
        passed_s += dt_s
    return abs(current_A) * passed_s / 3600.0


def test_the_open_circuit_curve_rises_everywhere_from_2_8_to_4_3_volts() -> None:
    assert open_circuit_V(0.0) == pytest.approx(2.8, abs=1e-3)
    assert open_circuit_V(1.0) == pytest.approx(4.3, abs=1e-3)
    curve = [open_circuit_V(n / 1000) for n in range(-300, 1300)]
    assert all(before < after for before, after in itertools.pairwise(curve))


@pytest.mark.parametrize("n", range(0, 101, 20))
def test_the_voltage_rises_with_the_current_at_every_state_of_charge(n: int) -> None:
    cell = NmcCell(CAPACITY_AH)
    cell.advance(3600.0, CAPACITY_AH * n / 100)
    currents = [CAPACITY_AH * share / 10 for share in range(-30, 31)]
    assert all(cell.voltage(one) < cell.voltage(other) for one, other in itertools.pairwise(currents))


def test_slowly_charged_to_4_2_volts_it_holds_the_capacity_it_was_made_for() -> None:
    assert charged(NmcCell(CAPACITY_AH), CAPACITY_AH / 100, 4.2) == pytest.approx(CAPACITY_AH, rel=0.005)


def test_faster_it_holds_less_and_every_coulomb_comes_back() -> None:
    cell = NmcCell(CAPACITY_AH)
    put_in_Ah = charged(cell, 2 * CAPACITY_AH, 4.2, dt_s=1.0)
    assert put_in_Ah < 0.95 * CAPACITY_AH
    assert cell.truth()["charge_C"] == pytest.approx(put_in_Ah * 3600)
    cell.advance(put_in_Ah * 3600 / CAPACITY_AH, -CAPACITY_AH)
    assert cell.truth()["charge_C"] == pytest.approx(0.0, abs=1e-9)


def test_its_voltage_does_not_depend_on_the_length_of_the_steps() -> None:
    often, once = NmcCell(CAPACITY_AH), NmcCell(CAPACITY_AH)
    for _ in range(1000):
        often.advance(0.3, CAPACITY_AH)
    once.advance(300.0, CAPACITY_AH)
    assert often.voltage(CAPACITY_AH) == pytest.approx(once.voltage(CAPACITY_AH), abs=1e-9)


def test_held_at_a_voltage_its_current_falls_towards_zero() -> None:
    terminals = Terminals(NmcCell(CAPACITY_AH))
    terminals.drive(VoltageSource(4.1, CAPACITY_AH))
    seen = []
    for _ in range(12):
        terminals.advance(1800.0)
        seen.append(terminals.operating().current_A)
    assert seen[0] == CAPACITY_AH
    assert all(before >= after for before, after in itertools.pairwise(seen))
    assert 0.0 <= seen[-1] < 0.01 * CAPACITY_AH
    assert terminals.operating().voltage_V == 4.1


def test_what_is_saved_comes_back() -> None:
    cell = NmcCell(CAPACITY_AH)
    cell.advance(100.0, CAPACITY_AH)
    before, state = cell.voltage(1e-3), cell.save()
    cell.advance(1000.0, -CAPACITY_AH)
    cell.restore(state)
    assert cell.voltage(1e-3) == before


def test_the_bench_has_it_under_its_name() -> None:
    load = make_load("nmc")
    assert isinstance(load, NmcCell)
    load.set_temperature(300.0)
    assert load.voltage(0.0) == pytest.approx(2.8, abs=1e-3)
