"""What must be so in the moment a run begins or goes on, beside its protocol and its cell; else it is refused."""

from __future__ import annotations

import asyncio

from cycler_ctl.channels.sensing import Sensing
from cycler_ctl.channels.slot import Slot
from cycler_ctl.errors import InstrumentError, RefusedError
from cycler_ctl.running.start import Prepared

ANSWER_S = 3.0  # for an instrument to prove, before a run, that it is there and set as it was left


async def refuse_blind(slot: Slot, prepared: Prepared, sensing: Sensing) -> None:
    """A limit on the temperature needs a sensor that sees."""
    if prepared.guard.limits.temperature_degC is not None and slot.settings.temperature in sensing.names:
        await sensing.refuse_blind(slot.settings.temperature)


async def prove_it_answers(slot: Slot) -> None:
    """A cable pulled since it was last used is a refusal now, and would be the loudest alarm a moment later."""
    try:
        async with asyncio.timeout(ANSWER_S):
            await slot.host.connected().resync()
    except (InstrumentError, TimeoutError) as error:
        slot.host.drop()
        why = str(error) or f"no proof of its identity within {ANSWER_S:.0f} s"
        raise RefusedError(
            f"instrument {slot.settings.instrument} is not as it was left ({why}): it is connected anew, "
            "try again in a moment"
        ) from error
