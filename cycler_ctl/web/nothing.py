"""A station with nothing in it, to describe the HTTP interface without one."""

from __future__ import annotations

from cycler_ctl.channels.readiness import Outlook
from cycler_ctl.errors import RefusedError
from cycler_ctl.live import ChannelStatus, InstrumentStatus
from cycler_ctl.running.start import Order
from protocols.record import Row


class NoStation:
    """A StationView."""

    def channels(self) -> tuple[ChannelStatus, ...]:
        return ()

    def instruments(self) -> tuple[InstrumentStatus, ...]:
        return ()

    def latest(self, channel: str) -> tuple[str, Row] | None:
        del channel
        return None


class NoActions:
    """StationActions, all refused."""

    def outlook(self, channel: str) -> Outlook:
        raise _nothing(channel)

    async def begin(self, channel: str, order: Order) -> str:
        del order
        raise _nothing(channel)

    async def stop(self, channel: str, by: str) -> None:
        del by
        raise _nothing(channel)

    pause = resume = skip = acknowledge = stop


def _nothing(channel: str) -> RefusedError:
    return RefusedError(f"there is no channel {channel!r}: this is the description of a station, not one")
