"""What a person may do to a channel over HTTP: the contract between the page and the station."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class StationActions(Protocol):
    """Implemented by the station, awaited on its own loop.

    RefusedError: not now (409). ConfigError: what was sent is wrong (422). InstrumentError: the instrument did not do
    it (502). ``by`` says who asked, for the record.
    """

    async def start(
        self, channel: str, protocol_text: str, file_name: str, cell_text: str | None, overrides: Mapping[str, str]
    ) -> str:
        """Return the run's id once the run has begun."""
        ...

    async def stop(self, channel: str, by: str) -> None:
        """Return only when off was read back."""
        ...

    async def pause(self, channel: str, by: str) -> None: ...
    async def resume(self, channel: str, by: str) -> None: ...
    async def skip(self, channel: str, by: str) -> None: ...
    async def acknowledge(self, channel: str, by: str) -> None: ...
