"""Between a start that was asked for and its run: nobody else may begin here, and a stop means this start."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from cycler_ctl.channels.switches import Switches
from cycler_ctl.errors import RefusedError


class Beginning:
    """Of one channel: at most one at a time."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._called_off = ""
        self.under_way = False
        self.switches = Switches()
        """Over all runs: who starts and stops in a loop wears the relay as one who pauses does."""

    @contextmanager
    def entered(self) -> Generator[None]:
        self.under_way, self._called_off = True, ""
        try:
            yield
        finally:
            self.under_way = False

    def refuse(self) -> None:
        if self.under_way:
            raise RefusedError(f"channel {self._channel}: another run is just beginning")

    def call_off(self, by: str) -> None:
        self._called_off = f"stopped by {by or 'a person'} before it began"

    def refuse_if_called_off(self) -> None:
        """Asked in the moment in which the run would begin."""
        if self._called_off:
            raise RefusedError(f"channel {self._channel}: {self._called_off}")
