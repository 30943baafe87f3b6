"""How the threads of the service share the interpreter."""

from __future__ import annotations

import sys

HAND_OVER_S = 0.0005


def hand_over_soon() -> None:
    """For the whole process: one that computes gives way to control this soon; Python's own 5 ms are 5 ms more until OFF."""
    sys.setswitchinterval(HAND_OVER_S)
