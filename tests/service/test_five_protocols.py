"""The five experiments of Fig. S3, one cycle each, through every wire a 2400 can be reached by, in virtual time."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from cycler_ctl.clock import real_sleep
from cycler_ctl.config import ChannelSettings, Config, HttpSettings, InstrumentSettings, Limits, MqttSettings
from cycler_ctl.live import ChannelState
from cycler_ctl.records.curves import capacity_table
from cycler_ctl.running.start import Order
from cycler_ctl.settings import StationSettings
from cycler_ctl.station import Station
from cycler_ctl.store.reader import find_run, open_run
from cycler_ctl.testing.stepclock import StepClock
from cycler_ctl.watching.lease import NoLease
from protocols.reading.documents import Document
from protocols.record import Row
from protocols.shipped import library
from sim_hardware.bench import Bench, Place, open_bench

CELLS = ("a", "b", "c", "d", "e")
SAMPLE_EVERY_S = {"d": 600.0}  # of run time; d takes twenty times as long as any other
LIMITS = Limits(voltage_V=(-0.5, 5.0), current_A=10e-3, temperature_degC=(20.0, 140.0), step_charge_Ah=20e-3)
TCP = "127.0.0.1:0"
SEED = 1


@dataclass(frozen=True, slots=True)
class Wires:
    listen: str
    backend: str | None


NATIVE = Wires(TCP, None)
VISA_TCP = Wires(TCP, "visa")
VISA_SERIAL = Wires("pty", "visa")


@dataclass(frozen=True, slots=True)
class Done:
    """What a run left behind. Capacities in mAh per gram of MgH2."""

    state: ChannelState
    rows: list[Row]
    ends: list[str]
    lithiation_mAh: float
    delithiation_mAh: float


def settings(bench: Bench, wires: Wires, data_dir: Path) -> Config:
    return Config(
        station=StationSettings(name="test", site="test", data_dir=data_dir),
        mqtt=MqttSettings(),
        http=HttpSettings(enabled=False),
        instruments={
            one.name: InstrumentSettings(
                driver=one.model, address=one.address, backend=wires.backend, serial=one.serial, options={}
            )
            for one in bench.smus
        },
        channels={
            one.cell: ChannelSettings(
                instrument=one.name,
                sample_every_s=SAMPLE_EVERY_S.get(one.cell, 120.0),
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
    """Only then has each run joined the clock, so that all begin at one and the same time."""
    async with asyncio.timeout(30):
        while not all(status.energised for status in station.channels()):
            await real_sleep(0.01)


async def run_all(wires: Wires, data_dir: Path) -> dict[str, Done]:
    """All five at once; when this returns, each instrument itself has said that its output is off."""
    clock = StepClock()
    places = [Place(f"smu_{cell}", cell=cell, listen=wires.listen, serial=f"140000{cell}") for cell in CELLS]
    async with open_bench(SEED, clock.now, places) as bench, asyncio.TaskGroup() as group:
        station = Station(settings(bench, wires, data_dir), clock, NoLease())
        with clock.member():  # virtual time stands still until the last run has begun
            await station.open(group)
            await station.first_tries()
            runs = {cell: await station.begin(cell, one_cycle(cell)) for cell in CELLS}
            await all_energised(station)
        for cell in CELLS:
            await station.ended(cell)
        states = {status.channel: status.state for status in station.channels()}
        truths = {one.cell: one.truth() for one in bench.smus}
        assert await station.close("the end of the test")
    assert not any(truth["output_on"] or truth["relay_closed"] for truth in truths.values()), truths
    assert not any(truth["abuse"] for truth in truths.values()), truths
    return {cell: done(find_run(data_dir, run), states[cell]) for cell, run in runs.items()}


def done(folder: Path, state: ChannelState) -> Done:
    with open_run(folder) as reader:
        (first,) = capacity_table(reader)
        ends = [step.end_reason for step in reader.steps() if step.word != "rest"]
        return Done(state, reader.rows(), ends, first.lithiation_mAh, first.delithiation_mAh)


def check_as_in_the_paper(results: dict[str, Done]) -> None:
    assert {one.state for one in results.values()} == {ChannelState.FINISHED}
    for cell, one in results.items():
        assert len(one.ends) == 2, cell
        assert all("voltage" in end for end in one.ends), (cell, one.ends)
    capacity = {cell: one.lithiation_mAh for cell, one in results.items()}
    assert capacity["a"] > capacity["b"] > capacity["c"], "more AB, more capacity at 0.5 mA/cm2"
    assert capacity["d"] > capacity["c"], capacity
    assert capacity["e"] > capacity["a"], capacity


def first_difference(one: Sequence[Row], other: Sequence[Row]) -> tuple[Row, Row] | None:
    return next(((mine, yours) for mine, yours in zip(one, other, strict=False) if mine != yours), None)


async def test_the_five_protocols_give_the_same_rows_natively_and_through_visa_over_tcp(tmp_path: Path) -> None:
    native = await run_all(NATIVE, tmp_path / "native")
    check_as_in_the_paper(native)
    through_visa = await run_all(VISA_TCP, tmp_path / "visa")
    check_as_in_the_paper(through_visa)
    for cell in CELLS:
        assert len(native[cell].rows) > 100
        assert first_difference(native[cell].rows, through_visa[cell].rows) is None, cell
        assert through_visa[cell] == native[cell], cell


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
async def test_the_five_protocols_run_through_visa_on_serial_lines(tmp_path: Path) -> None:
    check_as_in_the_paper(await run_all(VISA_SERIAL, tmp_path))
