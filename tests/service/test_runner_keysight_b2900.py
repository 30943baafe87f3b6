"""Runs on both outputs of a simulated B2902 that fails: each is off in the end, and what is said is true."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import rig as rigging
from rig import Rig, open_rig, protocol, until

from cycler_ctl.config import ChannelSettings, Config
from cycler_ctl.instrument import DriverSpec
from cycler_ctl.live import ChannelState
from cycler_ctl.plugins import load_driver
from drivers import keysight_b2900
from sim_hardware.bench import Bench, Place
from sim_hardware.keysightb2900 import KeysightB2900
from sim_hardware.keysightb2900_channel import Channel

ONE_BOX = (Place("smu1", "keysight-b2902a", "c+c", serial="MY51140001"),)
usual_config = rigging.config_of


def known(name: str) -> DriverSpec:
    """The B2900's without its entry point, for the bench calls each model by its own name."""
    return keysight_b2900.DRIVER if name.startswith("keysight") else load_driver(name)


def two_outputs(bench: Bench, data: Path, channel: ChannelSettings | None = None, **more: Any) -> Config:
    config = usual_config(bench, data, channel, **more)
    first = config.channels["a1"]
    second = first.model_copy(update={"output": "2"})
    return config.model_copy(update={"channels": {"a1": first, "a2": second}})


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Rig]:
    monkeypatch.setattr("rig.load_driver", known)
    monkeypatch.setattr("rig.config_of", two_outputs)
    async with open_rig(tmp_path / "data", monkeypatch, places=ONE_BOX) as opened:
        yield opened
        assert opened.guardian.lapsed == []


def output(rig: Rig, number: int) -> Channel:
    sim = rig.smu().line.instrument
    assert isinstance(sim, KeysightB2900)
    return sim.box.channels[number]


def is_off(rig: Rig, number: int) -> bool:
    return not output(rig, number).output and not output(rig, number).truth(0.0)["relay_closed"]


async def until_state(rig: Rig, name: str, state: ChannelState) -> float:
    return await until(lambda: rig.status(name).state is state)


async def until_new_row(rig: Rig, name: str) -> None:
    before = rig.station.latest(name)
    await until(lambda: rig.station.latest(name) != before)


async def flowing(rig: Rig) -> tuple[str, str]:
    """A run on each output, and current through both cells."""
    runs = await rig.start(channel="a1"), await rig.start(channel="a2")
    await until(lambda: all(abs(float(str(output(rig, n).truth(0.0)["current_A"]))) > 1e-4 for n in (1, 2)))
    await until(lambda: all(rig.station.latest(name) is not None for name in ("a1", "a2")))
    return runs


async def test_runs_on_both_outputs_finish_off_and_recorded(rig: Rig) -> None:
    runs = [await rig.start(protocol("  - rest: 1 s\n"), name) for name in ("a1", "a2")]
    for name in ("a1", "a2"):
        assert (await rig.ends(name)).state is ChannelState.FINISHED
    assert is_off(rig, 1)
    assert is_off(rig, 2)
    assert all(len(rig.rows(run)) >= 4 for run in runs)


async def test_one_output_switched_off_by_hand_pauses_its_run_and_not_the_others(rig: Rig) -> None:
    await flowing(rig)
    output(rig, 2).press(on=False)
    assert "not by us" in (await rig.pauses("a2")).reason
    assert rig.status("a1").state is ChannelState.RUNNING
    assert output(rig, 1).output


async def test_a_stop_of_one_output_leaves_the_other_running(rig: Rig) -> None:
    await flowing(rig)
    await rig.station.stop("a1", "test")
    await rig.ends("a1")
    assert is_off(rig, 1)
    await until_new_row(rig, "a2")
    assert rig.status("a2").state is ChannelState.RUNNING


@pytest.mark.parametrize("fault", ["reboot", "trip"])
async def test_what_switches_the_whole_box_off_pauses_both_runs_and_neither_goes_on_again(rig: Rig, fault: str) -> None:
    await flowing(rig)
    ons = [sum(message.endswith(b" ON") for _, message in rig.smu().command_log())]
    if fault == "reboot":
        rig.smu().line.instrument.power_cycle()
    else:
        rig.smu().line.instrument.set_fault("trip", value=True)
    for name in ("a1", "a2"):
        await rig.pauses(name)
    assert is_off(rig, 1)
    assert is_off(rig, 2)
    ons.append(sum(message.endswith(b" ON") for _, message in rig.smu().command_log()))
    assert ons[0] == ons[1]


@pytest.mark.parametrize("kind", ["drop", "garble"])
async def test_one_bad_reply_ends_neither_run(rig: Rig, kind: str) -> None:
    await flowing(rig)
    rig.inject(kind, b":MEAS?")
    await until(lambda: bool(rig.smu().line.hits.get(kind)))
    for name in ("a1", "a2"):
        await until_new_row(rig, name)
        assert rig.status(name).state is ChannelState.RUNNING


async def test_a_box_that_falls_silent_raises_the_alarm_for_both_and_is_off_when_it_speaks_again(rig: Rig) -> None:
    await flowing(rig)
    rig.inject("silence", count=None)
    for name in ("a1", "a2"):
        took_s = await until_state(rig, name, ChannelState.CANNOT_DEENERGISE)
        assert took_s <= 5.0
        assert "may still be energised" in rig.status(name).reason
    assert rig.truth()["output_on"] is True  # the control
    rig.heal()
    for name in ("a1", "a2"):
        assert (await rig.ends(name)).state is ChannelState.FAULTED
    assert is_off(rig, 1)
    assert is_off(rig, 2)
