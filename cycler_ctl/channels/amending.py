"""A channel's running program replaced by an amended one: looked at first, then carried out by the run itself."""

from __future__ import annotations

import asyncio
from functools import partial

from cycler_ctl.channels.slot import ACT_S, Slot
from cycler_ctl.errors import InstrumentError, RefusedError, StoreError
from cycler_ctl.running.amending import Looked, Wanted, amended_info, look
from cycler_ctl.running.start import Spot
from protocols import engine


async def amend(slot: Slot, wanted: Wanted, of: str | None, spot: Spot, utc_s: float) -> Looked:
    """``of`` None: look only. Else what a look at that program has shown is done, between two samples."""
    found = await looked(slot, wanted, spot, utc_s)
    if of is None:
        return found
    if of != found.of:
        raise RefusedError(f"channel {slot.name}: its program is another one than you looked at: look again")
    await carried_out(slot, found)
    return found


async def looked(slot: Slot, wanted: Wanted, spot: Spot, utc_s: float) -> Looked:
    """ConfigError or RefusedError say why it cannot be; a step that ends meanwhile may still change that."""
    current = slot.running("amend")
    if wanted.run not in {None, current.run}:
        raise RefusedError(f"channel {slot.name}: its run is another one than you looked at: look again")
    script = current.runner.script
    found = await asyncio.to_thread(partial(look, wanted, current.info, script.program, spot, utc_s))
    if isinstance(why_not := engine.amended(script.program, current.runner.state, found.prepared.program), str):
        raise RefusedError(f"channel {slot.name}: the run cannot be amended: {why_not}")
    return found


async def carried_out(slot: Slot, found: Looked) -> None:
    """Return when it is done and on disk. RefusedError: nothing was changed."""
    current = slot.running("amend")
    asked = current.runner.ask("amend", found.amendment.by, found.amendment)
    await asyncio.wait({asked}, timeout=ACT_S)
    if not asked.done():
        asked.cancel()  # the run leaves what nobody waits for any more
        raise InstrumentError(f"channel {slot.name}: amend was not carried out within {ACT_S:.0f} s")
    if why_not := asked.result():
        raise RefusedError(f"channel {slot.name}: {why_not}")
    current.info = amended_info(current.info, found.amendment.data)
    if not await asyncio.to_thread(current.writer.flush, ACT_S):
        raise StoreError(f"channel {slot.name}: amended, but that is not on disk yet: {current.writer.failed}")
