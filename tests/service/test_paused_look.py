"""The output of a paused run is looked at all the same: off as it was left, or the run ends and says why."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from undriven import ASKED, BACK_S, EVERY_KIND, KINDS, NOTICED_S, Lab, on_in, scene

from cycler_ctl.channels.idle import EVERY_S
from cycler_ctl.clock import real_sleep
from cycler_ctl.errors import BadReply
from cycler_ctl.live import ChannelState
from sim_hardware.faults import LineFault

TWO = pytest.mark.parametrize("name", ["2602B", "B2902A"])


async def paused(one: Lab, sample_every_s: float = 1.0) -> None:
    channel = one.station.config.channels["a1"].model_copy(update={"sample_every_s": sample_every_s})
    one.station._slots["a1"].settings = channel
    await one.flows()
    await one.station.pause("a1", by="K. Abe")
    assert (one.status().state, one.status().energised) == (ChannelState.PAUSED, False)


async def goes_on(one: Lab) -> None:
    await one.until(lambda: one.instrument().link == "connected", BACK_S)
    await one.station.resume("a1", by="K. Abe")
    await one.until(lambda: one.status().state is ChannelState.RUNNING, 10.0)


def is_on(one: Lab, output: str) -> bool:
    part = one.smu.truth()[output]
    return isinstance(part, Mapping) and on_in(part)


@pytest.mark.parametrize(
    ("name", "sample_every_s"), [*((name, 1.0) for name, kind in KINDS.items() if kind.panel), ("2400", 60.0)]
)
def test_a_paused_output_that_somebody_switches_on_is_off_at_the_next_look_and_its_run_is_faulted(
    name: str, sample_every_s: float, tmp_path: Path
) -> None:
    async def act(one: Lab) -> None:
        await paused(one, sample_every_s)
        await real_sleep(2.5 * EVERY_S)
        assert one.status().state is ChannelState.PAUSED
        one.press()
        await one.until(lambda: one.status().state is ChannelState.FAULTED, NOTICED_S)
        assert not one.is_on()
        assert "nothing here had switched it on" in one.status().reason

    scene(name, tmp_path, act)


@pytest.mark.parametrize("name", ["2400", "2602B"])
def test_a_paused_output_that_was_switched_on_and_does_not_go_off_is_the_loudest_alarm(
    name: str, tmp_path: Path
) -> None:
    async def act(one: Lab) -> None:
        await paused(one)
        await real_sleep(1.5 * EVERY_S)
        one.smu.line.inject(LineFault("lose", None, one.kind.off))
        one.press()
        await one.until(lambda: one.status().state is ChannelState.CANNOT_DEENERGISE, NOTICED_S)
        assert one.status().energised is None
        one.smu.line.clear_faults()
        await one.until(lambda: one.status().state is ChannelState.FAULTED, 15.0)
        assert not one.is_on()

    scene(name, tmp_path, act)


@EVERY_KIND
def test_a_paused_run_whose_instrument_falls_silent_is_interrupted_and_goes_on_where_it_was(
    name: str, tmp_path: Path
) -> None:
    """Nobody can know what its output does; that is said, and so is why, in the record too."""

    async def act(one: Lab) -> None:
        await paused(one)
        run = one.status().run
        one.smu.line.inject(LineFault("silence", None))
        await one.until(lambda: one.status().energised is None, NOTICED_S)
        assert one.status().state is ChannelState.INTERRUPTED
        assert "contact lost" in one.status().reason
        one.smu.line.clear_faults()
        await goes_on(one)
        assert one.status().run == run

    scene(name, tmp_path, act)


@EVERY_KIND
def test_one_lost_answer_is_asked_for_again_and_interrupts_no_pause(name: str, tmp_path: Path) -> None:
    async def act(one: Lab) -> None:
        await paused(one)
        one.smu.line.inject(LineFault("drop", 1))
        await real_sleep(2.5 * EVERY_S)
        assert (one.status().state, one.status().energised) == (ChannelState.PAUSED, False)
        await goes_on(one)

    scene(name, tmp_path, act)


@ASKED
def test_an_instrument_that_lost_its_power_in_a_pause_is_told_off_again_and_the_run_goes_on(
    name: str, tmp_path: Path
) -> None:
    async def act(one: Lab) -> None:
        await paused(one)
        one.smu.line.instrument.power_cycle()
        await real_sleep(2.5 * EVERY_S)
        assert not one.is_on()
        await goes_on(one)

    scene(name, tmp_path, act)


@pytest.mark.parametrize("error", [RuntimeError("a driver's own mistake"), BadReply(":OUTP?", b"7"), TimeoutError()])
def test_a_look_that_fails_in_any_way_interrupts_the_run_and_connects_anew(error: Exception, tmp_path: Path) -> None:
    async def act(one: Lab) -> None:
        await paused(one)
        channel: Any = type(one.station._hosts["smu1"].connected().channels["1"])

        async def fails(_self: Any) -> bool:
            raise error

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(channel, "is_on", fails)
            await one.until(lambda: one.status().state is ChannelState.INTERRUPTED, NOTICED_S)
        assert (str(error) or "no answer in time") in one.status().reason
        assert one.status().energised is None
        await goes_on(one)

    scene("2400", tmp_path, act)


@TWO
def test_a_paused_output_beside_a_running_one_is_looked_at_and_the_other_run_misses_nothing(
    name: str, tmp_path: Path
) -> None:
    async def act(one: Lab) -> None:
        await paused(one)
        await one.flows("a2")
        channel: Any = type(one.station._hosts["smu1"].connected().channels[one.kind.outputs[0]])
        asked: Callable[[Any], Awaitable[bool]] = channel.is_on
        looks: list[bool] = []

        async def noted(self: Any) -> bool:
            looks.append(await asked(self))
            return looks[-1]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(channel, "is_on", noted)
            await real_sleep(3.5 * EVERY_S)
        assert looks == [False] * len(looks)
        assert len(looks) >= 3
        assert one.status("a2").state is ChannelState.RUNNING

    scene(name, tmp_path, act)


def test_an_idle_output_beside_a_running_one_that_somebody_switches_on_is_off_and_the_other_run_goes_on(
    tmp_path: Path,
) -> None:
    async def act(one: Lab) -> None:
        await one.flows("a2")
        await real_sleep(1.5 * EVERY_S)
        one.smu.line.instrument.set_fault("a.output", value=True)
        assert is_on(one, "a")
        await one.until(lambda: one.status("a1").state is ChannelState.FAULTED, NOTICED_S)
        assert "nothing here had switched it on" in one.status("a1").reason
        assert (is_on(one, "a"), is_on(one, "b")) == (False, True)
        await real_sleep(1.5 * EVERY_S)
        assert one.status("a2").state is ChannelState.RUNNING

    scene("2602B", tmp_path, act)


@pytest.mark.parametrize("error", [RuntimeError("a driver's own mistake"), BadReply("output?", b"7")])
def test_a_look_beside_a_running_output_that_fails_ends_no_run_and_no_station(error: Exception, tmp_path: Path) -> None:
    async def act(one: Lab) -> None:
        await one.flows("a2")
        channel: Any = type(one.station._hosts["smu1"].connected().channels[one.kind.outputs[0]])

        async def fails(_self: Any) -> bool:
            raise error

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(channel, "is_on", fails)
            await real_sleep(2.5 * EVERY_S)
        assert one.status("a2").state is ChannelState.RUNNING
        assert "lost" not in one.told

    scene("2602B", tmp_path, act)
