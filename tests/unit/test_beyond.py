"""Which current waits for which cell."""

from __future__ import annotations

from math import inf, nan

import pytest

from cycler_ctl.guarding.beyond import NEAR_V, beyond, no_current
from protocols.model import ConstantCurrent, ConstantVoltage, Rest

WINDOW_V = (2.98, 4.22)
DOWN, UP = ConstantCurrent(-1e-3, WINDOW_V), ConstantCurrent(1e-3, WINDOW_V)


@pytest.mark.parametrize(
    ("current", "voltage_V", "waits"),
    [
        (DOWN, 2.84, True),
        (DOWN, 2.98 + NEAR_V / 2, True),
        (DOWN, 2.98 + 2 * NEAR_V, False),
        (DOWN, 3.7, False),
        (DOWN, 4.3, False),  # it leads back
        (UP, 4.3, True),
        (UP, 4.22 - NEAR_V / 2, True),
        (UP, 4.22 - 2 * NEAR_V, False),
        (UP, 2.84, False),
        (DOWN, nan, True),
        (UP, nan, True),
        (DOWN, None, False),
        (ConstantCurrent(0.0, WINDOW_V), 2.84, False),
        (ConstantCurrent(-1e-3, (-inf, inf)), -5.0, False),
    ],
)
def test_a_current_waits_where_the_cell_is_past_the_edge_it_would_be_driven_to(
    current: ConstantCurrent, voltage_V: float | None, *, waits: bool
) -> None:
    assert beyond(current, voltage_V) is waits


def test_nothing_but_a_current_waits() -> None:
    assert not beyond(Rest((3.0, 4.0)), 2.0)
    assert not beyond(ConstantVoltage(4.2, 1e-3), 4.5)


def test_what_is_said_names_the_cells_voltage_and_the_edge() -> None:
    assert no_current(DOWN, 2.84).startswith("the cell has 2.84 V at 0 A, at or beyond the 2.98 V")
    assert "4.22 V" in no_current(UP, 4.3)
