"""One thing that ``doctor`` has looked at."""

from __future__ import annotations

from dataclasses import dataclass

OK, MEND = True, False


@dataclass(frozen=True, slots=True)
class Finding:
    """``ok`` False: something to mend; ``message`` says what to do.

    ``look``: nothing is wrong yet, but a person should read it before a long run.
    """

    ok: bool
    what: str
    message: str
    look: bool = False

    @property
    def mark(self) -> str:
        return "MEND" if not self.ok else "look" if self.look else "ok  "
