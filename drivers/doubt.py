"""What every driver does when in doubt: into step again with proof, and off in any case."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from cycler_ctl.clock import real_sleep
from cycler_ctl.errors import BadReply, DeviceFault, InstrumentError, LinkTimeout, NotAsLeft, RefusedError
from cycler_ctl.instrument import Identity, Link, Setpoint

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


def told_on(link: Link, state: Sequence[str], left: Sequence[str]) -> bool:
    """Whether an output is on by its own word, of which the first part is on or off.

    ``left``: what it says when it is as off left it. NotAsLeft for an output that is off in another way.
    """
    if state[0] == "1":
        return True
    if list(state) != list(left):
        raise NotAsLeft(
            f"{link.address} is not as it was left: it was reset or lost its power, or somebody was at its panel (it "
            f"answers {', '.join(state)} and not {', '.join(left)})"
        )
    return False


class Movable(Protocol):
    """A channel that opens its relay for another range or function, unless its output must stay as it is."""

    stays: bool

    async def apply(self, setpoint: Setpoint) -> bool: ...


async def apply_in_place(channel: Movable, setpoint: Setpoint) -> bool:
    """``AppliesInPlace`` of such a channel: of an output that may have gone off by now nothing is switched on."""
    channel.stays = True
    try:
        return await channel.apply(setpoint)
    finally:
        channel.stays = False


def refuse_to_open(channel: Movable) -> None:
    if channel.stays:
        raise RefusedError("the output would go off and on again on the way")
