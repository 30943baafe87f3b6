"""The guard's side of one run: what it has seen so far, step by step, and what it makes of each reading."""

from __future__ import annotations

from dataclasses import replace

from cycler_ctl.guard import Ceilings, GuardState, Severity
from cycler_ctl.instrument import Reading
from cycler_ctl.running.fittings import Fittings, fresh, goes_on
from protocols.events import Faulted, Sampled, Tripped
from protocols.model import Setpoint
from protocols.running.view import Progress


class Watched:
    """``state`` None: nothing was seen yet."""

    def __init__(self, fit: Fittings) -> None:
        self._fit = fit
        self._step = (0, "")  # its number in the run, and its name, which is the same in every pass of a repeat
        self.state: GuardState | None = None

    @property
    def voltage_V(self) -> float | None:
        """As it was read last; None: nothing was yet."""
        return None if self.state is None or self.state.last is None else self.state.last.voltage_V

    def judged(self, reading: Reading, at_s: float) -> Sampled | Tripped | Faulted | None:
        """What the guard makes of a reading: only what it passes becomes a sample, and what it doubts is dropped."""
        temperature, now_s, utc_s = self._fit.temperature(), self._fit.clock.now(), self._fit.clock.utc()
        if self.state is None:
            return Faulted(at_s, utc_s, "a reading came before any setpoint")
        self.state, trip = self._fit.guard.check(self.state, reading, temperature, now_s)
        if trip is not None:
            return (Tripped if trip.severity is Severity.TRIPPED else Faulted)(at_s, utc_s, trip.reason)
        if self.state.held.odd:
            return None
        return Sampled(at_s, utc_s, reading.voltage_V, reading.current_A, fresh(temperature, now_s))

    def begins(self, setpoint: Setpoint, now: Progress, ceilings: Ceilings, *, resuming: bool) -> None:
        """A new step starts the guard's counts anew; a step that goes on after a pause keeps them."""
        now_s, before, was = self._fit.clock.now(), self.state, self._step
        self._step = step = (now.step_count, now.step_id)
        if before is not None and was == step and resuming:
            self.state = self._fit.guard.turned_on(before, setpoint, now_s)
        else:
            self.state = self._fit.guard.begin_step(setpoint, ceilings, now_s, before, part=goes_on(was[1], step[1]))

    def seen_at_rest(self, seen: GuardState) -> None:
        """The cell was looked at: the counts stay, what was read is the newest that is known."""
        self.state = seen if self.state is None else replace(self.state, last=seen.last, warmth=seen.warmth)

    def counts_from(self, counted: GuardState, now: Progress) -> None:
        """The counts of a guard that is gone."""
        self.state, self._step = counted, (now.step_count, now.step_id)

    def turned_off(self) -> None:
        if self.state is not None:
            self.state = self._fit.guard.turned_off(self.state, self._fit.clock.now())

    def overdue(self) -> str:
        """Why the output must not stay on unseen any longer; empty while it may."""
        trip = None if self.state is None else self._fit.guard.overdue(self.state, self._fit.clock.now())
        return "" if trip is None else trip.reason
