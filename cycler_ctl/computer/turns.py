"""How the threads of the service share the interpreter."""

from __future__ import annotations

import gc
import sys

HAND_OVER_S = 0.0005
GARBAGE, GARBAGE_OF_A_CHANNEL = 2_000, 400
"""So many objects more than were given back make a look for garbage worth it: there is next to none.

Chosen when a row on its way to the disk was four objects: by Python's own 700 those of 128 channels at 40 Hz were looked
through thirty times a second, and everything that lives, 30 to 50 ms in which all threads stand still, each three seconds.
Since rows are packed (``store/packed.py``) there was no look at all in 60 s of that.
What waits to be looked for is megabytes. At worst, connections lost with 20 messages on their way, 256 objects with 0.4 MB each, it
would be 4 MB with one channel and 80 MB with 128.
"""


def hand_over_soon() -> None:
    """For the whole process: one that computes gives way to control this soon; Python's own 5 ms are 5 ms more until OFF."""
    sys.setswitchinterval(HAND_OVER_S)


def spare_what_stays(channels: int) -> None:
    """What is loaded by now stays to the end: each look of the garbage collector at it would hold all threads up for 0.1 s."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE + GARBAGE_OF_A_CHANNEL * channels)
