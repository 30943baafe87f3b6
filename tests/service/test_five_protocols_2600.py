"""The five experiments of Fig. S3, one cycle each, on 2602Bs and on a 2400, through the station in virtual time."""

from __future__ import annotations

import asyncio
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
from drivers import keithley_2600
from protocols.reading.documents import Document
from protocols.shipped import library
from sim_hardware.bench import Bench, Place, open_bench

# Two cells on each of two instruments, and one on a third; c on a 2400 as well.
PLACES = (
    Place("ab", "keithley-2602b", "a+b", serial="4000001"),
    Place("cd", "keithley-2602b", "c+d", serial="4000002"),
    Place("e", "keithley-2601b", "e", serial="4000003"),
    Place("c-2400", "keithley-2400", "c"),
)
OUTPUTS = {"a": ("ab", "a"), "b": ("ab", "b"), "c": ("cd", "a"), "d": ("cd", "b"), "e": ("e", "a")}
LIMITS = Limits(voltage_V=(-0.5, 5.0), current_A=10e-3, temperature_degC=(20.0, 140.0), step_charge_Ah=20e-3)
# Two instruments' voltages may differ by 3 mV at a cut-off, and a step ends at a sample: at 60 s, up to 0.5 % later.
ACCURACY = 0.01
DEAD_MAN_S = 300.0  # several samples' time


def channel(instrument: str, output: str) -> ChannelSettings:
    """Cell d takes twenty times as long as any other and is not compared: it is sampled more seldom."""
    return ChannelSettings(
        instrument=instrument,
        output=output,
        sample_every_s=240.0 if (instrument, output) == OUTPUTS["d"] else 60.0,
        limits=LIMITS,
        temperature="unmonitored",
    )


def settings(bench: Bench, data_dir: Path) -> Config:
    return Config(
        station=StationSettings(name="test", site="test", data_dir=data_dir),
        mqtt=MqttSettings(),
        http=HttpSettings(enabled=False),
        instruments={
            one.name: InstrumentSettings(
                driver=one.model,
                address=one.address,
                serial=one.serial,
                options={} if one.name == "c-2400" else {"dead_man_s": DEAD_MAN_S},
            )
            for one in bench.smus
        },
        channels={cell: channel(*where) for cell, where in OUTPUTS.items()} | {"c-2400": channel("c-2400", "1")},
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


def known(name: str) -> DriverSpec:
    """The 2600's without its entry point, by whatever model the bench calls it."""
    return keithley_2600.DRIVER if name.startswith("keithley-26") else load_driver(name)


async def test_the_five_protocols_finish_two_cells_on_an_instrument_with_the_capacities_of_a_2400(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cycler_ctl.station.load_driver", known)
    clock = StepClock()
    async with open_bench(1, clock.now, PLACES) as bench, asyncio.TaskGroup() as group:
        station = Station(settings(bench, tmp_path), clock, NoLease())
        with clock.member():  # virtual time stands still until the last run has begun
            await station.open(group)
            await station.first_tries()
            names = [*OUTPUTS, "c-2400"]
            runs = {name: await station.begin(name, one_cycle(name[0])) for name in names}
            await all_energised(station)
        for name in runs:
            await station.ended(name)
        reasons = {(status.channel, status.state, status.reason) for status in station.channels()}
        truths = [one.truth() for one in bench.smus]
        assert await station.close("the end of the test")
    assert {state for _, state, _ in reasons} == {ChannelState.FINISHED}, reasons
    assert not any(truth["output_on"] or truth["relay_closed"] or truth["abuse"] for truth in truths), truths
    check_stated([find_run(tmp_path, run) for run in runs.values()], truths)
    capacities = {name: capacity(find_run(tmp_path, run)) for name, run in runs.items()}
    assert capacities["c"] == pytest.approx(capacities["c-2400"], rel=ACCURACY)


def capacity(folder: Path) -> tuple[float, float]:
    with open_run(folder) as reader:
        (first,) = capacity_table(reader)
        return first.lithiation_mAh, first.delithiation_mAh
