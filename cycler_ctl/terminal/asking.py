"""Questions before what cannot be taken back. Only a person at a terminal is asked; a script says --yes, or has none."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from cycler_ctl.errors import RefusedError


@dataclass(frozen=True, slots=True)
class Asking:
    """``yes``: it was answered on the command line."""

    yes: bool = False

    def wanted(self) -> bool:
        """Where an answer is read by a program, its author has decided already."""
        return not self.yes and all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))

    def confirm(self, told: str, question: str) -> None:
        """RefusedError unless the answer is yes; anything else, also no answer, is no."""
        sys.stderr.write(f"{told}\n{question} [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            raise RefusedError("nothing was done")
