"""The driver contract: everything a driver author needs to know, in SI.

Positive current oxidises the working electrode; the driver converts at the wire, nobody else does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel

from cycler_ctl.ratings import Accuracy, Protection, Ratings, VoltageAccuracy, held_by
from protocols.model import ConstantCurrent, ConstantVoltage, Rest, Setpoint, Window

__all__ = [
    "Accuracy",
    "Asking",
    "Channel",
    "ConstantCurrent",
    "ConstantVoltage",
    "DriverSpec",
    "Flag",
    "Identity",
    "Instrument",
    "Link",
    "LinkDefaults",
    "Measurement",
    "Protection",
    "Ratings",
    "Reading",
    "Rest",
    "Sensor",
    "Setpoint",
    "TellsIfOn",
    "VoltageAccuracy",
    "Window",
    "held_by",
]


class Flag(StrEnum):
    """What an instrument says of a reading."""

    COMPLIANCE = "compliance"
    RANGE_COMPLIANCE = "range_compliance"
    OVERVOLTAGE_PROTECTION = "ovp"
    FOUR_WIRE = "four_wire"


@dataclass(frozen=True, slots=True)
class Reading:
    """One measurement: finite numbers only. ``at_s`` is the link's clock when the reply arrived."""

    voltage_V: float
    current_A: float
    output_on: bool
    flags: frozenset[Flag]
    at_s: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """One value of a sensor in the sensor's unit."""

    value: float
    at_s: float


@dataclass(frozen=True, slots=True)
class Identity:
    maker: str
    model: str
    serial: str
    firmware: str


class Link(Protocol):
    """One wire to one instrument (or bus) with one owner. Errors: LinkTimeout, LinkClosed.

    After a LinkTimeout the link is out of step: ``clear`` it and identify the instrument before believing an answer.
    """

    @property
    def address(self) -> str: ...
    def now(self) -> float:
        """The injected clock, in s; a driver stamps each reading with it when the reply has arrived."""
        ...

    async def write(self, message: bytes) -> None: ...
    async def query(self, message: bytes) -> bytes:
        """Send and return exactly one reply, without its terminator; one exchange, never interleaved with another."""
        ...

    async def clear(self) -> None:
        """Abort what is under way and discard late answers (device clear, ^C, drain until quiet)."""
        ...


def line_reply(buffer: bytes) -> int | None:
    """Length of the first reply that ends in LF; None while it is incomplete."""
    end = buffer.find(b"\n")
    return None if end < 0 else end + 1


@dataclass(frozen=True, slots=True)
class LinkDefaults:
    """How a driver's wire is spoken to when the address does not say otherwise.

    ``reply_length(buffer)``: length of the first whole reply, None while incomplete. ``write_terminator`` is added
    to each message and ``strip`` is removed from the end of each reply. ``clear`` is sent first by ``clear()`` on a
    stream (a 2400 on RS-232 takes ^C). ``dead_socket``: the TCP port that frees a raw socket whose client is gone.
    """

    timeout_s: float = 1.0
    baudrate: int = 9600
    parity: str = "N"
    stopbits: int = 1
    write_terminator: bytes = b"\n"
    strip: bytes = b"\r\n"
    clear: bytes = b""
    reply_length: Callable[[bytes], int | None] = line_reply
    dead_socket: int | None = None


class Channel(Protocol):
    """One output."""

    @property
    def ratings(self) -> Ratings: ...
    async def read(self) -> Reading: ...
    async def apply(self, setpoint: Setpoint) -> bool | None:
        """Return when the instrument has accepted: every safety-relevant write read back, error queue empty.

        True: the output was off for a moment on the way (another range or regulation), which is logged with the run.
        """
        ...

    async def turn_off(self) -> None:
        """Idempotent, legal in every state; returns only when off was read back, raises InstrumentError otherwise."""
        ...


@runtime_checkable
class TellsIfOn(Protocol):
    """A channel that can be asked what its output does while nobody uses it. One that cannot is told off again instead."""

    async def is_on(self) -> bool:
        """What the instrument says; asking changes nothing.

        Raises NotAsLeft when it is off, but not as ``turn_off`` leaves it: it was reset, or lost its power.
        """
        ...


@runtime_checkable
class AppliesInPlace(Protocol):
    """A channel whose current can be taken away while its output stays on, because it does not go off."""

    async def apply_in_place(self, setpoint: Setpoint) -> object:
        """As ``apply``; RefusedError where the output would be switched on, or off and on again, on the way."""
        ...


class Sensor(Protocol):
    """One auxiliary quantity; has no output."""

    @property
    def unit(self) -> str: ...
    async def read(self) -> Measurement: ...


class Instrument(Protocol):
    """What ``connect`` yields. A sensor instrument has no channels and is never touched by safe-off."""

    @property
    def identity(self) -> Identity: ...
    @property
    def channels(self) -> Mapping[str, Channel]: ...
    @property
    def sensors(self) -> Mapping[str, Sensor]: ...

    async def resync(self) -> None:
        """After a time-out: clear the link and prove by identity that the next answer belongs to the next question."""
        ...


@dataclass(frozen=True, slots=True)
class Asking:
    """How ``scan`` tells who is there: a question that changes nothing, and what makes an identity of its answer.

    ``recognise`` raises BadReply for the answer of another kind of instrument.
    """

    question: bytes
    recognise: Callable[[str], Identity]


@dataclass(frozen=True, slots=True)
class DriverSpec:
    """What an entry point of group ``cycler_ctl.drivers`` names.

    ``connect(link, options)``: the first traffic is OFF. ``safe_off(link)`` needs no state, returns when off was read
    back and raises InstrumentError otherwise; None for sensor instruments. ``options`` validates the extra keys of
    ``[instruments.x]`` and of its channels (``regulation``).
    """

    title: str
    options: type[BaseModel]
    link: LinkDefaults
    connect: Callable[[Link, Any], AbstractAsyncContextManager[Instrument]]
    outputs: tuple[str, ...] = ()
    safe_off: Callable[[Link], Any] | None = None
    protection: Protection | None = None
    status: str = "experimental"
    notes: tuple[str, ...] = field(default=())
    ratings: Callable[[Any], Ratings] | None = None
    """Of the family's usual model with these options: for plans, which are made without the instrument."""
    reset: Callable[[Link], Any] | None = None
    """Resets the instrument; only where its manual says that a reset opens every output (not 0 V: that drains a cell).

    The last that is tried of an output that does not go off. What it did is read back afterwards.
    """
    asking: Asking | None = None
    """None: instruments that cannot be asked who they are, or not without disturbing them."""
