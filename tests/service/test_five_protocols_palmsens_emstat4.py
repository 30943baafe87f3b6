"""The five experiments of Fig. S3, one cycle each, on an EmStat4 HR and on a 2400, through the station in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
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
from drivers import palmsens_emstat4
from protocols.reading.documents import Document
from protocols.shipped import library
from sim_hardware.bench import Bench, Place, open_bench

CELLS = ("a", "b", "c", "d", "e")
COMPARED = ("c", "e")
LIMITS = Limits(voltage_V=(-0.5, 5.0), current_A=10e-3, temperature_degC=(20.0, 140.0), step_charge_Ah=20e-3)
# What the simulated EmStat sets may be off by 0.12 %, voltages differ by 0.6 mV at a cut-off, a step ends at a sample.
ACCURACY = 0.01
PALMSENS, KEITHLEY = "palmsens-emstat4", "keithley-2400"
SAMPLE_EVERY_S = {"d": 300.0}  # of run time; d takes twenty times as long as any other, and is not compared
# A station samples every 10 s or faster; here so seldom that the lease is as long and the instrument looks less often.
PATIENT: dict[str, dict[str, object]] = {PALMSENS: {"lease_s": 600.0}, KEITHLEY: {}}


def settings(bench: Bench, data_dir: Path) -> Config:
    return Config(
        station=StationSettings(name="test", site="test", data_dir=data_dir),
        mqtt=MqttSettings(),
        http=HttpSettings(enabled=False),
        instruments={
            one.name: InstrumentSettings(
                driver=one.model, address=one.address, serial=one.serial, options=PATIENT[one.model]
            )
            for one in bench.smus
        },
        channels={
            one.name: ChannelSettings(
                instrument=one.name,
                sample_every_s=SAMPLE_EVERY_S.get(one.cell, 60.0),
                limits=LIMITS,
                temperature="unmonitored",
            )
            for one in bench.smus
        },
    )


def one_cycle(cell: str) -> Order:
    file = library()[f"fig_s3_{cell}"]
    text = file.read_text(encoding="utf-8")
    assert "times: 3" in text
    return Order(Document(file.name, text.replace("times: 3", "times: 1")))


async def all_energised(station: Station) -> None:
    async with asyncio.timeout(30):
        while not all(status.energised for status in station.channels()):
            await real_sleep(0.01)


class Seldom(palmsens_emstat4.Options):
    """An instrument in virtual time answers at once, however seldom it looks."""

    interval_s: float = 5.0


def known(name: str) -> DriverSpec:
    """The EmStat's without its entry point, which an older installation may lack."""
    return replace(palmsens_emstat4.DRIVER, options=Seldom) if name == PALMSENS else load_driver(name)


async def test_the_five_protocols_give_an_emstat_and_a_2400_the_same_capacities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cycler_ctl.station.load_driver", known)
    clock = StepClock()
    places = [Place(f"{cell}-palmsens", PALMSENS, cell) for cell in CELLS]
    places += [Place(f"{cell}-2400", KEITHLEY, cell) for cell in COMPARED]
    async with open_bench(1, clock.now, places) as bench, asyncio.TaskGroup() as group:
        station = Station(settings(bench, tmp_path), clock, NoLease())
        with clock.member():  # virtual time stands still until the last run has begun
            await station.open(group)
            await station.first_tries()
            runs = {place.name: await station.begin(place.name, one_cycle(place.cell)) for place in places}
            await all_energised(station)
        for name in runs:
            await station.ended(name)
        states = {status.channel: (status.state, status.reason) for status in station.channels()}
        truths = [one.truth() for one in bench.smus]
        assert await station.close("the end of the test")
    assert {state for state, _ in states.values()} == {ChannelState.FINISHED}, states
    assert not any(truth["output_on"] or truth["relay_closed"] or truth["abuse"] for truth in truths), truths
    check_stated([find_run(tmp_path, run) for run in runs.values()], truths)
    capacities = {name: capacity(find_run(tmp_path, run)) for name, run in runs.items()}
    for cell in COMPARED:
        assert capacities[f"{cell}-palmsens"] == pytest.approx(capacities[f"{cell}-2400"], rel=ACCURACY), cell


def capacity(folder: Path) -> tuple[float, float]:
    with open_run(folder) as reader:
        (first,) = capacity_table(reader)
        return first.lithiation_mAh, first.delithiation_mAh
