"""Runs on a simulated 2450 that fails: whatever happens the output is off in the end, and what is said is true."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from rig import Rig, open_rig, protocol, until

from cycler_ctl.instrument import DriverSpec
from cycler_ctl.live import ChannelState
from cycler_ctl.plugins import load_driver
from drivers import keithley_2450
from sim_hardware.bench import Place

PLACES = (
    Place("smu1", "keithley-2450", "c", serial="04000001"),
    Place("smu2", "keithley-2461", "c", serial="04000002"),
)


def known(name: str) -> DriverSpec:
    """The 2450's without its entry point, and for its siblings, which the bench calls by their own names."""
    return keithley_2450.DRIVER if name != "keithley-2400" else load_driver(name)


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Rig]:
    monkeypatch.setattr("rig.load_driver", known)
    async with open_rig(tmp_path / "data", monkeypatch, places=PLACES) as opened:
        yield opened
        assert opened.lies == []
        assert opened.guardian.lapsed == []


async def test_a_run_on_a_2461_finishes_off_and_recorded(rig: Rig) -> None:
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


async def test_a_2450_that_rebooted_is_never_energised_again_by_itself(rig: Rig) -> None:
    await rig.flowing()
    rig.inject("reboot", b"READ")
    await rig.pauses()
    assert rig.is_off()


@pytest.mark.parametrize("kind", ["drop", "garble"])
async def test_one_bad_reply_of_a_2450_ends_no_run(rig: Rig, kind: str) -> None:
    await rig.flowing()
    rig.inject(kind, b"READ")
    await until(lambda: bool(rig.smu().line.hits.get(kind)))
    before = rig.station.latest("a1")
    await until(lambda: rig.station.latest("a1") != before)
    assert rig.status().state is ChannelState.RUNNING
