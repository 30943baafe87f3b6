"""What is said to a B2900 whatever it is used for: off, who it is, what it complains of. Pages as in the settings."""

from __future__ import annotations

from collections.abc import Iterable

from cycler_ctl.errors import BadReply, DeviceFault, LinkTimeout
from cycler_ctl.instrument import Identity, Link
from drivers import scpi
from drivers.keysight_b2900_ratings import CHANNELS
from drivers.keysight_b2900_settings import parse_identity

TRIES = 3
BOTH = (1, 2)
OFF_LEFT = ["0", "HIZ", "0"]
PLAIN_REGISTERS = ":FORM:SREG ASC"  # somebody may have left it telling them in binary


def off(channel: int) -> bytes:
    """Off goes first, and again: what an output becomes is decided by the mode when OFF is said (UG 6-13).

    The automatic switching on is part of it: with it on, any reading would switch the output on again.
    """
    output = f":OUTP{channel}"
    return f"{output} OFF;{output}:OFF:MODE HIZ;{output} OFF;{output}:ON:AUTO OFF".encode()


def off_state(channel: int) -> tuple[str, ...]:
    return tuple(f":OUTP{channel}{rest}" for rest in ("", ":OFF:MODE", ":ON:AUTO"))


async def say_off(link: Link) -> None:
    """To both channels, in messages of their own: a B2901 refuses the second."""
    for channel in BOTH:
        await link.write(off(channel))


async def switch_off(link: Link, channel: int) -> None:
    """Return when this output was read back off and high-impedance; DeviceFault after three tries."""
    problem, asked, nonces = "", off_state(channel), scpi.nonces()
    for _ in range(TRIES):
        try:
            await link.write(off(channel))
            state = await scpi.ask_in_step(link, asked, next(nonces), (PLAIN_REGISTERS,))
            if state == OFF_LEFT:
                return
            problem = f"it answers {', '.join(map(' '.join, zip(asked, state, strict=True)))}"
        except (LinkTimeout, BadReply) as error:
            problem = str(error)
        await link.clear()
    raise DeviceFault(f"output {channel} of {link.address} could not be confirmed off: {problem}")


async def switch_all_off(link: Link, channels: Iterable[int]) -> None:
    """Each is tried, whatever becomes of the others."""
    faults: list[DeviceFault] = []
    for channel in channels:
        try:
            await switch_off(link, channel)
        except DeviceFault as fault:
            faults.append(fault)
    if faults:
        raise DeviceFault("; ".join(str(fault) for fault in faults))


async def safe_off(link: Link) -> None:
    """Off from any state, knowing nothing: what was under way is aborted, and off is read back."""
    await say_off(link)
    await link.clear()
    identity = await identify(link)
    await stop(link, identity)
    await switch_all_off(link, channels_of(identity))


async def stop(link: Link, identity: Identity) -> None:
    """End sweeps and lists, which set levels by themselves."""
    for channel in channels_of(identity):
        await link.write(f":ABOR (@{channel})".encode())


async def identify(link: Link) -> Identity:
    """Its model says how many outputs it has; so an instrument that does not say cannot be confirmed off."""
    problem: Exception | None = None
    for _ in range(TRIES):
        try:
            return parse_identity(await scpi.ask(link, "*IDN?"))
        except (LinkTimeout, BadReply) as error:
            problem = error
        await link.clear()
    raise DeviceFault(f"{link.address} was told to go off, but not confirmed: {problem}") from problem


def channels_of(identity: Identity) -> range:
    return range(1, CHANNELS[identity.model] + 1)


async def identity_in_step(link: Link, nonce: int) -> Identity:
    """As ``scpi.identity_in_step``; but a register may be answered with its sign."""
    query = f"*ESE {nonce};*ESE?;*IDN?"
    answer = await scpi.ask(link, query)
    echo, _, identity = answer.partition(";")
    if echo.strip().removeprefix("+") != str(nonce):
        raise BadReply(query, answer.encode(), "the answer to another question")
    return parse_identity(identity)
