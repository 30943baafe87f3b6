"""One instrument: opened, identified, off first; reconnected for OFF and observation only, never to re-energise."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass

from pydantic import ValidationError

from cycler_ctl.channels.contact import Contact
from cycler_ctl.channels.owning import address_key, identity_key, owned
from cycler_ctl.clock import Clock, real_sleep
from cycler_ctl.config import Config, InstrumentSettings
from cycler_ctl.errors import ConfigError, CyclerError, DeviceFault, RefusedError
from cycler_ctl.instrument import DriverSpec, Instrument
from cycler_ctl.link.dead_socket import free_socket
from cycler_ctl.link.opening import open_link
from cycler_ctl.live import InstrumentStatus
from cycler_ctl.watching.register import SafeOffEntry

log = logging.getLogger(__name__)

URGENT_S = 0.5  # between two tries while an output may be on (reliability F1)
FIRST_S = 1.0
LONGEST_S = 30.0


@dataclass(frozen=True, slots=True)
class Wiring:
    """What it takes to reach an instrument."""

    name: str
    settings: InstrumentSettings
    options: dict[str, object]
    spec: DriverSpec
    visa_backend: str
    relay: tuple[str, ...] = ()


def wiring_of(config: Config, name: str, spec: DriverSpec) -> Wiring:
    """As station.toml has it; an instrument's channels share one way of regulation."""
    settings = config.instruments[name]
    options = dict(settings.options)
    regulation = {c.regulation for c in config.channels.values() if c.instrument == name}
    if regulation:
        options["regulation"] = regulation.pop()
    return Wiring(name, settings, options, spec, config.station.visa_backend, config.escalation.command)


class InstrumentHost:
    """Owns the link and the driver of one instrument. ``run`` is its only task."""

    def __init__(self, wiring: Wiring, clock: Clock, changed: Callable[[], None]) -> None:
        self._wiring = wiring
        self._clock = clock
        self._changed = changed
        self._instrument: Instrument | None = None
        self._contact: Contact | None = None
        self._message = "not reached yet"
        self._online = asyncio.Event()
        self._dropped = asyncio.Event()
        self._tried = asyncio.Event()
        self._over = asyncio.Event()
        self._hurried = asyncio.Event()
        self._last_good_utc_s: float | None = None
        self._seen: str | None = None  # off is confirmed by the instrument that was on, never by another in its place

    @property
    def spec(self) -> DriverSpec:
        return self._wiring.spec

    @property
    def link(self) -> str:
        """As in the status: connected, lost or absent."""
        return "connected" if self._instrument else "lost" if self._last_good_utc_s else "absent"

    @property
    def protection(self) -> str | None:
        """Of the driver, as long as nobody has seen the instrument."""
        return self.spec.protection.value if self.spec.protection else None

    def status(self) -> InstrumentStatus:
        instrument = self._instrument
        return InstrumentStatus(
            name=self._wiring.name,
            driver=self._wiring.settings.driver,
            address=self._wiring.settings.address,
            link=self.link,
            identity=asdict(instrument.identity) if instrument else None,
            protection=self.protection,
            message=self._message,
            last_good_utc_s=self._last_good_utc_s,
        )

    def safe_off_entry(self) -> SafeOffEntry:
        """All that is needed to turn this instrument off without us."""
        settings = self._wiring.settings
        return SafeOffEntry(
            self._wiring.name,
            settings.driver,
            settings.address,
            settings.backend,
            self._wiring.visa_backend,
            self._wiring.relay,
            settings.serial or self._seen,
        )

    def expect(self, serial: str | None) -> None:
        """Of the instrument that may be on since before us; what station.toml names, a person has said."""
        if self._wiring.settings.serial is None:
            self._seen = self._seen or serial

    async def first_try(self) -> None:
        """Return when the instrument was reached or the first try has failed."""
        await self._tried.wait()

    @property
    def there(self) -> Instrument | None:
        """The instrument while it is connected. From any thread, so it is looked at once."""
        return self._instrument

    @property
    def heard(self) -> bool:
        """Connected, and it answers. From any thread."""
        contact = self._contact
        return self._instrument is not None and contact is not None and not contact.lost

    def connected(self) -> Instrument:
        """The instrument, or RefusedError with what is wrong and what to try."""
        if self._instrument is None:
            raise RefusedError(f"instrument {self._wiring.name}: {self._message}")
        return self._instrument

    def contact(self) -> Contact:
        """The connection to the instrument, or RefusedError as ``connected``."""
        self.connected()
        if self._contact is None:
            raise RefusedError(f"instrument {self._wiring.name}: {self._message}")
        return self._contact

    def answered(self) -> None:
        """It is there, and as it was left."""
        self._last_good_utc_s = self._clock.utc()

    def drop(self, why: str = "it is made anew") -> None:
        """Give the connection up and make a new one; every output on it goes off, and runs that share it are told why.

        While a new one is being made there is nothing to give up: it begins with off.
        """
        if self._instrument is None or self._contact is None:
            return
        self._contact.given_up = f"the connection to {self._wiring.name} was given up: {why}"
        self._instrument = None
        self._online.clear()
        self._dropped.set()

    def hurry(self) -> None:
        """An output may be on: until connected, try every half second."""
        if self._instrument is None:
            self._hurried.set()

    async def next_try(self) -> None:
        """Return when the present try to connect, or the next, has come to something."""
        await self._over.wait()

    async def online(self) -> Instrument:
        """Wait until connected; to connect is to have turned every output off and read that back."""
        while self._instrument is None:
            await self._online.wait()
        return self._instrument

    async def run(self) -> None:
        wait_s = FIRST_S
        while True:
            try:
                async with AsyncExitStack() as stack:
                    await self._connect(stack)
                    wait_s = FIRST_S
                    await self._dropped.wait()
                    self._went(self._contact.given_up if self._contact else "")
            except CyclerError as error:
                self._went(str(error))
            except Exception as error:
                log.exception("instrument %s", self._wiring.name)
                self._went(f"error in driver {self._wiring.settings.driver}: {error!r}")
            self._try_is_over()
            _end_if_cancelled()
            await self._back_off(wait_s)
            wait_s = min(2 * wait_s, LONGEST_S)

    def _try_is_over(self) -> None:
        self._tried.set()
        self._over.set()
        self._over = asyncio.Event()

    async def _back_off(self, wait_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._hurried.wait()
        if self._hurried.is_set():
            await real_sleep(URGENT_S)

    async def _connect(self, stack: AsyncExitStack) -> None:
        settings, spec = self._wiring.settings, self._wiring.spec
        stack.enter_context(owned(address_key(settings.address), settings.address, self._wiring.name))
        if self._hurried.is_set():
            await free_socket(settings.address, spec.link)
        link = open_link(
            settings.address, spec.link, self._clock, backend=settings.backend, visa_backend=self._wiring.visa_backend
        )
        opened = await stack.enter_async_context(link)
        self._contact = contact = Contact(opened)
        instrument = await stack.enter_async_context(spec.connect(contact, self._options()))
        if settings.serial is not None and instrument.identity.serial != settings.serial:
            raise DeviceFault(
                f"{settings.address} is serial number {instrument.identity.serial}, not {settings.serial} as "
                f"station.toml says: check the cabling, or correct serial under [instruments.{self._wiring.name}]"
            )
        if self._hurried.is_set() and self._seen not in {None, instrument.identity.serial}:
            raise DeviceFault(
                f"{settings.address} is serial number {instrument.identity.serial} now, and the output that may be on is "
                f"that of {self._seen}: turn that one off at its panel, then put it back, or say that this one has taken "
                f'its place: serial = "{instrument.identity.serial}" under [instruments.{self._wiring.name}]'
            )
        if spec.safe_off is not None:
            identity = instrument.identity
            what = f"{identity.model}, serial number {identity.serial},"
            stack.enter_context(owned(identity_key(identity, settings.address), what, self._wiring.name))
        self._reached(instrument)

    def _reached(self, instrument: Instrument) -> None:
        settings, serial = self._wiring.settings, instrument.identity.serial
        message = "connected"
        if self._seen not in {None, serial}:
            message = f"connected, but it is serial number {serial} now and was {self._seen}: are the cables swapped?"
            log.warning("instrument %s: %s", self._wiring.name, message)
        self._hurried.clear()
        self._dropped.clear()
        self._instrument, self._message, self._seen = instrument, message, serial
        self._last_good_utc_s = self._clock.utc()
        self._online.set()
        self._try_is_over()
        log.info("instrument %s: %s at %s", self._wiring.name, instrument.identity.model, settings.address)
        self._changed()

    def _options(self) -> object:
        try:
            return self._wiring.spec.options(**self._wiring.options)
        except ValidationError as error:
            raise ConfigError(f"instrument {self._wiring.name}: {error}") from error

    def _went(self, message: str) -> None:
        """Say a loss once, not at each try."""
        self._instrument = None
        self._online.clear()
        if message != self._message:
            log.warning("instrument %s: %s", self._wiring.name, message)
            self._message = message
            self._changed()


def _end_if_cancelled() -> None:
    """To close a lost connection fails, and that error takes the place of the cancellation that was under way."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
