"""When the next reading is due: on a grid of absolute deadlines from the step's first sample, so that lateness never adds up."""

from __future__ import annotations

import math

from cycler_ctl.running.fittings import SETTLE_S
from protocols.model import Program
from protocols.running.approach import REMEMBERED, remembered, until_met_s
from protocols.running.state import Seen, State

IDLE_S = 2.5
AGAIN_SHARE, AGAIN_S = 0.25, 1.0
"""What is still far is looked for again after this share of the time it is away, and at the latest after so long.

So a reading a second or less looks each time; only where there are many in a second, most need not.
"""


class Pace:
    """``due_s`` is the clock's. Readings come every ``every_s``."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._grid_s = 0.0
        self._settling = False
        self.due_s = 0.0

    def settle(self, now_s: float) -> None:
        """A setpoint was applied: the first sample when it has settled begins a new grid."""
        self._settling = True
        self.due_s = now_s + min(SETTLE_S, 3 * self._every_s)

    def missed(self, now_s: float) -> None:
        """A reading was lost: the next is due when it would have been, for the cell is unseen; at once if that is past."""
        self._grid_s = self.due_s = max(self.due_s + self._every_s, now_s)

    def wait(self, now_s: float) -> None:
        """No reading is wanted; however far apart they are, what else there is to see to is looked after in between."""
        self._grid_s = self.due_s = now_s + min(self._every_s, IDLE_S)

    def read(self, read_at_s: float, now_s: float) -> None:
        """A reading came, measured at ``read_at_s``."""
        if self._settling:
            self._settling = False
            self._grid_s = read_at_s + self._every_s
        elif now_s >= self._grid_s:
            behind_s = max(0.0, now_s - self._grid_s)
            self._grid_s += self._every_s * (1 + math.floor(behind_s / self._every_s))
        self.due_s = self._grid_s

    def sooner(self, at_s: float) -> None:
        """A reading between two of the grid; the grid stays."""
        self.due_s = min(self.due_s, at_s)


class Ahead:
    """When the next condition may be met, so that how far it is overshot is the instrument's speed."""

    def __init__(self, program: Program, fastest_s: float) -> None:
        self._program = program
        self._fastest_s = fastest_s
        self._seen: tuple[Seen, ...] = ()
        self._again_s = -math.inf
        self._met_s = math.inf
        """When what was looked for last may be met."""

    def soon_s(self, before: State, after: State) -> float:
        """Seconds after the newest reading; infinite: nothing is in sight."""
        self._seen, live = remembered(self._seen, before, after), after.live
        if live.sample is None:
            return math.inf
        at_s, counting = live.sample.at_s, live.until or live.train or live.abort
        known = after.step is before.step and len(self._seen) == REMEMBERED and not counting
        if known and at_s < self._again_s:
            return max(self._met_s - at_s, self._fastest_s)  # a reading of the grid came before the one planned for it
        soon_s = max(until_met_s(self._program, after, self._seen), self._fastest_s)
        self._again_s, self._met_s = at_s + min(AGAIN_SHARE * soon_s, AGAIN_S), at_s + soon_s
        return soon_s
