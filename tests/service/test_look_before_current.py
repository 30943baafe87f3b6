"""Before current flows the cell is looked at, and what a channel limits ends a run: simulated instruments on real wires."""

from __future__ import annotations

from math import sin
from pathlib import Path
from re import sub
from typing import Any

import pytest
from virtual import CELL, LIMITS, Virtual, open_virtual

from cycler_ctl.channels.sensing import Sensing
from cycler_ctl.errors import RefusedError
from cycler_ctl.instrument import Measurement
from cycler_ctl.live import ChannelState
from cycler_ctl.running.cellcheck import BEFORE
from protocols.record import EventKind
from sim_hardware.faults import LineFault
from sim_hardware.loads import Battery

CHARGE = "  - charge: {at: 1 mA, for: 30 min}\n  - rest: 5 min\n"
REST_CHARGE = "  - rest: 5 min\n  - charge: {at: 1 mA, for: 30 min}\n"
CHARGED_AH = 0.5e-3
ANY_V = LIMITS.model_copy(update={"voltage_V": (-5.0, 5.0)})
NOTHING_A = 1e-6


class Floating(Battery):
    """An open input picks up what is in the air."""

    def __init__(self) -> None:
        super().__init__(3.35, 5.0)
        self._age_s = 0.0

    def advance(self, dt_s: float, current_A: float) -> None:
        del current_A
        self._age_s += dt_s
        self._ocv_V = 3.35 + 0.7 * sin(7.0 * self._age_s)


async def refused(lab: Virtual, state: ChannelState, why: str) -> None:
    """The run ended before anything but 0 A was set, and its record says why."""
    ended = await lab.ends()
    assert (ended.state, ended.energised) == (state, False), ended.reason
    assert why in ended.reason, ended.reason
    assert lab.is_off()
    assert max(lab.highest_A) < NOTHING_A
    assert lab.rows() == []
    assert why in str(lab.events(EventKind.RUN_ENDED)[0].data["reason"])


@pytest.mark.parametrize(
    ("cell", "state", "why"),
    [
        (Battery(-3.7, 5.0), ChannelState.TRIPPED, "is the cell reversed, or empty?"),
        (Battery(0.0, 5.0), ChannelState.TRIPPED, "V is outside"),
        (Battery(4.38, 5.0), ChannelState.TRIPPED, "outside the run's 2.6 V to 4.35 V"),
        (Battery(5.2, 5.0), ChannelState.TRIPPED, "outside the channel's limits"),
        (Floating(), ChannelState.FAULTED, "a lead is open"),
    ],
)
async def test_a_cell_that_is_not_as_it_must_be_gets_no_current_at_a_start(
    tmp_path: Path, cell: Battery, state: ChannelState, why: str
) -> None:
    async with open_virtual(tmp_path, limits=ANY_V) as lab:
        lab.swap(cell)
        await lab.start(CHARGE)
        await refused(lab, state, why)


async def test_a_good_cell_is_told_of_and_costs_the_record_no_row_and_no_charge(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        await lab.start(CHARGE)
        assert (await lab.ends()).state is ChannelState.FINISHED
        (told,) = [event for event in lab.events(EventKind.NOTE) if event.data["text"] == BEFORE]
        (started,) = lab.events(EventKind.RUN_STARTED)
        rows = lab.rows()
        assert told.time_s <= started.time_s == 0.0
        assert told.data["voltage_V"] == pytest.approx(rows[0].voltage_V, abs=0.05)
        assert rows[0].time_s < 0.5
        assert all(row.current_A > 0.9e-3 for row in rows if row.step_id == "1")
        assert lab.steps()[0].charge_Ah == pytest.approx(CHARGED_AH, rel=5e-3)


async def test_a_cell_that_was_reversed_in_a_pause_gets_no_current_and_the_run_waits(tmp_path: Path) -> None:
    async with open_virtual(tmp_path, limits=ANY_V) as lab:
        await lab.start(CHARGE)
        await lab.at(600.0)
        await lab.acting(lab.station.pause("a1", "K. Abe"))
        own, told = lab.load(), len(lab.highest_A)
        lab.swap(Battery(-3.7, 5.0))
        with pytest.raises(RefusedError, match="reversed, or empty"):
            await lab.acting(lab.station.resume("a1", "K. Abe"))
        assert lab.is_off()
        assert max(lab.highest_A[told:]) < NOTHING_A
        assert (lab.status().state, lab.status().energised) == (ChannelState.PAUSED, False)
        assert "reversed" in lab.status().reason
        lab.swap(own)
        await lab.acting(lab.station.resume("a1", "K. Abe"))
        assert lab.status().reason == ""
        assert (await lab.ends()).state is ChannelState.FINISHED
        assert lab.steps()[0].charge_Ah == pytest.approx(CHARGED_AH, rel=5e-3)


async def test_another_cell_inside_every_limit_gets_no_current_after_a_pause_and_the_way_out_is_said(
    tmp_path: Path,
) -> None:
    async with open_virtual(tmp_path, limits=ANY_V) as lab:
        await lab.start(CHARGE)
        await lab.at(600.0)
        newest = lab.station.latest("a1")
        assert newest is not None
        await lab.acting(lab.station.pause("a1", "K. Abe"))
        own, told = lab.load(), len(lab.highest_A)
        lab.swap(Battery(newest[1].voltage_V + 0.3, 5.0))
        with pytest.raises(RefusedError, match=r"is it the same cell.* 'cycler-ctl stop'"):
            await lab.acting(lab.station.resume("a1", "K. Abe"))
        assert lab.is_off()
        assert max(lab.highest_A[told:]) < NOTHING_A
        assert lab.status().state is ChannelState.PAUSED
        lab.swap(own)
        await lab.acting(lab.station.resume("a1", "K. Abe"))
        assert lab.status().state is ChannelState.RUNNING


async def test_an_output_that_is_switched_on_and_off_too_often_has_to_wait(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        await lab.start(CHARGE)
        await lab.at(10.0)
        for _ in range(2):  # each of them is twice: at 0 A first
            await lab.acting(lab.station.pause("a1", "K. Abe"))
            await lab.acting(lab.station.resume("a1", "K. Abe"))
        await lab.acting(lab.station.pause("a1", "K. Abe"))
        with pytest.raises(RefusedError, match="6 times within a minute"):
            await lab.acting(lab.station.resume("a1", "K. Abe"))
        assert lab.is_off()
        await lab.at(lab.clock.now() + 60.0)
        await lab.acting(lab.station.resume("a1", "K. Abe"))
        assert (await lab.ends()).state is ChannelState.FINISHED


TICK_S = 0.01
"""So short that a busy machine does not let the minute pass."""


async def test_a_script_that_starts_and_stops_runs_in_a_loop_has_to_wait_too(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        for _ in range(3):
            await lab.acting(lab.start(CHARGE), TICK_S)
            await lab.at(lab.clock.now() + 2.0)
            await lab.acting(lab.station.stop("a1", "K. Abe"), TICK_S)
        records = len(list((lab.data / "runs").iterdir()))
        with pytest.raises(RefusedError, match="6 times within a minute"):
            await lab.acting(lab.start(CHARGE))
        assert lab.is_off()
        assert len(list((lab.data / "runs").iterdir())) == records == 3
        assert lab.status().state is ChannelState.STOPPED
        await lab.at(lab.clock.now() + 60.0)
        await lab.start(CHARGE)
        assert (await lab.ends()).state is ChannelState.FINISHED


async def ends_by(lab: Virtual, why: str) -> None:
    ended = await lab.ends()
    assert why in ended.reason, ended.reason
    assert ended.state in {ChannelState.FAULTED, ChannelState.TRIPPED}
    assert lab.is_off()


@pytest.mark.parametrize(("contact_ohm", "finishes"), [(10.0, True), (200.0, False)])
async def test_a_bad_contact_shows_at_the_steps_edge(tmp_path: Path, contact_ohm: float, *, finishes: bool) -> None:
    async with open_virtual(tmp_path, r_max_ohm=150.0) as lab:
        await lab.start(REST_CHARGE)
        await lab.at(100.0)
        lab.fault("contact_ohm", contact_ohm)
        if finishes:
            assert (await lab.ends()).state is ChannelState.FINISHED
        else:
            await ends_by(lab, "check the cell's contacts")
            assert lab.rows()[-1].step_id == "1"


async def test_a_voltage_that_jumps_within_a_step_ends_it(tmp_path: Path) -> None:
    async with open_virtual(tmp_path, slew_max_V_s=5e-3) as lab:
        await lab.start(REST_CHARGE)
        await lab.at(900.0)
        lab.fault("contact_ohm", 400.0)
        await ends_by(lab, "check the sense leads")
        assert lab.rows()[-1].time_s < 960.0


async def test_a_shorted_cell_is_off_at_the_first_reading(tmp_path: Path) -> None:
    async with open_virtual(tmp_path, v_short_V=2.55) as lab:
        await lab.start(CHARGE)
        await lab.at(600.0)
        lab.swap(Battery(2.52, 5.0))
        await ends_by(lab, "is the cell shorted?")


async def test_a_power_beyond_the_limit_ends_the_run_or_is_refused_where_it_is_sure_to_come(tmp_path: Path) -> None:
    limits = LIMITS.model_copy(update={"power_W": 4e-3})
    async with open_virtual(tmp_path, limits=limits) as lab:
        with pytest.raises(RefusedError, match=r"the channel.s limit is 0\.004 W"):
            await lab.start("  - charge: {at: 1 mA, until: 4.2 V}\n")
        await lab.start("  - hold: {at: 4.2 V, for: 1 h}\n", CELL.replace(", current: 4 mA", ""))
        await ends_by(lab, "beyond the channel's limit of 4 mW")


async def test_a_run_whose_cut_off_lies_below_v_short_is_refused(tmp_path: Path) -> None:
    async with open_virtual(tmp_path, v_short_V=2.8) as lab:
        with pytest.raises(RefusedError, match="the polarity window and v_short"):
            await lab.start("  - discharge: {at: 1 mA, until: 2.7 V}\n")


async def test_three_bad_answers_of_five_end_a_run_and_every_byte_of_them_is_kept(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        await lab.start(CHARGE)
        for at_s in (600.0, 660.0, 720.0):
            await lab.at(at_s)
            lab.smu.line.inject(LineFault("garble", 1, b"READ?"))
        await ends_by(lab, "3 of the last 5 readings failed")
        raw = [event.data.get("raw") for event in lab.events(EventKind.RETRY)]
        assert len(raw) == 3
        assert all(isinstance(one, str) and one.isascii() and "," in one for one in raw)


async def test_two_bad_answers_of_five_cost_two_readings(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        await lab.start(CHARGE)
        for at_s in (600.0, 660.0, 900.0, 960.0):
            await lab.at(at_s)
            lab.smu.line.inject(LineFault("garble", 1, b"READ?"))
        assert (await lab.ends()).state is ChannelState.FINISHED


@pytest.mark.parametrize(
    ("limit", "degC", "why"),
    [
        ({"temperature_slew_max_K_s": 0.05}, lambda now_s: 60.0 + (30.0 if now_s > 600 else 0.0), "temperature_slew_max"),
        ({"temperature_stuck_s": 600.0}, lambda now_s: 60.0 + (now_s / 1e3 if now_s < 300 else 0.3), "is the sensor frozen?"),
    ],
)  # fmt: skip
async def test_a_temperature_that_jumps_or_freezes_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: dict[str, Any], degC: Any, why: str
) -> None:
    async with open_virtual(tmp_path, temperature="oven1", **limit) as lab:
        monkeypatch.setattr(Sensing, "newest", lambda *_: Measurement(degC(lab.clock.now()), lab.clock.now()))
        await lab.start(CHARGE)
        await ends_by(lab, why)
        assert 500.0 < lab.rows()[-1].time_s < 1000.0


async def test_a_temperature_within_those_limits_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: dict[str, Any] = {"temperature_slew_max_K_s": 0.05, "temperature_stuck_s": 600.0}
    async with open_virtual(tmp_path, temperature="oven1", **limits) as lab:
        warms = lambda *_: Measurement(60.0 + lab.clock.now() / 1e3, lab.clock.now())  # noqa: E731
        monkeypatch.setattr(Sensing, "newest", warms)
        await lab.start(CHARGE)
        assert (await lab.ends()).state is ChannelState.FINISHED


@pytest.mark.parametrize(("steps", "ends"), [(CHARGE, True), ("  - rest: 30 min\n", False)])
async def test_one_overflow_while_current_flows_is_enough_and_at_rest_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: str, *, ends: bool
) -> None:
    async with open_virtual(tmp_path) as lab:
        await lab.start(steps)
        await lab.at(600.0)
        overflows(lab, monkeypatch)
        ended = await lab.ends()
        assert lab.is_off()
        if ends:
            assert ended.state is ChannelState.FAULTED
            assert "cannot be seen while current flows" in ended.reason
            assert lab.rows()[-1].time_s < 660.0
        else:
            assert ended.state is ChannelState.FINISHED
            assert len(lab.events(EventKind.RETRY)) == 1


def overflows(lab: Virtual, monkeypatch: pytest.MonkeyPatch) -> None:
    """One answer of the instrument says that there is no voltage: 9.91e37, SCPI's not-a-number."""
    instrument: Any = lab.smu.line.instrument
    receive, said = instrument.receive, list[bytes]()

    def once(data: bytes) -> bytes:
        answer: bytes = receive(data)
        if b"READ?" not in data or said:
            return answer
        said.append(answer)
        return sub(rb"[+-][0-9.]+E[+-][0-9]+(?=,[^,;]+,)", b"+9.910000E+37", answer)

    monkeypatch.setattr(instrument, "receive", once)
