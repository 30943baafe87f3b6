"""How the threads of the service share the interpreter."""

from __future__ import annotations

import gc
import sys

HAND_OVER_S = 0.0005


def hand_over_soon() -> None:
    """For the whole process: one that computes gives way to control this soon; Python's own 5 ms are 5 ms more until OFF."""
    sys.setswitchinterval(HAND_OVER_S)


def spare_what_stays() -> None:
    """What is loaded by now stays to the end: each look of the garbage collector at it would hold all threads up for 0.1 s."""
    gc.collect()
    gc.freeze()
