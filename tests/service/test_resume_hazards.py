"""What may have changed before a person resumes an interrupted run, and what may go wrong while it is done."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from typing import TypeVar

import pytest
from virtual import LIMITS, Virtual, open_virtual

from cycler_ctl.channels.sensing import Sensing
from cycler_ctl.clock import real_sleep
from cycler_ctl.errors import InstrumentError, RefusedError
from cycler_ctl.instrument import Measurement
from cycler_ctl.live import ChannelState
from cycler_ctl.store.reader import open_run
from protocols.record import EventKind
from sim_hardware.faults import LineFault
from sim_hardware.loads import Battery

Answer = TypeVar("Answer")
CHARGE = "  - charge: {at: 1 mA, for: 30 min}\n  - rest: 5 min\n"
CCCV = "  - charge: {at: C/2, until: 4.2 V, then_hold_until: C/20 or 3 h}\n"
CHARGED_AH = 0.5e-3


async def interrupted(lab: Virtual, steps: str = CHARGE, at_s: float = 600.0) -> None:
    await lab.start(steps)
    await lab.at(at_s)
    await lab.dies(60.0)


async def resume(lab: Virtual, by: str = "K. Abe") -> None:
    await lab.acting(lab.station.resume("a1", by))


async def refused(lab: Virtual, why: str) -> None:
    """Nothing is energised, and the run is there to be resumed when what was wrong is mended."""
    with pytest.raises(RefusedError, match=why):
        await resume(lab)
    assert lab.is_off()
    assert lab.status().state is ChannelState.INTERRUPTED


async def finishes(lab: Virtual) -> None:
    ended = await lab.ends()
    assert ended.state is ChannelState.FINISHED, ended.reason
    assert lab.steps()[0].charge_Ah == pytest.approx(CHARGED_AH, rel=5e-3)


def change_settings(lab: Virtual, **changes: object) -> None:
    """Another station.toml for the next station."""
    config = lab.station.config
    channels = {"a1": config.channels["a1"].model_copy(update=changes)}
    lab.station.config = config.model_copy(update={"channels": channels})


async def served_again(lab: Virtual, **changes: object) -> None:
    await lab.acting(lab.closes("other settings"))
    change_settings(lab, **changes)
    await lab.acting(lab.another_station())


async def test_a_cell_that_was_refused_is_refused_again(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        await interrupted(lab)
        own, last_V = lab.load(), lab.rows()[-1].voltage_V
        lab.swap(Battery(last_V + 0.3, 5.0))  # a charged cell's voltage falls at rest, it does not rise
        for _ in range(3):
            await refused(lab, "is it the same cell")
        lab.swap(own)
        await resume(lab)
        await finishes(lab)


async def test_a_paused_runs_cell_is_expected_where_it_relaxes_to(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        await lab.start(CHARGE)
        await lab.at(600.0)
        await lab.acting(lab.station.pause("a1", "K. Abe"))
        await lab.dies(60.0)
        lab.swap(Battery(lab.rows()[-1].voltage_V + 0.3, 5.0))
        await refused(lab, "is it the same cell")


async def test_limits_that_were_narrowed_meanwhile_hold(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        await interrupted(lab, CCCV)
        await served_again(lab, limits=LIMITS.model_copy(update={"voltage_V": (2.5, 4.19)}))
        await refused(lab, r"4\.2 V is not inside the channel's limits|reaches 4\.22 V, outside the channel's limits")
        await served_again(lab, limits=LIMITS.model_copy(update={"current_A": 1e-3}))
        await refused(lab, "the channel's limit 1 mA")
        await served_again(lab, limits=LIMITS)
        await resume(lab)
        assert (await lab.ends()).state is ChannelState.FINISHED


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"regulation": "current"}, "regulation was bounded and is current"),
        ({"debounce": 3}, "debounce was 2 and is 3"),
    ],
)
async def test_a_channel_that_measures_otherwise_now_is_refused(
    tmp_path: Path, change: dict[str, object], why: str
) -> None:
    async with open_virtual(tmp_path) as lab:
        await interrupted(lab)
        await served_again(lab, **change)
        await refused(lab, why)


@pytest.mark.parametrize("back_s", [3600.0, 20 * 365 * 86400.0])
async def test_a_clock_that_went_back_takes_nothing_from_the_run(tmp_path: Path, back_s: float) -> None:
    async with open_virtual(tmp_path) as lab:
        await interrupted(lab)
        lab.clock.utc_is_set(-back_s)
        await served_again(lab)
        await resume(lab)
        await finishes(lab)
        times = [row.time_s for row in lab.rows()]
        assert times == sorted(set(times))


async def test_a_record_on_a_disk_that_cannot_be_written_keeps_the_output_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_: object, **_more: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    async with open_virtual(tmp_path) as lab:
        await interrupted(lab)
        with monkeypatch.context() as gone:
            gone.setattr("cycler_ctl.store.writer.continued", read_only)
            await refused(lab, "Read-only file system")
            await served_again(lab)
            assert lab.status().state is ChannelState.INTERRUPTED
        await resume(lab)
        await finishes(lab)


@pytest.mark.parametrize("wait_s", [0.0, 0.05, 0.15])
async def test_of_two_who_resume_at_once_one_does_and_nothing_is_lost(tmp_path: Path, wait_s: float) -> None:
    async with open_virtual(tmp_path) as lab:
        await interrupted(lab)

        async def second() -> None:
            await lab.clock.sleep_until(lab.clock.now() + wait_s)
            await lab.station.resume("a1", "B. Cho")

        async def late() -> None:
            with lab.clock.member():
                await second()

        both = asyncio.gather(lab.station.resume("a1", "K. Abe"), late(), return_exceptions=True)
        results = await lab.acting(as_coroutine(both))
        assert results[0] is None
        assert results[1] is None or isinstance(results[1], RefusedError)
        assert lab.status().state is ChannelState.RUNNING
        await finishes(lab)


async def as_coroutine(future: asyncio.Future[Answer]) -> Answer:
    return await future


async def test_nobody_acknowledges_a_run_while_it_is_being_resumed(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        await interrupted(lab)
        resuming = asyncio.ensure_future(lab.station.resume("a1", "K. Abe"))
        await real_sleep(0)
        with pytest.raises(RefusedError, match="just beginning"):
            await lab.station.acknowledge("a1", "B. Cho")
        await lab.acting(as_coroutine(asyncio.gather(resuming)))
        await finishes(lab)


async def test_an_acknowledged_run_is_over_and_the_channel_free_for_another(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        await interrupted(lab)
        first = lab.run
        await lab.acting(lab.station.acknowledge("a1", "K. Abe"))
        with pytest.raises(RefusedError, match="nothing to resume"):
            await resume(lab)
        await lab.start(CHARGE)
        await lab.at(lab.clock.now() + 300.0)
        await lab.dies(60.0)
        assert (lab.status().state, lab.status().run) == (ChannelState.INTERRUPTED, lab.run)
        await resume(lab)
        await finishes(lab)
        with open_run(lab.data / "runs" / first) as reader:
            assert reader.state.state == "ended"


async def test_a_station_that_dies_at_any_moment_of_a_resume_leaves_it_to_be_done_again(tmp_path: Path) -> None:
    """Before the output is on, while it is at 0 A, while the current is set, and after."""
    seen: set[tuple[bool, bool]] = set()
    async with open_virtual(tmp_path) as lab:
        await interrupted(lab)
        for commands in (0, 1, 2, 8, 12, 20, 40, 60, 70, 80, 90, 100):
            before = len(lab.commands())
            resuming = asyncio.ensure_future(lab.station.resume("a1", "K. Abe"))
            while len(lab.commands()) < before + commands and not resuming.done():
                await lab.clock.sleep_until(lab.clock.now() + 0.02)
                await real_sleep(0.0005)
            seen.add((lab.truth()["output_on"], abs(lab.truth()["current_A"]) > 0.9e-3))
            await cut_off(lab, resuming)
            assert lab.is_off()
            assert lab.status().state is ChannelState.INTERRUPTED
        assert seen == {(False, False), (True, False), (True, True)}
        await resume(lab)
        await finishes(lab)


async def cut_off(lab: Virtual, resuming: asyncio.Future[None]) -> None:
    """The station ends here and now, and another is started."""
    task = lab.station._slots["a1"].task
    if task is not None:
        task.cancel()
        await asyncio.wait({task})
    await lab.closes("death")
    await lab.acting(as_coroutine(asyncio.gather(resuming, return_exceptions=True)))
    await lab.acting(lab.another_station())


async def test_a_station_that_ends_resumes_nothing(tmp_path: Path) -> None:
    """Its guardian is gone, or somebody stops the service, at that moment."""
    async with open_virtual(tmp_path) as lab:
        await interrupted(lab)
        resuming = asyncio.ensure_future(lab.station.resume("a1", "K. Abe"))
        await real_sleep(0)
        assert await lab.station.close("guardian gone")
        with pytest.raises(RefusedError):
            await lab.acting(as_coroutine(asyncio.gather(resuming)))
        assert lab.is_off()
        await lab.acting(lab.closes("guardian gone"))
        await lab.acting(lab.another_station())
        await resume(lab)
        await finishes(lab)


WARM = LIMITS.model_copy(update={"temperature_degC": (40.0, 140.0)})


async def test_while_the_oven_is_cold_no_current_flows_again_and_the_run_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    degC = 60.0
    async with open_virtual(tmp_path, limits=WARM, temperature="oven1") as lab:
        monkeypatch.setattr(Sensing, "newest", lambda *_: Measurement(degC, lab.clock.now()))
        await interrupted(lab)
        degC, flowed = 22.0, len(lab.highest_A)
        await refused(lab, "temperature 22 °C is outside")
        assert max(lab.highest_A[flowed:]) < 1e-5
        degC = 60.0
        await resume(lab)
        await finishes(lab)


async def test_an_output_that_does_not_go_off_after_a_refused_resume_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cycler_ctl.channels.slot.ACT_S", 1.0)
    async with open_virtual(tmp_path) as lab:
        await interrupted(lab)
        lab.swap(Battery(lab.rows()[-1].voltage_V + 0.3, 5.0))
        resuming = asyncio.ensure_future(lab.station.resume("a1", "K. Abe"))
        while not lab.truth()["output_on"]:
            await lab.clock.sleep_until(lab.clock.now() + 0.02)
            await real_sleep(0.0005)
        lab.smu.line.inject(LineFault("lose", None, b"OUTP OFF"))
        async with asyncio.timeout(15.0):
            with pytest.raises(InstrumentError, match="may still be energised"):
                await lab.acting(as_coroutine(asyncio.gather(resuming)))
        assert lab.status().state is ChannelState.CANNOT_DEENERGISE
        lab.smu.line.clear_faults()
        assert (await lab.ends()).state is ChannelState.FAULTED
        assert lab.is_off()
        assert lab.events(EventKind.FAULT)
