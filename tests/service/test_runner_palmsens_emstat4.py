"""Runs on a simulated EmStat4: holds, an instrument that lets go by itself, and what is said is true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from judged import Provokes
from rig import Rig, open_rig, protocol, until
from virtual import LIMITS, Virtual

from cycler_ctl.config import ChannelSettings, Config, HttpSettings, InstrumentSettings, StationSettings
from cycler_ctl.instrument import DriverSpec
from cycler_ctl.live import ChannelState
from cycler_ctl.plugins import load_driver
from cycler_ctl.station import Station
from cycler_ctl.testing.stepclock import StepClock
from cycler_ctl.watching.lease import NoLease
from drivers import palmsens_emstat4
from sim_hardware.bench import Place, open_bench

CCCV = "  - charge: {at: C/2, until: 4.2 V, then_hold_until: C/20 or 3 h}\n"
CHARGE_A = 1.5e-3
PLACES = (
    Place("smu1", "palmsens-emstat4", "c", serial="ES4HR20B0001"),
    Place("smu2", "palmsens-nexus", "c", serial="NEXUS20B0002"),
)


def known(name: str) -> DriverSpec:
    """The EmStat's without its entry point, and for its siblings, which the bench calls by their own names."""
    return palmsens_emstat4.DRIVER if name.startswith("palmsens") else load_driver(name)


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Rig]:
    monkeypatch.setattr("rig.load_driver", known)
    async with open_rig(tmp_path / "data", monkeypatch, places=PLACES) as opened:
        yield opened
        assert opened.lies == []
        assert opened.guardian.lapsed == []


async def test_a_run_on_a_nexus_finishes_off_and_recorded(rig: Rig) -> None:
    run = await rig.start(protocol("  - rest: 1 s\n"), "a2")
    status = await rig.ends("a2")
    assert (status.state, status.energised) == (ChannelState.FINISHED, False)
    assert rig.is_off("smu2")
    rows = rig.rows(run)
    assert len(rows) >= 4
    assert {row.current_A for row in rows} == {0.0}


async def test_a_script_that_fails_in_a_run_ends_it_off(rig: Rig, provokes: Provokes) -> None:
    provokes("a cell left on with no script running")
    run = await rig.flowing()
    rig.smu().line.instrument.set_fault("script", value=True)
    status = await rig.ends()
    assert status.state is ChannelState.FAULTED
    assert rig.is_off()
    assert any("7FFF" in str(event.data) or "ended" in str(event.data) for event in rig.events(run))
    assert rig.truth()["abuse"] == ("a cell left on with no script running",)


async def test_an_emstat_that_rebooted_is_never_energised_again_by_itself(rig: Rig) -> None:
    await rig.flowing()
    rig.inject("reboot", b"Y")
    await rig.pauses()
    assert rig.is_off()


@pytest.mark.parametrize("kind", ["drop", "garble"])
async def test_one_bad_reply_of_an_emstat_ends_no_run(rig: Rig, kind: str) -> None:
    await rig.flowing()
    rig.inject(kind, b"Y")
    await until(lambda: bool(rig.smu().line.hits.get(kind)))
    before = rig.station.latest("a1")
    await until(lambda: rig.station.latest("a1") != before)
    assert rig.status().state is ChannelState.RUNNING


async def test_a_silent_emstat_is_an_alarm_and_not_called_off(rig: Rig) -> None:
    await rig.flowing()
    rig.inject("silence", b"", count=None)
    took_s = await until(lambda: rig.status().state is ChannelState.CANNOT_DEENERGISE, 6.0)
    assert took_s < 5.0
    assert rig.status().energised is None
    assert rig.truth()["output_on"]
    rig.heal()
    assert (await rig.ends()).energised is False
    assert rig.is_off()


class Seldom(palmsens_emstat4.Options):
    interval_s: float = 1.0


@asynccontextmanager
async def one_channel(data: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Virtual]:
    """A full cell on an EmStat4 HR in virtual time, where answers come at once, however seldom it looks."""
    seldom = replace(palmsens_emstat4.DRIVER, options=Seldom)
    monkeypatch.setattr("cycler_ctl.station.load_driver", lambda _: seldom)
    clock = StepClock()
    channel = ChannelSettings(instrument="smu1", sample_every_s=10.0, limits=LIMITS, temperature="unmonitored")
    places = [Place("smu1", "palmsens-emstat4", "nmc", serial="1")]
    async with open_bench(1, clock.now, places) as bench, asyncio.TaskGroup() as group:
        smu = bench["smu1"]
        config = Config(
            station=StationSettings(name="test", data_dir=data),
            http=HttpSettings(enabled=False),
            instruments={"smu1": InstrumentSettings(driver=smu.model, address=smu.address)},
            channels={"a1": channel},
        )
        station = Station(config, clock, NoLease())
        lab = Virtual(smu, station, clock, data, ExitStack(), group)
        with lab.member:
            lab.member.enter_context(clock.member())
            await station.open(group)
            await station.first_tries()
            yield lab
            assert await station.close("the end of the test")
        assert lab.is_off()
        assert lab.truth()["abuse"] == ()


async def test_a_charge_and_its_hold_run_on_an_emstat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with one_channel(tmp_path, monkeypatch) as lab:
        await lab.start(CCCV + "  - rest: 10 min\n")
        assert (await lab.ends()).state is ChannelState.FINISHED
        current, hold, _ = lab.steps()
        assert (current.step_id, hold.step_id) == ("1.cc", "1.cv")
        assert "voltage >= 4.2 V" in current.end_reason
        assert "current" in hold.end_reason
        held = lab.rows("1.cv")
        assert len(held) > 10
        assert all(row.voltage_V == pytest.approx(4.2, abs=0.003) for row in held)
        assert all(0.0 < row.current_A <= CHARGE_A * 1.05 for row in held)
        assert charge_C(lab) == pytest.approx(lab.truth()["charge_C"], rel=5e-3)


async def test_a_pause_opens_the_cell_and_resuming_drives_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with one_channel(tmp_path, monkeypatch) as lab:
        await lab.start(CCCV)
        await lab.until_step("1.cc")
        assert lab.truth()["mode"] == 6
        await lab.station.pause("a1", by="K. Abe")
        assert lab.is_off()
        await lab.acting(lab.station.resume("a1", by="K. Abe"))
        assert lab.truth()["output_on"]
        assert (await lab.ends()).state is ChannelState.FINISHED


def charge_C(lab: Virtual) -> float:
    total = lab.rows()[-1].run_total
    return 3600 * (total.oxidation_Ah - total.reduction_Ah)
