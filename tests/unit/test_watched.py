"""The guard's side of a run: its counts from step to step, over pauses, and what becomes of each reading."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from cycler_ctl.guard import Ceilings, Guard, GuardLimits
from cycler_ctl.guarding.watched import Watched
from cycler_ctl.instrument import Measurement, Reading
from protocols.events import Faulted, Sampled, Tripped
from protocols.model import ConstantCurrent, ConstantVoltage
from protocols.running.state import Phase
from protocols.running.view import Progress

LIMITS = GuardLimits(voltage_V=(2.0, 5.0), current_A=0.010, stale_s=3.0)
UP = ConstantCurrent(1e-3, (2.5, 4.3))
MOST = Ceilings(1.0, 1e6)
UTC_S = 1.7e9


def at(count: int, step_id: str) -> Progress:
    return Progress(Phase.RUNNING, step_id, "charge", 1, count, None, None)


@dataclass
class Bench:
    """A clock that is where it is put, and a sensor."""

    now_s: float = 100.0
    degC: Measurement | None = None

    def now(self) -> float:
        return self.now_s

    def utc(self) -> float:
        return UTC_S

    def watched(self) -> Watched:
        @dataclass
        class Fit:
            clock: Bench
            guard: Guard

            def temperature(self) -> Measurement | None:
                return self.clock.degC

        fit: Any = Fit(self, Guard(LIMITS))
        return Watched(fit)

    def read(self, voltage_V: float = 3.7, current_A: float = 1e-3) -> Reading:
        return Reading(voltage_V, current_A, output_on=True, flags=frozenset(), at_s=self.now_s)


def counted(bench: Bench, watched: Watched) -> float:
    """The charge counted after one more second at 1 mA."""
    bench.now_s += 1.0
    assert isinstance(watched.judged(bench.read(), 1.0), Sampled)
    assert watched.state is not None
    return watched.state.charge_Ah * 3.6e6


def test_a_reading_before_any_setpoint_is_a_fault() -> None:
    bench = Bench()
    watched = bench.watched()
    assert watched.voltage_V is None
    assert watched.overdue() == ""
    watched.turned_off()
    assert watched.state is None
    assert watched.judged(bench.read(), 7.0) == Faulted(7.0, UTC_S, "a reading came before any setpoint")


def test_what_the_guard_passes_is_a_sample_with_a_temperature_that_is_new_enough() -> None:
    bench = Bench(degC=Measurement(25.0, 95.0))
    watched = bench.watched()
    watched.begins(UP, at(1, "1"), MOST, resuming=False)
    assert watched.voltage_V is None
    assert watched.judged(bench.read(), 7.0) == Sampled(7.0, UTC_S, 3.7, 1e-3, 25.0)
    assert watched.voltage_V == 3.7
    bench.degC = Measurement(25.0, 0.0)
    assert watched.judged(bench.read(), 7.0) == Sampled(7.0, UTC_S, 3.7, 1e-3, None)


@pytest.mark.parametrize(("voltage_V", "on", "kind"), [(5.1, True, Tripped), (3.7, False, Faulted)])
def test_a_limit_that_is_passed_trips_and_bad_contact_is_a_fault(
    voltage_V: float, on: bool, kind: type[Tripped | Faulted]
) -> None:
    bench = Bench()
    watched = bench.watched()
    watched.begins(UP, at(1, "1"), MOST, resuming=False)
    found = watched.judged(replace(bench.read(voltage_V), output_on=on), 7.0)
    assert isinstance(found, kind)
    assert (found.at_s, found.utc_s) == (7.0, UTC_S)
    assert watched.state is not None
    assert watched.state.trip is not None
    assert found.reason == watched.state.trip.reason


def test_a_reading_that_contradicts_what_is_set_is_dropped() -> None:
    bench = Bench()
    watched = bench.watched()
    watched.begins(ConstantVoltage(4.0, 1e-3), at(1, "1"), MOST, resuming=False)
    bench.now_s += 1.0
    assert watched.judged(bench.read(3.0, 0.0), 1.0) is None
    assert watched.state is not None
    assert watched.state.held.odd == 1


def test_a_step_that_goes_on_keeps_its_counts_and_another_begins_anew() -> None:
    bench = Bench()
    watched = bench.watched()
    watched.begins(UP, at(1, "1"), MOST, resuming=False)
    assert counted(bench, watched) == pytest.approx(1.0)
    watched.turned_off()
    assert watched.state is not None
    assert watched.state.step.setpoint is None
    bench.now_s += 60.0
    watched.begins(UP, at(1, "1"), MOST, resuming=True)
    assert counted(bench, watched) == pytest.approx(2.0)
    watched.begins(UP, at(1, "1"), MOST, resuming=False)
    assert counted(bench, watched) == pytest.approx(1.0)
    watched.begins(UP, at(2, "2"), MOST, resuming=True)
    assert counted(bench, watched) == pytest.approx(1.0)


def test_the_same_step_of_another_pass_begins_anew_though_it_is_begun_by_a_resume() -> None:
    """A person skipped the pass before in a pause."""
    bench = Bench()
    watched = bench.watched()
    for step in at(1, "1.1"), at(2, "1.1"), at(3, "1.2.2p"), at(4, "1.2.1p"):
        watched.begins(UP, step, MOST, resuming=True)
        assert counted(bench, watched) == pytest.approx(1.0)
        assert watched.state is not None
        assert watched.state.before_Ah == 0.0
        watched.turned_off()


def test_a_step_that_is_resumed_before_anything_was_seen_begins() -> None:
    watched = Bench().watched()
    watched.begins(UP, at(0, ""), MOST, resuming=True)
    assert watched.state is not None
    assert watched.state.step.ceilings == MOST


def test_parts_of_one_step_are_counted_together() -> None:
    bench = Bench()
    watched = bench.watched()
    watched.begins(UP, at(1, "1.cc"), MOST, resuming=False)
    counted(bench, watched)
    watched.begins(UP, at(2, "1.cv"), MOST, resuming=False)
    assert watched.state is not None
    assert watched.state.before_Ah * 3.6e6 == pytest.approx(1.0)
    watched.begins(UP, at(3, "2.cc"), MOST, resuming=False)
    assert watched.state.before_Ah == 0.0


def test_what_was_seen_at_rest_is_the_newest_that_is_known_and_changes_no_count() -> None:
    bench = Bench()
    rested = bench.watched()
    rested.begins(UP, at(1, "1"), MOST, resuming=False)
    rested.judged(bench.read(3.9), 0.0)
    seen = rested.state
    assert seen is not None
    new = bench.watched()
    new.seen_at_rest(seen)
    assert new.state is seen
    paused = bench.watched()
    paused.begins(UP, at(1, "1"), MOST, resuming=False)
    counted(bench, paused)
    paused.seen_at_rest(seen)
    assert paused.voltage_V == 3.9
    assert paused.state is not None
    assert paused.state.warmth is seen.warmth
    assert paused.state.charge_Ah * 3.6e6 == pytest.approx(1.0)


def test_the_counts_of_a_guard_that_is_gone_go_on_in_the_step_they_belong_to() -> None:
    bench = Bench()
    gone = bench.watched()
    gone.begins(UP, at(1, "1"), MOST, resuming=False)
    counted(bench, gone)
    assert gone.state is not None
    new = bench.watched()
    new.counts_from(gone.state, at(1, "1"))
    new.begins(UP, at(1, "1"), MOST, resuming=True)
    assert counted(bench, new) == pytest.approx(2.0)


def test_an_output_that_nobody_has_read_for_too_long_is_overdue() -> None:
    bench = Bench()
    watched = bench.watched()
    watched.begins(UP, at(1, "1"), MOST, resuming=False)
    bench.now_s += 3.0
    assert watched.overdue() == ""
    bench.now_s += 0.5
    assert watched.overdue() == "no fresh reading for 3.5 s (at most 3 s are allowed)"
