"""Readings are placed where a cut-off may be met: how far it is overshot is the instrument's speed, not ``sample_every``."""

from __future__ import annotations

import sys
from itertools import pairwise
from math import inf
from pathlib import Path

import pytest
from virtual import open_virtual

from cycler_ctl.live import ChannelState
from protocols.record import Row, StepSummary

EVERY_S = 30.0
FASTEST_S = 0.15  # of the simulated 2400 at 1 power line cycle
NOISE_V = 0.3e-3
CURVE_V_s = 1.5e-3  # the steepest of both ends
AT_MOST = (
    *(2 * [2 * FASTEST_S * CURVE_V_s + NOISE_V]),
    2 * FASTEST_S / (0.31 * 3600),
    2 * FASTEST_S / (1 / 3.6 * 3600),
)
"""Two readings at full speed beyond the cut-off: at 1 mA, and at 1 mA and about 3.6 V."""
STEPS = """\
  - charge: {at: 3 mA, until: 4.1 V}
  - discharge: {at: 3 mA, until: 3.21 V}
  - charge: {at: 1 mA, until: capacity >= 0.31 mAh}
  - discharge: {at: 1 mA, until: energy >= 1 mWh}
  - rest: 100 s
"""


async def recorded(folder: Path) -> tuple[list[StepSummary], list[Row]]:
    async with open_virtual(folder, sample_every_s=EVERY_S) as lab:
        await lab.start(STEPS)
        assert (await lab.ends()).state is ChannelState.FINISHED
        return lab.steps(), lab.rows()


def overshoots(steps: list[StepSummary]) -> list[float]:
    """By how much each cut-off was passed, as a share of itself but for the voltages, in V."""
    charge_V, discharge_V = steps[0].overshoot_V, steps[1].overshoot_V
    assert charge_V is not None
    assert discharge_V is not None
    return [charge_V, discharge_V, steps[2].charge_Ah / 0.31e-3 - 1, steps[3].energy_Wh / 1e-3 - 1]


async def test_overshoot_is_bounded_by_the_instruments_speed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    placed, rows = await recorded(tmp_path / "placed")
    monkeypatch.setattr("cycler_ctl.running.pacing.until_met_s", lambda *_: inf)
    grid, more = await recorded(tmp_path / "grid")
    for word, a, b in zip(("V", "V", "Ah", "Wh"), overshoots(placed), overshoots(grid), strict=True):
        sys.stdout.write(f"overshoot {word}: placed {a:.3g}, on the grid {b:.3g}, {b / a:.0f} times less\n")
    sys.stdout.write(f"rows: {len(rows)}, on the grid {len(more)}\n")
    assert [step.end_reason for step in placed] == [step.end_reason for step in grid]
    for a, b, most in zip(overshoots(placed), overshoots(grid), AT_MOST, strict=True):
        assert 0 <= a <= most
        assert b > 3 * most  # the control
    assert placed[4].ended_s - placed[4].started_s == pytest.approx(100.0, abs=0.01)
    assert grid[4].ended_s - grid[4].started_s == pytest.approx(120.0, abs=0.01)
    assert all(later.time_s - row.time_s <= 2 * EVERY_S + 1.0 for row, later in pairwise(rows))
