"""An output whose off was not confirmed: chased until it was read back, because nothing else matters then."""

from __future__ import annotations

import logging

from cycler_ctl.clock import real_sleep
from cycler_ctl.contact import Contact
from cycler_ctl.errors import StoreError
from cycler_ctl.fittings import Fittings
from cycler_ctl.host import URGENT_S, InstrumentHost
from cycler_ctl.lease import Lease
from cycler_ctl.output import Output

log = logging.getLogger(__name__)

TRYING_LEASE_S = 20.0  # renewed at each try to reconnect and turn off; a try takes half of that at worst
TRIES_IN_PLACE = 3


async def off_in_place(fit: Fittings, output: Output) -> bool:
    """Whether one of a few more tries on the same connection turns off an output of an instrument with several.

    To reconnect turns off all of them. A lost link is lost for all, but bad answers on one are no reason to end the
    runs on the others; so while anything is answered, they go on for these few seconds.
    """
    for _ in range(TRIES_IN_PLACE if len(fit.instrument.channels) > 1 else 0):
        if fit.contact.given_up or fit.contact.silent_s:
            return False
        await real_sleep(URGENT_S)
        if await output.turn_off() is None:
            return True
    return False


async def until_off(channel: str, host: InstrumentHost, contact: Contact, lease: Lease, why: str) -> None:
    """To reconnect is to turn off first: return when that was done and read back, however long it takes."""
    if not contact.given_up:  # else another channel has had it closed already, and off may be confirmed by now
        host.drop(f"channel {channel}: {why}")
    host.hurry()
    while host.status().link != "connected":
        lease.renew(channel, TRYING_LEASE_S)
        await host.next_try()
    lease.release(channel)
    log.warning("channel %s: off is confirmed now", channel)


async def strike_out(channel: str, lease: Lease) -> None:
    """Off was read back: a register that cannot be written only costs one more safe-off, and no other run."""
    try:
        await lease.is_off(channel)
    except StoreError as error:
        log.warning("channel %s is off, but the register still names it: %s", channel, error)
