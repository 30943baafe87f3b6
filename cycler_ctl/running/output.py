"""A run's output: in the register before it goes on, under a lease while it may be on, off only when that was read back."""

from __future__ import annotations

import asyncio
from typing import Protocol

from cycler_ctl.channels.contact import Contact
from cycler_ctl.clock import Clock
from cycler_ctl.errors import InstrumentError, RefusedError
from cycler_ctl.instrument import Channel
from cycler_ctl.watching.lease import Lease, lease_for
from cycler_ctl.watching.register import SafeOffEntry
from protocols.model import Rest, Setpoint

OFF_S = 1.5  # real seconds, see contact.PATIENCE_S
APPLY_S = 10.0  # a slow serial line takes two seconds


class Driven(Protocol):
    """What turning an output on and off needs to know of it; a run's fittings are one."""

    @property
    def name(self) -> str: ...
    @property
    def channel(self) -> Channel: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def sample_every_s(self) -> float: ...
    @property
    def lease(self) -> Lease: ...
    @property
    def safe_off(self) -> SafeOffEntry: ...
    @property
    def contact(self) -> Contact: ...


def expect_rest(setpoint: Setpoint) -> None:
    """Whoever wants current looks at the cell before, with the output on at 0 A."""
    if not isinstance(setpoint, Rest):
        raise RefusedError("an output goes on at 0 A, before anything else is set")


def said(error: Exception) -> str:
    """Why an output did not do as told; a time-out has no words of its own."""
    return str(error) or f"the instrument took longer than {APPLY_S:.0f} s"


class Output:
    """``applied`` is what the instrument has accepted last, ``off_confirmed`` whether off was read back since."""

    def __init__(self, fit: Driven) -> None:
        self._fit = fit
        self._lease_s = lease_for(fit.sample_every_s)
        self.off_confirmed = True
        self.applied: Setpoint | None = None
        self.may_do: tuple[Setpoint, ...] = ()
        """What the instrument may be doing: a setting that was not confirmed leaves two or more; none when it is off."""

    @property
    def setpoint(self) -> Setpoint | None:
        """What the instrument was told and has accepted; None while it is off."""
        return None if self.off_confirmed else self.applied

    def renew(self) -> None:
        """Work was done. Never after off: a lease without an output would lapse and take the whole station down."""
        if not self.off_confirmed:
            self._fit.lease.renew(self._fit.name, self._lease_s)

    async def apply(self, setpoint: Setpoint) -> float | None:
        """On disk first, then at the instrument; how long that took, if the output was off for a moment on the way.

        Raises InstrumentError, StoreError or TimeoutError: then the output may be on or off.
        """
        was_on, began_s = not self.off_confirmed, self._fit.clock.now()
        async with asyncio.timeout(APPLY_S):
            if self.off_confirmed:
                expect_rest(setpoint)
                await self._fit.lease.will_energise(self._fit.name, self._fit.safe_off, self._lease_s)
                self.off_confirmed = False
            self.renew()
            self.may_do = (*self.may_do, setpoint)
            with self._fit.contact.heard(self.renew):  # a slow line has many short answers
                opened = await self._fit.channel.apply(setpoint)
        self.applied, self.may_do = setpoint, (setpoint,)
        return self._fit.clock.now() - began_s if opened and was_on else None

    async def turn_off(self) -> str | None:
        """One verified attempt, and why it is not confirmed; what is not, the station escalates, as long as it takes."""
        self.renew()
        try:
            async with asyncio.timeout(OFF_S):
                await self._fit.channel.turn_off()
        except (InstrumentError, TimeoutError) as error:
            self.off_confirmed = False
            return str(error) or f"no confirmation within {OFF_S} s"
        self.off_confirmed, self.may_do = True, ()
        self._fit.lease.release(self._fit.name)
        return None
