"""What a service that died, or a request that was broken off, leaves to the next one: nothing locked, nothing lost, nothing believed."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from rig import open_rig, until
from virtual import Virtual, open_virtual

from cycler_ctl.clock import real_sleep
from cycler_ctl.errors import InstrumentError, RefusedError
from cycler_ctl.live import ChannelState
from cycler_ctl.running.going_on import reopen
from cycler_ctl.running.start import begin_record
from cycler_ctl.store.reader import open_run
from protocols.record import EventKind, Outcome
from sim_hardware.faults import LineFault

CHARGE = "  - charge: {at: 1 mA, for: 30 min}\n  - rest: 5 min\n"


class Held:
    """A call that waits, in its thread, until the test lets it go."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self.began, self.go = threading.Event(), threading.Event()

    def __call__(self, *args: Any, **more: Any) -> Any:
        made = self._call(*args, **more)
        self.began.set()
        assert self.go.wait(10.0)
        return made


async def broken_off(asked: asyncio.Future[Any], held: Held) -> None:
    """The request is cancelled when its record is open already and nobody has been told."""
    while not held.began.is_set():
        await real_sleep(0.005)
    asked.cancel()
    await real_sleep(0.0)
    held.go.set()
    with pytest.raises(asyncio.CancelledError):
        await asked


async def test_a_start_that_is_broken_off_leaves_no_record_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_virtual(tmp_path) as lab:
        with monkeypatch.context() as slow:
            held = Held(begin_record)
            slow.setattr("cycler_ctl.station.begin_record", held)
            await broken_off(asyncio.ensure_future(lab.start(CHARGE)), held)
        assert not [one.name for one in threading.enumerate() if one.name.startswith("store ")]
        (left,) = (lab.data / "runs").iterdir()
        with open_run(left) as reader:
            assert reader.state.outcome is Outcome.STOPPED
            assert "never begun" in reader.state.reason
        assert lab.status().state is ChannelState.IDLE
        await lab.start(CHARGE)
        assert (await lab.ends()).state is ChannelState.FINISHED


async def test_a_resume_that_is_broken_off_leaves_the_run_to_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_virtual(tmp_path) as lab:
        await lab.start(CHARGE)
        await lab.at(600.0)
        await lab.dies(60.0)
        with monkeypatch.context() as slow:
            held = Held(reopen)
            slow.setattr("cycler_ctl.station.reopen", held)
            await broken_off(asyncio.ensure_future(lab.station.resume("a1", "K. Abe")), held)
        assert not [one.name for one in threading.enumerate() if one.name.startswith("store ")]
        assert lab.status().state is ChannelState.INTERRUPTED
        await lab.acting(lab.station.resume("a1", "K. Abe"))
        assert (await lab.ends()).state is ChannelState.FINISHED
        assert lab.steps()[0].charge_Ah == pytest.approx(0.5e-3, rel=5e-3)


async def test_an_interrupted_run_whose_output_was_left_on_goes_on_once_off_was_read_back_and_its_record_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_rig(tmp_path, monkeypatch) as rig:
        run = await rig.flowing()
        await until(lambda: len(rig.rows(run)) > 2)
        slot = rig.station._slots["a1"]
        assert slot.task is not None
        slot.task.cancel()
        await asyncio.wait({slot.task})

    cut = LineFault("silence", None)
    async with open_rig(
        tmp_path, monkeypatch, left_over=("a1",), before=lambda bench: bench["smu1"].line.inject(cut), wait_s=0.0
    ) as rig:
        await until(lambda: rig.status().state is ChannelState.CANNOT_DEENERGISE)
        with pytest.raises(InstrumentError, match="off could not be confirmed"):
            await rig.station.resume("a1", "K. Abe")
        rig.heal()
        await until(lambda: rig.status().state is ChannelState.INTERRUPTED)
        assert rig.is_off()
        assert "may have stayed on" in rig.status().reason
        assert rig.status().run == run
        (told,) = [event for event in rig.events(run) if event.kind is EventKind.FAULT]
        assert "may have stayed on" in str(told.data["reason"])
        await rig.station.resume("a1", "K. Abe")
        assert rig.flows()
        await rig.station.stop("a1", "K. Abe")
        rows = rig.rows(run)
        assert [row.seq for row in rows] == list(range(1, len(rows) + 1))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"nplc": 0.1}, r"the instrument's nplc was 1\.0 and is 0\.1 in station\.toml now"),
        ({"terminals": "rear"}, "the instrument's terminals was front and is rear"),
        ({"nplc": 1}, None),
    ],
)
async def test_an_instrument_that_is_set_up_otherwise_is_refused_and_the_same_in_other_words_is_not(
    tmp_path: Path, options: dict[str, object], why: str | None
) -> None:
    async with open_virtual(tmp_path) as lab:
        await lab.start(CHARGE)
        await lab.at(600.0)
        await lab.dies(60.0)
        await served_with(lab, options)
        if why is None:
            await lab.acting(lab.station.resume("a1", "K. Abe"))
            assert (await lab.ends()).state is ChannelState.FINISHED
            return
        with pytest.raises(RefusedError, match=why):
            await lab.acting(lab.station.resume("a1", "K. Abe"))
        assert lab.is_off()
        assert lab.status().state is ChannelState.INTERRUPTED
        await served_with(lab, {})
        await lab.acting(lab.station.resume("a1", "K. Abe"))
        assert (await lab.ends()).state is ChannelState.FINISHED


async def served_with(lab: Virtual, options: dict[str, object]) -> None:
    """Another station.toml for the next station."""
    await lab.acting(lab.closes("other settings"))
    config = lab.station.config
    instruments = {"smu1": config.instruments["smu1"].model_copy(update={"options": options})}
    lab.station.config = config.model_copy(update={"instruments": instruments})
    await lab.acting(lab.another_station())


async def test_a_register_that_could_not_be_read_makes_every_channel_of_an_instrument_say_that_it_may_be_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guardian then had only the instruments' names to write down."""
    cut = LineFault("silence", None)
    async with open_rig(
        tmp_path, monkeypatch, left_over=("smu1",), before=lambda bench: bench["smu1"].line.inject(cut), wait_s=0.0
    ) as rig:
        await until(lambda: rig.status().state is ChannelState.CANNOT_DEENERGISE)
        assert rig.status().energised is None
        rig.heal()
        await until(lambda: rig.status().state is ChannelState.FAULTED)
        assert rig.is_off()
        assert rig.registered() == set()


async def test_a_run_that_was_broken_off_with_its_output_on_is_not_said_to_be_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_rig(tmp_path, monkeypatch) as rig:
        await rig.flowing()
        task = rig.station._slots["a1"].task
        assert task is not None
        rig.bench["smu1"].line.inject(LineFault("lose", None, b":OUTP OFF"))
        task.cancel()
        await asyncio.wait({task})
        assert rig.flows()
        assert rig.status().state is ChannelState.CANNOT_DEENERGISE
        assert rig.status().energised is None
        rig.heal()


async def test_a_stop_while_a_run_is_just_beginning_means_that_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_virtual(tmp_path) as lab:
        held = Held(begin_record)
        with monkeypatch.context() as slow:
            slow.setattr("cycler_ctl.station.begin_record", held)
            asked = asyncio.ensure_future(lab.start(CHARGE))
            while not held.began.is_set():
                await real_sleep(0.005)
            await lab.station.stop("a1", "K. Abe")
            held.go.set()
            with pytest.raises(RefusedError, match=r"stopped by K. Abe before it began"):
                await asked
        assert lab.status().state is ChannelState.IDLE
        (left,) = (lab.data / "runs").iterdir()
        with open_run(left) as reader:
            assert reader.state.reason == "never begun: channel a1: stopped by K. Abe before it began"
        await lab.start(CHARGE)
        assert (await lab.ends()).state is ChannelState.FINISHED
