"""A 2400's wire: one message at a time, each answered before the next is sent, and off that is read back.

Without handshake RS-232 loses what is sent before the instrument is ready (2400S-900-01 Rev. K p. 14-15), so nothing but
OFF is ever sent that is not answered; the answer is the sign that it is ready.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from cycler_ctl.clock import real_sleep
from cycler_ctl.errors import BadReply, DeviceFault, InstrumentError, LinkTimeout
from cycler_ctl.instrument import Link
from cycler_ctl.link.explain import line_hint
from drivers import scpi
from drivers.scpi import Setting

OFF = b":OUTP OFF;:OUTP:SMOD HIMP"
OFF_STATE = (":OUTP", ":OUTP:SMOD")
OFF_LEFT = ["0", "HIMP"]
PLAIN_REGISTERS = ":FORM:SREG ASC"
READY_S = 0.05  # two commands of 7 ms and a relay's 15 ms (SPEC-2400, p. 13-9), with room
TRIES = 3
TOGETHER = 3  # settings told and asked for in one message, which must fit an input queue of 256 bytes
IN_COMPLIANCE = 114  # an event of table B-1, normal while the limit regulates
NOTHING_CAME = (
    "; nothing came back. On RS-232: is it switched to RS-232, the cable straight (no null-modem), and are its menu's "
    "baud rate, bits and parity those of the address (9600, 8, none if it does not say)?"
)


async def switch_off(link: Link) -> None:
    """Return when the output was read back off and high-impedance; DeviceFault after three tries.

    OFF goes ahead of all that waits and whether or not the link is in step; only then is it asked for, with the
    proof that the answer is this question's. Somebody may have left the instrument telling registers in
    binary (:FORMat:SREGister, section 18).
    """
    problem, nonces = "", scpi.nonces()
    for _ in range(TRIES):
        try:
            await link.write(OFF)
            await real_sleep(READY_S)
            state = await scpi.ask_in_step(link, OFF_STATE, next(nonces), (PLAIN_REGISTERS,))
            if state == OFF_LEFT:
                return
            problem = f"it answers :OUTP {state[0]}, :OUTP:SMOD {state[1]}"
        except (LinkTimeout, BadReply) as error:
            problem = f"{error}{_hint(error)}"
        await link.clear()
    raise DeviceFault(f"the output of {link.address} could not be confirmed off: {problem}")


async def safe_off(link: Link) -> None:
    """Off from any state, knowing nothing: what was under way is aborted, and off is read back."""
    await link.write(OFF)
    await link.clear()
    await switch_off(link)


async def tell(link: Link, commands: Iterable[str]) -> None:
    """Several commands whose effect is not asked for; returns when they were carried out."""
    query = ";".join((*commands, "*OPC?"))
    if (answer := await scpi.ask(link, query)) != "1":
        raise BadReply(query, answer.encode(), "not carried out")


async def program(link: Link, settings: Iterable[Setting]) -> None:
    """Each is read back in the message that tells it."""
    left = iter(settings)
    while group := tuple(islice(left, TOGETHER)):
        told = (setting.command for setting in group)
        answers = await scpi.ask_all(link, (setting.header for setting in group), told)
        for setting, answer in zip(group, answers, strict=True):
            setting.confirm(answer)


async def switch_on(link: Link, once_more: Iterable[Setting]) -> None:
    """In one message with what a reset since it was read back would have undone; what follows an error is not done."""
    told = ";".join(setting.command for setting in once_more)
    if await scpi.ask(link, f"{told};:OUTP ON;:OUTP?") != "1":
        raise DeviceFault(f"the output of {link.address} does not go on: is its output-enable line open?")


async def expect_no_errors(link: Link) -> None:
    errors = [error for error in await scpi.take_errors(link) if error[0] != IN_COMPLIANCE]
    if errors:
        raise DeviceFault(f"{link.address} refuses{scpi.listed(errors)}")


def _hint(error: InstrumentError) -> str:
    """What may be wrong with the line's settings: the error of a time-out says by itself what came."""
    if isinstance(error, BadReply):
        return line_hint(error.raw)
    return NOTHING_CAME if "sent only" not in str(error) else ""
