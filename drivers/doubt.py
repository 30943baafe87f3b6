"""What every driver does when in doubt: into step again with proof, and off in any case."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from cycler_ctl.clock import real_sleep
from cycler_ctl.errors import BadReply, DeviceFault, InstrumentError, LinkTimeout
from cycler_ctl.instrument import Identity, Link

WAITS_S = (0.0, 0.2, 1.0)  # before each try to get into step: answers slower than a drain's quiet stay behind


async def get_into_step(link: Link, prove: Callable[[], Awaitable[None]]) -> None:
    """Clear the link until ``prove`` has had its own answer; LinkTimeout when it never has."""
    problem: InstrumentError | None = None
    for wait_s in WAITS_S:
        await real_sleep(wait_s)
        await link.clear()
        try:
            await prove()
        except (LinkTimeout, BadReply) as error:
            problem = error
        else:
            return
    raise LinkTimeout(f"{link.address} stays out of step: {problem}")


def expect_same(link: Link, found: Identity, known: Identity) -> None:
    """DeviceFault when another instrument answers than the one that was connected."""
    if found != known:
        raise DeviceFault(f"{link.address} is now {found}, and was {known}")


async def off_because_of(error: InstrumentError, turn_off: Callable[[], Awaitable[None]]) -> None:
    """The error is about to be raised; that not even off could be confirmed is said with it."""
    try:
        await turn_off()
    except InstrumentError as worse:
        error.add_note(f"and it could not be confirmed off: {worse}")
