"""Holds, CCCV, pulse trains, for_each and stop_when on a running station, judged by the cell's own truth."""

from __future__ import annotations

import sys
from itertools import pairwise
from math import inf
from pathlib import Path

import pytest
from virtual import CELL, LIMITS, Virtual, open_virtual

from cycler_ctl.errors import RefusedError
from cycler_ctl.live import ChannelState
from cycler_ctl.records.bdf import bdf_columns, bdf_values
from protocols.model import Verb
from protocols.record import EventKind, Mark, Mode
from sim_hardware.circuit import CurrentSource, VoltageSource
from sim_hardware.keithley2400 import Keithley2400

ONE_C_A = 3e-3
CHARGE_A, END_A = ONE_C_A / 2, ONE_C_A / 20
CCCV = "  - charge: {at: C/2, until: 4.2 V, then_hold_until: C/20 or 3 h}\n"
PTY = pytest.param("pty", marks=pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals"))


def charge_C(lab: Virtual) -> float:
    total = lab.rows()[-1].run_total
    return 3600 * (total.oxidation_Ah - total.reduction_Ah)


def step_types(lab: Virtual) -> dict[str, set[str]]:
    where = [column.machine_name for column in bdf_columns()].index("step_type")
    found: dict[str, set[str]] = {}
    for row in lab.rows():
        found.setdefault(row.step_id, set()).add(str(bdf_values(row, Verb.LITHIATE)[where]))
    return found


@pytest.mark.parametrize("listen", ["127.0.0.1:0", PTY])
async def test_cccv_holds_its_voltage_until_the_current_has_fallen(tmp_path: Path, listen: str) -> None:
    async with open_virtual(tmp_path, listen=listen) as lab:
        await lab.start(CCCV + "  - rest: 10 min\n")
        assert (await lab.ends()).state is ChannelState.FINISHED
        current, hold, _ = lab.steps()
        assert (current.step_id, hold.step_id) == ("1.cc", "1.cv")
        assert "voltage >= 4.2 V" in current.end_reason
        assert "current" in hold.end_reason
        held = lab.rows("1.cv")
        assert len(held) > 10
        assert {row.mode for row in held} == {Mode.VOLTAGE}
        assert all(row.voltage_V == pytest.approx(4.2, abs=0.003) for row in held)
        assert all(0.0 < row.current_A <= CHARGE_A * 1.01 for row in held)
        assert held[-1].current_A <= END_A < held[-2].current_A
        assert all(after.current_A < before.current_A + 1e-6 for before, after in pairwise(held))
        assert max(lab.highest_A) <= CHARGE_A * 1.01  # at no command, not at the switch either
        assert charge_C(lab) == pytest.approx(lab.truth()["charge_C"], rel=5e-3)
        assert step_types(lab) == {"1.cc": {"CC_CHG"}, "1.cv": {"CV_CHG"}, "2": {"REST"}}


@pytest.mark.parametrize("regulation", ["bounded", "current"])
async def test_a_change_of_regulation_is_logged_where_it_opens_the_relay(tmp_path: Path, regulation: str) -> None:
    async with open_virtual(tmp_path, regulation=regulation) as lab:
        await lab.start(CCCV)
        assert (await lab.ends()).state is ChannelState.FINISHED
        opened = [event for event in lab.events(EventKind.NOTE) if "output was off for a moment" in str(event.data)]
        assert len(opened) == (1 if regulation == "current" else 0)
        assert max(lab.highest_A) <= CHARGE_A * 1.01
        assert all(row.voltage_V == pytest.approx(4.2, abs=0.003) for row in lab.rows("1.cv"))


async def test_a_hold_without_a_limit_takes_what_the_safety_leaves_and_no_more(tmp_path: Path) -> None:
    async with open_virtual(tmp_path, sample_every_s=10.0) as lab:
        await lab.start("  - hold: {at: 3.9 V, until: current <= 0.15 mA, for: 6 h}\n")
        await lab.until_step("1")
        status = lab.status()
        assert (status.setpoint_V, status.setpoint_A) == (3.9, None)
        assert status.current_limit_A == pytest.approx(0.98 * 4e-3)
        assert status.doing == "hold 3.9 V, ≤ 3.92 mA"
        assert (await lab.ends()).state is ChannelState.FINISHED
        assert max(lab.highest_A) == pytest.approx(0.98 * 4e-3, rel=5e-3)
        (step,) = lab.steps()
        assert "current" in step.end_reason
        assert lab.rows()[-1].voltage_V == pytest.approx(3.9, abs=0.003)
        assert step_types(lab) == {"1": {"CV_CHG"}}


async def test_a_hold_below_the_cell_discharges_it(tmp_path: Path) -> None:
    async with open_virtual(tmp_path, sample_every_s=10.0) as lab:
        await lab.start(
            "  - charge: {at: 1C, until: 4.0 V}\n  - hold: {at: 3.7 V, current_limit: 1 mA, until: C/20, for: 6 h}\n"
        )
        assert (await lab.ends()).state is ChannelState.FINISHED
        held = lab.rows("2")
        assert held[0].current_A == pytest.approx(-1e-3, rel=0.01)
        assert held[-1].voltage_V == pytest.approx(3.7, abs=0.003)
        assert step_types(lab)["2"] == {"CV_DCH"}
        assert charge_C(lab) == pytest.approx(lab.truth()["charge_C"], rel=5e-3)


GITT = "  - gitt: {charge: {at: C/5, for: 10 min}, rest: 20 min, until: 4.2 V, pulses: 4}\n"


async def test_a_pulse_train_is_one_step_with_a_pulse_and_a_rest_each(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        await lab.start(GITT)
        assert (await lab.ends()).state is ChannelState.FINISHED
        steps = lab.steps()
        assert [step.step_id for step in steps] == [f"1.{k}{part}" for k in range(1, 5) for part in "pr"]
        pulses, rests = steps[::2], steps[1::2]
        assert all(step.charge_Ah == pytest.approx(ONE_C_A / 5 / 6, rel=0.01) for step in pulses)
        assert all(step.charge_Ah < 1e-8 for step in rests)
        assert charge_C(lab) == pytest.approx(lab.truth()["charge_C"], rel=5e-3)
        assert lab.station.steps("a1") == (8, 8)
        assert max(lab.highest_A) <= ONE_C_A / 5 * 1.01


async def test_a_train_that_only_its_cutoff_ends_rests_once_more(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        await lab.start(GITT.replace("pulses: 4", "abort_if: 60 h").replace("4.2 V", "3.6 V"))
        assert (await lab.ends()).state is ChannelState.FINISHED
        steps = lab.steps()
        assert "voltage >= 3.6 V" in steps[-2].end_reason
        assert (steps[-2].step_id[-1], steps[-1].step_id[-1]) == ("p", "r")
        ended, at_most = lab.station.steps("a1")
        assert ended == at_most == len(steps) > 4


FOR_EACH = """
  - repeat:
      times: 2
      for_each: {rate: [C/5, 1.2C]}
      stop_when: discharge capacity <= 98 % of cycle 1
      steps:
        - charge: {at: $rate, until: 4.2 V, then_hold_until: C/10 or 1 h}
        - discharge: {at: $rate, until: 3.6 V}
"""


async def test_each_value_is_run_and_stop_when_ends_the_repeat(tmp_path: Path) -> None:
    async with open_virtual(tmp_path, sample_every_s=60.0) as lab:
        await lab.start(FOR_EACH + "  - rest: 1 min\n")
        assert (await lab.ends()).state is ChannelState.FINISHED
        rates = {row.cycle: round(abs(row.current_A) / ONE_C_A, 1) for row in lab.rows("1.2") if row.mark is Mark.START}
        assert rates == {1: 0.2, 2: 0.2, 3: 1.2}  # the fourth pass was not needed any more
        assert lab.steps()[-1].step_id == "2"
        assert charge_C(lab) == pytest.approx(lab.truth()["charge_C"], abs=0.005 * 3 * 3600 * ONE_C_A)


async def test_pause_and_resume_within_a_hold_go_on_with_the_same_voltage(tmp_path: Path) -> None:
    async with open_virtual(tmp_path, sample_every_s=10.0) as lab:
        await lab.start(CCCV)
        await lab.until_step("1.cv")
        await lab.at(lab.clock.now() + 60)
        await lab.station.pause("a1", "K. Abe")
        assert lab.is_off()
        assert (lab.status().doing, lab.status().setpoint_V) == ("hold", None)
        passed_C = lab.truth()["charge_C"]
        await lab.at(lab.clock.now() + 1800)
        assert lab.truth()["charge_C"] == passed_C
        await lab.acting(lab.station.resume("a1", "K. Abe"))
        assert lab.status().doing == "hold 4.2 V, ≤ 1.5 mA"
        assert (await lab.ends()).state is ChannelState.FINISHED
        assert max(lab.highest_A) <= CHARGE_A * 1.01
        assert [step.step_id for step in lab.steps()] == ["1.cc", "1.cv"]
        assert lab.rows("1.cv")[-1].current_A <= END_A
        assert charge_C(lab) == pytest.approx(lab.truth()["charge_C"], rel=5e-3)


async def test_pause_and_resume_within_a_pulse_give_it_its_whole_time(tmp_path: Path) -> None:
    async with open_virtual(tmp_path, sample_every_s=10.0) as lab:
        await lab.start(GITT)
        await lab.until_step("1.2p")
        await lab.station.pause("a1", "K. Abe")
        assert lab.is_off()
        await lab.at(lab.clock.now() + 1800)
        await lab.acting(lab.station.resume("a1", "K. Abe"))
        assert (await lab.ends()).state is ChannelState.FINISHED
        pulse = next(step for step in lab.steps() if step.step_id == "1.2p")
        assert pulse.charge_Ah == pytest.approx(ONE_C_A / 5 / 6, rel=0.02)


@pytest.mark.parametrize(("steps", "within"), [(CCCV, "1.cc"), (CCCV, "1.cv"), (GITT, "1.2p")])
async def test_a_skip_leaves_the_whole_step(tmp_path: Path, steps: str, within: str) -> None:
    async with open_virtual(tmp_path, sample_every_s=10.0) as lab:
        await lab.start(steps + "  - rest: 1 min\n")
        await lab.until_step(within)
        await lab.station.skip("a1", "K. Abe")
        assert lab.status().step == "2"
        assert (await lab.ends()).state is ChannelState.FINISHED
        assert [step.step_id for step in lab.steps()][-2:] == [within, "2"]
        assert "skipped by K. Abe" in lab.steps()[-2].end_reason


@pytest.mark.parametrize(("steps", "within"), [(CCCV, "1.cv"), (GITT, "1.2p")])
async def test_a_stop_leaves_the_cell_alone_when_it_returns(tmp_path: Path, steps: str, within: str) -> None:
    async with open_virtual(tmp_path, sample_every_s=10.0) as lab:
        await lab.start(steps)
        await lab.until_step(within)
        await lab.station.stop("a1", "K. Abe")
        assert lab.is_off()
        assert lab.status().state is ChannelState.STOPPED
        passed_C = lab.truth()["charge_C"]
        await lab.at(lab.clock.now() + 3600)
        assert lab.truth()["charge_C"] == passed_C


WIDE = LIMITS.model_copy(update={"voltage_V": (-0.5, 5.0)})


@pytest.mark.parametrize(
    ("fault", "words", "within_samples"),
    [
        (("lead", "open"), "open circuit", 2),
        (("lead", "short"), "the voltage was held and has broken down", 3),
    ],
)
async def test_a_lead_that_fails_in_a_hold_is_a_fault_and_never_its_end(
    tmp_path: Path, fault: tuple[str, str], words: str, within_samples: int
) -> None:
    async with open_virtual(tmp_path, sample_every_s=10.0, limits=WIDE) as lab:
        await lab.start(CCCV + "  - rest: 1 h\n", CELL.replace("voltage: 2.6 V to 4.35 V, ", ""))
        await lab.until_step("1.cv")
        await lab.at(lab.clock.now() + 120)
        lab.fault(*fault)
        before_s = lab.clock.now()
        status = await lab.ends()
        assert status.state is ChannelState.FAULTED
        assert words in status.reason
        assert lab.is_off()
        (end,) = lab.events(EventKind.RUN_ENDED)
        assert end.time_s <= before_s + (within_samples + 1) * 10.0


async def test_another_voltage_set_at_the_panel_holds_the_run_back_within_a_reading(tmp_path: Path) -> None:
    async with open_virtual(tmp_path, sample_every_s=10.0) as lab:
        await lab.start(CCCV)
        await lab.until_step("1.cv")
        await lab.at(lab.clock.now() + 60)
        lab.smu.line.instrument.receive(b":SOUR:VOLT 4.19\n")
        await lab.at(lab.clock.now() + 2 * 10.0)
        assert lab.status().state is ChannelState.PAUSED
        assert "does not hold any more" in str(lab.status())
        assert lab.is_off()


def the_2400(lab: Virtual) -> Keithley2400:
    sim = lab.smu.line.instrument
    assert isinstance(sim, Keithley2400)
    return sim


async def test_another_voltage_than_the_instrument_says_it_holds_ends_the_hold(tmp_path: Path) -> None:
    async with open_virtual(tmp_path, sample_every_s=10.0) as lab:
        await lab.start(CCCV)
        await lab.until_step("1.cv")
        await lab.at(lab.clock.now() + 60)
        the_2400(lab).smu.terminals.drive(VoltageSource(4.17, 4e-3))
        status = await lab.ends()
        assert status.state is ChannelState.FAULTED
        assert "the voltage is not held" in status.reason
        assert lab.is_off()


async def test_a_meter_that_is_stuck_in_a_hold_meets_the_guards_own_ceiling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cycler_ctl.guarding.for_a_run.STUCK_S", inf)  # an instrument that shows no noise
    async with open_virtual(tmp_path, sample_every_s=60.0) as lab:
        await lab.start("  - charge: {at: C/2, until: 4.2 V, then_hold_until: C/20}\n")
        await lab.until_step("1.cv")
        lab.fault("stuck", True)
        status = await lab.ends()
        assert status.state is ChannelState.TRIPPED
        assert "ceiling" in status.reason
        assert lab.is_off()
        assert lab.truth()["voltage_V"] < 4.21  # the instrument held the cell, whatever it said
        assert max(lab.highest_A) <= CHARGE_A * 1.01


async def test_a_train_whose_cutoff_never_comes_is_ended_by_what_its_pulses_passed_together(tmp_path: Path) -> None:
    async with open_virtual(tmp_path, cell="battery", sample_every_s=60.0) as lab:
        await lab.start(GITT.replace(", pulses: 4", ""))
        status = await lab.ends()
        assert status.state is ChannelState.TRIPPED
        assert "in all its parts, above its ceiling of 3.6 mAh" in status.reason
        assert lab.is_off()
        assert lab.truth()["charge_C"] == pytest.approx(1.2 * 3600 * ONE_C_A, rel=0.03)


async def test_a_hold_in_a_protocol_without_any_current_limit_takes_the_channels(tmp_path: Path) -> None:
    async with open_virtual(tmp_path, sample_every_s=10.0) as lab:
        await lab.start("  - hold: {at: 3.5 V, for: 10 min}\n", CELL.replace(", current: 4 mA", ""))
        await lab.until_step("1")
        assert lab.status().current_limit_A == pytest.approx(9.8e-3)
        assert (await lab.ends()).state is ChannelState.FINISHED
        assert max(lab.highest_A) <= 9.9e-3


async def test_who_asked_and_what_was_included_are_in_the_record(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        await lab.start("  - rest: 1 min\n")
        assert (await lab.ends()).state is ChannelState.FINISHED
        first = lab.events()[0]
        assert (first.kind, first.data) == (EventKind.OPERATOR, {"action": "start", "by": "K. Abe"})


async def test_a_hold_that_the_channel_cannot_hold_is_refused_before_anything_is_on(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        with pytest.raises(RefusedError, match=r"step 1: 4\.399 V is not inside the channel's limits"):
            await lab.start("  - hold: {at: 4.399 V, for: 1 h}\n", CELL.replace("4.35 V", "4.4 V"))
        assert lab.is_off()


STUCK = {
    "CC": "  - charge: {at: C/20, for: 10 h}\n",
    "hold": "  - hold: {at: 3.7 V, current_limit: 1 mA, until: C/50, for: 10 h}\n",
    "rest": "  - rest: 10 h\n",
}


@pytest.mark.parametrize("step", STUCK)
async def test_readings_that_stand_still_for_half_an_hour_end_the_run(tmp_path: Path, step: str) -> None:
    async with open_virtual(tmp_path) as lab:
        await lab.start(STUCK[step])
        await lab.at(900.0)
        lab.fault("stuck", True)
        status = await lab.ends()
        assert status.state is ChannelState.FAULTED
        assert "the readings are stuck" in status.reason
        assert lab.clock.now() == pytest.approx(900.0 + 1800.0, abs=65.0)


async def test_a_cell_that_rests_for_days_is_not_taken_for_stuck(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        await lab.start("  - rest: 48 h\n")
        assert (await lab.ends()).state is ChannelState.FINISHED


PANEL = {"CC": b":SENS:CURR:PROT 1E-3\n", "rest": b":SOUR:CURR:RANG 1E-2;LEV 2E-3\n"}


@pytest.mark.parametrize("step", PANEL)
async def test_another_current_set_at_the_panel_holds_the_run_back_within_a_reading(tmp_path: Path, step: str) -> None:
    async with open_virtual(tmp_path) as lab:
        await lab.start(STUCK[step])
        await lab.at(300.0)
        lab.smu.line.instrument.receive(PANEL[step])
        await lab.at(300.0 + 2 * 30.0)
        assert lab.status().state is ChannelState.PAUSED
        assert "does not hold any more" in str(lab.status())
        assert lab.is_off()


DRIVEN: dict[str, VoltageSource | CurrentSource] = {"CC": VoltageSource(4.2, 1e-3), "rest": CurrentSource(2e-3, 5.0)}


@pytest.mark.parametrize("step", DRIVEN)
async def test_another_current_than_the_instrument_says_it_is_set_to_ends_the_run(tmp_path: Path, step: str) -> None:
    async with open_virtual(tmp_path) as lab:
        await lab.start(STUCK[step])
        await lab.at(300.0)
        smu = the_2400(lab).smu
        smu.settings.source_range["CURR"] = 1e-2  # on which it is measured
        smu.terminals.drive(DRIVEN[step])
        status = await lab.ends()
        assert status.state is ChannelState.FAULTED
        assert "does not do what it was set to" in status.reason
        assert lab.clock.now() <= 300.0 + 4 * 30.0
