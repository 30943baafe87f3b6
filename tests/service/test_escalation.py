"""An output that does not go off: everything is tried in its order, every try is in the record, and no word of it is believed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rig import LIMITS, Rig, open_rig, until

from cycler_ctl.clock import real_sleep
from cycler_ctl.config import ChannelSettings
from cycler_ctl.instrument import Link
from cycler_ctl.live import ChannelState
from protocols.record import EventKind

RELAY = """
import os, sys, threading
with open(sys.argv[1], "a") as file:
    file.write(os.environ["CYCLER_CTL_CHANNEL"] + " " + os.environ["CYCLER_CTL_INSTRUMENT"] + "\\n")
if sys.argv[2] == "hang":
    threading.Event().wait()
sys.exit(int(sys.argv[2]))
"""


class Switch:
    """A power switch that a real script drives; ``runs`` is what it was told."""

    def __init__(self, folder: Path, ending: str) -> None:
        self.script, self.log, self._ending = folder / "relay.py", folder / "relay.log", ending
        self.script.write_text(RELAY, encoding="utf-8")

    def is_at(self, rig: Rig) -> None:
        host = rig.station._hosts["smu1"]
        command = (sys.executable, str(self.script), str(self.log), self._ending)
        host._wiring = replace(host._wiring, relay=command)

    def runs(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []


def tries(rig: Rig, run: str) -> list[str]:
    return [str(event.data["reason"]) for event in rig.events(run) if event.kind is EventKind.FAULT]


def weld(rig: Rig, *, is_on: bool) -> None:
    rig.smu().line.instrument.set_fault("welded", is_on)


async def stops_without_effect(rig: Rig) -> None:
    """The instrument answers everything and its output stays on."""
    weld(rig, is_on=True)
    stopping = asyncio.ensure_future(rig.station.stop("a1", "K. Abe"))
    await until(lambda: rig.status().state is ChannelState.CANNOT_DEENERGISE)
    stopping.cancel()
    await asyncio.wait({stopping})


async def test_an_output_that_stays_on_loses_its_current_and_is_cut_by_the_relay_within_5_s_and_is_still_not_called_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch = Switch(tmp_path, "0")
    narrow = LIMITS.model_copy(update={"voltage_V": (-0.5, 1.9)})  # one range of the source: its relay need not open
    channel = ChannelSettings(instrument="smu1", sample_every_s=0.2, limits=narrow, temperature="unmonitored")
    async with open_rig(tmp_path, monkeypatch, channel=channel) as rig:
        switch.is_at(rig)
        run = await rig.flowing()
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        await stops_without_effect(rig)
        await until(lambda: switch.runs() == ["a1 smu1"])
        assert loop.time() - began_s < 5.0
        await until(lambda: any("status 0" in one for one in tries(rig, run)))
        assert rig.truth()["output_on"]
        assert abs(rig.truth()["current_A"]) < 0.3 * 0.3927e-3
        await real_sleep(1.0)
        assert rig.status().state is ChannelState.CANNOT_DEENERGISE  # a command that says 0 proves nothing
        assert rig.status().energised is None
        weld(rig, is_on=False)
        assert (await rig.ends()).state is ChannelState.FAULTED
        assert rig.is_off()
        assert not rig.lies
        told = tries(rig, run)
        assert told[0].startswith("off was not confirmed")
        order = [
            "once more",
            "once more",
            "0 A was not taken",
            "a hold at",
            "without current",
            "status 0",
            "confirmed now",
        ]
        found = [next(one for one in order if one in said) for said in told[1:] if any(one in said for one in order)]
        assert found == order


async def test_without_contact_the_relay_waits_for_the_cable_and_a_command_that_fails_is_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cycler_ctl.running.escalation.RELAY_AFTER_S", 1.0)
    monkeypatch.setattr("cycler_ctl.running.escalation.RELAY_AGAIN_S", 0.2)
    switch = Switch(tmp_path, "3")
    async with open_rig(tmp_path, monkeypatch) as rig:
        switch.is_at(rig)
        run = await rig.flowing()
        rig.inject("silence", count=None)
        await until(lambda: rig.status().state is ChannelState.CANNOT_DEENERGISE)
        took_s = await until(lambda: bool(switch.runs()))
        assert took_s > 0.9
        await until(lambda: len(switch.runs()) >= 2)
        rig.heal()
        assert (await rig.ends()).state is ChannelState.FAULTED
        told = tries(rig, run)
        assert sum("ended with status 3" in one for one in told) >= 2
        assert any("over a new connection, try 1" in one for one in told)
        assert "off is confirmed now" in told[-1] or "off is confirmed now" in told[-2]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rig, switch: switch.is_at(rig), "had not ended after 0.3 s and was killed"),
        (lambda rig, _: absent(rig), "could not be started"),
    ],
)
async def test_a_command_that_hangs_or_is_not_there_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Rig, Switch], None], said: str
) -> None:
    monkeypatch.setattr("cycler_ctl.running.relay.COMMAND_S", 0.3)
    async with open_rig(tmp_path, monkeypatch) as rig:
        change(rig, Switch(tmp_path, "hang"))
        run = await rig.flowing()
        await stops_without_effect(rig)
        await until(lambda: any(said in one for one in tries(rig, run)))
        weld(rig, is_on=False)
        assert (await rig.ends()).state is ChannelState.FAULTED
        assert rig.is_off()


def absent(rig: Rig) -> None:
    host = rig.station._hosts["smu1"]
    host._wiring = replace(host._wiring, relay=("/nowhere/pdu",))


@pytest.mark.parametrize("known", [True, False])
async def test_a_reset_is_tried_only_where_the_driver_says_that_it_is_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, known: bool
) -> None:
    async with open_rig(tmp_path, monkeypatch) as rig:
        host = rig.station._hosts["smu1"]

        async def reset(link: Link) -> None:
            weld(rig, is_on=False)  # what nothing else did, this does
            await link.write(b":OUTP:SMOD HIMP;:OUTP OFF;:SOUR:CLE:IMM")

        if known:
            host._wiring = replace(host._wiring, spec=replace(host.spec, reset=reset))
        run = await rig.flowing()
        await stops_without_effect(rig)
        if not known:
            await until(lambda: any("over a new connection" in one for one in tries(rig, run)))
            weld(rig, is_on=False)
        await rig.ends()
        assert any("the instrument was reset" in one for one in tries(rig, run)) is known
        assert rig.is_off()


async def test_the_alarm_is_repeated_until_off_was_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cycler_ctl.running.escalation.LOUD_S", 0.1)
    async with open_rig(tmp_path, monkeypatch) as rig:
        await rig.flowing()
        await stops_without_effect(rig)
        alarms = [one for one in rig.seen if one.state is ChannelState.CANNOT_DEENERGISE]
        await real_sleep(1.0)
        more = [one for one in rig.seen if one.state is ChannelState.CANNOT_DEENERGISE]
        assert len(more) >= len(alarms) + 3
        assert "OFF HAS NOT BEEN CONFIRMED" in more[-1].reason
        weld(rig, is_on=False)
        ended = await rig.ends()
        assert "OFF HAS NOT BEEN CONFIRMED" not in ended.reason
