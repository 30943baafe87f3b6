"""Keysight (Agilent) B2901, B2902, B2911 and B2912 source-measure units, A and B, by SCPI over LAN, USB or GPIB.

Wire each cell in four wires, HIGH to the working electrode: then the instrument's sign is ours. A B2902 or B2912 has two
outputs, ``1`` and ``2``, behind one wire; each reading and each off is one message of its own, so that neither waits for
more than one exchange of the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from cycler_ctl.instrument import (
    Asking,
    Channel,
    DriverSpec,
    Identity,
    Instrument,
    Link,
    LinkDefaults,
    Protection,
    Ratings,
    Sensor,
)
from drivers import scpi
from drivers.doubt import expect_same, get_into_step
from drivers.keysight_b2900_output import Options, Output
from drivers.keysight_b2900_ratings import REST, WHY_BOUNDED, WHY_CURRENT, ratings
from drivers.keysight_b2900_settings import parse_identity
from drivers.keysight_b2900_wire import (
    channels_of,
    identify,
    identity_in_step,
    safe_off,
    say_off,
    stop,
    switch_all_off,
)


@dataclass(frozen=True, slots=True)
class SourceMeasureUnit:
    """One instrument with its outputs ``"1"`` and, with two channels, ``"2"``."""

    link: Link
    identity: Identity
    outputs: Mapping[str, Output]
    turns: asyncio.Lock
    nonces: Iterator[int] = field(default_factory=scpi.nonces)

    @property
    def channels(self) -> Mapping[str, Channel]:
        return self.outputs

    @property
    def sensors(self) -> Mapping[str, Sensor]:
        return {}

    async def resync(self) -> None:
        """Prove that nothing is left to come, and that this is the same instrument.

        How an output is, it asks itself before its own next reading: what befell one is no fault of the other.
        """
        async with self.turns:
            await get_into_step(self.link, self._prove)

    async def _prove(self) -> None:
        identity = await identity_in_step(self.link, next(self.nonces))
        expect_same(self.link, identity, self.identity)
        for output in self.outputs.values():
            output.doubt()


@asynccontextmanager
async def connect(link: Link, options: Options) -> AsyncGenerator[Instrument]:
    """Off before anything else; off again on leaving, whatever a reading said meanwhile."""
    await say_off(link)
    await link.clear()
    identity = await identify(link)
    await stop(link, identity)
    await switch_all_off(link, channels_of(identity))
    turns = asyncio.Lock()
    outputs = {str(number): Output(link, identity.model, number, options, turns) for number in channels_of(identity)}
    for output in outputs.values():
        await output.prepare()
    try:
        yield SourceMeasureUnit(link, identity, outputs, turns)
    finally:
        await switch_all_off(link, channels_of(identity))


def usual_ratings(options: Options) -> Ratings:
    return ratings("B2901A", options.regulation, options.nplc)


DRIVER = DriverSpec(
    title="Keysight B2901, B2902, B2911, B2912 (A and B)",
    options=Options,
    link=LinkDefaults(),
    connect=connect,
    outputs=("1", "2"),
    safe_off=safe_off,
    protection=Protection.B,
    ratings=usual_ratings,
    asking=Asking(b"*IDN?", parse_identity),
    status="experimental",
    notes=(
        "Rest: " + REST,
        "regulation = bounded: " + WHY_BOUNDED,
        "regulation = current: " + WHY_CURRENT + "; up to 0.1 A, for beyond it switching off puts 0 V on the cell",
        "output 2 is on the B2902 and B2912 only; up to 1 A and 20 V an output",
        "LAN: TCPIP0::<host>::5025::SOCKET, the command set that is not a 2400's",
        "its own protection (OUTP:PROT) stays off: it would put 0 V on the cell before it lets go",
        "an emergency of the instrument itself (temperature, interlock) does the same, and nothing can prevent it",
        "accuracy of the current source: only of 1 mA known from a manual; B-series taken to be like the A-series",
    ),
)
