"""Runs on both outputs of a simulated 2600 through the station: what befalls one is not the other's, and silence is off."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from itertools import pairwise
from pathlib import Path

import pytest
from rig import Rig, open_rig, until

from cycler_ctl.clock import SystemClock, real_sleep
from cycler_ctl.config import ChannelSettings, Config, HttpSettings, InstrumentSettings, Limits, StationSettings
from cycler_ctl.instrument import DriverSpec
from cycler_ctl.live import ChannelState
from cycler_ctl.running.start import Order
from cycler_ctl.station import Station
from cycler_ctl.store.reader import open_run
from cycler_ctl.testing.stepclock import StepClock
from cycler_ctl.watching.lease import NoLease
from drivers import keithley_2600
from protocols.reading.documents import Document
from sim_hardware.bench import Bench, Place, open_bench
from sim_hardware.keithley2600 import Keithley2600
from sim_hardware.loads import Battery
from sim_hardware.server import serve_tcp
from sim_hardware.simtime import SimTime

PLACES = (Place("smu1", "keithley-2602b", "c", serial="4000001"),)
LIMITS = Limits(voltage_V=(-0.5, 5.0), current_A=10e-3, step_charge_Ah=20e-3)


def known(_name: str) -> DriverSpec:
    """The 2600's without its entry point."""
    return keithley_2600.DRIVER


def two_outputs(bench: Bench, data: Path, *_: object) -> Config:
    """Channels a1 and a2 are the two outputs of the one instrument."""
    smu = bench["smu1"]
    channels = {
        name: ChannelSettings(
            instrument="smu1", output=output, sample_every_s=0.2, limits=LIMITS, temperature="unmonitored"
        )
        for name, output in (("a1", "a"), ("a2", "b"))
    }
    return Config(
        station=StationSettings(name="rig", data_dir=data),
        http=HttpSettings(enabled=False),
        instruments={"smu1": InstrumentSettings(driver=smu.model, address=smu.address)},
        channels=channels,
    )


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Rig]:
    monkeypatch.setattr("rig.load_driver", known)
    monkeypatch.setattr("rig.config_of", two_outputs)
    async with open_rig(tmp_path / "data", monkeypatch, places=PLACES) as opened:
        yield opened
        assert opened.guardian.lapsed == []


def output_on(rig: Rig, output: str) -> bool:
    return bool(dict(rig.truth()[output])["output_on"])


async def both_flowing(rig: Rig) -> tuple[str, str]:
    runs = await rig.start(), await rig.start(channel="a2")
    await until(lambda: rig.station.latest("a1") is not None and rig.station.latest("a2") is not None)
    assert output_on(rig, "a")
    assert output_on(rig, "b")
    return runs


async def new_rows(rig: Rig, channel: str) -> None:
    before = rig.station.latest(channel)
    await until(lambda: rig.station.latest(channel) != before)


async def test_stopping_one_run_leaves_the_other_outputs_run_going(rig: Rig) -> None:
    await both_flowing(rig)
    await rig.station.stop("a1", by="K. Abe")
    assert not output_on(rig, "a")
    await new_rows(rig, "a2")
    assert rig.status("a2").state is ChannelState.RUNNING
    assert output_on(rig, "b")


async def test_the_output_key_pressed_on_one_output_pauses_only_its_run(rig: Rig) -> None:
    await both_flowing(rig)
    rig.smu().line.instrument.set_fault("b.output", value=False)
    assert "not by us" in (await rig.pauses("a2")).reason
    await new_rows(rig, "a1")
    assert rig.status("a1").state is ChannelState.RUNNING
    assert output_on(rig, "a")


@pytest.mark.parametrize("kind", ["drop", "garble"])
async def test_a_bad_reply_to_one_output_ends_no_run(rig: Rig, kind: str) -> None:
    await both_flowing(rig)
    rig.inject(kind, b"smub.measure")
    await until(lambda: bool(rig.smu().line.hits.get(kind)))
    for channel in ("a1", "a2"):
        await new_rows(rig, channel)
        assert rig.status(channel).state is ChannelState.RUNNING


async def test_a_2600_that_rebooted_pauses_both_runs_and_is_never_energised_again_by_itself(rig: Rig) -> None:
    await both_flowing(rig)
    rig.inject("reboot", b"smua.measure")
    await rig.pauses("a1")
    await rig.pauses("a2")
    assert rig.is_off()


async def test_a_2600_that_falls_silent_is_said_to_be_perhaps_on_and_off_once_it_is_back(rig: Rig) -> None:
    await both_flowing(rig)
    rig.inject("silence", count=None)
    await until(lambda: rig.status("a1").state is ChannelState.CANNOT_DEENERGISE)
    rig.heal()
    assert (await rig.ends("a1")).state is ChannelState.FAULTED
    assert (await rig.ends("a2")).state is ChannelState.FAULTED
    await until(rig.is_off)


HOST = """
import asyncio, sys
from cycler_ctl.clock import SystemClock, real_sleep
from cycler_ctl.instrument import ConstantCurrent
from cycler_ctl.link.opening import open_link
from drivers.keithley_2600 import DRIVER, Options

async def host():
    async with open_link(sys.argv[1], DRIVER.link, SystemClock()) as link, DRIVER.connect(link, Options()) as smu:
        for channel in smu.channels.values():
            await channel.apply(ConstantCurrent(200e-6, (2.5, 4.2)))
        while True:
            for channel in smu.channels.values():
                await channel.read()
            print("read", flush=True)
            await real_sleep(0.02)

asyncio.run(host())
"""


async def test_a_host_that_is_killed_leaves_outputs_that_go_off_by_themselves_in_time() -> None:
    time = SimTime(SystemClock().now)
    sim = Keithley2600((Battery(3.7, 50.0), Battery(3.6, 80.0)), time)
    sim.closing_aborts = False  # as RS-232 and GPIB, which know no connection
    async with serve_tcp(sim) as endpoint:
        host = await asyncio.create_subprocess_exec(
            sys.executable, "-c", HOST, endpoint.address, stdout=subprocess.PIPE
        )
        assert host.stdout is not None
        for _ in range(5):
            assert await host.stdout.readline() == b"read\n"
        host.kill()
        await host.wait()
        await real_sleep(0.05)
        assert sim.truth()["output_on"]
        time.jump(13.0)
        assert sim.truth()["output_on"]
        time.jump(2.0)
        truth = sim.truth()
    assert not truth["output_on"]
    assert not truth["relay_closed"]
    assert truth["abuse"] == ()


CCCV = """
protocol: 1
name: Trial
cell: {name: GN-7, nominal_capacity: 3 mAh, discharge_means: lithiate}
record: every 60 s
safety: {voltage: 2.6 V to 4.35 V, current: 4 mA}
steps:
  - charge: {at: C/2, until: 4.2 V, then_hold_until: C/20 or 3 h}
  - rest: 10 min
"""


async def test_a_2600_holds_a_voltage_until_the_current_has_fallen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cycler_ctl.station.load_driver", known)
    clock = StepClock()
    places = (Place("smu1", "keithley-2612a", "nmc", serial="4000001"),)
    async with open_bench(1, clock.now, places) as bench, asyncio.TaskGroup() as group:
        config = two_outputs(bench, tmp_path)
        slow = {name: one.model_copy(update={"sample_every_s": 20.0}) for name, one in config.channels.items()}
        patient = {"smu1": config.instruments["smu1"].model_copy(update={"options": {"dead_man_s": 30.0}})}
        station = Station(config.model_copy(update={"channels": slow, "instruments": patient}), clock, NoLease())
        with clock.member():
            await station.open(group)
            await station.first_tries()
            runs = [await station.begin(name, Order(Document("trial.yaml", CCCV))) for name in slow]
        for name in slow:
            await station.ended(name)
        states = {(status.state, status.reason) for status in station.channels()}
        truth = bench["smu1"].truth()
        assert await station.close("the end of the test")
    assert {state for state, _ in states} == {ChannelState.FINISHED}, states
    assert (truth["relay_closed"], truth["abuse"]) == (False, ())
    for run in runs:
        with open_run(tmp_path / "runs" / run) as reader:
            held = [row for row in reader.rows() if row.step_id == "1.cv"]
        assert len(held) > 10
        assert all(row.voltage_V == pytest.approx(4.2, abs=0.003) for row in held)
        assert held[-1].current_A <= 0.15e-3 < held[-2].current_A
        assert all(after.current_A < before.current_A + 1e-6 for before, after in pairwise(held))
