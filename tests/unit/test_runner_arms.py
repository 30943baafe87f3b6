"""A run's way to its first current, and back to it after a pause: the cell at rest first, and off where it is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import virtual_loop
from virtual_loop import LoopClock, leap

from cycler_ctl import runner as runner_module
from cycler_ctl.channels.contact import Contact
from cycler_ctl.channels.switches import REWIRED, SWITCHES, Switches
from cycler_ctl.clock import real_sleep
from cycler_ctl.errors import CyclerError, DeviceFault, NotAsLeft, StoreError
from cycler_ctl.guard import Ceilings, Guard, GuardLimits
from cycler_ctl.guarding.beyond import WAITS
from cycler_ctl.instrument import Channel, Identity, Protection, Ratings, Reading, Sensor
from cycler_ctl.runner import Runner
from cycler_ctl.running.cellcheck import BEFORE
from cycler_ctl.running.fittings import End, Fittings
from cycler_ctl.running.going_on import Remains
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.writer import Pending
from cycler_ctl.watching.register import SafeOffEntry
from protocols import engine
from protocols.events import Action, Event, Paused, Sampled, Skipped, Stopped, Tripped
from protocols.model import (
    Alternative,
    Cell,
    Clause,
    ConstantCurrent,
    CurrentStep,
    Op,
    Program,
    Record,
    Rest,
    Safety,
    Setpoint,
    Verb,
    Watched,
)
from protocols.record import EventKind, EventRecord, Outcome, Row
from protocols.running.state import Phase, State
from protocols.running.steps import unchanged

HOUR = (Alternative((Clause(Watched.TIME, Op.AT_LEAST, 3600.0),), "time >= 1 h"),)
STEP = CurrentStep("1", "charge", Verb.DELITHIATE, 1e-3, HOUR, (), Record(), (2.5, 4.3))
PROGRAM = Program("p", Cell("c"), Safety(), (STEP,))
REST = Rest((2.0, 5.0))
CHARGE = ConstantCurrent(1e-3, (2.5, 4.3))
LIMITS = GuardLimits(voltage_V=(2.0, 5.0), current_A=0.010, stale_s=3.0, rest_A=1e-5)


class Bench:
    """An instrument with a cell of ``cell_V`` and everything else that a run is fitted to; ``told`` in order."""

    identity = Identity("", "", "", "")
    address = "nowhere"
    ratings = Ratings((-5.0, 5.0), 0.1, (), 0.05, Protection.B, "", "")
    failed: CyclerError | None = None

    def __init__(self) -> None:
        self.told: list[object] = []
        self.cell_V = 3.7
        self.fails: dict[str, Exception] = {}
        self.lag_s = 0.0
        self.off_s = 0.0
        self.checkpoint: Callable[[], str] | None = None
        self.opens: bool | None = None
        self.setpoint: Setpoint | None = None
        self.events: list[EventRecord] = []
        self.hurried: list[list[EventKind]] = []
        self.rows: list[Row] = []
        self.left_over: Mapping[str, SafeOffEntry] = {}

    def note(self, what: object, name: str) -> None:
        self.told.append(what)
        if name in self.fails:
            raise self.fails[name]

    async def read(self) -> Reading:
        self.note("read", "read")
        current_A = self.setpoint.current_A if isinstance(self.setpoint, ConstantCurrent) else 0.0
        noise_V = 1e-6 * (len(self.told) % 7)
        return Reading(self.cell_V + noise_V, current_A, self.setpoint is not None, frozenset(), LoopClock().now())

    async def apply(self, setpoint: Setpoint) -> bool | None:
        self.note(setpoint, type(setpoint).__name__)
        self.setpoint = setpoint
        return self.opens

    async def turn_off(self) -> None:
        self.note("off", "off")
        await real_sleep(self.off_s)
        self.setpoint = None

    async def resync(self) -> None:
        self.note("identity", "identity")

    @property
    def channels(self) -> Mapping[str, Channel]:
        return {"1": self}

    @property
    def sensors(self) -> Mapping[str, Sensor]:
        return {}

    def append(
        self,
        rows: tuple[Row, ...],
        events: tuple[EventRecord, ...],
        steps: object,
        cycles: object,
        checkpoint: Callable[[], str],
    ) -> None:
        self.rows += rows
        self.checkpoint = checkpoint
        self.events += events

    def hurry(self) -> None:
        self.hurried.append([event.kind for event in self.events])

    def pending(self) -> Pending:
        return Pending(0, self.lag_s)

    def now(self) -> float:
        raise NotImplementedError

    async def write(self, message: bytes) -> None:
        raise NotImplementedError

    async def clear(self) -> None:
        raise NotImplementedError

    async def query(self, message: bytes) -> bytes:
        raise NotImplementedError

    async def will_energise(self, channel: str, _entry: SafeOffEntry, _lease_s: float, /) -> None:
        self.note(("register", channel), "register")

    def renew(self, _channel: str, _lease_s: float, /) -> None:
        """Shown with the output."""

    def release(self, _channel: str, /) -> None:
        """Shown with the output."""

    async def is_off(self, channel: str, /) -> None:
        raise NotImplementedError

    def fittings(self, by: str) -> Fittings:
        return Fittings(
            name="a1",
            channel=self,
            instrument=self,
            contact=Contact(self),
            clock=LoopClock(),
            guard=Guard(LIMITS),
            ceilings={"1": Ceilings(1.0, 1e6), "2": Ceilings(1.0, 1e6)},
            recorder=self,
            temperature=lambda: None,
            limits_V=(2.0, 5.0),
            hold_limit_A=0.010,
            sample_every_s=1.0,
            lease=self,
            safe_off=SafeOffEntry("smu1", "keithley-2400", "nowhere"),
            changed=lambda: None,
            started_by=by,
        )

    def acts(self) -> list[object]:
        """What was done, each kind once in a row."""
        return [one for one, before in zip(self.told, [None, *self.told], strict=False) if one != before]

    def texts(self, kind: EventKind = EventKind.NOTE) -> list[object]:
        return [event.data.get("text", event.data.get("reason")) for event in self.events if event.kind is kind]


@pytest.fixture(autouse=True)
def _no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_loop, "GRACE_S", 0.0)  # nothing comes from anywhere else


@asynccontextmanager
async def running(
    bench: Bench, by: str = "K. Abe", program: Program = PROGRAM
) -> AsyncGenerator[tuple[Runner, asyncio.Task[End]]]:
    run = Runner(program, bench.fittings(by))
    task = asyncio.ensure_future(run.run())
    yield run, task
    task.cancel()
    await asyncio.wait({task})


def test_what_turns_the_output_off_is_written_at_once_with_its_reason_and_nothing_else_is() -> None:
    async def lived() -> None:
        bench = Bench()
        async with running(bench) as (run, task):
            await real_sleep(30.0)
            assert bench.hurried == []
            await run.ask("pause", "K. Abe")
            assert [kinds[-1] for kinds in bench.hurried] == [EventKind.OPERATOR]
            await run.ask("resume", "K. Abe")
            assert len(bench.hurried) == 1
            bench.cell_V = 99.0
            assert (await task).outcome is Outcome.TRIPPED
        assert EventKind.TRIP in bench.hurried[1]

    leap(lived())


def test_current_flows_only_after_the_cell_was_read_at_rest() -> None:
    async def lived() -> None:
        bench = Bench()
        async with running(bench) as (run, task):
            assert not run.energised
            await real_sleep(10.0)
            first = bench.told.index(CHARGE)
            assert bench.told[:first] == [("register", "a1"), REST, "read", "read", "read"]
            assert (run.energised, run.going.result()) == (True, "")
            assert (bench.events[0].kind, bench.events[0].data.get("by")) == (EventKind.OPERATOR, "K. Abe")
            note = next(event for event in bench.events if event.kind is EventKind.NOTE)
            assert note.data["text"] == BEFORE
            assert note.data["voltage_V"] == pytest.approx(3.7, abs=1e-4)
            assert bench.rows
            assert bench.rows[0].time_s == pytest.approx(0.0, abs=1.1)  # its clock starts after the look
            run.ask("stop", "K. Abe")
            end = await task
        assert (end.outcome, end.off_confirmed, run.energised) == (Outcome.STOPPED, True, False)
        assert bench.told[-1] == "off"

    leap(lived())


def test_a_run_that_nobody_started_names_nobody() -> None:
    async def lived() -> None:
        bench = Bench()
        async with running(bench, by=""):
            await real_sleep(5.0)
        assert not [event for event in bench.events if event.kind is EventKind.OPERATOR]

    leap(lived())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda bench: setattr(bench, "cell_V", 1.9),
        lambda bench: bench.fails.update(read=DeviceFault("no measurement")),
        lambda bench: bench.fails.update(Rest=DeviceFault("no")),
        lambda bench: bench.fails.update(register=StoreError("the disk is full")),
        lambda bench: bench.fails.update(Rest=TimeoutError()),
    ],
)
def test_a_cell_or_an_instrument_that_is_refused_gets_no_current_and_the_run_ends_off(
    spoil: Callable[[Bench], object],
) -> None:
    async def lived() -> None:
        bench = Bench()
        spoil(bench)
        async with running(bench) as (run, task):
            end = await task
            assert end.outcome in {Outcome.FAULTED, Outcome.TRIPPED}
            assert end.off_confirmed
            assert not run.energised
        assert CHARGE not in bench.told
        assert bench.told.count("off") == 1
        assert run.going.result() == ""

    leap(lived())


def test_an_output_that_went_on_too_often_stays_off_and_the_run_ends() -> None:
    async def lived() -> None:
        bench = Bench()
        switches = Switches()
        for _ in range(SWITCHES - 1):
            switches.on(LoopClock().now())
        end = await Runner(PROGRAM, replace(bench.fittings(""), switches=switches)).run()
        assert (end.outcome, end.off_confirmed) == (Outcome.TRIPPED, True)
        assert "5 times within a minute" in end.reason
        assert bench.acts() == ["off"]

    leap(lived())


def test_a_stop_during_the_look_comes_before_any_current() -> None:
    async def lived() -> None:
        bench = Bench()
        async with running(bench) as (run, task):
            await real_sleep(0.01)
            asked = run.ask("stop", "K. Abe")
            end = await task
            assert (end.outcome, end.off_confirmed, asked.done()) == (Outcome.STOPPED, True, True)
        assert CHARGE not in bench.told

    leap(lived())


@pytest.mark.parametrize("error", [DeviceFault("no"), TimeoutError()])
def test_a_current_that_is_not_accepted_ends_the_run_off(error: Exception) -> None:
    async def lived() -> None:
        bench = Bench()
        bench.fails["ConstantCurrent"] = error
        async with running(bench) as (_, task):
            end = await task
        words = "no" if str(error) else "the instrument took longer than 10 s"
        assert end == End(Outcome.FAULTED, f"the setpoint was not accepted: {words}", off_confirmed=True)

    leap(lived())


def test_a_step_without_a_ceiling_gets_no_current() -> None:
    async def lived() -> None:
        bench = Bench()
        fit = replace(bench.fittings("K. Abe"), ceilings={})
        end = await Runner(PROGRAM, fit).run()
        assert end.outcome is Outcome.FAULTED
        assert "has no ceiling" in end.reason
        assert CHARGE not in bench.told

    leap(lived())


async def paused(run: Runner) -> None:
    await real_sleep(10.0)
    run.ask("pause", "K. Abe")
    await real_sleep(5.0)
    assert not run.energised


def test_a_paused_run_goes_on_only_after_another_look() -> None:
    async def lived() -> None:
        bench = Bench()
        async with running(bench) as (run, _):
            await paused(run)
            bench.told.clear()
            run.ask("resume", "K. Abe")
            await real_sleep(10.0)
            first = bench.told.index(CHARGE)
            assert bench.told[:first] == [("register", "a1"), REST, "read", "read", "read"]
            assert (run.energised, run.held_back) == (True, "")

    leap(lived())


def test_a_resume_that_is_refused_leaves_the_run_paused_and_off_and_says_why() -> None:
    async def lived() -> None:
        bench = Bench()
        async with running(bench) as (run, task):
            await paused(run)
            bench.told.clear()
            bench.cell_V = 1.9
            asked = run.ask("resume", "K. Abe")
            await real_sleep(10.0)
            assert asked.done()
            assert not task.done()
            assert not run.energised
            assert bench.told[-1] == "off"
            assert bench.told.count("off") == 1
            assert CHARGE not in bench.told
            assert run.held_back.startswith("not gone on with: ")
            assert bench.texts()[-1] == run.held_back
            bench.cell_V = 3.7
            run.ask("resume", "K. Abe")
            await real_sleep(10.0)
            assert (run.energised, run.held_back) == (True, "")

    leap(lived())


def test_a_resume_that_is_refused_and_does_not_go_off_ends_the_run_after_one_try() -> None:
    async def lived() -> None:
        bench = Bench()
        async with running(bench) as (run, task):
            await paused(run)
            bench.told.clear()
            bench.cell_V = 1.9
            bench.fails["off"] = DeviceFault("it answers 1")
            run.ask("resume", "K. Abe")
            end = await task
            assert (end.outcome, end.off_confirmed, run.energised) == (Outcome.FAULTED, False, True)
            assert bench.told.count("off") == 1
            assert "off was not confirmed: it answers 1" in bench.texts(EventKind.FAULT)

    leap(lived())


def test_an_instrument_that_was_reset_pauses_the_run_and_its_cell_must_then_be_as_it_was() -> None:
    async def lived() -> None:
        bench = Bench()
        async with running(bench) as (run, task):
            await real_sleep(10.0)
            bench.fails["read"] = NotAsLeft("it was reset")
            await real_sleep(5.0)
            assert not run.energised
            assert not task.done()
            assert run.held_back == "it was reset"
            del bench.fails["read"]
            bench.cell_V = 2.6  # inside all limits, and not the cell that was there
            run.ask("resume", "K. Abe")
            await real_sleep(5.0)
            assert not run.energised
            bench.cell_V = 3.7
            run.ask("resume", "K. Abe")
            await real_sleep(5.0)
            assert run.energised

    leap(lived())


def test_a_computer_that_slept_pauses_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    asleep = [0.0]
    monkeypatch.setattr("cycler_ctl.computer.awake.asleep_s", lambda: asleep[0])

    async def lived() -> None:
        bench = Bench()
        async with running(bench) as (run, _):
            await real_sleep(10.0)
            asleep[0] = 60.0
            await real_sleep(5.0)
            assert not run.energised
            assert "slept for 60 s" in run.held_back

    leap(lived())


def test_without_a_record_there_is_no_current() -> None:
    async def lived() -> None:
        bench = Bench()
        async with running(bench) as (run, task):
            await real_sleep(10.0)
            bench.lag_s = 61.0
            await real_sleep(5.0)
            assert not run.energised
            assert not task.done()
            assert "no record, no current" in run.held_back

    leap(lived())


def test_a_pause_that_does_not_go_off_ends_the_run() -> None:
    async def lived() -> None:
        bench = Bench()
        async with running(bench) as (run, task):
            await real_sleep(10.0)
            bench.fails["off"] = DeviceFault("it answers 1")
            run.ask("pause", "K. Abe")
            end = await task
        assert (end.outcome, end.off_confirmed) == (Outcome.FAULTED, False)
        assert "off was not confirmed: it answers 1" in bench.texts(EventKind.FAULT)

    leap(lived())


def test_a_run_that_is_cancelled_is_off_before_it_is_gone() -> None:
    async def lived() -> None:
        bench = Bench()
        async with running(bench) as (run, task):
            await real_sleep(10.0)
            asked = run.ask("skip", "K. Abe")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not run.energised
            assert asked.done()
        assert bench.told[-1] == "off"

    leap(lived())


def test_an_error_nobody_foresaw_turns_off_first(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lived() -> None:
        bench = Bench()
        async with running(bench) as (run, task):
            await real_sleep(10.0)

            def broken(*_: object) -> None:
                raise ZeroDivisionError

            monkeypatch.setattr(runner_module, "hand_over", broken)
            with pytest.raises(ZeroDivisionError):
                await task
            assert not run.energised
        assert bench.told[-1] == "off"

    leap(lived())


NOBODY = RunInfo("r", 1, "a1", "", "", 0.0, "p", "", "", {}, {}, {}, {}, {}, None, 1.0)


def noted(bench: Bench, broken: Exception | None = None) -> Callable[[Program, State, Event], engine.Decided]:
    """The engine; ``bench`` hears of each record it makes, the first of which after off may be ``broken``."""
    decide = engine.decide

    def deciding(program: Program, state: State, event: Event) -> engine.Decided:
        decided = decide(program, state, event)

        def conclude() -> tuple[State, tuple[Action, ...]]:
            bench.told.append(type(event))
            if broken is not None and decided.turns_off:
                raise broken
            return decided.conclude()

        return engine.Decided(decided.turns_off, conclude)

    return deciding


CUT_OFF = (Alternative((Clause(Watched.VOLTAGE, Op.AT_LEAST, 4.0),), "voltage >= 4 V"), *HOUR)
CHARGED = replace(PROGRAM, steps=(replace(STEP, until=CUT_OFF),))


def crosses(bench: Bench, _run: Runner) -> None:
    bench.cell_V = 4.1


def goes_beyond_the_guards_limits(bench: Bench, _run: Runner) -> None:
    bench.cell_V = 5.5


ENDS: list[tuple[Program, Callable[[Bench, Runner], object], type[Event]]] = [
    (CHARGED, crosses, Sampled),
    (replace(PROGRAM, steps=(replace(STEP, abort_if=CUT_OFF),)), crosses, Sampled),
    (replace(PROGRAM, safety=Safety((0.0, 4.0))), crosses, Sampled),
    (PROGRAM, goes_beyond_the_guards_limits, Tripped),
    (PROGRAM, lambda _, run: run.ask("stop", "K. Abe"), Stopped),
    (PROGRAM, lambda _, run: run.ask("pause", "K. Abe"), Paused),
    (PROGRAM, lambda _, run: run.ask("skip", "K. Abe"), Skipped),
]


@pytest.mark.parametrize(("program", "act", "event"), ENDS)
def test_whatever_turns_the_output_off_does_so_before_the_record_of_it_is_made(
    program: Program, act: Callable[[Bench, Runner], object], event: type[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lived() -> None:
        bench = Bench()
        monkeypatch.setattr(engine, "decide", noted(bench))
        async with running(bench, program=program) as (run, _):
            await real_sleep(10.0)
            assert CHARGE in bench.told
            act(bench, run)
            await real_sleep(2.0)
            assert not run.energised
        off = bench.told.index("off")
        assert bench.told[off + 1] is event
        assert bench.told.count("off") == 1

    leap(lived())


def test_at_the_guards_word_the_output_is_off_whatever_the_engine_makes_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    decide = engine.decide

    def deaf(program: Program, state: State, event: Event) -> engine.Decided:
        return unchanged(state) if isinstance(event, Tripped) else decide(program, state, event)

    async def lived() -> None:
        bench = Bench()
        monkeypatch.setattr(engine, "decide", deaf)
        async with running(bench) as (run, _):
            await real_sleep(10.0)
            assert "off" not in bench.told
            bench.cell_V = 99.0
            await real_sleep(3.0)
            assert bench.told.count("off") == 1
            assert not run.energised

    leap(lived())


def test_a_step_that_leads_to_another_current_is_never_switched_off_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lived() -> None:
        bench = Bench()
        monkeypatch.setattr(engine, "decide", noted(bench))
        program = replace(CHARGED, steps=(*CHARGED.steps, replace(STEP, path="2", current_A=2e-3)))
        async with running(bench, program=program) as (run, _):
            await real_sleep(10.0)
            bench.cell_V = 4.1
            await real_sleep(3.0)
            assert run.energised
            assert ConstantCurrent(2e-3, (2.5, 4.3)) in bench.told
            assert "off" not in bench.told

    leap(lived())


def test_a_record_that_cannot_be_made_keeps_no_output_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lived() -> None:
        bench = Bench()
        monkeypatch.setattr(engine, "decide", noted(bench, ZeroDivisionError()))
        async with running(bench, program=CHARGED) as (run, task):
            await real_sleep(10.0)
            bench.cell_V = 4.1
            with pytest.raises(ZeroDivisionError):
                await task
            assert not run.energised
        assert bench.told[-2:] == ["off", Sampled]

    leap(lived())


def test_while_its_output_goes_off_a_run_is_told_to_be_what_it_was_and_one_that_is_killed_then_goes_on() -> None:
    """Nothing of the step's end is known to anybody before off was read back."""

    async def lived() -> None:
        bench = Bench()
        bench.off_s = 1.0
        async with running(bench, program=CHARGED) as (run, task):
            await real_sleep(10.0)
            bench.cell_V = 4.1
            while "off" not in bench.told:
                await real_sleep(0.05)
            left = run.state
            assert (left.phase, run.energised, run.end) == (Phase.RUNNING, True, None)
            assert EventKind.STEP_ENDED not in [event.kind for event in bench.events]
            task.cancel()  # dies here: of what is off nothing is written
            await asyncio.wait({task})
        assert EventKind.RUN_ENDED not in [event.kind for event in bench.events]
        assert bench.checkpoint is not None
        assert bench.checkpoint() == engine.to_json(left)
        bench.cell_V = 3.7
        now_s = LoopClock().utc()
        again = Runner(CHARGED, bench.fittings(""), Remains(NOBODY, left, 10.0, now_s, now_s))
        going = asyncio.ensure_future(again.run())
        await real_sleep(10.0)
        assert (again.going.result(), again.state.phase) == ("", Phase.RUNNING)
        bench.cell_V = 4.1
        end = await going
        assert (end.outcome, end.off_confirmed) == (Outcome.FINISHED, True)

    leap(lived())


@pytest.mark.parametrize(
    ("act", "then"), [(crosses, Phase.ENDED), (lambda _, run: run.ask("pause", "K. Abe"), Phase.PAUSED)]
)
def test_nobody_is_told_of_a_run_under_way_whose_output_is_off(
    act: Callable[[Bench, Runner], object], then: Phase
) -> None:
    async def lived() -> None:
        bench, seen = Bench(), list[tuple[Phase, bool]]()
        run = Runner(
            CHARGED, replace(bench.fittings(""), changed=lambda: seen.append((run.state.phase, run.energised)))
        )
        task = asyncio.ensure_future(run.run())
        await real_sleep(10.0)
        act(bench, run)
        await real_sleep(2.0)
        assert set(seen) == {(Phase.RUNNING, True), (then, False)}
        task.cancel()
        await asyncio.wait({task})

    leap(lived())


def test_an_output_that_does_not_go_off_at_the_cut_off_is_told_before_the_end_of_the_step() -> None:
    async def lived() -> None:
        bench = Bench()
        async with running(bench, program=CHARGED) as (_, task):
            await real_sleep(10.0)
            bench.fails["off"] = DeviceFault("it answers 1")
            bench.cell_V = 4.1
            end = await task
        assert (end.outcome, end.off_confirmed) == (Outcome.FINISHED, False)  # of which the slot makes a fault
        assert [event.kind for event in bench.events][-3:] == [
            EventKind.FAULT,
            EventKind.STEP_ENDED,
            EventKind.RUN_ENDED,
        ]
        assert bench.told.count("off") == 1

    leap(lived())


async def interrupted(bench: Bench) -> Remains:
    """What is left of a run after 10 s, 60 s ago; a part of that has been told already."""
    async with running(bench) as (run, _):
        await real_sleep(10.0)
        state, alive_utc_s = run.state, LoopClock().utc()
    await real_sleep(60.0)
    bench.told.clear()
    bench.events.clear()
    return Remains(NOBODY, state, 9.0, alive_utc_s, alive_utc_s + 20.0)


def gone_on(spoil: Callable[[Bench], object]) -> tuple[Bench, Runner, End | None]:
    async def lived() -> tuple[Bench, Runner, End | None]:
        bench = Bench()
        remains = await interrupted(bench)
        spoil(bench)
        run = Runner(PROGRAM, bench.fittings("K. Abe"), remains)
        task = asyncio.ensure_future(run.run())
        await real_sleep(5.0)
        end = task.result() if task.done() else None
        energised = run.energised
        task.cancel()
        await asyncio.wait({task})
        assert energised == (end is None or not end.off_confirmed)
        return bench, run, end

    return leap(lived())


def test_an_interrupted_run_goes_on_only_after_off_and_a_look_and_its_gap_is_told() -> None:
    bench, run, end = gone_on(lambda _: None)
    first = bench.told.index(CHARGE)
    assert bench.told[:first] == ["off", ("register", "a1"), REST, "read", "read", "read"]
    assert end is None
    assert run.going.result() == ""
    (gap,) = [event for event in bench.events if event.kind is EventKind.GAP]
    assert gap.data["gap_s"] == pytest.approx(40.0, abs=0.1)
    assert gap.time_s == pytest.approx(69.0, abs=0.1)  # on the run's own clock
    note = next(event for event in bench.events if event.data.get("text") == BEFORE)
    assert note.data["last_voltage_V"] == pytest.approx(3.7, abs=1e-4)


def test_an_interrupted_run_with_another_cell_stays_interrupted_and_off() -> None:
    bench, run, end = gone_on(lambda bench: setattr(bench, "cell_V", 2.6))
    assert end is not None
    assert (end.outcome, end.off_confirmed) == (None, True)
    assert "is it the same cell" in end.reason
    assert run.going.result() == end.reason
    assert bench.texts()[-1] == f"not gone on with: {end.reason}"
    assert CHARGE not in bench.told
    assert bench.told[-1] == "off"


def test_an_interrupted_run_whose_output_does_not_go_off_is_over() -> None:
    bench, _, end = gone_on(lambda bench: bench.fails.update(off=DeviceFault("it answers 1")))
    assert end is not None
    assert (end.outcome, end.off_confirmed) == (Outcome.FAULTED, False)
    assert not {REST, CHARGE} & set(bench.told)


def test_a_relay_that_opens_between_steps_is_told_and_while_the_output_comes_on_it_is_not() -> None:
    async def lived() -> None:
        bench = Bench()
        bench.opens = True
        soon = (Alternative((Clause(Watched.TIME, Op.AT_LEAST, 5.0),), "time >= 5 s"),)
        program = Program("p", Cell("c"), Safety(), (replace(STEP, until=soon), replace(STEP, path="2")))
        fit = replace(bench.fittings(""), ceilings={"1": Ceilings(1.0, 1e6), "2": Ceilings(1.0, 1e6)})
        task = asyncio.ensure_future(Runner(program, fit).run())
        await real_sleep(3.0)
        assert REWIRED not in bench.texts()
        await real_sleep(10.0)
        assert bench.texts().count(REWIRED) == 1
        task.cancel()
        await asyncio.wait({task})

    leap(lived())


@pytest.mark.parametrize(("then_V", "ends"), [(4.29, None), (4.301, Outcome.FAULTED)])
def test_a_cell_beyond_the_window_of_its_current_is_read_at_rest_first(then_V: float, ends: Outcome | None) -> None:
    async def lived() -> None:
        bench = Bench()
        bench.cell_V = 4.301
        async with running(bench) as (_, task):
            while WAITS not in bench.texts():
                await real_sleep(0.01)
            bench.cell_V = then_V
            await real_sleep(10.0)
            assert bench.told.count(REST) == 2
            assert (CHARGE in bench.told) == (ends is None)
            assert task.done() == (ends is not None)
            if ends is not None:
                assert task.result().outcome is ends

    leap(lived())


def test_what_is_told_before_and_after_the_look_stands_at_the_runs_first_second() -> None:
    async def lived() -> None:
        bench = Bench()
        async with running(bench):
            await real_sleep(5.0)
        start, look = bench.events[0], next(event for event in bench.events if event.data.get("text") == BEFORE)
        assert (start.kind, start.time_s) == (EventKind.OPERATOR, 0.0)
        assert look.time_s == 0.0
        assert look.utc_s > start.utc_s

    leap(lived())


def test_a_stop_during_the_look_turns_off_once() -> None:
    async def lived() -> None:
        bench = Bench()
        bench.fails["off"] = DeviceFault("it answers 1")
        async with running(bench) as (run, task):
            await real_sleep(0.01)
            run.ask("stop", "K. Abe")
            end = await task
        assert (bench.told.count("off"), end.off_confirmed) == (1, False)  # a second try in vain is a late alarm

    leap(lived())


def test_turning_off_at_a_refused_resume_is_told_though_the_engine_has_nothing_to_tell() -> None:
    async def lived() -> None:
        bench = Bench()
        changes = 0

        def changed() -> None:
            nonlocal changes
            changes += 1

        run = Runner(PROGRAM, replace(bench.fittings(""), changed=changed))
        task = asyncio.ensure_future(run.run())
        await paused(run)
        bench.cell_V, before = 1.9, changes
        run.ask("resume", "K. Abe")
        await real_sleep(5.0)
        assert changes == before + 1
        task.cancel()
        await asyncio.wait({task})

    leap(lived())


def test_the_guard_of_a_run_that_goes_on_counts_on_from_where_it_was() -> None:
    async def lived() -> None:
        bench = Bench()
        remains = await interrupted(bench)
        fit = replace(bench.fittings(""), ceilings={"1": Ceilings(1.0, 15.0)})
        began_s = LoopClock().now()
        end = await Runner(PROGRAM, fit, remains).run()
        assert end.outcome is Outcome.TRIPPED
        assert "longer than its ceiling of 15 s" in end.reason
        assert LoopClock().now() - began_s < 10.0

    leap(lived())


def test_what_flowed_until_a_pause_is_counted_though_nobody_read_it() -> None:
    async def lived() -> None:
        bench = Bench()
        began_s = LoopClock().now()
        ceilings = {"1": Ceilings(1.0, 5.0)}
        end = asyncio.ensure_future((run := Runner(PROGRAM, replace(bench.fittings(""), ceilings=ceilings))).run())
        while not end.done():
            await real_sleep(0.9)  # before a reading a second after the first
            await run.ask("pause", "K. Abe")
            await real_sleep(60.0)
            await run.ask("resume", "K. Abe")
        assert "longer than its ceiling of 5 s" in end.result().reason
        assert LoopClock().now() - began_s < 10 * 62.0

    leap(lived())


def test_a_clock_set_back_makes_no_gap_less_than_none() -> None:
    async def lived() -> None:
        bench = Bench()
        remains = replace(
            await interrupted(bench), alive_utc_s=LoopClock().utc() + 100, told_utc_s=LoopClock().utc() + 90
        )
        task = asyncio.ensure_future(Runner(PROGRAM, bench.fittings(""), remains).run())
        await real_sleep(5.0)
        (gap,) = [event for event in bench.events if event.kind is EventKind.GAP]
        assert gap.data["gap_s"] == 0.0
        assert gap.time_s == remains.alive_s
        task.cancel()
        await asyncio.wait({task})

    leap(lived())


def test_what_was_seen_at_a_resume_is_where_the_cell_is() -> None:
    async def lived() -> None:
        bench = Bench()
        bench.cell_V = 4.25
        async with running(bench) as (run, _):
            await paused(run)
            bench.told.clear()
            bench.cell_V = 4.301  # beyond the window, and as near to where it was as a cell may be
            run.ask("resume", "K. Abe")
            await real_sleep(5.0)
            assert WAITS in bench.texts()
            assert CHARGE not in bench.told

    leap(lived())


def test_a_paused_output_is_looked_at_soon_also_where_samples_are_far_apart() -> None:
    async def lived() -> None:
        bench = Bench()
        seldom = Guard(replace(LIMITS, stale_s=180.0))
        run = Runner(PROGRAM, replace(bench.fittings(""), sample_every_s=60.0, guard=seldom))
        task = asyncio.ensure_future(run.run())
        await paused(run)
        bench.told.clear()
        await real_sleep(15.0)
        assert bench.told == ["identity", "off"]
        task.cancel()
        await asyncio.wait({task})

    leap(lived())


def at_least(voltage_V: float, for_s: float | None = None) -> tuple[Alternative, ...]:
    return (Alternative((Clause(Watched.VOLTAGE, Op.AT_LEAST, voltage_V, for_s),), "voltage"), *HOUR)


@asynccontextmanager
async def waiting(bench: Bench, *steps: CurrentStep, time_s: float = 1e6) -> AsyncGenerator[asyncio.Task[End]]:
    """A run whose cell is beyond the window of its first step's current."""
    bench.cell_V = 4.301
    most = {step.path: Ceilings(1.0, time_s) for step in steps}
    fit = replace(bench.fittings(""), ceilings=most)
    task = asyncio.ensure_future(Runner(Program("p", Cell("c"), Safety(), steps), fit).run())
    while WAITS not in bench.texts():
        await real_sleep(0.01)
    yield task
    task.cancel()
    await asyncio.wait({task})


@pytest.mark.parametrize("for_s", [None, 5.0])
def test_a_step_that_a_cell_beyond_its_window_ends_gets_no_current_and_the_next_one_begins(for_s: float | None) -> None:
    async def lived() -> None:
        bench = Bench()
        back = replace(STEP, path="2", current_A=-1e-3, verb=Verb.LITHIATE)
        async with waiting(bench, replace(STEP, until=at_least(4.29, for_s)), back) as task:
            await real_sleep(10.0)
            assert CHARGE not in bench.told
            assert ConstantCurrent(-1e-3, (2.5, 4.3)) in bench.told
            assert not task.done()

    leap(lived())


def test_a_run_whose_last_step_a_cell_beyond_its_window_ends_is_complete_without_current() -> None:
    async def lived() -> None:
        bench = Bench()
        async with waiting(bench, replace(STEP, until=at_least(4.29))) as task:
            end = await task
            assert (end.outcome, end.off_confirmed) == (Outcome.FINISHED, True)
            assert CHARGE not in bench.told
            assert bench.told.count("off") == 1

    leap(lived())


def test_a_cell_that_comes_back_at_once_leaves_no_row_at_rest_in_its_step() -> None:
    async def lived() -> None:
        bench = Bench()
        async with waiting(bench, replace(STEP, record=Record(time_s=1.0))):
            bench.cell_V = 4.29
            await real_sleep(5.0)
            assert CHARGE in bench.told
            assert {row.current_A for row in bench.rows} == {1e-3}

    leap(lived())


def test_a_cell_that_comes_back_later_goes_on_with_the_step_that_its_rest_began() -> None:
    async def lived() -> None:
        bench = Bench()
        step = replace(STEP, until=at_least(4.28, 60.0), record=Record(time_s=0.5))
        async with waiting(bench, step, time_s=8.0) as task:
            began_s = LoopClock().now()
            await real_sleep(4.0)
            assert CHARGE not in bench.told
            bench.cell_V = 4.27
            end = await task
            assert end.outcome is Outcome.TRIPPED
            assert "longer than its ceiling of 8 s" in end.reason
            assert LoopClock().now() - began_s < 10.0  # its time at rest is counted
        found = [(round(row.voltage_V, 2), row.current_A) for row in bench.rows]
        assert found.index((4.27, 0.0)) < found.index((4.27, 1e-3))

    leap(lived())


def test_a_cell_that_comes_back_while_the_run_is_held_back_gets_no_current() -> None:
    async def lived() -> None:
        bench = Bench()
        async with waiting(bench, replace(STEP, until=at_least(4.28, 60.0))) as task:
            await real_sleep(4.0)
            bench.cell_V, bench.lag_s = 4.27, 61.0
            await real_sleep(5.0)
            assert not task.done()
            assert bench.told[-1] == "off"
            assert CHARGE not in bench.told

    leap(lived())
