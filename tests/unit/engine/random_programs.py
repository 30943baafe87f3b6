"""Programs of every kind of step, all of which end, and what may happen to their runs."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from protocols.model import (
    CccvStep,
    Clause,
    GittStep,
    LabelOf,
    NoteStep,
    OnStartMet,
    PreviousOf,
    Program,
    Record,
    Reference,
    RepeatStep,
    Safety,
    Settings,
    Step,
    StopWhen,
    Verb,
    Watched,
)
from tests.unit.engine.bench import ToyCell
from tests.unit.engine.conftest import (
    MA,
    capacity,
    cccv,
    clause,
    current,
    delithiate,
    efficiency,
    for_each,
    gitt,
    hold,
    lithiate,
    program,
    repeat,
    rest,
    retention,
    time,
    voltage,
    when,
)

A_SECOND = MA / 3600
Ends = tuple[Clause | tuple[Clause, ...], ...]

DURATIONS = st.sampled_from([1.0, 2.5, 7.0, 20.0])
SHORT = st.sampled_from([1.0, 2.5, 4.0])
LABELS = st.none() | st.just("down")
RECORDS = st.builds(
    Record,
    time_s=st.none() | st.sampled_from([2.0, 5.0]),
    voltage_V=st.none() | st.sampled_from([0.01, 0.1]),
    current_A=st.none() | st.just(0.3 * MA),
    charge_Ah=st.none() | st.just(3 * A_SECOND),
)
CELLS = st.builds(
    ToyCell,
    volts_per_mA_s=st.sampled_from([0.01, 0.02]),
    below_zero=st.sampled_from([0.5, 1.0]),
    ohm=st.sampled_from([50.0, 200.0]),
)
REFERENCES: st.SearchStrategy[Reference] = st.sampled_from(
    [PreviousOf(None), PreviousOf(Verb.LITHIATE), LabelOf("down")]
)
ABORTS = st.sampled_from([(), (), (), when(time(30)), when(capacity(25 * A_SECOND))])


@st.composite
def ends(draw: st.DrawFn, threshold: Clause) -> Ends:
    """Always a time, so that every step ends; perhaps something sooner."""
    share = capacity(draw(st.sampled_from([0.5, 1.2])), draw(REFERENCES))
    slope = clause(Watched.SLOPE, "<=", 1e-3)
    others: list[Clause | tuple[Clause, ...]] = [
        threshold,
        share,
        slope,
        (threshold, time(2)),
        clause(Watched.ENERGY, ">=", 5 * A_SECOND),
    ]
    return (*draw(st.lists(st.sampled_from(others), max_size=2)), time(draw(DURATIONS)))


@st.composite
def lithiations(draw: st.DrawFn) -> Step:
    threshold = voltage("<=", draw(st.sampled_from([0.6, 0.9, 1.1])), draw(st.none() | st.sampled_from([0.0, 3.0])))
    return lithiate(*draw(ends(threshold)), record=draw(RECORDS), label=draw(LABELS), abort_if=draw(ABORTS))


@st.composite
def delithiations(draw: st.DrawFn) -> Step:
    return delithiate(*draw(ends(voltage(">=", draw(st.sampled_from([0.95, 1.2]))))), record=draw(RECORDS))


@st.composite
def rests(draw: st.DrawFn) -> Step:
    return rest(time(draw(DURATIONS)), record=draw(RECORDS))


@st.composite
def tapers(draw: st.DrawFn) -> Ends:
    taper = current("<=", draw(st.sampled_from([0.1, 0.5])) * MA, draw(st.none() | st.just(2.0)))
    sooner: list[Ends] = [(), (taper,), ((taper, time(2)),)]
    return (*draw(st.sampled_from(sooner)), time(draw(DURATIONS)))


@st.composite
def holds(draw: st.DrawFn) -> Step:
    limit_A = draw(st.sampled_from([0.5 * MA, MA, float("inf")]))
    volts = draw(st.sampled_from([0.8, 1.0, 1.15]))
    return hold(volts, *draw(tapers()), limit_A=limit_A, record=draw(RECORDS), label=draw(LABELS))


@st.composite
def wholes(draw: st.DrawFn) -> Step:
    first = lithiate(
        voltage("<=", draw(st.sampled_from([0.8, 0.92]))),
        *draw(st.sampled_from([(), (capacity(6 * A_SECOND),)])),
        time(draw(DURATIONS)),
        record=draw(RECORDS),
        on_start_met=draw(st.sampled_from([OnStartMet.SKIP, OnStartMet.SKIP, OnStartMet.ABORT])),
    )
    return cccv(first, *draw(tapers()), abort_if=draw(ABORTS), label=draw(LABELS))


@st.composite
def trains(draw: st.DrawFn) -> Step:
    pulse = draw(st.sampled_from([lithiate, delithiate]))(time(draw(SHORT)), record=draw(RECORDS))
    cutoff = voltage("<=", 0.85) if pulse.verb is Verb.LITHIATE else voltage(">=", 1.15)
    until = draw(st.sampled_from([(), (cutoff,), (capacity(5 * A_SECOND), time(25)), (time(25),)]))
    pulses = draw(st.integers(1, 4)) if time(25) not in until else draw(st.none() | st.integers(1, 9))
    relaxation = draw(st.sampled_from([(time(2),), (clause(Watched.SLOPE, "<=", 1e-3), time(12))]))
    return gitt(pulse, rest(*relaxation), *until, pulses=pulses, abort_if=draw(ABORTS), label=draw(LABELS))


STOPS: st.SearchStrategy[StopWhen | None] = st.none() | st.sampled_from(
    [
        retention("<=", 6 * A_SECOND),
        retention(">=", 0.9, of_cycle=1, cycles=2),
        retention("<=", 0.8, verb=Verb.LITHIATE, of_cycle=2),
        efficiency("<=", 0.9),
        efficiency(">=", 0.5, verb=Verb.LITHIATE, cycles=2),
    ]
)


@st.composite
def repeats(draw: st.DrawFn, inner: st.SearchStrategy[Step]) -> Step:
    times, steps = draw(st.integers(1, 3)), draw(st.lists(inner, max_size=3))
    if draw(st.integers(0, 3)) == 0:
        other = draw(st.lists(inner, max_size=2))
        listed = for_each("rate", {"1 mA": tuple(steps), "2 mA": tuple(other)}, times=times)
        return replace(listed, stop_when=draw(STOPS))
    return repeat(times, *steps, counts=draw(st.booleans()), stop_when=draw(STOPS))


LEAVES = st.one_of(lithiations(), delithiations(), rests(), holds(), wholes(), trains(), st.just(NoteStep("8", "note")))
STEPS: st.SearchStrategy[Step] = st.recursive(LEAVES, repeats, max_leaves=5)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    steps = draw(st.lists(STEPS, max_size=4))
    chosen = Settings(sample_every_s=1.0, debounce=draw(st.integers(1, 3)), slope_window_s=10.0)
    safety = draw(
        st.sampled_from([Safety(), Safety(), Safety((0.0, 2.0), current_A=2 * MA, step_charge_Ah=3e-5, for_s=1.0)])
    )
    return program(*steps, safety=safety, settings=chosen)


INTERRUPTIONS = st.dictionaries(
    st.integers(1, 60),
    st.sampled_from(["pause", "pause", "pause", "skip", "skip", "resume", "stop", "trip"]),
    max_size=4,
)
INTERVALS = st.lists(st.sampled_from([0.25, 0.9, 1.0, 1.1, 3.0]), min_size=1, max_size=7)


def recording(steps: tuple[Step, ...], record: Record) -> tuple[Step, ...]:
    """The same steps with this record in all of them."""
    return tuple(_recording(step, record) for step in steps)


def _recording(step: Step, record: Record) -> Step:
    match step:
        case NoteStep():
            return step
        case RepeatStep():
            return replace(step, steps=recording(step.steps, record))
        case CccvStep():
            parts = replace(step.current, record=record), replace(step.hold, record=record)
            return replace(step, current=parts[0], hold=parts[1])
        case GittStep():
            return replace(step, pulse=replace(step.pulse, record=record), rest=replace(step.rest, record=record))
        case _:
            return replace(step, record=record)
