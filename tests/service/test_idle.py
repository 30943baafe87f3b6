"""An instrument that nobody uses, in virtual time: what happens to it is noticed within one look, and ends with off."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from undriven import ASKED, BACK_S, EVERY_KIND, NOTICED_S, Lab, scene

from cycler_ctl.channels.idle import EVERY_S
from cycler_ctl.clock import real_sleep
from cycler_ctl.errors import RefusedError
from cycler_ctl.live import ChannelState
from sim_hardware.faults import LineFault


@EVERY_KIND
def test_an_idle_instrument_whose_cable_is_pulled_is_said_to_be_lost_and_is_back_by_itself(
    name: str, tmp_path: Path
) -> None:
    async def act(one: Lab) -> None:
        assert (one.instrument().link, one.status().energised) == ("connected", False)
        one.smu.line.inject(LineFault("silence", None))
        await one.until(lambda: one.instrument().link == "lost", NOTICED_S)
        assert one.status().energised is None  # nobody can know
        await one.until(lambda: one.instrument().message not in {"connected", ""}, NOTICED_S)
        one.smu.line.clear_faults()
        await one.until(lambda: one.instrument().link == "connected", BACK_S)
        assert (one.status().state, one.status().energised, one.is_on()) == (ChannelState.IDLE, False, False)
        await one.flows()

    scene(name, tmp_path, act)


@ASKED
def test_an_idle_instrument_that_lost_its_power_is_connected_anew_and_off_as_it_was_left(
    name: str, tmp_path: Path
) -> None:
    """As a serial line does not show: its settings are lost, the high impedance of off with them."""

    async def act(one: Lab) -> None:
        before = len(one.messages())
        one.smu.line.instrument.power_cycle()
        await one.until(lambda: one.told[:1] == ["lost"], NOTICED_S)
        await one.until(lambda: one.instrument().link == "connected", BACK_S)
        assert any(message.startswith(one.kind.off) or one.kind.off in message for message in one.messages()[before:])
        seen = len(one.told)
        await real_sleep(3 * EVERY_S)
        assert len(one.told) == seen  # as it was left again: each look finds it so
        await one.flows()

    scene(name, tmp_path, act)


@ASKED
def test_an_idle_output_that_somebody_switches_on_is_off_at_the_next_look_and_waits_for_a_person(
    name: str, tmp_path: Path
) -> None:
    async def act(one: Lab) -> None:
        one.press()
        await one.until(lambda: one.status().state is ChannelState.FAULTED, NOTICED_S)
        assert not one.is_on()
        assert "nothing here had switched it on" in one.status().reason
        assert one.instrument().link == "connected"
        with pytest.raises(RefusedError, match="look at the cell"):
            await one.start()
        await one.station.acknowledge("a1", by="K. Abe")
        assert one.status().state is ChannelState.IDLE
        await one.flows()

    scene(name, tmp_path, act)


@pytest.mark.parametrize("goes_off", [True, False])
@pytest.mark.parametrize("name", ["2400", "2602B"])
def test_an_idle_output_that_was_found_on_waits_for_a_person_over_every_restart(
    name: str, goes_off: bool, tmp_path: Path
) -> None:
    """No run's record says so: it is the channel's own."""

    async def act(one: Lab) -> None:
        if not goes_off:
            one.smu.line.inject(LineFault("lose", None, one.kind.off))
        one.press()
        await one.until(lambda: one.status().state is not ChannelState.IDLE, NOTICED_S)
        one.smu.line.clear_faults()
        await one.until(lambda: one.status().state is ChannelState.FAULTED, 5.0)
        for _ in range(2):
            await one.restarts()
            assert one.status().state is ChannelState.FAULTED
            assert "nothing here had switched it on" in one.status().reason
            with pytest.raises(RefusedError, match="look at the cell"):
                await one.start()
        await one.station.acknowledge("a1", by="K. Abe")
        await one.restarts()
        assert one.status().state is ChannelState.IDLE
        await one.flows()

    scene(name, tmp_path, act)


@ASKED
def test_an_idle_output_that_is_on_and_does_not_go_off_is_the_loudest_alarm_until_it_does(
    name: str, tmp_path: Path
) -> None:
    async def act(one: Lab) -> None:
        one.smu.line.inject(LineFault("lose", None, one.kind.off))
        one.press()
        await one.until(lambda: one.status().state is ChannelState.CANNOT_DEENERGISE, NOTICED_S)
        assert one.status().energised is None
        assert "disconnect the cell" in one.status().reason
        assert one.is_on()
        await real_sleep(20.0)
        assert one.status().state is ChannelState.CANNOT_DEENERGISE
        one.smu.line.clear_faults()
        await one.until(lambda: one.status().state is ChannelState.FAULTED, 5.0)
        assert not one.is_on()

    scene(name, tmp_path, act)


@EVERY_KIND
def test_looks_keep_an_idle_instrument_as_it_is_and_say_when_it_last_answered(name: str, tmp_path: Path) -> None:
    async def act(one: Lab) -> None:
        good_s = one.instrument().last_good_utc_s
        before = len(one.messages())
        await real_sleep(3.5 * EVERY_S)
        assert one.told == []
        assert len(one.messages()) > before
        assert not one.is_on()
        assert good_s is not None
        assert (one.instrument().last_good_utc_s or 0.0) >= good_s + 2 * EVERY_S

    scene(name, tmp_path, act)


@EVERY_KIND
def test_nobody_looks_while_a_run_has_an_output_of_the_instrument(name: str, tmp_path: Path) -> None:
    async def act(one: Lab) -> None:
        looks: list[bool] = []
        instrument = one.station._hosts["smu1"].connected()
        resync = type(instrument).resync

        async def noted(self: Any) -> None:
            looks.append(one.is_on())
            await resync(self)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(instrument), "resync", noted)
            await one.flows()
            looks.clear()
            await real_sleep(4 * EVERY_S)
            assert one.status().state is ChannelState.RUNNING
            assert looks == []
            await one.station.stop("a1", by="K. Abe")
            await real_sleep(2 * EVERY_S)
            assert looks
            assert not any(looks)

    scene(name, tmp_path, act)


@pytest.mark.parametrize("name", ["2400", "2602B"])
@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.4])
def test_a_start_in_the_middle_of_a_look_waits_for_its_end(name: str, after_s: float, tmp_path: Path) -> None:
    async def act(one: Lab) -> None:
        looking = asyncio.create_task(one.station._looks["smu1"].look())
        await real_sleep(after_s)
        await one.flows()
        await looking
        assert one.status().state is ChannelState.RUNNING
        assert one.told.count("lost") == 0

    scene(name, tmp_path, act)


@pytest.mark.parametrize("after_s", [0.1, 1.5])
def test_two_starts_in_the_middle_of_a_slow_look_both_wait_for_its_end(after_s: float, tmp_path: Path) -> None:
    """The second one must not go ahead because the first is beginning: the look would find its output on."""

    async def act(one: Lab) -> None:
        channel: Any = type(one.station._hosts["smu1"].connected().channels["a"])
        is_on: Callable[[Any], Awaitable[bool]] = channel.is_on

        async def slow(self: Any) -> bool:
            await real_sleep(1.0)
            return await is_on(self)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(channel, "is_on", slow)
            looking = asyncio.create_task(one.station._looks["smu1"].look())
            await real_sleep(after_s)
            await asyncio.gather(one.start("a1"), one.start("a2"))
            await looking
        await real_sleep(1.0)
        assert [one.status(name).state for name in ("a1", "a2")] == [ChannelState.RUNNING] * 2

    scene("2602B", tmp_path, act)
