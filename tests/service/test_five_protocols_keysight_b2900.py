"""The five experiments of Fig. S3, one cycle each, on both outputs of B2902s and on a 2400, and a hold, in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest
from stated import check_stated

from cycler_ctl.clock import real_sleep
from cycler_ctl.config import ChannelSettings, Config, HttpSettings, InstrumentSettings, Limits, MqttSettings
from cycler_ctl.instrument import DriverSpec
from cycler_ctl.live import ChannelState
from cycler_ctl.plugins import load_driver
from cycler_ctl.records.curves import capacity_table
from cycler_ctl.running.start import Order
from cycler_ctl.settings import StationSettings
from cycler_ctl.station import Station
from cycler_ctl.store.reader import find_run, open_run
from cycler_ctl.testing.stepclock import StepClock
from cycler_ctl.watching.lease import NoLease
from drivers import keysight_b2900
from protocols.reading.documents import Document
from protocols.shipped import library
from sim_hardware.bench import Bench, Place, open_bench

COMPARED = ("c", "e")
SAMPLE_EVERY_S = {"d": 600.0}  # of run time; d takes twenty times as long as any other, and is not compared
LIMITS = Limits(voltage_V=(-0.5, 5.0), current_A=10e-3, temperature_degC=(20.0, 140.0), step_charge_Ah=20e-3)
# Two instruments' voltages may differ by 4 mV at a cut-off, and a step ends at a sample: at 60 s, up to 0.5 % later.
ACCURACY = 0.01
CCCV = """
protocol: 1
name: Trial
cell: {name: GN-7, nominal_capacity: 3 mAh, discharge_means: lithiate}
record: every 60 s
safety: {voltage: 2.6 V to 4.35 V, current: 4 mA}
steps:
  - charge: {at: C/2, until: 4.2 V, then_hold_until: C/20 or 3 h}
  - discharge: {at: C/2, until: 3.6 V}
"""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell on one output of one instrument of the bench."""

    name: str
    instrument: str
    output: str = "1"
    text: str = ""

    def order(self) -> Order:
        if self.text:
            return Order(Document("trial.yaml", self.text))
        file = library()[f"fig_s3_{self.name[0]}"]
        text = file.read_text(encoding="utf-8")
        assert "times: 3" in text
        return Order(Document(file.name, text.replace("times: 3", "times: 1")))


FIVE = (
    Cell("a", "b1"),
    Cell("b", "b1", "2"),
    Cell("c", "b2"),
    Cell("d", "b2", "2"),
    Cell("e", "b3"),
    *(Cell(f"{name}-2400", f"k-{name}") for name in COMPARED),
)
PLACES = (
    Place("b1", "keysight-b2902a", "a+b", serial="MY51140001"),
    Place("b2", "keysight-b2912b", "c+d", serial="MY51140002"),
    Place("b3", "keysight-b2911a", "e", serial="MY51140003"),
    *(Place(f"k-{name}", "keithley-2400", name) for name in COMPARED),
)


def settings(bench: Bench, data_dir: Path, cells: tuple[Cell, ...]) -> Config:
    return Config(
        station=StationSettings(name="test", site="test", data_dir=data_dir),
        mqtt=MqttSettings(),
        http=HttpSettings(enabled=False),
        instruments={
            one.name: InstrumentSettings(
                driver="keysight-b2900" if "keysight" in one.model else one.model,
                address=one.address,
                serial=one.serial,
            )
            for one in bench.smus
        },
        channels={
            cell.name: ChannelSettings(
                instrument=cell.instrument,
                output=cell.output,
                sample_every_s=SAMPLE_EVERY_S.get(cell.name, 60.0),
                limits=LIMITS,
                temperature="unmonitored",
            )
            for cell in cells
        },
    )


def known(name: str) -> DriverSpec:
    """The B2900's without its entry point, which an older installation may lack."""
    return keysight_b2900.DRIVER if name == "keysight-b2900" else load_driver(name)


async def all_energised(station: Station) -> None:
    async with asyncio.timeout(30):
        while not all(status.energised for status in station.channels()):
            await real_sleep(0.01)


async def run_all(data: Path, places: tuple[Place, ...], cells: tuple[Cell, ...]) -> dict[str, Path]:
    """Every cell's protocol at once; each ends finished, off, and with nothing done to a cell. Gives the runs."""
    clock = StepClock()
    async with open_bench(1, clock.now, places) as bench, asyncio.TaskGroup() as group:
        station = Station(settings(bench, data, cells), clock, NoLease())
        with clock.member():  # virtual time stands still until the last run has begun
            await station.open(group)
            await station.first_tries()
            runs = {cell.name: await station.begin(cell.name, cell.order()) for cell in cells}
            await all_energised(station)
        for name in runs:
            await station.ended(name)
        states = {status.channel: status.state for status in station.channels()}
        truths = [one.truth() for one in bench.smus]
        assert await station.close("the end of the test")
    assert set(states.values()) == {ChannelState.FINISHED}, states
    assert not any(truth["output_on"] or truth["relay_closed"] or truth["abuse"] for truth in truths), truths
    folders = {name: find_run(data, run) for name, run in runs.items()}
    check_stated(folders.values(), truths)
    return folders


def capacity(folder: Path) -> tuple[float, float]:
    with open_run(folder) as reader:
        (first,) = capacity_table(reader)
        return first.lithiation_mAh, first.delithiation_mAh


async def test_the_five_protocols_give_a_b2900_and_a_2400_the_same_capacities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cycler_ctl.station.load_driver", known)
    runs = await run_all(tmp_path, PLACES, FIVE)
    capacities = {name: capacity(folder) for name, folder in runs.items()}
    for cell in COMPARED:
        assert capacities[cell] == pytest.approx(capacities[f"{cell}-2400"], rel=ACCURACY), cell


async def test_a_charge_and_its_hold_run_on_both_outputs_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cycler_ctl.station.load_driver", known)
    cells = (Cell("one", "b1", "1", CCCV), Cell("two", "b1", "2", CCCV))
    runs = await run_all(tmp_path, (Place("b1", "keysight-b2912a", "nmc+nmc", serial="MY51140001"),), cells)
    for folder in runs.values():
        with open_run(folder) as reader:
            steps, held = list(reader.steps()), [row for row in reader.rows() if row.step_id == "1.cv"]
        assert [step.step_id for step in steps] == ["1.cc", "1.cv", "2"]
        assert "current" in steps[1].end_reason
        assert len(held) > 10
        assert all(row.voltage_V == pytest.approx(4.2, abs=0.005) for row in held)
        assert all(0.0 < row.current_A <= 1.5e-3 * 1.01 for row in held)
