"""Whether the operating system holds the time of day to be synchronised. Not known counts as no."""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised to a reliable server
_TIMEX_BYTES = 512  # struct timex has 208; its first field, modes = 0, means: only tell
_W32TM = ("w32tm", "/query", "/status")
_NOT_SYNCHRONISED = "3"  # the leap indicator of RFC 5905 for an unsynchronised clock
_LEAP = re.compile(r":\s*(\d)\(")
_ANSWER_S = 5.0


def clock_synchronised() -> bool:
    if sys.platform == "linux":
        return _kernel_says_so()
    return leap_of(_windows_status()) not in {None, _NOT_SYNCHRONISED}


def _kernel_says_so() -> bool:
    try:
        answer = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return False
    return 0 <= int(answer) < _TIME_ERROR


def _windows_status() -> str:
    try:
        return subprocess.run(_W32TM, capture_output=True, text=True, timeout=_ANSWER_S, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def leap_of(status: str) -> str | None:
    """The first line has the leap indicator; its words are in the language of the system, its digit is not."""
    found = _LEAP.search(status.partition("\n")[0])
    return found[1] if found else None
