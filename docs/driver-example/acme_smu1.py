"""Acme SMU-1, a source-measure unit that does not exist, as an example of a driver.

It speaks lines of ASCII over TCP. Each command gets one line back, so no answer is ever missing:
``ID? n`` -> ``ACME,SMU-1,<serial>,<firmware>,n`` · ``OFF`` · ``REST`` · ``CC <A> <V low> <V high>`` · ``CV <V> <A>``
-> ``OK`` or ``ERROR <text>`` · ``STATE?`` -> ``OFF``, or the setting as it is · ``READ?`` -> ``<V> <A> ON|OFF``.
Its sign is ours where HI is wired to the working electrode: + oxidises.
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from cycler_ctl.errors import BadReply, DeviceFault, InstrumentError, LinkTimeout
from cycler_ctl.instrument import (
    Accuracy,
    Channel,
    ConstantCurrent,
    ConstantVoltage,
    DriverSpec,
    Identity,
    Instrument,
    Link,
    LinkDefaults,
    Protection,
    Ratings,
    Reading,
    Rest,
    Sensor,
    Setpoint,
)

NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?")
OVERFLOW = 1e30
TRIES = 3
WHY = "in CC it stops at the edge of its voltage window by itself; nothing inside ends a step when the PC is gone"
RATINGS = Ratings(
    voltage_V=(-5.0, 5.0),
    current_A=0.1,
    ranges=(Accuracy(1e-3, 2e-4, 2e-7, 2e-4, 2e-7), Accuracy(0.1, 2e-4, 2e-5, 2e-4, 2e-5)),
    fastest_sample_s=0.05,
    protection=Protection.B,
    protection_why=WHY,
    rest="0 A sourced, relay closed; may leak 1 nA",
)


class Options(BaseModel):
    """This instrument has none of its own; ``regulation`` comes with every channel."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    regulation: str = "bounded"


async def ask(link: Link, query: str) -> str:
    raw = await link.query(query.encode())
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError as error:
        raise BadReply(query, raw, "bytes that are not ASCII") from error


def number(query: str, text: str) -> float:
    """A finite number, or BadReply: an overflow is never a measurement."""
    if NUMBER.fullmatch(text) is None or not abs(float(text)) < OVERFLOW:
        raise BadReply(query, text.encode(), "not a number")
    return float(text)


async def identify(link: Link) -> Identity:
    """Who answers; the echoed number proves that the answer belongs to this question and not to an earlier one."""
    nonce = str(secrets.randbelow(10**9))
    answer = await ask(link, f"ID? {nonce}")
    parts = answer.split(",")
    if len(parts) != 5 or parts[4] != nonce:
        raise BadReply("ID?", answer.encode(), "the answer to another question, or none of this instrument")
    if parts[:2] != ["ACME", "SMU-1"]:
        raise DeviceFault(f"{link.address} is {' '.join(parts[:2])}, not an ACME SMU-1")
    return Identity(*parts[:4])


async def switch_off(link: Link) -> None:
    """Return when off was read back; DeviceFault after three tries."""
    problem = ""
    for _ in range(TRIES):
        try:
            await ask(link, "OFF")
            state = await ask(link, "STATE?")
            if state == "OFF":
                return
            problem = f"it says {state!r}"
        except (LinkTimeout, BadReply) as error:
            problem = str(error)
        await link.clear()
    raise DeviceFault(f"the output of {link.address} could not be confirmed off: {problem}")


async def safe_off(link: Link) -> None:
    """Off from any state, knowing nothing of who had it before."""
    await link.clear()
    await switch_off(link)


def command(setpoint: Setpoint) -> str:
    """What is sent for a setpoint, as ``STATE?`` says it back."""
    match setpoint:
        case Rest():
            return "REST"
        case ConstantCurrent(current_A, (low_V, high_V)):
            if not abs(current_A) <= RATINGS.current_A:
                raise DeviceFault(f"{current_A:g} A is beyond the {RATINGS.current_A:g} A of an SMU-1")
            if not (math.isfinite(low_V) and math.isfinite(high_V)):
                raise DeviceFault("an SMU-1 needs both edges of the voltage window")
            return f"CC {current_A:.6e} {low_V:.6e} {high_V:.6e}"
        case ConstantVoltage(voltage_V, limit_A):
            return f"CV {voltage_V:.6e} {min(limit_A, RATINGS.current_A):.6e}"


@dataclass(frozen=True, slots=True)
class Output:
    link: Link

    @property
    def ratings(self) -> Ratings:
        return RATINGS

    async def read(self) -> Reading:
        answer = await ask(self.link, "READ?")
        at_s = self.link.now()
        parts = answer.split(" ")
        if len(parts) != 3 or parts[2] not in {"ON", "OFF"}:
            raise BadReply("READ?", answer.encode())
        voltage_V, current_A = number("READ?", parts[0]), number("READ?", parts[1])
        return Reading(voltage_V, current_A, output_on=parts[2] == "ON", flags=frozenset(), at_s=at_s)

    async def apply(self, setpoint: Setpoint) -> None:
        """Set, then read back: what the instrument says it does is what counts. Any doubt ends with the output off."""
        try:
            wanted = command(setpoint)
            answer = await ask(self.link, wanted)
            state = await ask(self.link, "STATE?")
            if answer != "OK" or state != wanted:
                raise DeviceFault(f"{self.link.address} was told {wanted!r}, answered {answer!r} and does {state!r}")
        except InstrumentError:
            await self.turn_off()
            raise

    async def turn_off(self) -> None:
        await switch_off(self.link)


@dataclass(frozen=True, slots=True)
class Smu1:
    link: Link
    identity: Identity

    @property
    def channels(self) -> Mapping[str, Channel]:
        return {"1": Output(self.link)}

    @property
    def sensors(self) -> Mapping[str, Sensor]:
        return {}

    async def resync(self) -> None:
        """After a time-out: discard what may still come, and prove who answers what."""
        await self.link.clear()
        if await identify(self.link) != self.identity:
            raise DeviceFault(f"{self.link.address} is another instrument now")


@asynccontextmanager
async def connect(link: Link, options: Options) -> AsyncGenerator[Instrument]:
    """Off before anything else, and off at the end."""
    del options
    await safe_off(link)
    identity = await identify(link)
    try:
        yield Smu1(link, identity)
    finally:
        try:
            await switch_off(link)
        except InstrumentError:
            await safe_off(link)


DRIVER = DriverSpec(
    title="Acme SMU-1",
    options=Options,
    link=LinkDefaults(timeout_s=1.0),
    connect=connect,
    outputs=("1",),
    safe_off=safe_off,
    protection=Protection.B,
    ratings=lambda _: RATINGS,
    notes=("an example: this instrument does not exist",),
)
