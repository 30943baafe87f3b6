"""Outputs that were on with no run of ours to use them: chased until they are off, and latched until a person has looked."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

from cycler_ctl.channels.contact import Contact
from cycler_ctl.channels.slot import Slot
from cycler_ctl.live import ChannelStatus
from cycler_ctl.running.escalation import alarmed, strike_out, take_up, until_off
from cycler_ctl.watching.lease import Lease
from cycler_ctl.watching.register import SafeOffEntry

log = logging.getLogger(__name__)

LEFT_OVER = "off could not be confirmed when the service was away; trying"
WAS_LEFT_OVER = "the output may have stayed on after the service ended; it is off now, read back"
FOUND_ON = "the output was on, though nothing here had switched it on (somebody at its panel?)"

Tell = Callable[[ChannelStatus, str], Awaitable[None]]
"""Keeps it on disk, where the next station finds it; the status is the channel's before."""


def whose(name: str, entry: SafeOffEntry, slots: Mapping[str, Slot]) -> list[Slot]:
    """The channels of an entry: all of an instrument where the guardian could not read which of them were on."""
    if name in slots:
        return [slots[name]]
    return [slot for slot in slots.values() if name == slot.settings.instrument == entry.name]


def nobodys(name: str, entry: SafeOffEntry) -> str:
    return (
        f"channel {name} is no longer in station.toml, and its output ({entry.name} at {entry.address}) may be ON: "
        "turn it off at the instrument, or put it back and run 'cycler-ctl safe-off'"
    )


async def confirm_left_over(slot: Slot, name: str, lease: Lease, tell: Tell) -> None:
    """``name`` in the register: its output may still be on until the instrument was reached, which turns it off."""
    before = slot.status()
    case = slot.cannot_deenergise(LEFT_OVER)
    slot.host.expect(lease.left_over[name].serial)
    slot.host.hurry()
    async with alarmed(case):
        await slot.host.online()
    await tell(before, WAS_LEFT_OVER)
    await strike_out(name, lease)
    slot.was_on(before, WAS_LEFT_OVER)


async def found_on(slot: Slot, lease: Lease, contact: Contact, why_not: str | None, tell: Tell) -> None:
    """An idle output was on. ``why_not``: why it was not confirmed off at once; then it is chased as any other."""
    before, why = slot.status(), f"{FOUND_ON}; it is off now, read back"
    log.error("channel %s: %s", slot.name, FOUND_ON)
    if why_not is None:
        slot.was_on(before, why)  # at once, so that nothing begins meanwhile
        await tell(before, why)
        return
    reason = f"{FOUND_ON}, and it does not go off: {why_not}. Trying every 0.5 s; disconnect the cell"
    async with alarmed(slot.cannot_deenergise(reason)):
        await take_up(slot.name, slot.host, lease)
        await until_off(slot.name, slot.host, contact, lease, FOUND_ON, tell=log.warning)
    await tell(before, why)
    await strike_out(slot.name, lease)
    slot.was_on(before, why)
