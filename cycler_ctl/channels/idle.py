"""An instrument that nobody uses is looked at all the same: still there, the same one, off as it was left (reliability F7)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from cycler_ctl.channels.contact import Contact
from cycler_ctl.channels.host import InstrumentHost
from cycler_ctl.channels.left_on import Tell, found_on
from cycler_ctl.channels.slot import Slot
from cycler_ctl.clock import real_sleep
from cycler_ctl.errors import CyclerError
from cycler_ctl.instrument import Channel, Instrument, TellsIfOn
from cycler_ctl.watching.lease import Lease

log = logging.getLogger(__name__)

EVERY_S = 10.0
LOOK_S = 5.0  # some ten exchanges, on a slow serial line too
NO_ANSWER = "no answer in time"

Found = dict[Slot, str | None]
"""The channels that were on, each with why it is not confirmed off."""


class IdleLook:
    """Of one instrument with channels. While ``turn`` is held nobody looks: a start proves it by itself."""

    def __init__(self, host: InstrumentHost, slots: Sequence[Slot], lease: Lease, tell: Tell) -> None:
        self._host = host
        self._slots = slots
        self._lease = lease
        self._tell = tell
        self.turn = asyncio.Lock()

    async def run(self) -> None:
        while True:
            await real_sleep(EVERY_S)
            await self._host.online()
            await self.look()

    async def look(self) -> None:
        """Beside a run on another output each of the rest is asked one question: that run must not be kept waiting."""
        async with self.turn:
            idle = [slot for slot in self._slots if not (slot.busy or slot.may_be_on())]
            if self._host.link != "connected" or not idle:
                return
            contact, instrument = self._host.contact(), self._host.connected()
            alone = len(idle) == len(self._slots)
            found = await (self._asked(instrument, contact) if alone else _asked_beside(idle, instrument, contact))
        async with asyncio.TaskGroup() as group:
            for slot, why_not in found.items():
                chase = found_on(slot, self._lease, contact, why_not, self._tell)
                group.create_task(chase, name=f"found on {slot.name}")

    async def _asked(self, instrument: Instrument, contact: Contact) -> Found:
        """Any doubt makes the connection anew, which begins with off."""
        found: Found = {}
        try:
            async with asyncio.timeout(LOOK_S), contact.patience():
                for slot in self._slots:
                    await _look_at(slot, instrument.channels.get(slot.settings.output), found)
                await instrument.resync()
        except (CyclerError, TimeoutError) as error:
            self._drop(contact, str(error) or NO_ANSWER)
        except Exception as error:
            log.exception("an instrument that nobody uses")
            self._drop(contact, f"error in its driver: {error!r}")
        else:
            self._host.answered()
        return found

    def _drop(self, contact: Contact, why: str) -> None:
        """Unless somebody else has had it made anew meanwhile."""
        if self._host.link == "connected" and self._host.contact() is contact:
            self._host.drop(why)


async def _asked_beside(idle: Sequence[Slot], instrument: Instrument, contact: Contact) -> Found:
    """What is not answered the run hears for itself, and more often; the connection is its own to give up."""
    found: Found = {}
    try:
        async with asyncio.timeout(LOOK_S), contact.patience():
            for slot in idle:
                channel = instrument.channels.get(slot.settings.output)
                if isinstance(channel, TellsIfOn):
                    await _look_at(slot, channel, found)
    except (CyclerError, TimeoutError) as error:
        log.info("an output beside a run was not looked at: %s", str(error) or NO_ANSWER)
    except Exception:
        log.exception("an output beside a run")
    return found


async def _look_at(slot: Slot, channel: Channel | None, found: Found) -> None:
    """Off at once if it is on. Where only off can be said, it is said again and read back."""
    if isinstance(channel, TellsIfOn):
        if await channel.is_on():
            found[slot] = NO_ANSWER
            found[slot] = await _off(channel)
    elif channel is not None:
        await channel.turn_off()


async def _off(channel: Channel) -> str | None:
    try:
        await channel.turn_off()
    except CyclerError as error:
        return str(error)
    return None
