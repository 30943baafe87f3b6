"""What a person may do to a channel over HTTP: the contract between the page and the station."""

from __future__ import annotations

from typing import Protocol

from cycler_ctl.channels.readiness import Outlook
from cycler_ctl.running.start import Order


class StationActions(Protocol):
    """Implemented by the station, awaited on its own loop.

    RefusedError: not now (409). ConfigError: what was sent is wrong (422). InstrumentError: the instrument did not do
    it (502). ``by`` says who asked, for the record.
    """

    def outlook(self, channel: str) -> Outlook:
        """What a start would look at now, without a word to the instrument."""
        ...

    async def begin(self, channel: str, order: Order) -> str:
        """Return the run's id once the run has begun. An order from the network holds all its texts."""
        ...

    async def stop(self, channel: str, by: str) -> None:
        """Return only when off was read back."""
        ...

    async def pause(self, channel: str, by: str) -> None: ...
    async def resume(self, channel: str, by: str) -> None: ...
    async def skip(self, channel: str, by: str) -> None: ...
    async def acknowledge(self, channel: str, by: str) -> None: ...
