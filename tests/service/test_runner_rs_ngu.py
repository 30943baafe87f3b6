"""Runs on a simulated NGU401 that fails: whatever happens the output is off in the end, and what is said is true."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest
from rig import Rig, open_rig, protocol, until

from cycler_ctl.instrument import DriverSpec, Ratings
from cycler_ctl.live import ChannelState
from cycler_ctl.plugins import load_driver
from drivers import rs_ngu
from drivers.rs_ngu_ratings import Model, ratings
from sim_hardware.bench import Place

PLACES = (
    Place("smu1", "rs-ngu401", "c", serial="04000001"),
    Place("smu2", "rs-ngu401", "c", serial="04000002"),
)


def known(name: str) -> DriverSpec:
    """The NGU's without its entry point, under the names the bench calls the models by."""
    return rs_ngu.DRIVER if name.startswith("rs-") else load_driver(name)


def at_once(model: Model) -> Ratings:
    """The simulated instrument measures faster than a real one, and so may the test."""
    return replace(ratings(model), fastest_sample_s=0.05)


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Rig]:
    monkeypatch.setattr("rig.load_driver", known)
    monkeypatch.setattr("drivers.rs_ngu_output.ratings", at_once)
    async with open_rig(tmp_path / "data", monkeypatch, places=PLACES) as opened:
        yield opened
        assert opened.lies == []
        assert opened.guardian.lapsed == []


async def test_a_run_on_an_ngu401_finishes_off_and_recorded(rig: Rig) -> None:
    run = await rig.start(protocol("  - rest: 1 s\n"), "a2")
    status = await rig.ends("a2")
    assert (status.state, status.energised) == (ChannelState.FINISHED, False)
    assert rig.is_off("smu2")
    assert len(rig.rows(run)) >= 4


async def test_the_output_key_pressed_in_a_run_pauses_it(rig: Rig) -> None:
    await rig.flowing()
    rig.smu().line.instrument.set_fault("output", value=False)
    status = await rig.pauses()
    assert rig.is_off()
    assert "not by us" in status.reason


async def test_an_ngu_that_rebooted_is_never_energised_again_by_itself(rig: Rig) -> None:
    await rig.flowing()
    rig.inject("reboot", b"READ")
    await rig.pauses()
    assert rig.is_off()


@pytest.mark.parametrize("kind", ["drop", "garble"])
async def test_one_bad_reply_of_an_ngu_ends_no_run(rig: Rig, kind: str) -> None:
    await rig.flowing()
    rig.inject(kind, b"READ")
    await until(lambda: bool(rig.smu().line.hits.get(kind)))
    before = rig.station.latest("a1")
    await until(lambda: rig.station.latest("a1") != before)
    assert rig.status().state is ChannelState.RUNNING


async def test_a_protection_that_trips_in_a_run_pauses_it(rig: Rig) -> None:
    await rig.flowing()
    rig.smu().line.instrument.set_fault("trip", "ovp")
    status = await rig.pauses()
    assert "protection" in status.reason
    assert rig.is_off()
