"""A cell beyond the window of the current that comes next gets none: at 0 A the step's own conditions decide."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from virtual import CELL, LIMITS, Virtual

from cycler_ctl.config import ChannelSettings, Config, HttpSettings, InstrumentSettings, StationSettings
from cycler_ctl.guarding.beyond import WAITS
from cycler_ctl.instrument import DriverSpec
from cycler_ctl.live import ChannelState
from cycler_ctl.plugins import load_driver
from cycler_ctl.settings import Acceptance
from cycler_ctl.station import Station
from cycler_ctl.testing.stepclock import StepClock
from cycler_ctl.watching.lease import NoLease
from drivers import palmsens_emstat4
from protocols.record import EventKind
from sim_hardware.bench import Place, open_bench
from sim_hardware.loads import Battery, Load

FLAT_V, FULL_V = 2.84, 4.26
MODELS = ("keithley-2400", "keithley-2450", "keithley-2612a", "keysight-b2902a", "rs-ngu401", "palmsens-emstat4")
SERIALS = {"keithley-2450": "04000001", "keithley-2612a": "4000001", "keysight-b2902a": "MY51140001"}
DRIVERS = {"2400": "2400", "2450": "2450", "2612a": "2600", "b2902a": "b2900", "ngu401": "ngu"}
DISCHARGE = "  - discharge: {at: 1 mA, until: 3.0 V}\n"
CHARGE = "  - charge: {at: 1 mA, until: 4.2 V}\n"
REST = "  - rest: 1 min\n"
NOTHING_A = 2e-5
OpenOn = Callable[..., AbstractAsyncContextManager[Virtual]]


def of(cell_V: float, resistance_ohm: float = 5.0) -> Battery:
    return Battery(cell_V, resistance_ohm, slope_V_per_C=0.1)


OFTEN = CELL.replace("every 60 s", "every 1 s")


class Seldom(palmsens_emstat4.Options):
    """An EmStat4 that looks so seldom answers at once in virtual time."""

    interval_s: float = 1.0


def driver_of(model: str) -> DriverSpec:
    if model == "palmsens-emstat4":
        return replace(palmsens_emstat4.DRIVER, options=Seldom)
    maker, _, name = model.partition("-")
    return load_driver(f"{maker}-{DRIVERS[name]}")


@pytest.fixture
def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OpenOn:
    """A station in virtual time on one instrument of any model, with a given cell on its leads."""

    @asynccontextmanager
    async def opened(model: str, cell: Load, regulation: str = "bounded") -> AsyncGenerator[Virtual]:
        monkeypatch.setattr("cycler_ctl.station.load_driver", lambda _: driver_of(model))
        monkeypatch.setattr("sim_hardware.bench.LOADS", {"cell": lambda: cell})
        clock, places = StepClock(), [Place("smu1", model, "cell", serial=SERIALS.get(model, "1"))]
        accepted = Acceptance(who="K. Abe", when="2026-11-22")
        channel = ChannelSettings(
            instrument="smu1", sample_every_s=10.0, limits=LIMITS, temperature="unmonitored",
            regulation=regulation, accept_class_c=accepted, output="a" if "26" in model else "1",
        )  # fmt: skip
        async with open_bench(1, clock.now, places) as bench, asyncio.TaskGroup() as group:
            smu = bench["smu1"]
            config = Config(
                station=StationSettings(name="test", data_dir=tmp_path),
                http=HttpSettings(enabled=False),
                instruments={"smu1": InstrumentSettings(driver=smu.model, address=smu.address)},
                channels={"a1": channel},
            )
            station = Station(config, clock, NoLease())
            lab = Virtual(smu, station, clock, tmp_path, ExitStack(), group)
            with lab.member:
                lab.member.enter_context(clock.member())
                await station.open(group)
                await station.first_tries()
                yield lab
                assert await lab.station.close("the end of the test")
            assert lab.is_off()
            assert lab.truth()["abuse"] == ()

    return opened


def passed_over(lab: Virtual, number: int, why: str, around_V: float) -> None:
    """This step was skipped by a real reading at 0 A near this voltage."""
    step = lab.steps()[number]
    assert step.end_reason == why
    assert step.charge_Ah == 0.0
    rows = [row for row in lab.rows() if row.step_count == step.step_count]
    assert len(rows) == 1
    assert abs(rows[0].current_A) < NOTHING_A
    assert rows[0].voltage_V == pytest.approx(around_V, abs=0.02)


async def finished(lab: Virtual) -> None:
    ended = await lab.ends()
    assert (ended.state, ended.energised) == (ChannelState.FINISHED, False), ended.reason


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("cell_V", "steps", "why"),
    [
        (FLAT_V, DISCHARGE, "already: voltage <= 3.0 V"),
        (FULL_V, CHARGE, "already: voltage >= 4.2 V"),
    ],
    ids=["flat", "full"],
)
async def test_a_cell_that_is_beyond_the_cut_off_by_itself_is_past_the_step_and_gets_no_current(
    on: OpenOn, model: str, cell_V: float, steps: str, why: str
) -> None:
    async with on(model, of(cell_V)) as lab:
        await lab.start(steps + REST)
        await finished(lab)
        passed_over(lab, 0, why, cell_V)
        assert [one.end_reason for one in lab.steps()][1:] == ["time >= 1 min"]
        (warned,) = lab.events(EventKind.WARNING)
        assert "skipped, already:" in str(warned.data["message"])
        assert [event.data["text"] for event in lab.events(EventKind.NOTE)].count(WAITS) == 1


DEEPER = """
  - discharge: {at: 1 mA, until: 2.85 V}
  - discharge: {at: 0.1 mA, until: 3.0 V}
"""
FULLER = """
  - charge: {at: 1 mA, until: 4.25 V}
  - charge: {at: 0.1 mA, until: 4.1 V}
"""


@pytest.mark.parametrize("model", ["keithley-2400", "palmsens-emstat4"])
@pytest.mark.parametrize(
    ("cell_V", "steps", "current_A"),
    [(3.2, DEEPER, -1e-4), (3.9, FULLER, 1e-4)],
    ids=["discharge", "charge"],
)
async def test_a_cell_that_comes_back_within_the_window_at_0_A_is_driven_as_if_it_had_been_there(
    on: OpenOn, model: str, cell_V: float, steps: str, current_A: float
) -> None:
    """The step before, of ten times the current, had pulled it beyond."""
    async with on(model, of(cell_V, 300.0)) as lab:
        await lab.start(steps)
        await finished(lab)
        *_, gentle = lab.steps()
        assert gentle.end_reason in {"voltage <= 3.0 V", "voltage >= 4.1 V"}
        rows = lab.rows(gentle.step_id)
        assert all(row.current_A == pytest.approx(current_A, rel=0.02) for row in rows)
        total_A_s = abs(current_A) * (rows[-1].time_s - rows[0].time_s)
        assert gentle.charge_Ah == pytest.approx(total_A_s / 3600, rel=0.01)
        assert [event.data["text"] for event in lab.events(EventKind.NOTE)].count(WAITS) == 1


async def test_a_run_that_is_to_abort_there_does_so_off_and_without_current(on: OpenOn) -> None:
    async with on("keithley-2400", of(2.84)) as lab:
        await lab.start("  - discharge: {at: 1 mA, until: 3.0 V, on_start_met: abort}\n" + REST)
        ended = await lab.ends()
        assert (ended.state, ended.energised) == (ChannelState.ABORTED, False)
        assert ended.reason == "already: voltage <= 3.0 V"
        passed_over(lab, 0, "already: voltage <= 3.0 V", 2.84)


async def test_a_cut_off_that_must_last_lasts_at_0_A(on: OpenOn) -> None:
    async with on("keithley-2400", of(2.84)) as lab:
        await lab.start("  - discharge: {at: 1 mA, until: 3.0 V for 45 s}\n" + REST)
        await finished(lab)
        step = lab.steps()[0]
        assert step.end_reason == "voltage <= 3.0 V for 45 s"
        assert step.ended_s - step.started_s == pytest.approx(45.0, abs=0.5)
        assert step.charge_Ah < NOTHING_A * 45 / 3600
        assert all(abs(row.current_A) < NOTHING_A for row in lab.rows())


class Recovering(Battery):
    """Comes up by 1 mV a second."""

    def advance(self, dt_s: float, current_A: float) -> None:
        super().advance(dt_s, current_A)
        self._ocv_V += 1e-3 * dt_s


async def test_a_cell_that_comes_back_while_its_cut_off_must_last_is_driven_from_then_on(on: OpenOn) -> None:
    async with on("keithley-2400", Recovering(2.95, 5.0)) as lab:
        await lab.start("  - discharge: {at: 0.2 mA, until: 3.0 V for 2 min, for: 5 min}\n", OFTEN)
        await finished(lab)
        (step,), rows = lab.steps(), lab.rows()
        assert step.end_reason == "time >= 5 min"
        driven = [row for row in rows if row.current_A < -1e-4]
        assert 20.0 < driven[0].step_time_s < 50.0
        assert all(abs(row.current_A) < NOTHING_A for row in rows[: rows.index(driven[0])])
        told_Ah = 0.2e-3 * (300.0 - driven[0].step_time_s) / 3600
        assert step.charge_Ah == pytest.approx(told_Ah, rel=0.01)


async def test_a_charge_of_a_full_cell_goes_to_its_hold_which_has_nothing_left_to_taper(on: OpenOn) -> None:
    async with on("keithley-2400", of(4.24)) as lab:
        await lab.start("  - charge: {at: 1 mA, until: 4.2 V, then_hold_until: 0.1 mA or 1 h}\n" + REST)
        await finished(lab)
        passed_over(lab, 0, "already: voltage >= 4.2 V", 4.24)
        assert [one.step_id for one in lab.steps()] == ["1.cc", "1.cv", "2"]
        hold = lab.steps()[1]
        assert hold.end_reason == "current <= 0.1 mA"
        assert hold.ended_s - hold.started_s < 30.0


async def test_a_train_of_pulses_is_over_with_its_rest_where_the_cell_is_past_its_end(on: OpenOn) -> None:
    async with on("keithley-2400", of(2.84)) as lab:
        await lab.start("  - gitt: {discharge: {at: C/5, for: 10 min}, rest: 20 min, until: 3.0 V, pulses: 4}\n" + REST)
        await finished(lab)
        pulse, rest, last = lab.steps()
        assert (pulse.step_id, rest.step_id, last.step_id) == ("1.1p", "1.1r", "2")
        assert pulse.end_reason == "voltage <= 3.0 V"
        assert all(abs(row.current_A) < NOTHING_A for row in lab.rows())


async def test_a_loop_of_a_cell_that_is_past_all_of_it_ends(on: OpenOn) -> None:
    async with on("keithley-2400", of(2.84)) as lab:
        await lab.start("  - repeat:\n      times: 50\n      steps:\n      " + DISCHARGE + REST)
        await finished(lab)
        assert len(lab.steps()) == 2
        assert any("the repeat ends here" in str(event.data.get("message")) for event in lab.events(EventKind.WARNING))


class Falling(Battery):
    """Loses charge while nobody looks."""

    def falls(self, by_V: float) -> None:
        self._ocv_V -= by_V


@pytest.mark.parametrize("model", ["keithley-2400", "palmsens-emstat4"])
@pytest.mark.parametrize("away_s", [0.0, 600.0], ids=["paused", "interrupted"])
async def test_a_run_that_goes_on_with_a_cell_past_its_cut_off_ends_its_step(
    on: OpenOn, model: str, away_s: float
) -> None:
    cell = Falling(3.06, 5.0, slope_V_per_C=0.1)
    async with on(model, cell) as lab:
        await lab.start(DISCHARGE + REST)
        await lab.at(200.0)
        before = lab.station.latest("a1")
        assert before is not None
        if away_s:
            await lab.dies(away_s)
        else:
            await lab.acting(lab.station.pause("a1", "K. Abe"))
        cell.falls(0.07)
        await lab.acting(lab.station.resume("a1", "K. Abe"))
        await finished(lab)
        step = lab.steps()[0]
        assert step.end_reason == "voltage <= 3.0 V"
        assert step.charge_Ah == pytest.approx(before[1].step_total.reduction_Ah, rel=0.06)


async def test_a_step_that_nothing_would_end_is_a_fault_that_says_what_to_write(on: OpenOn) -> None:
    async with on("keithley-2400", Battery(4.349, 5.0)) as lab:
        await lab.start("  - charge: {at: 1 mA, for: 1 h}\n")
        ended = await lab.ends()
        assert (ended.state, ended.energised) == (ChannelState.FAULTED, False)
        assert "give it a voltage cut-off of its own" in ended.reason
        assert all(abs(row.current_A) < NOTHING_A for row in lab.rows())


async def test_a_person_stops_a_run_that_waits_at_0_A(on: OpenOn) -> None:
    async with on("keithley-2400", of(2.84)) as lab:
        await lab.start("  - discharge: {at: 1 mA, until: 3.0 V for 1 h}\n")
        await lab.at(600.0)
        await lab.acting(lab.station.pause("a1", "K. Abe"))
        assert lab.is_off()
        await lab.acting(lab.station.resume("a1", "K. Abe"))
        await lab.at(900.0)
        await lab.acting(lab.station.stop("a1", "K. Abe"))
        assert lab.is_off()
        assert all(abs(row.current_A) < NOTHING_A for row in lab.rows())
