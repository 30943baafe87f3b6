"""What must be so in the moment a run begins or goes on, beside its protocol and its cell; else it is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from cycler_ctl.channels.sensing import Sensing
from cycler_ctl.channels.slot import Slot
from cycler_ctl.config import ChannelSettings
from cycler_ctl.errors import InstrumentError, RefusedError
from cycler_ctl.ratings import Ratings
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


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known before a start. ``ratings`` None: the instrument is not connected, or has no such output."""

    settings: ChannelSettings
    instrument: str
    ratings: Ratings | None
    refused: tuple[str, ...]


def outlook(slot: Slot) -> Outlook:
    """What a start would look at, without a word to the instrument, and why it would refuse now whatever the protocol."""
    settings = slot.settings
    busy = _refusal(slot.refuse_if_busy)
    absent = _refusal(slot.host.connected)
    ratings, name = None, settings.instrument
    if not absent:
        instrument = slot.host.connected()
        name = f"{instrument.identity.model} ({settings.instrument})"
        ratings = instrument.channels[settings.output].ratings if settings.output in instrument.channels else None
        absent = "" if ratings is not None else f"instrument {settings.instrument} has no output {settings.output!r}"
    return Outlook(settings, name, ratings, tuple(filter(None, (busy, absent))))


def _refusal(look: Callable[[], object]) -> str:
    try:
        look()
    except RefusedError as error:
        return str(error)
    return ""
