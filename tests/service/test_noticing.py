"""What the record tells of the measurement: the resistance at each step's edge, and a clock that was set."""

from __future__ import annotations

from pathlib import Path

import pytest
from virtual import open_virtual

from cycler_ctl.live import ChannelState
from cycler_ctl.running.noticing import Clocks
from protocols.record import EventKind
from sim_hardware.loads import Battery

OHM = 20.0
STEPS = """\
  - rest: 2 min
  - charge: {at: 2 mA, for: 2 min}
  - discharge: {at: 3 mA, for: 2 min}
  - discharge: {at: 3.03 mA, for: 2 min}
  - rest: 2 min
"""


async def test_the_resistance_at_each_edge_is_the_cells(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        lab.swap(Battery(3.7, OHM, slope_V_per_C=1e-3))
        await lab.start(STEPS)
        ended = await lab.ends()
        assert ended.state is ChannelState.FINISHED, ended.reason
        told = [event.data for event in lab.events(EventKind.EDGE)]
    assert [data["step_count"] for data in told] == [1, 2, 3, 4, 5]
    found = [data["resistance_ohm"] for data in told]
    assert found[0] is None  # nothing was before
    assert found[3] is None  # a hundredth more of a current says nothing
    for value in (found[1], found[2], found[4]):
        assert float(str(value)) == pytest.approx(OHM, rel=0.05)
    assert [data["range_A"] for data in told] == [None, 10e-3, 10e-3, 10e-3, None]
    assert all(isinstance(data["flags"], list) for data in told)


async def test_a_clock_that_is_set_is_told_and_changes_no_run_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_virtual(tmp_path) as lab:
        set_by = 0.0
        monkeypatch.setattr(lab.clock, "utc", lambda: 1.8e9 + lab.clock.now() + set_by)
        await lab.start("  - charge: {at: 1 mA, for: 20 min}\n")
        await lab.at(300.0)
        set_by = 3600.0
        await lab.at(600.0)
        set_by = -37.0
        assert (await lab.ends()).state is ChannelState.FINISHED
        (step,) = lab.steps()
        assert step.ended_s - step.started_s == pytest.approx(1200.0, abs=0.1)
        assert step.charge_Ah == pytest.approx(1e-3 / 3, rel=1e-3)
        told = [event.data["clock_step_s"] for event in lab.events(EventKind.WARNING) if "clock_step_s" in event.data]
    assert told == [pytest.approx(3600.0), pytest.approx(-3637.0)]


def test_a_slow_drift_is_no_step_however_far_it_goes() -> None:
    clocks = Clocks()
    assert [notice for second in range(10_000) for notice in clocks.look(second, 1.8e9 + 1.0005 * second)] == []
    assert len(list(clocks.look(10_000.0, float("nan")))) == 1
