"""One Test Script Processor, asked one thing at a time, and the dead-man's switch it leaves behind each answer.

While an output may be on, every message ends in a wait after which the script turns all outputs off; the next message
begins with ``abort``, which ends the wait. So the outputs go off by themselves once nobody has asked for that long. The
output stays as it is when a script is aborted; cyckei has worked this way on 2602s. But whoever closes a LAN connection
may abort the script as well (so says tspnet.disconnect, 2600AS-901-01 Rev. B p. 19-223): a host that is killed does that.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Sequence
from itertools import count

from cycler_ctl.clock import real_sleep
from cycler_ctl.errors import BadReply, DeviceFault, LinkTimeout
from cycler_ctl.instrument import Identity, Link
from drivers import scpi
from drivers.keithley_2600_settings import DIGITS, HIGH_Z, number, parse_identity

ABORT = b"abort"
OFF_LEFT = ["0", f"{HIGH_Z:g}"]
TRIES = 3
PROOF_S, BEGUN_S = 10.0, 0.02  # longer than any time-out; by then the wait has begun
LOWEST_NONCE, NONCES = 1000, 900_000
# What the answers are spelled as; no prompts between them, no errors unasked.
FORMAT = f"localnode.prompts = 0 localnode.showerrors = 0 format.data = 1 format.asciiprecision = {DIGITS}"
# After a chunk: how many errors it made, and the first.
ERRORS = "k = errorqueue.count c, t = errorqueue.next()"
ERROR_VALUES = ("k", "c", "t")
# Whatever is there: a 2601 has no second SMU.
ALL_OFF = (
    "smua.source.offmode = smua.OUTPUT_HIGH_Z smua.source.output = smua.OUTPUT_HIGH_Z "
    "if smub then smub.source.offmode = smub.OUTPUT_HIGH_Z smub.source.output = smub.OUTPUT_HIGH_Z end"
)
ALL_OFF_STATE = "o, h = smua.source.output, smua.source.offmode p, q = 0, 2 if smub then p, q = smub.source.output, smub.source.offmode end"


def off_chunk(outputs: Iterable[str]) -> str:
    """OUTPUT_HIGH_Z opens the relay whatever the off mode is (2600BS-901-01 Rev. F p. 9-249)."""
    return " ".join(
        f"smu{output}.source.offmode = smu{output}.OUTPUT_HIGH_Z smu{output}.source.output = smu{output}.OUTPUT_HIGH_Z"
        for output in outputs
    )


class Tsp:
    """Owner of who speaks: an abort and its chunk are not divided. ``live``: the outputs that may be on."""

    def __init__(self, link: Link, outputs: Sequence[str] = (), dead_man_s: float = 0.0) -> None:
        self.link = link
        self.live: set[str] = set()
        tail = " ".join(f"smu{output}.source.output = smu{output}.OUTPUT_HIGH_Z" for output in outputs)
        self._dead_man = f" delay({dead_man_s:g}) {tail}"
        self._turn = asyncio.Lock()
        self._nonces = count(LOWEST_NONCE + secrets.randbelow(NONCES))

    @property
    def is_lan(self) -> bool:
        return self.link.address.upper().startswith("TCPIP")

    async def ask(self, chunk: str, values: Sequence[str]) -> tuple[str, ...]:
        """Carry out the chunk and print the values. The answer bears the question's number at both ends.

        What stands in the error queue before is forgotten: an abort may leave something there (cyckei clears it too).
        """
        async with self._turn:
            await self.link.write(ABORT)
            return await self._exchange(chunk, values)

    async def switch(self, off: str, state: str, values: Sequence[str]) -> tuple[str, ...]:
        """Send ``off`` even when answers are out of step, then ask for the state."""
        async with self._turn:
            await self.link.write(ABORT)
            await self.link.write(off.encode("ascii"))
            return await self._exchange(state, values)

    async def _exchange(self, chunk: str, values: Sequence[str]) -> tuple[str, ...]:
        nonce = next(self._nonces)
        text = f"n = {nonce} errorqueue.clear() {chunk} print({', '.join(['n', *values, 'n'])})"
        raw = await self.link.query((text + self._dead_man * bool(self.live)).encode("ascii"))
        return _parsed(chunk, raw, f"{nonce:.{DIGITS - 1}e}", len(values))


def _parsed(chunk: str, raw: bytes, nonce: str, values: int) -> tuple[str, ...]:
    fields = raw.decode("latin-1").strip().split("\t")
    if len(fields) != values + 2 or fields[0] != nonce or fields[-1] != nonce:
        raise BadReply(chunk, raw, "not the answer to this question")
    return tuple(fields[1:-1])


def told_errors(values: Sequence[str]) -> str:
    """What ERRORS answered, in words; empty when there was none."""
    entries, code, text = values
    more = number("errorqueue.count", entries) - 1
    if more < 0:
        return ""
    return f"{number('errorqueue.next()', code):.0f} {text!r}{f' and {more:.0f} more' if more else ''}"


async def switch_off(tsp: Tsp, off: str, state: str, values: Sequence[str]) -> None:
    """Return when the outputs were read back off and high-impedance; DeviceFault after three tries."""
    problem = ""
    for _ in range(TRIES):
        try:
            answer = await tsp.switch(off, state, values)
            if [number(state, text) for text in answer] == [0.0, HIGH_Z] * (len(values) // 2):
                return
            problem = f"it answers {', '.join(answer)} to {', '.join(values)}"
        except (LinkTimeout, BadReply) as error:
            problem = str(error)
        await tsp.link.clear()
    raise DeviceFault(f"the output of {tsp.link.address} could not be confirmed off: {problem}")


async def outputs_off(tsp: Tsp, outputs: Sequence[str]) -> None:
    """These off, the others as they are and still watched."""
    state = [f"smu{output}.source.{name}" for output in outputs for name in ("output", "offmode")]
    await switch_off(tsp, off_chunk(outputs), FORMAT, state)


async def prove_dead_man(tsp: Tsp) -> None:
    """With the outputs off: DeviceFault unless an abort ends a wait here, as each re-arming of the switch must."""
    await tsp.link.write(f"delay({PROOF_S:g})".encode("ascii"))
    await real_sleep(BEGUN_S)
    try:
        await tsp.ask("", ())
    except LinkTimeout as error:
        raise DeviceFault(
            f"abort does not end a script's wait on {tsp.link.address}: its dead-man's switch could not be re-armed"
        ) from error


async def safe_off(link: Link) -> None:
    """All off from any state, knowing nothing: a script that runs is aborted, and off is read back."""
    await switch_off(Tsp(link), ALL_OFF, f"{FORMAT} {ALL_OFF_STATE}", ("o", "h", "p", "q"))


async def identify(link: Link) -> Identity:
    """A foreign instrument does not answer TSP: it is told by its name."""
    try:
        await safe_off(link)
    except DeviceFault as error:
        await link.clear()
        answer = await scpi.ask(link, "*IDN?")
        parse_identity(answer)
        raise error from None
    return parse_identity(await scpi.ask(link, "*IDN?"))
