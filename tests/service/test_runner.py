"""Runs against simulated instruments that fail: whatever happens the output is off in the end, and what is said is true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from rig import LIMITS, PLACES, Rig, open_rig, protocol, until

from cycler_ctl.channels.switches import Switches
from cycler_ctl.clock import SystemClock, real_sleep
from cycler_ctl.config import ChannelSettings, Limits
from cycler_ctl.errors import InstrumentError, LinkTimeout, RefusedError, StoreError
from cycler_ctl.instrument import Reading
from cycler_ctl.live import ChannelState
from cycler_ctl.running.recovery import waiting
from cycler_ctl.running.start import Order
from cycler_ctl.store.files import RunFiles
from cycler_ctl.store.packed import packed
from cycler_ctl.store.reader import open_run
from cycler_ctl.testing.stepclock import StepClock
from cycler_ctl.watching.register import SafeOffEntry, write_register
from protocols.reading.documents import Document
from protocols.record import EventKind, Mark, Outcome
from sim_hardware.bench import Place
from sim_hardware.faults import LineFault

REST = "  - rest: 1 s\n"
ON = b":OUTP ON"


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Rig]:
    async with open_rig(tmp_path / "data", monkeypatch) as opened:
        yield opened
        assert opened.lies == []
        assert opened.guardian.lapsed == []


def channel(
    limits: Limits = LIMITS, *, temperature: str = "unmonitored", sample_every_s: float = 0.2
) -> ChannelSettings:
    return ChannelSettings(instrument="smu1", sample_every_s=sample_every_s, limits=limits, temperature=temperature)


async def test_a_finished_run_is_off_recorded_and_leaves_no_lease_that_could_lapse(rig: Rig) -> None:
    run = await rig.start(protocol(REST))
    status = await rig.ends()
    assert (status.state, status.energised) == (ChannelState.FINISHED, False)
    assert rig.is_off()
    assert rig.registered() == set()
    assert len(rig.rows(run)) >= 4
    await until(lambda: bool(rig.guardian.lines) and rig.guardian.lines[-1].startswith(b"release"), 2.0)


async def test_the_register_names_the_channel_before_its_output_goes_on(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[set[str], bool]] = []
    write = write_register

    def watched(folder: Path, entries: Mapping[str, SafeOffEntry]) -> None:
        write(folder, entries)
        written.append((set(entries), any(ON in message for _, message in rig.smu().command_log())))

    monkeypatch.setattr("cycler_ctl.watching.lease.write_register", watched)
    await rig.flowing()
    assert written == [({"a1"}, False)]
    assert any(ON in message for _, message in rig.smu().command_log())
    await rig.station.stop("a1", "test")
    assert written[-1][0] == set()


async def test_a_register_that_cannot_be_written_keeps_the_output_off(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_folder: Path, _entries: Mapping[str, SafeOffEntry]) -> None:
        raise StoreError("no space left")

    await rig.flowing("a2")
    monkeypatch.setattr("cycler_ctl.watching.lease.write_register", full)
    await rig.start()
    status = await rig.ends()
    assert status.state is ChannelState.FAULTED
    assert "no space left" in status.reason
    assert not any(ON in message for _, message in rig.smu().command_log())
    await rig.station.stop("a2", "test")  # its register cannot be written either: that must not end the station
    assert rig.status("a2").state is ChannelState.STOPPED
    assert rig.is_off("smu2")


@pytest.mark.parametrize("kind", ["drop", "garble", "truncate"])
async def test_one_bad_reply_costs_one_row_and_nothing_else(rig: Rig, kind: str) -> None:
    run = await rig.flowing()
    rig.inject(kind, b"READ")
    await until(lambda: rig.smu().line.hits.get(kind) == 1)
    before = len(rig.rows(run))
    await until(lambda: len(rig.rows(run)) >= before + 3)
    assert rig.status().state is ChannelState.RUNNING
    await rig.station.stop("a1", "test")
    rows = rig.rows(run)
    assert all(0.0 < row.voltage_V < 3.5 and abs(row.current_A) < 1e-3 for row in rows)
    gaps = [after.time_s - row.time_s for row, after in pairwise(rows)]
    assert 0.2 < max(gaps) < 1.0


@pytest.mark.parametrize("kind", ["drop", "garble"])
async def test_the_third_bad_reply_in_a_row_ends_the_run_with_the_output_off(rig: Rig, kind: str) -> None:
    await rig.flowing()
    rig.inject(kind, b"READ", count=3)
    status = await rig.ends()
    assert (status.state, status.energised) == (ChannelState.FAULTED, False)
    assert "3 readings in a row failed" in status.reason
    assert rig.is_off()


async def test_a_hung_instrument_is_an_alarm_within_5_s_and_costs_the_other_channel_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_rig(tmp_path, monkeypatch, channel=channel(sample_every_s=1.0), timeout_s=1.0) as rig:
        run = await rig.flowing()
        await rig.flowing("a2")
        rig.inject("silence", count=None)
        took_s = await until(lambda: rig.status().state is ChannelState.CANNOT_DEENERGISE)
        assert took_s <= 5.0
        assert rig.status().energised is None
        assert "may still be energised" in rig.status().reason
        with pytest.raises(RefusedError, match="not confirmed"):
            await rig.station.acknowledge("a1", "test")
        with pytest.raises(InstrumentError, match="may still be energised"):
            await rig.station.stop("a1", "test")
        assert rig.registered() == {"a1", "a2"}
        await real_sleep(4.0)  # longer than a lease
        rig.heal()
        status = await rig.ends()
        assert (status.state, status.energised) == (ChannelState.FAULTED, False)
        assert rig.is_off()
        assert rig.registered() == {"a2"}
        assert rig.guardian.lapsed == []
        assert rig.status("a2").state is ChannelState.RUNNING
        assert rig.lies == []
        assert any("off was not confirmed" in str(event.data) for event in rig.events(run))


async def test_a_lost_connection_is_said_until_off_was_read_back_over_a_new_one(rig: Rig) -> None:
    await rig.flowing()
    rig.inject("silence", b"OUTP", count=None)
    rig.inject("disconnect", b"READ")
    await until(lambda: rig.status().state is ChannelState.CANNOT_DEENERGISE)
    assert rig.truth()["output_on"]  # the control: nobody has turned it off yet
    rig.heal()
    status = await rig.ends()
    assert (status.state, status.energised) == (ChannelState.FAULTED, False)
    assert rig.is_off()
    with pytest.raises(RefusedError, match="acknowledge a1"):
        await rig.start()
    await rig.station.acknowledge("a1", "test")
    await rig.start(protocol(REST))
    assert (await rig.ends()).state is ChannelState.FINISHED


async def test_an_instrument_that_rebooted_pauses_its_run_and_is_energised_again_only_by_a_person(rig: Rig) -> None:
    run = await rig.flowing()
    before = sum(ON in message for _, message in rig.smu().command_log())
    rig.inject("reboot", b"READ")
    await rig.pauses()
    assert rig.is_off()
    assert "not by us" in rig.status().reason
    await real_sleep(0.5)
    assert sum(ON in message for _, message in rig.smu().command_log()) == before
    await rig.station.resume("a1", "K. Abe")
    await until(rig.flows)
    await rig.station.stop("a1", "K. Abe")
    by = [str(event.data["by"]) for event in rig.events(run) if event.kind is EventKind.OPERATOR]
    assert any("the service: " in one and "not by us" in one for one in by)


async def test_an_open_lead_is_a_fault_and_no_cut_off(rig: Rig) -> None:
    await rig.flowing()
    rig.smu().line.instrument.set_fault("lead", "open")
    status = await rig.ends()
    assert status.state is ChannelState.FAULTED
    assert rig.is_off()


async def test_a_setpoint_that_is_not_taken_ends_the_run_at_its_start(rig: Rig) -> None:
    rig.inject("lose", ON, count=None)
    await rig.start()
    status = await rig.ends()
    assert status.state is ChannelState.FAULTED
    assert "no current was let through" in status.reason
    assert rig.is_off()


async def test_a_setpoint_that_takes_too_long_is_given_up(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cycler_ctl.running.output.APPLY_S", 0.2)
    rig.inject("delay", b"", count=None, seconds=0.1)
    await rig.start()
    status = await rig.ends()
    assert "the instrument took longer than" in status.reason
    assert rig.is_off()


async def test_a_cell_outside_the_channels_limits_trips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = LIMITS.model_copy(update={"voltage_V": (-0.5, 0.3)})
    async with open_rig(tmp_path, monkeypatch, channel=channel(narrow)) as rig:
        await rig.start(protocol("  - rest: 10 s\n"))
        status = await rig.ends()
        assert status.state is ChannelState.TRIPPED
        assert "V is outside the channel's limits" in status.reason
        assert rig.is_off()
        with pytest.raises(RefusedError, match="tripped"):
            await rig.start()


async def test_the_runs_own_safety_trips_and_its_abort_if_aborts(rig: Rig) -> None:
    safety = "safety:\n  voltage: 1.5 V to 2.5 V\n"
    await rig.start(protocol("  - lithiate: {at: 0.5 mA/cm2, for: 1 h}\n", safety=safety))
    tripped = await rig.ends()
    assert tripped.state in {ChannelState.TRIPPED, ChannelState.FAULTED}
    assert rig.is_off()
    await rig.station.acknowledge("a1", "test")
    await rig.start(protocol("  - lithiate: {at: 0.5 mA/cm2, until: 0.05 V, abort_if: time >= 1 s}\n"))
    aborted = await rig.ends()
    assert aborted.state is ChannelState.ABORTED
    assert rig.is_off()


def no_disk(_files: RunFiles) -> None:
    raise OSError("the disk is gone")


async def test_without_a_disk_the_run_pauses_and_goes_on_when_there_is_one_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cycler_ctl.running.recording.WITHOUT_DISK_S", 1.0)
    run = await rig.flowing()
    with monkeypatch.context() as gone:
        gone.setattr(RunFiles, "_write_here", no_disk)
        gone.setattr(RunFiles, "_write_new_segment", no_disk)
        await until(lambda: rig.status().state is ChannelState.PAUSED)
        assert rig.is_off()
        assert rig.status().reason.endswith("the disk is gone")
        with pytest.raises(RefusedError, match="no record, no current"):
            await rig.station.resume("a1", "test")
        assert rig.is_off()
    current = rig.station._slots["a1"]._current
    assert current is not None
    await until(lambda: current.writer.pending().lag_s == 0.0)
    await rig.station.resume("a1", "test")
    await until(rig.flows)
    assert rig.status().reason == ""
    await rig.station.stop("a1", "test")
    told = [event.data["by"] for event in rig.events(run) if event.data.get("action") == "pause"]
    assert len(told) == 1
    assert str(told[0]).startswith("the service: no record, no current")
    rows = rig.rows(run)
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    (paused_s,) = [event.data["paused_s"] for event in rig.events(run) if event.data.get("action") == "resume"]
    assert float(str(paused_s)) > 0.5


async def test_a_run_with_a_row_that_cannot_be_stored_stands_still_and_is_never_said_to_be_kept(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await rig.flowing()
    with monkeypatch.context() as odd:
        odd.setattr("cycler_ctl.store.waiting.packed", lambda row: packed(replace(row, voltage_V="3.7")))
        await until(lambda: rig.status().state is ChannelState.PAUSED)
    assert rig.is_off()
    with pytest.raises(RefusedError, match=r"no record, no current: .*cannot be stored"):
        await rig.station.resume("a1", "test")
    await rig.station.stop("a1", "test")
    status = await rig.ends()
    assert status.state is ChannelState.FAULTED
    assert "NOT on disk: rows after" in status.reason
    rows = rig.rows(run)
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert [event.data["source"] for event in rig.events(run) if event.kind is EventKind.GAP] == ["store"]
    assert "resume" not in {event.data.get("action") for event in rig.events(run)}  # so nothing flowed again


async def test_a_run_whose_last_rows_are_not_on_disk_is_faulted_and_still_is_for_the_next_station(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cycler_ctl.channels.slot.CLOSE_S", 1.0)
    run = await rig.flowing()
    with monkeypatch.context() as gone:
        gone.setattr(RunFiles, "_write_here", no_disk)
        gone.setattr(RunFiles, "_write_new_segment", no_disk)
        await rig.station.stop("a1", "test")
        status = await rig.ends()
    assert (status.state, rig.is_off()) == (ChannelState.FAULTED, True)
    assert "its last rows are NOT on disk: " in status.reason
    (found,) = waiting(rig.data, ["a1"], on_durable=lambda _run: None, utc=SystemClock().utc)
    assert (found.run, found.state) == (run, ChannelState.FAULTED)
    assert status.reason in found.reason
    await rig.station.acknowledge("a1", "test")
    assert not list(waiting(rig.data, ["a1"], on_durable=lambda _run: None, utc=SystemClock().utc))


async def test_pause_returns_when_off_was_read_back_and_resume_goes_on_with_the_same_step(rig: Rig) -> None:
    run = await rig.flowing()
    await rig.station.pause("a1", "test")
    assert rig.is_off()
    assert (rig.status().state, rig.status().energised) == (ChannelState.PAUSED, False)
    assert rig.registered() == {"a1"}
    with pytest.raises(RefusedError, match="paused: there is nothing to pause"):
        await rig.station.pause("a1", "test")
    before = rig.station.latest("a1")
    assert before is not None
    step_s = before[1].step_time_s
    await real_sleep(0.6)
    await rig.station.resume("a1", "test")
    await until(rig.flows)
    await until(lambda: len(rig.rows(run)) > 0 and rig.rows(run)[-1].step_time_s > step_s + 0.2)
    with pytest.raises(RefusedError, match="running: there is nothing to resume"):
        await rig.station.resume("a1", "test")
    await rig.station.stop("a1", "test")
    rows = rig.rows(run)
    assert {row.step_id for row in rows} == {"1"}
    assert rows[-1].time_s - rows[-1].step_time_s >= 0.5  # the pause is run time, and no step time
    told = [event.data.get("action") for event in rig.events(run) if event.kind is EventKind.OPERATOR]
    assert told == ["pause", "resume", "stop"]
    assert Mark.START in {row.mark for row in rows}


async def test_skip_goes_to_the_next_step(rig: Rig) -> None:
    await rig.start(protocol("  - lithiate: {at: 0.5 mA/cm2, until: 0.05 V}\n", "  - rest: 1 h\n"))
    await until(rig.flows)
    await rig.station.skip("a1", "test")
    assert rig.status().step == "2"
    await until(lambda: not rig.flows())
    await rig.station.skip("a1", "test")
    assert (await rig.ends()).state is ChannelState.FINISHED
    assert rig.is_off()


async def test_a_stop_goes_ahead_of_what_was_asked_before(rig: Rig) -> None:
    await rig.flowing()
    asked = await asyncio.gather(
        rig.station.skip("a1", "test"), rig.station.pause("a1", "test"), rig.station.stop("a1", "test"),
        return_exceptions=True,
    )  # fmt: skip
    assert asked[2] is None
    assert rig.status().state is ChannelState.STOPPED
    assert rig.is_off()


async def test_a_stop_while_the_output_is_being_armed_leaves_it_off(rig: Rig) -> None:
    await rig.start()
    await rig.station.stop("a1", "test")
    assert rig.is_off()
    assert rig.status().state is ChannelState.STOPPED


async def test_a_slow_disk_does_not_make_stop_say_that_off_is_unconfirmed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.flowing()
    monkeypatch.setattr(RunFiles, "save", lambda *_: StoreError("the disk is slow"))
    monkeypatch.setattr("cycler_ctl.channels.slot.CLOSE_S", 3.0)
    await rig.station._slots["a1"].stop("test", 0.5)
    assert rig.is_off()
    assert rig.status().energised is False
    await rig.ends()


async def test_of_two_starts_at_once_one_is_refused(rig: Rig) -> None:
    results = await asyncio.gather(rig.start(), rig.start(), return_exceptions=True)
    refused = [result for result in results if isinstance(result, RefusedError)]
    assert len(refused) == 1
    assert "another run is just beginning" in str(refused[0])
    assert len(list((rig.data / "runs").iterdir())) == 1
    await rig.station.stop("a1", "test")
    assert rig.is_off()


async def test_a_cable_pulled_while_idle_refuses_the_start_and_is_no_alarm(rig: Rig) -> None:
    rig.inject("disconnect", count=1)
    with pytest.raises(RefusedError, match="instrument smu1 is not as it was left"):
        await rig.start()
    assert ChannelState.CANNOT_DEENERGISE not in rig.states()
    await until(lambda: rig.station.instruments()[0].link == "connected")
    await rig.start(protocol(REST))
    assert (await rig.ends()).state is ChannelState.FINISHED


async def test_an_output_switched_on_by_someone_else_refuses_the_start_and_is_turned_off(rig: Rig) -> None:
    rig.smu().line.instrument.set_fault("output", True)
    with pytest.raises(RefusedError, match="not as it was left"):
        await rig.start()
    await until(rig.is_off)


async def test_a_start_while_the_station_ends_is_refused_and_energises_nothing(rig: Rig) -> None:
    starting = asyncio.ensure_future(rig.start())
    await real_sleep(0.0)
    assert await rig.station.close("test")
    with pytest.raises(RefusedError, match=r"starting or stopping|closed here"):
        await starting
    assert rig.is_off()


async def test_closing_says_whether_every_output_is_off(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cycler_ctl.station.STOP_S", 1.0)
    await rig.flowing()
    rig.inject("silence", count=None)
    assert await rig.station.close("test") is False
    rig.heal()
    await until(rig.is_off)


class Broken:
    """A stranger's driver: one of its methods fails in a way nobody foresaw."""

    def __init__(self, output: Any, method: str) -> None:
        self._output = output
        self._good = getattr(output, method)
        self._method = method
        setattr(output, method, self.fail)

    async def fail(self, *_: object) -> Reading:
        raise ZeroDivisionError("a bug")

    def mend(self) -> None:
        setattr(self._output, self._method, self._good)


@pytest.mark.parametrize("method", ["read", "apply"])
async def test_a_drivers_bug_turns_the_output_off_and_touches_no_other_run(rig: Rig, method: str) -> None:
    await rig.flowing("a2")
    output = rig.station._hosts["smu1"].connected().channels["1"]
    if method == "read":
        await rig.flowing()
    Broken(output, method)
    if method == "apply":
        await rig.start()
    status = await rig.ends()
    assert status.state is ChannelState.FAULTED
    assert "ZeroDivisionError" in status.reason
    assert rig.is_off()
    assert rig.status("a2").state is ChannelState.RUNNING


async def test_a_driver_that_cannot_turn_off_is_replaced_by_a_new_connection_that_can(rig: Rig) -> None:
    await rig.flowing()
    broken = Broken(rig.station._hosts["smu1"].connected().channels["1"], "turn_off")
    stopping = asyncio.ensure_future(rig.station.stop("a1", "test"))
    await until(lambda: ChannelState.CANNOT_DEENERGISE in rig.states())
    await asyncio.wait({stopping})
    status = await rig.ends()
    broken.mend()
    assert status.state is ChannelState.FAULTED
    assert rig.is_off()


async def test_an_observers_bug_does_not_reach_the_run(rig: Rig) -> None:
    class Bad:
        def channel_changed(self, _status: object) -> None:
            raise ZeroDivisionError

        def durable(self, _run: str) -> None:
            pass

    rig.station.observe(Bad())
    await rig.start(protocol(REST))
    assert (await rig.ends()).state is ChannelState.FINISHED


async def test_a_run_cancelled_at_any_moment_leaves_the_output_off(rig: Rig) -> None:
    slot = rig.station._slots["a1"]
    energised = 0
    for messages in range(0, 46, 2):
        slot.beginning.switches = Switches()  # each life is one of another minute
        before = len(rig.smu().command_log())
        await rig.start()
        async with asyncio.timeout(10.0):
            while len(rig.smu().command_log()) < before + messages:
                await real_sleep(0.0)
        energised += bool(rig.truth()["output_on"])
        assert slot.task is not None
        await real_sleep(0.0)
        slot.task.cancel()
        slot.task.cancel()
        await asyncio.wait({slot.task})
        assert rig.is_off(), messages
        assert rig.status().state is ChannelState.INTERRUPTED
        await rig.station.acknowledge("a1", "test")
    assert energised >= 3  # the control: it was on when it was cancelled


async def test_a_run_of_an_earlier_service_is_interrupted_until_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_rig(tmp_path, monkeypatch) as rig:
        run = await rig.flowing()
        await until(lambda: len(rig.rows(run)) > 2)
        slot = rig.station._slots["a1"]
        assert slot.task is not None
        slot.task.cancel()
        await asyncio.wait({slot.task})
    async with open_rig(tmp_path, monkeypatch) as rig:
        assert rig.status().state is ChannelState.INTERRUPTED
        assert rig.status().run == run
        with pytest.raises(RefusedError, match="acknowledge a1"):
            await rig.start()
        await rig.station.acknowledge("a1", "test")
        with pytest.raises(RefusedError, match="nothing to acknowledge"):
            await rig.station.acknowledge("a1", "test")
        with open_run(rig.data / "runs" / run) as reader:
            assert reader.state.outcome is Outcome.STOPPED
            assert "not gone on with: acknowledged by test" in reader.state.reason
    async with open_rig(tmp_path, monkeypatch) as rig:
        assert rig.status().state is ChannelState.IDLE


async def test_an_output_that_was_left_over_is_chased_every_half_second_and_then_latched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(bench: Any) -> None:
        bench["smu1"].line.inject(cut)

    cut = LineFault("silence", None)
    async with open_rig(tmp_path, monkeypatch, left_over=("a1", "gone"), before=unreachable, wait_s=0.0) as rig:
        await until(lambda: rig.status().state is ChannelState.CANNOT_DEENERGISE)
        assert rig.status().energised is None
        with pytest.raises(RefusedError):
            await rig.start()
        await real_sleep(6.0)  # long enough for an unhurried back-off to have grown
        rig.heal()
        await until(lambda: rig.status().state is ChannelState.FAULTED, 4.0)
        assert rig.is_off()
        assert rig.registered() == {"gone"}


OVEN = Place("oven1", model="eurotherm")
WARM = LIMITS.model_copy(update={"temperature_degC": (20.0, 140.0)})


@pytest.mark.parametrize("fault", ["silent", "broken"])
async def test_a_lost_temperature_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    clock = StepClock(speed=20.0)  # a busy machine's stalls take no run time
    settings = channel(WARM, temperature="oven1", sample_every_s=1.0)
    async with open_rig(tmp_path, monkeypatch, channel=settings, places=(*PLACES, OVEN), clock=clock) as rig:
        await rig.flowing()
        lost_s = clock.now()
        if fault == "silent":
            rig.bench["oven1"].line.inject(LineFault("silence", None))
        else:
            rig.bench["oven1"].line.instrument.set_fault("sensor_break", True)
        status = await rig.ends()
        assert clock.now() - lost_s <= 50.0
        assert status.state is ChannelState.FAULTED
        assert "the temperature is" in status.reason
        assert rig.is_off()


async def test_a_temperature_beyond_the_limit_trips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cool = LIMITS.model_copy(update={"temperature_degC": (20.0, 60.0)})
    settings = channel(cool, temperature="oven1")
    async with open_rig(tmp_path, monkeypatch, channel=settings, places=(*PLACES, OVEN)) as rig:
        await rig.start(protocol("  - rest: 1 h\n"))
        status = await rig.ends()
        assert status.state is ChannelState.TRIPPED
        assert "temperature" in status.reason
        assert rig.is_off()


async def test_a_start_without_a_temperature_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cycler_ctl.channels.sensing.FIRST_VALUE_S", 0.2)
    settings = channel(WARM, temperature="oven1")

    def broken(bench: Any) -> None:
        bench["oven1"].line.instrument.set_fault("sensor_break", True)

    async with open_rig(
        tmp_path, monkeypatch, channel=settings, places=(*PLACES, OVEN), before=broken, wait_s=0.0
    ) as rig:
        await until(lambda: rig.station.instruments()[0].link == "connected")
        with pytest.raises(RefusedError, match="sensor oven1 gives no value"):
            await rig.start()
        assert not any(ON in message for _, message in rig.smu().command_log())


async def test_a_sensor_drivers_bug_ends_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = channel(WARM, temperature="oven1")
    async with open_rig(tmp_path, monkeypatch, channel=settings, places=(*PLACES, OVEN)) as rig:
        await rig.flowing()
        host = rig.station._hosts["oven1"]
        sensor: Any = next(iter(host.connected().sensors.values()))

        class Bad:
            unit = "degC"

            async def read(self) -> object:
                raise ZeroDivisionError

        assert sensor
        monkeypatch.setattr("cycler_ctl.channels.sensing.EVERY_S", 0.05)
        await real_sleep(0.0)
        host.drop()
        monkeypatch.setattr(type(sensor), "read", Bad.read)
        await real_sleep(1.5)
        assert rig.status().state is ChannelState.RUNNING


async def test_other_channels_and_texts_from_the_network(rig: Rig) -> None:
    with pytest.raises(RefusedError, match="no channel 'zz': there are a1, a2"):
        await rig.station.begin("zz", Order(Document("trial.yaml", protocol())))
    with pytest.raises(RefusedError, match="idle: there is nothing to stop"):
        await rig.station.stop("a1", "test")


async def test_a_computer_that_slept_finds_its_run_paused_with_the_output_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asleep_s = 0.0
    monkeypatch.setattr("cycler_ctl.computer.awake.asleep_s", lambda: asleep_s)
    clock = SystemClock()
    async with open_rig(tmp_path, monkeypatch, clock=clock, channel=channel(sample_every_s=5.0)) as rig:
        run = await rig.flowing()
        clock._start_s -= 3600.0  # as after an hour's sleep
        asleep_s = 3600.0
        paused = ChannelState.PAUSED
        await until(lambda: rig.status().state is paused and rig.is_off(), 4.0)  # sooner than the next reading was due
        assert "this computer slept for 3600 s" in rig.status().reason
        await real_sleep(0.3)
        assert rig.is_off()
        with pytest.raises(RefusedError, match="is it the same cell"):  # what the hour's current did to it
            await rig.station.resume("a1", "K. Abe")
        assert rig.is_off()
        assert rig.status().state is paused
        await rig.station.stop("a1", "K. Abe")
        by = [str(event.data["by"]) for event in rig.events(run) if event.kind is EventKind.OPERATOR]
        assert any("this computer slept" in one for one in by)


@pytest.mark.parametrize("lost", [False, True])
async def test_a_sleep_in_the_middle_of_a_reading_pauses_the_run_and_that_reading_is_not_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    asleep_s = 0.0
    monkeypatch.setattr("cycler_ctl.computer.awake.asleep_s", lambda: asleep_s)
    clock = SystemClock()
    async with open_rig(tmp_path, monkeypatch, clock=clock) as rig:
        await rig.flowing()
        channel_type = type(rig.station._hosts["smu1"].connected().channels["1"])
        read = channel_type.read

        async def sleepy(self: Any) -> Any:
            nonlocal asleep_s
            if not asleep_s:
                clock._start_s -= 3600.0
                asleep_s = 3600.0
                if lost:
                    raise LinkTimeout("no answer")
            return await read(self)

        monkeypatch.setattr(channel_type, "read", sleepy)
        await until(lambda: rig.status().state is not ChannelState.RUNNING and rig.is_off(), 4.0)
        assert rig.status().state is ChannelState.PAUSED
        assert "this computer slept for 3600 s" in rig.status().reason
        with pytest.raises(RefusedError, match="is it the same cell"):
            await rig.station.resume("a1", "K. Abe")
        assert rig.is_off()
        await rig.station.stop("a1", "K. Abe")


async def test_a_computer_whose_sleep_nobody_can_tell_finds_its_run_ended_with_the_output_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SystemClock()
    async with open_rig(tmp_path, monkeypatch, clock=clock, channel=channel(sample_every_s=5.0)) as rig:
        run = await rig.flowing()
        clock._start_s -= 3600.0
        status = await rig.ends(seconds=4.0)  # sooner than the next reading would have been due
        assert status.state is ChannelState.FAULTED
        assert "no fresh reading for 3.6e+03 s" in status.reason
        assert rig.is_off()
        assert any(event.kind is EventKind.GAP for event in rig.events(run))
