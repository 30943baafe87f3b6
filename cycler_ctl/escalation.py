"""An output whose off was not confirmed: chased until it was read back, because nothing else matters then."""

from __future__ import annotations

import logging

from cycler_ctl.errors import StoreError
from cycler_ctl.host import InstrumentHost
from cycler_ctl.lease import Lease

log = logging.getLogger(__name__)

TRYING_LEASE_S = 20.0  # renewed at each try to reconnect and turn off; a try takes half of that at worst


async def until_off(channel: str, host: InstrumentHost, lease: Lease) -> None:
    """To reconnect is to turn off first: return when that was done and read back, however long it takes."""
    host.drop()
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
