"""The nine properties of the cell model, its published table, and the trivial loads."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest

from sim_hardware.cell import CELLS, MgH2Cell, make_cell
from sim_hardware.loads import Battery, bracketed_current, open_lead, resistor, short

J_A_PER_CM2 = {"a": 0.5e-3, "b": 0.5e-3, "c": 0.5e-3, "d": 0.05e-3, "e": 0.5e-3}


def current_of(name: str) -> float:
    return J_A_PER_CM2[name] * CELLS[name].area_cm2


def half_cycle(cell: MgH2Cell, current_A: float, until_V: float, dt_s: float = 10.0) -> list[tuple[float, float]]:
    """(charge in C, voltage) at each step until the voltage is passed."""
    curve: list[tuple[float, float]] = []
    charge_C = 0.0
    while not curve or (curve[-1][1] - until_V) * current_A < 0.0:
        cell.advance(dt_s, current_A)
        charge_C += abs(current_A) * dt_s
        curve.append((charge_C, cell.voltage(current_A)))
        assert len(curve) < 200_000, "never got there"
    return curve


def mAh_per_g(cell: MgH2Cell, charge_C: float) -> float:
    return charge_C / 3.6 / (cell.parameters.composite_g * cell.parameters.mgh2_share)


@pytest.fixture(scope="module")
def first_cycles() -> dict[str, tuple[float, float, float]]:
    """First lithiation and delithiation in mAh per g of MgH2, and the voltage 10 min after the lithiation."""
    result = {}
    for name in CELLS:
        cell, current_A = make_cell(name), current_of(name)
        lithiated = half_cycle(cell, -current_A, 0.2)[-1][0]
        cell.advance(600.0, 0.0)
        rested_V = cell.voltage(0.0)
        delithiated = half_cycle(cell, current_A, 1.2)[-1][0]
        result[name] = (mAh_per_g(cell, lithiated), mAh_per_g(cell, delithiated), rested_V)
    return result


@pytest.mark.parametrize(
    ("name", "lithiation", "delithiation", "rested_V"),
    [
        ("a", 1568, 1180, 0.49),
        ("b", 1309, 889, 0.49),
        ("c", 1182, 706, 0.49),
        ("d", 1934, 1694, 0.51),
        ("e", 2002, 1664, 0.49),
    ],
)
def test_first_cycle_gives_the_published_table_of_the_model(
    first_cycles: dict[str, tuple[float, float, float]],
    name: str,
    lithiation: float,
    delithiation: float,
    rested_V: float,
) -> None:
    assert first_cycles[name][0] == pytest.approx(lithiation, rel=0.02)
    assert first_cycles[name][1] == pytest.approx(delithiation, rel=0.02)
    assert first_cycles[name][2] == pytest.approx(rested_V, abs=0.01)


def test_the_slow_cell_d_gives_more_than_c_though_they_share_every_parameter(
    first_cycles: dict[str, tuple[float, float, float]],
) -> None:
    assert CELLS["c"] is CELLS["d"]
    assert first_cycles["d"][0] > 1.3 * first_cycles["c"][0]


def test_more_conductive_additive_and_ionic_conductor_give_more_capacity(
    first_cycles: dict[str, tuple[float, float, float]],
) -> None:
    lithiation = {name: values[0] for name, values in first_cycles.items()}
    assert lithiation["e"] > lithiation["a"] > lithiation["b"] > lithiation["c"]


def test_theoretical_capacity_is_that_of_two_electrons_per_formula_unit() -> None:
    assert mAh_per_g(make_cell("a"), make_cell("a").capacity_C) == pytest.approx(2036.5, abs=0.1)


@pytest.mark.parametrize("name", list("abce"))
@pytest.mark.parametrize("low_V", [0.2, 0.0])
def test_every_coulomb_is_found_in_the_state(name: str, low_V: float) -> None:
    cell, current_A = make_cell(name), current_of(name)
    for _ in range(2):
        half_cycle(cell, -current_A, low_V)
        half_cycle(cell, current_A, 1.2)
    x, y, *_, side, charge_C = cell.save()
    assert charge_C == pytest.approx(-cell.capacity_C * (x + y / 2.0 + side), rel=1e-9)


def test_alloying_starts_below_the_conversion_plateau_and_is_undone_on_the_way_back() -> None:
    cell, current_A = make_cell("a"), current_of("a")
    half_cycle(cell, -current_A, 0.0)
    assert cell.truth()["y"] > 0.01
    half_cycle(cell, current_A, 1.2)
    assert cell.truth()["y"] < 2e-3
    never = make_cell("a")
    half_cycle(never, -current_A, 0.2)
    assert never.truth()["y"] < 1e-4


def visited_states(name: str) -> list[tuple[float, ...]]:
    cell, current_A = make_cell(name), current_of(name)
    states = [cell.save()]
    for sign, until_V in ((-1, 0.0), (1, 1.2), (-1, 0.2)):
        while (cell.voltage(sign * current_A) - until_V) * sign < 0.0:
            cell.advance(300.0, sign * current_A)
            states.append(cell.save())
    return states


@pytest.mark.parametrize("name", list("abce"))
def test_voltage_rises_with_current_in_every_state(name: str) -> None:
    cell = make_cell(name)
    currents = [i * 5e-5 for i in range(-20, 21)]
    for state in visited_states(name):
        cell.restore(state)
        voltages = [cell.voltage(current_A) for current_A in currents]
        assert all(low < high for low, high in itertools.pairwise(voltages)), cell.truth()


def test_the_step_length_does_not_matter_away_from_knees() -> None:
    def voltages(dt_s: float) -> list[float]:
        cell, found = make_cell("c"), []
        for _ in range(8):
            for _ in range(round(1500.0 / dt_s)):
                cell.advance(dt_s, -current_of("c"))
            found.append(cell.voltage(-current_of("c")))
        return found

    fine = voltages(0.1)
    for dt_s in (1.0, 10.0, 300.0):
        assert voltages(dt_s) == pytest.approx(fine, abs=1e-3)


@pytest.mark.parametrize("sign", [-1, 1])
def test_at_rest_the_voltage_goes_steadily_to_its_open_circuit_value(sign: int) -> None:
    cell = make_cell("a")
    cell.advance(8000.0, -current_of("a"))
    cell.advance(3e5, 0.0)  # without a memory of the other direction
    cell.advance(600.0, sign * current_of("a"))
    rest = []
    for _ in range(200):
        cell.advance(60.0, 0.0)
        rest.append(cell.voltage(0.0))
    assert all((after - before) * sign <= 0.0 for before, after in itertools.pairwise(rest))
    assert abs(rest[-1] - rest[-2]) < 1e-4


def test_twice_the_area_and_mass_carry_twice_the_current_at_the_same_voltage() -> None:
    one = make_cell("a")
    two = MgH2Cell(replace(CELLS["a"], composite_g=4.0e-3, area_cm2=2.0 * CELLS["a"].area_cm2))
    for _ in range(100):
        one.advance(60.0, -current_of("a"))
        two.advance(60.0, -2.0 * current_of("a"))
        assert two.voltage(-2.0 * current_of("a")) == pytest.approx(one.voltage(-current_of("a")), abs=1e-9)


def lowest_before_the_end(curve: list[tuple[float, float]], capacity_C: float) -> bool:
    """Whether the curve has a local minimum before a tenth of the capacity."""
    early = [voltage_V for charge_C, voltage_V in curve if charge_C < 0.1 * capacity_C]
    return min(early) < early[-1] - 1e-3


def test_only_the_first_lithiation_dips_and_recovers() -> None:
    cell, current_A = make_cell("c"), current_of("c")
    first = half_cycle(cell, -current_A, 0.2)
    half_cycle(cell, current_A, 1.2)
    second = half_cycle(cell, -current_A, 0.2)
    assert lowest_before_the_end(first, cell.capacity_C)
    assert not lowest_before_the_end(second, cell.capacity_C)


def test_below_the_transition_of_LiBH4_no_current_near_the_wanted_one_fits() -> None:
    cell = make_cell("a", temperature_K=380.0)
    assert cell.voltage(-current_of("a")) < -5.0
    assert abs(cell.current_for(-5.0, 1e-3)) < 0.5 * current_of("a")
    cell.set_temperature(393.15)
    assert cell.voltage(-current_of("a")) > 0.0


@pytest.mark.parametrize("name", list(CELLS))
def test_current_for_finds_the_current_of_a_voltage_or_the_nearer_limit(name: str) -> None:
    cell = make_cell(name)
    cell.advance(3600.0, -1e-4)
    for wanted_A in (-1e-3, -1e-5, 0.0, 2e-6, 5e-4):
        assert cell.current_for(cell.voltage(wanted_A), 2e-3) == pytest.approx(wanted_A, abs=1e-9)
    assert cell.current_for(-100.0, 2e-3) == -2e-3
    assert cell.current_for(100.0, 2e-3) == 2e-3


@pytest.mark.parametrize("name", list(CELLS))
def test_forcing_a_cell_beyond_both_ends_stays_finite_and_keeps_its_charge(name: str) -> None:
    cell = make_cell(name)
    cell.advance(100.0, 1e-3)  # nothing to oxidise in a fresh cell
    cell.advance(2e5, -1e-3)
    cell.advance(4e5, 1e-3)
    x, y, *_, side, charge_C = cell.save()
    assert math.isfinite(cell.voltage(1e-3))
    assert math.isfinite(cell.voltage(-1e-3))
    assert charge_C == pytest.approx(200.0 + 0.1, rel=1e-6)
    assert charge_C == pytest.approx(-cell.capacity_C * (x + y / 2.0 + side), rel=1e-9)


def test_saving_and_restoring_gives_the_same_cell_again() -> None:
    cell = make_cell("b")
    cell.advance(5000.0, -3e-4)
    kept, before_V = cell.save(), cell.voltage(-3e-4)
    cell.advance(500.0, 1e-4)
    cell.restore(kept)
    assert cell.voltage(-3e-4) == before_V


def test_trivial_loads_are_what_they_say() -> None:
    assert resistor(1e3).voltage(1e-3) == pytest.approx(1.0)
    assert short().voltage(0.1) == pytest.approx(0.0, abs=1e-3)
    assert abs(open_lead().current_for(20.0, 1.0)) < 1e-9
    battery = Battery(3.7, 10.0, slope_V_per_C=0.01)
    battery.advance(100.0, -0.1)
    assert battery.voltage(-0.1) == pytest.approx(3.7 - 0.1 - 1.0)
    assert battery.current_for(4.2, 0.05) == pytest.approx(0.05)


def test_the_solver_ends_on_a_curve_with_a_jump() -> None:
    class Jump(Battery):
        def voltage(self, current_A: float) -> float:
            return current_A + (1.0 if current_A > 0.1 else 0.0)

    assert bracketed_current(Jump(0.0, 1.0), 0.5, 1.0, 0.0) == pytest.approx(0.1, abs=1e-6)


@pytest.mark.parametrize("name", list(CELLS))
def test_even_a_very_slow_current_takes_no_more_out_than_went_in(name: str) -> None:
    cell, current_A = make_cell(name), 0.02e-3 * CELLS[name].area_cm2
    put_in_C = half_cycle(cell, -current_A, 0.2, dt_s=60.0)[-1][0]
    assert half_cycle(cell, current_A, 1.2, dt_s=60.0)[-1][0] < put_in_C
