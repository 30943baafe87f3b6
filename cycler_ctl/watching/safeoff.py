"""Every output off and read back, without the service: for the guardian, the service manager and a person in a hurry."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from cycler_ctl.clock import Clock, real_sleep
from cycler_ctl.errors import CyclerError, DeviceFault, InstrumentError
from cycler_ctl.instrument import Asking, DriverSpec, Link
from cycler_ctl.link.dead_socket import free_socket
from cycler_ctl.link.opening import open_link
from cycler_ctl.plugins import load_driver
from cycler_ctl.watching.register import SafeOffEntry

TRIES = 3
TRY_S = 4.0  # opening, clearing and a handful of exchanges of at most 1 s each
TOTAL_S = 8.5  # for one instrument, two whole tries: a person must hear of it while it can still be mended
BETWEEN_S = 0.2  # a killed client's connection may need a moment to be given up by the instrument


@dataclass(frozen=True, slots=True)
class SafeOffResult:
    """``confirmed`` only when off was read back from the instrument itself; ``message`` is one line for people."""

    instrument: str
    address: str
    confirmed: bool
    message: str


async def safe_off_all(entries: Iterable[SafeOffEntry], clock: Clock) -> list[SafeOffResult]:
    """All at the same time, three bounded tries each; sensors have no output and are left alone.

    A driver that fails in a way nobody foresaw must not keep the others from being turned off: its error is a result.
    """
    # one that was moved may be on at either address, and of two that had the same one either
    once = {(entry.name, entry.address, entry.serial): entry for entry in entries}
    found = await asyncio.gather(*(safe_off(entry, clock) for entry in once.values()), return_exceptions=True)
    pairs = zip(once.values(), found, strict=True)
    results = [_unconfirmed(entry, got) if isinstance(got, BaseException) else got for entry, got in pairs]
    return [result for result in results if result is not None]


async def safe_off(entry: SafeOffEntry, clock: Clock) -> SafeOffResult | None:
    """None: the instrument has no output."""
    spec = load_driver(entry.driver)
    if spec.safe_off is None:
        return None
    loop = asyncio.get_running_loop()
    latest_s, tries = loop.time() + TOTAL_S - TRY_S, 0
    while True:
        tries += 1
        (got,) = await asyncio.gather(_attempt(entry, spec, spec.safe_off, clock), return_exceptions=True)
        if not isinstance(got, BaseException):
            return _off(entry, got)
        if tries == TRIES or loop.time() > latest_s:
            return _unconfirmed(entry, got)
        await free_socket(entry.address, spec.link)
        await real_sleep(BETWEEN_S)


async def _attempt(
    entry: SafeOffEntry, spec: DriverSpec, turn_off: Callable[[Link], Awaitable[None]], clock: Clock
) -> str:
    """The serial number of what was turned off, where one is expected and it tells; else empty."""
    async with asyncio.timeout(TRY_S):
        opened = open_link(entry.address, spec.link, clock, backend=entry.backend, visa_backend=entry.visa_backend)
        async with opened as link:
            await turn_off(link)  # first, whoever it is
            return await _serial(link, spec.asking) if entry.serial and spec.asking else ""


async def _serial(link: Link, asking: Asking) -> str:
    try:
        answer = await link.query(asking.question)
        return asking.recognise(answer.decode("latin-1").strip()).serial
    except InstrumentError as error:
        raise DeviceFault(f"it is off, read back, but does not say who it is: {error}") from error


def _off(entry: SafeOffEntry, serial: str) -> SafeOffResult:
    where = f"{entry.name} at {entry.address}"
    if not serial or serial == entry.serial:
        return SafeOffResult(entry.name, entry.address, confirmed=True, message=f"{where}: off, read back")
    text = (
        f"{where}: ANOTHER INSTRUMENT ANSWERED, serial number {serial}, and is off; the one that was on, serial number "
        f"{entry.serial}, may still be ON: turn that one off at its front panel or take the cell off, then put it back, or "
        f'write serial = "{serial}" under [instruments.{entry.name}] in station.toml'
    )
    return SafeOffResult(entry.name, entry.address, confirmed=False, message=text)


def _unconfirmed(entry: SafeOffEntry, error: BaseException) -> SafeOffResult:
    if isinstance(error, TimeoutError):
        why = f"nothing came of it in {TRY_S:.0f} s"
    else:
        why = str(error) if isinstance(error, CyclerError) else f"{type(error).__name__}: {error}"
    advice = "the output may be ON: turn it off at the front panel or take the cell off, then try again"
    text = f"{entry.name} at {entry.address}: OFF NOT CONFIRMED ({why}); {advice}"
    return SafeOffResult(entry.name, entry.address, confirmed=False, message=text)
