"""While a run is active the computer is asked not to go to sleep: what is on would stay on, and nobody would watch (F10)."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import subprocess
import sys

from cycler_ctl.live import ChannelState, ChannelStatus

log = logging.getLogger(__name__)

ACTIVE = frozenset({ChannelState.RUNNING, ChannelState.PAUSED, ChannelState.CANNOT_DEENERGISE})
# cat ends with our end of its pipe: however this process dies, the computer may sleep again
INHIBIT = ("systemd-inhibit", "--what=sleep:idle", "--who=cycler-ctl", "--why=a cell is being cycled", "cat")
CONTINUOUS, SYSTEM_REQUIRED = 0x80000000, 0x00000001  # of SetThreadExecutionState


class KeepAwake:
    """An observer of the station; close it at the end."""

    def __init__(self) -> None:
        self._active: set[str] = set()
        self._held: subprocess.Popen[bytes] | None = None

    def channel_changed(self, status: ChannelStatus) -> None:
        before = bool(self._active)
        (self._active.add if status.state in ACTIVE else self._active.discard)(status.channel)
        if before != bool(self._active):
            self._begin() if self._active else self.close()

    def durable(self, run: str) -> None:
        """Rows do not matter here."""

    def _begin(self) -> None:
        if sys.platform == "win32":
            _execution_state(CONTINUOUS | SYSTEM_REQUIRED)
            return
        if sys.platform != "linux":
            return
        try:
            self._held = subprocess.Popen(INHIBIT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        except OSError as error:
            log.warning("nothing keeps this computer from going to sleep: %s", error)

    def close(self) -> None:
        if sys.platform == "win32":
            _execution_state(CONTINUOUS)
        held, self._held = self._held, None
        if held is not None and held.stdin is not None:
            held.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                held.wait(1.0)


def _execution_state(state: int) -> None:
    """Of this thread, which is the loop's; Windows only."""
    getattr(ctypes, "windll").kernel32.SetThreadExecutionState(state)  # noqa: B009
