"""The look at a cell before current flows: which readings let it flow, and that nothing but 0 A was set for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf, nan
from typing import Any

import pytest

from cycler_ctl.errors import BadReply, DeviceFault, InstrumentError, LinkTimeout, RefusedError
from cycler_ctl.guard import Ceilings, Guard, GuardLimits
from cycler_ctl.guarding.losses import TOLERATED
from cycler_ctl.instrument import Measurement, Protection, Ratings, Reading
from cycler_ctl.running.cellcheck import LOOKS, AtRest, LastSeen, at_rest, floating, recounted
from cycler_ctl.running.fittings import Fittings
from protocols import engine
from protocols.events import Paused, Sampled, Started
from protocols.model import (
    Alternative,
    Cell,
    Clause,
    CurrentStep,
    NoteStep,
    Op,
    Program,
    Record,
    Rest,
    RestStep,
    Safety,
    Setpoint,
    Step,
    Verb,
    Watched,
)
from protocols.running.state import State

HOUR = (Alternative((Clause(Watched.TIME, Op.AT_LEAST, 3600.0),), "time >= 1 h"),)
CHARGE = CurrentStep("1", "charge", Verb.DELITHIATE, 1e-3, HOUR, (), Record(), (2.5, 4.3))
REST = RestStep("1", HOUR, (), Record(), (2.5, 4.3))
LIMITS = GuardLimits(voltage_V=(2.5, 4.3), current_A=0.010, stale_s=3.0, rest_A=1e-5)
RATINGS = Ratings((-20.0, 20.0), 1.0, (), 0.15, Protection.B, "bounded only", "0 A")


@dataclass
class Bench:
    """A clock that is where it is waited for, and a channel whose readings, or errors, are these."""

    answers: list[tuple[float, float] | InstrumentError]
    degC: Measurement | None = None
    now_s: float = 100.0
    set: list[Setpoint] = field(default_factory=list[Setpoint])
    renewed: int = 0
    resyncs: int = 0

    @property
    def ratings(self) -> Ratings:
        return RATINGS

    def now(self) -> float:
        return self.now_s

    async def sleep_until(self, until_s: float) -> None:
        self.now_s = until_s

    async def read(self) -> Reading:
        answer = self.answers.pop(0)
        if isinstance(answer, InstrumentError):
            raise answer
        return Reading(*answer, output_on=True, flags=frozenset(), at_s=self.now_s)

    async def apply(self, setpoint: Setpoint) -> None:
        self.set.append(setpoint)

    async def resync(self) -> None:
        self.resyncs += 1

    def renew(self) -> None:
        self.renewed += 1

    def fit(self, limits: GuardLimits) -> Fittings:
        nothing: Any = None
        here: Any = self
        return Fittings(
            name="a1", channel=here, instrument=here, contact=nothing, clock=here, guard=Guard(limits), ceilings={},
            recorder=nothing, temperature=lambda: self.degC, limits_V=limits.voltage_V, hold_limit_A=1.0,
            sample_every_s=1.0, lease=nothing, safe_off=nothing, changed=lambda: None,
        )  # fmt: skip


def program(*steps: Step, safety: Safety = Safety()) -> Program:  # noqa: B008 - frozen
    return Program("p", Cell("c"), safety, steps or (CHARGE,))


async def look(
    answers: Sequence[float | tuple[float, float] | InstrumentError],
    run: Program | None = None,
    *,
    limits: GuardLimits = LIMITS,
    degC: Measurement | None = None,
    state: State | None = None,
    stopping: Callable[[], bool] = lambda: False,
    last: LastSeen | None = None,
) -> tuple[Bench, AtRest]:
    run = run or program()
    said: list[tuple[float, float] | InstrumentError] = [
        (one, 0.0) if isinstance(one, int | float) else one for one in answers
    ]
    bench = Bench(said, degC)
    output: Any = bench
    try:
        found = await at_rest(bench.fit(limits), output, run, state or engine.begin(run), stopping, last=last)
    finally:
        assert bench.set == [Rest(limits.voltage_V)]  # whatever comes of it
    return bench, found


async def test_some_readings_inside_every_limit_let_current_flow() -> None:
    bench, found = await look([3.70, 3.71, 3.72])
    assert (found.voltage_V, found.last_V) == (3.71, None)
    assert found.guarded.last is not None
    assert found.guarded.last.voltage_V == 3.72
    assert bench.renewed == LOOKS
    assert bench.now_s == pytest.approx(100.0 + LOOKS * 0.15)


async def test_a_reading_that_is_lost_is_no_sign_that_the_station_stands_still() -> None:
    bench, _ = await look([LinkTimeout("no answer within 1 s"), 3.7, 3.7, 3.7])
    assert (bench.renewed, bench.resyncs) == (LOOKS + 1, 1)


@pytest.mark.parametrize("bad_V", [2.49, 4.31, nan, inf, -3.7, 0.0])
@pytest.mark.parametrize("at", range(LOOKS))
async def test_one_reading_outside_the_channels_limits_is_enough(bad_V: float, at: int) -> None:
    answers = [3.7] * LOOKS
    answers[at] = bad_V
    with pytest.raises(RefusedError, match="outside the channel's limits"):
        await look(answers)


async def test_a_current_at_rest_is_refused() -> None:
    with pytest.raises(DeviceFault, match="does not do what it was set to"):
        await look([(3.7, 1e-4)] * LOOKS)


async def test_a_cell_outside_the_runs_safety_is_refused() -> None:
    with pytest.raises(RefusedError, match=r"outside the run's 3 V to 4\.2 V"):
        await look([2.9] * LOOKS, program(safety=Safety(voltage_V=(3.0, 4.2))))


async def test_a_reversed_cell_is_refused_by_its_polarity() -> None:
    wide = GuardLimits(voltage_V=(-5.0, 5.0), current_A=0.010, stale_s=3.0, polarity_V=(0.0, inf))
    with pytest.raises(RefusedError, match="reversed, or empty"):
        await look([-3.7] * LOOKS, limits=wide)


async def test_an_input_that_hangs_in_the_air_is_no_cell() -> None:
    with pytest.raises(DeviceFault, match="a lead is open"):
        await look([3.0, 3.4, 3.8])
    assert floating([3.7, 3.95]) is None
    assert floating([3.7, 3.96]) is not None
    assert floating([3.7, nan]) is not None
    assert floating([nan, 3.7]) is not None


async def test_a_cell_is_expected_as_it_was_where_nobody_watched_it() -> None:
    with pytest.raises(RefusedError, match="is it the same cell"):
        await look([3.9] * LOOKS, last=LastSeen(3.7, 0))
    _, found = await look([3.75] * LOOKS, last=LastSeen(3.7, 0))
    assert found.last_V == 3.7


@pytest.mark.parametrize("lost", range(TOLERATED))
async def test_a_lost_reading_or_two_cost_only_time(lost: int) -> None:
    timeout, garbled = LinkTimeout("late"), BadReply("READ?", b"?!")
    bench, found = await look([3.7, *[timeout, garbled][:lost], 3.7, 3.7])
    assert found.voltage_V == 3.7
    assert bench.resyncs == lost


async def test_as_many_lost_readings_as_end_a_run_end_the_look() -> None:
    with pytest.raises(LinkTimeout):
        await look([3.7, *[LinkTimeout("late")] * TOLERATED, 3.7, 3.7])
    with pytest.raises(DeviceFault):
        await look([3.7, DeviceFault("reset"), 3.7, 3.7])


async def test_a_stop_ends_the_look() -> None:
    with pytest.raises(RefusedError, match="a stop was asked for"):
        await look([3.7] * LOOKS, stopping=lambda: True)


WARM = GuardLimits(voltage_V=(2.5, 4.3), current_A=0.010, stale_s=3.0, temperature_degC=(40.0, 140.0), rest_A=1e-5)


@pytest.mark.parametrize(
    ("first", "degC", "refused"), [(CHARGE, 22.0, True), (CHARGE, 60.0, False), (REST, 22.0, False)]
)
async def test_a_cold_cell_may_rest_and_is_not_driven(first: Step, degC: float, refused: bool) -> None:
    run = program(NoteStep("0", "first a note"), first)
    if refused:
        with pytest.raises(RefusedError, match="temperature 22 °C is outside"):
            await look([3.7] * LOOKS, run, limits=WARM, degC=Measurement(degC, 100.0))
    else:
        await look([3.7] * LOOKS, run, limits=WARM, degC=Measurement(degC, 100.0))


async def test_a_temperature_that_is_gone_is_refused() -> None:
    with pytest.raises(DeviceFault, match="gives no value"):
        await look([3.7] * LOOKS, limits=WARM)


@pytest.mark.parametrize(("degC", "refused"), [(50.0, True), (60.0, False), (65.0, False)])
async def test_the_runs_own_temperatures_hold_too(degC: float, refused: bool) -> None:
    run = program(safety=Safety(temperature_degC=(60.0, 70.0)))
    if refused:
        with pytest.raises(RefusedError, match="outside the run's 60 °C to 70 °C"):
            await look([3.7] * LOOKS, run, degC=Measurement(degC, 100.0))
    else:
        await look([3.7] * LOOKS, run, degC=Measurement(degC, 100.0))
        await look([3.7] * LOOKS, run)  # the control: unmonitored, and said so


def paused(*samples: float) -> tuple[Program, State]:
    run = program()
    state, _ = engine.advance(run, engine.begin(run), Started(0.0, 0.0))
    for at_s in samples:
        state, _ = engine.advance(run, state, Sampled(at_s, at_s, 3.7, 1e-3, None))
    state, _ = engine.advance(run, state, Paused(samples[-1] if samples else 0.0, 0.0, "K. Abe"))
    return run, state


async def test_what_comes_next_in_a_pause_is_the_step_it_is_in() -> None:
    run, state = paused(0.0, 10.0)
    with pytest.raises(RefusedError, match="temperature 22 °C is outside"):
        await look([3.7] * LOOKS, run, limits=WARM, degC=Measurement(22.0, 100.0), state=state)


async def test_a_program_that_never_drives_a_cell_may_have_any() -> None:
    await look([3.7] * LOOKS, program(NoteStep("1", "a note")), limits=WARM, degC=Measurement(22.0, 100.0))


async def test_the_counts_of_a_guard_that_is_gone_go_on_from_the_engines() -> None:
    _, found = await look([3.7] * LOOKS)
    _, state = paused(0.0, 1800.0, 3000.0)
    counted = recounted(found.guarded, state, Ceilings(charge_Ah=1e-3))
    assert counted.charge_Ah == pytest.approx(3000.0 / 3600 * 1e-3)
    assert counted.time_s == 3000.0
    assert counted.before_Ah == 0.0
    assert counted.step.ceilings.charge_Ah == 1e-3
    _, fresh = paused()
    assert recounted(found.guarded, fresh, Ceilings()).time_s == 0.0
