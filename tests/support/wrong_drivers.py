"""Drivers that do one thing as no driver may: what a harness must notice to be worth anything."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from cycler_ctl.instrument import (
    Channel,
    DriverSpec,
    Identity,
    Instrument,
    Link,
    Ratings,
    Reading,
    Sensor,
    Setpoint,
)


@dataclass(frozen=True, slots=True)
class Same:
    """A channel as it is, but for what is replaced in it."""

    channel: Channel
    link: Link

    @property
    def ratings(self) -> Ratings:
        return self.channel.ratings

    async def read(self) -> Reading:
        return await self.channel.read()

    async def apply(self, setpoint: Setpoint) -> bool | None:
        return await self.channel.apply(setpoint)

    async def turn_off(self) -> None:
        await self.channel.turn_off()


class WrongSign(Same):
    async def read(self) -> Reading:
        reading = await self.channel.read()
        return replace(reading, current_A=-reading.current_A)


class NeverOff(Same):
    async def turn_off(self) -> None:
        """Says so, and does not."""


class BlindlyOff(Same):
    """Tells a 2400 to go off, and takes it for done."""

    async def turn_off(self) -> None:
        await self.link.write(b":OUTP OFF;:OUTP:SMOD HIMP")


@dataclass(frozen=True, slots=True)
class Altered:
    instrument: Instrument
    channels: Mapping[str, Channel]

    @property
    def identity(self) -> Identity:
        return self.instrument.identity

    @property
    def sensors(self) -> Mapping[str, Sensor]:
        return self.instrument.sensors

    async def resync(self) -> None:
        await self.instrument.resync()


@dataclass(frozen=True, slots=True)
class Hopeful(Altered):
    """Takes quiet for a proof that no answer is left to come."""

    link: Link

    async def resync(self) -> None:
        await self.link.clear()


@dataclass(frozen=True, slots=True)
class FirstHalf:
    """A link whose driver looks at the first of a 2400's two samples only."""

    link: Link

    @property
    def address(self) -> str:
        return self.link.address

    def now(self) -> float:
        return self.link.now()

    async def write(self, message: bytes) -> None:
        await self.link.write(message)

    async def query(self, message: bytes) -> bytes:
        if not message.startswith(b":READ?"):
            return await self.link.query(message)
        read, fetch, held = message.split(b";", 2)
        first = (await self.link.query(read + b";" + fetch)).partition(b";")[0]
        return b";".join([first, first, await self.link.query(held)])

    async def clear(self) -> None:
        await self.link.clear()


Make = Callable[[Instrument, Link], Instrument]


def wrong(spec: DriverSpec, make: Make, believe: Callable[[Link], Link] = lambda link: link) -> DriverSpec:
    @asynccontextmanager
    async def connect(link: Link, options: Any) -> AsyncGenerator[Instrument]:
        async with spec.connect(believe(link), options) as instrument:
            yield make(instrument, link)

    return replace(spec, connect=connect)


def with_channels(kind: type[Same]) -> Make:
    return lambda instrument, link: Altered(
        instrument, {name: kind(channel, link) for name, channel in instrument.channels.items()}
    )


def hopeful(instrument: Instrument, link: Link) -> Instrument:
    return Hopeful(instrument, instrument.channels, link)


def unchanged(instrument: Instrument, _link: Link) -> Instrument:
    return instrument
