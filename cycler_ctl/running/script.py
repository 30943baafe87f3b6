"""What a run goes by: its program, the guard's ceilings for it, and where its ends are drawn on to; replaced as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cycler_ctl.errors import RefusedError
from cycler_ctl.guard import Ceilings
from cycler_ctl.running.fittings import Fittings
from cycler_ctl.running.pacing import Ahead
from protocols import engine
from protocols.events import Action, Amended
from protocols.model import Program
from protocols.record import JSON
from protocols.running.place import path_at
from protocols.running.state import State


@dataclass(frozen=True, slots=True)
class Amendment:
    """Another program for a run, armed as for a start; ``was``: the one it was compared with."""

    was: Program
    program: Program
    ceilings: Mapping[str, Ceilings]
    by: str
    data: Mapping[str, JSON]


class Script:
    """Changed by the run's own task only, between two samples."""

    def __init__(self, program: Program, fit: Fittings) -> None:
        self.program = program
        self._ceilings = fit.ceilings
        self._fastest_s = fit.channel.ratings.fastest_sample_s
        self._ahead = Ahead(program, self._fastest_s)

    def ceilings(self, path: str) -> Ceilings:
        """RefusedError where the guard would have nothing to count against."""
        found = self._ceilings.get(path)
        if found is None:
            raise RefusedError(f"step {path} has no ceiling of charge and time")
        return found

    def soon_s(self, before: State, after: State) -> float:
        """Seconds after the newest reading until a condition may be met."""
        return self._ahead.soon_s(before, after)

    def amended(self, state: State, wanted: Amendment, at_s: float, utc_s: float) -> tuple[State, tuple[Action, ...]]:
        """RefusedError, and everything as it was, where the run is not, or no more, where this fits."""
        why_not = self._refusal(state, wanted)
        if why_not is not None:
            raise RefusedError(f"the run cannot be amended: {why_not}")
        event = Amended(at_s, utc_s, wanted.by, wanted.program, wanted.data)
        state, actions = engine.advance(self.program, state, event)
        self.program, self._ceilings = wanted.program, wanted.ceilings
        self._ahead = Ahead(wanted.program, self._fastest_s)
        return state, actions

    def _refusal(self, state: State, wanted: Amendment) -> str | None:
        if wanted.was is not self.program:
            return "it was amended by somebody else meanwhile: look again"
        found = engine.amended(self.program, state, wanted.program)
        if isinstance(found, str):
            return found
        here = path_at(self.program, state.course.place)
        if self._ceilings.get(here) != wanted.ceilings.get(here):
            return f"step {here} is in progress, and its ceilings of charge and time would be other ones"
        return None
