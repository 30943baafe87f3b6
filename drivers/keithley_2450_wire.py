"""What is said to a 2450 whatever it is used for: off, its language, who it is, what it complains of.

Page numbers are those of the 2450's reference manual, 2450-901-01 Rev. B, where no other model is named.
"""

from __future__ import annotations

from cycler_ctl.errors import BadReply, DeviceFault, LinkTimeout
from cycler_ctl.instrument import Identity, Link
from drivers import scpi
from drivers.keithley_2450_settings import parse_identity

OFF = b":OUTP OFF;:OUTP:SMOD HIMP"  # without a function the mode is set for all (p. 6-32)
OFF_STATE = (":OUTP", ":OUTP:VOLT:SMOD", ":OUTP:CURR:SMOD")
OFF_LEFT = ["0", "HIMP", "HIMP"]
ABORT = b":ABOR"  # a trigger model may switch the output by itself (2461 p. 6-182, 6-208)
OFF_IN_TSP = b"smu.source.offmode = smu.OFFMODE_HIGHZ smu.source.output = smu.OFF"  # p. 2-6, 8-139
TRIES = 3
ERRORS_TOLD = 5  # of the 1000 the log may hold


async def switch_off(link: Link) -> None:
    """Return when the output was read back off and high-impedance; DeviceFault after three tries."""
    problem, nonces = "", scpi.nonces()
    for _ in range(TRIES):
        try:
            await link.write(OFF)
            state = await scpi.ask_in_step(link, OFF_STATE, next(nonces))
            if state == OFF_LEFT:
                return
            problem = f"it answers {', '.join(map(' '.join, zip(OFF_STATE, state, strict=True)))}"
        except (LinkTimeout, BadReply) as error:
            problem = str(error)
        await link.clear()
    raise DeviceFault(f"the output of {link.address} could not be confirmed off: {problem}")


async def safe_off(link: Link) -> None:
    """Off from any state, knowing nothing: what was under way is aborted, and off is read back."""
    await link.write(OFF)
    await link.clear()
    try:
        language = await scpi.ask(link, "*LANG?")
    except (LinkTimeout, BadReply):
        await link.clear()
    else:
        await _refuse(link, language)
    await link.write(ABORT)
    await switch_off(link)


async def check_language(link: Link) -> None:
    """DeviceFault unless it speaks SCPI (p. B-5); one that knows no languages is told by its name."""
    for _ in range(TRIES):
        try:
            language = await scpi.ask(link, "*LANG?")
        except (LinkTimeout, BadReply):
            await link.clear()
            continue
        await _refuse(link, language)
        if language == "SCPI":
            return
    raise DeviceFault(f"{link.address} does not say its command set; it is {await scpi.ask(link, '*IDN?')!r}")


async def _refuse(link: Link, language: str) -> None:
    """DeviceFault for the other two command sets, with what to do. In TSP the output is told to go off as well."""
    if language not in {"TSP", "SCPI2400"}:
        return
    if language == "TSP":
        await link.write(OFF_IN_TSP)
    raise DeviceFault(
        f"{link.address} is set to the command set {language}: choose SCPI in its menu (System, Settings, Command Set) "
        "or send it *LANG SCPI, and restart it. Its output could not be confirmed off"
    )


async def identity_in_step(link: Link, nonce: int) -> Identity:
    """As ``scpi.identity_in_step``; but a 2450 may put the command's name before the register (p. B-3)."""
    query = f"*ESE {nonce};*ESE?;*IDN?"
    answer = await scpi.ask(link, query)
    echo, _, identity = answer.partition(";")
    if echo.strip().removeprefix("*ESE ") != str(nonce):
        raise BadReply(query, answer.encode(), "the answer to another question")
    return parse_identity(identity)


async def take_errors(link: Link) -> tuple[tuple[int, str], ...]:
    """The first few of the event log's errors; however many there were, none is left."""
    query = ":SYST:ERR:COUN?"
    count = scpi.number(query, await scpi.ask(link, query))
    if not count:
        return ()
    found: list[tuple[int, str]] = []
    for _ in range(min(int(count), ERRORS_TOLD)):
        answer = await scpi.ask(link, ":SYST:ERR?")
        entry = scpi.ERROR.fullmatch(answer)
        if not entry:
            raise BadReply(":SYST:ERR?", answer.encode(), "not an entry of an event log")
        found.append((int(entry[1]), entry[2]))
    await scpi.ask(link, "*CLS;*OPC?")
    return tuple(found)
