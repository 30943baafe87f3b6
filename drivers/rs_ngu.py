"""Rohde & Schwarz NGU201 and NGU401 source-measure units, NGM201 and NGM202 power supplies, by SCPI over LAN or USB.

Wire it in four wires, the positive terminal to the working electrode: then the instrument's sign is ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict

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
from drivers.rs_ngu_output import Output
from drivers.rs_ngu_ratings import MODELS, NO_SINK, REST_NGM, REST_NGU, WHY_BOUNDED, ratings
from drivers.rs_ngu_settings import parse_identity
from drivers.rs_ngu_wire import all_off, identity_in_step, reset, safe_off, selector

SENSES = {"external": "EXT", "auto": "AUTO"}


class Options(BaseModel):
    """``sense = "auto"`` leaves it to the instrument to find the sense leads; a lead it misses is not told.

    ``model`` is for plans, which are made without the instrument.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    regulation: Literal["bounded"] = "bounded"
    sense: Literal["external", "auto"] = "external"
    model: Literal["NGU201", "NGU401", "NGM201", "NGM202"] = "NGU401"


@dataclass(frozen=True, slots=True)
class PowerSupply:
    """One instrument with its outputs ``"1"`` and, on an NGM202, ``"2"``."""

    link: Link
    identity: Identity
    outputs: Mapping[str, Output]
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
        await get_into_step(self.link, self._prove)

    async def _prove(self) -> None:
        identity = await identity_in_step(self.link, next(self.nonces))
        expect_same(self.link, identity, self.identity)
        for output in self.outputs.values():
            output.doubt()


@asynccontextmanager
async def connect(link: Link, options: Options) -> AsyncGenerator[Instrument]:
    """Off before anything else; off again on leaving, whatever a reading said meanwhile."""
    identity = await all_off(link)
    await reset(link)
    model, turn = MODELS[identity.model], asyncio.Lock()
    outputs = {
        number: Output(selector(link, identity.model, number, turn), model, SENSES[options.sense])
        for number in model.outputs
    }
    for output in outputs.values():
        await output.turn_off()
        await output.prepare()
    try:
        yield PowerSupply(link, identity, outputs)
    finally:
        await all_off(link)


def usual_ratings(options: Options) -> Ratings:
    return ratings(MODELS[options.model])


DRIVER = DriverSpec(
    title="Rohde & Schwarz NGU201, NGU401, NGM201, NGM202",
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
        "Rest, NGU: " + REST_NGU,
        "Rest, NGM: " + REST_NGM,
        "regulation = bounded: " + WHY_BOUNDED + "; regulation = current is refused",
        "NGM: " + NO_SINK,
        "NGU201 and NGM: cells above 0 V only, and cut-offs above 0 V; NGU401: -20 to 20 V",
        "output 2 is an NGM202's",
        "LAN: TCPIP0::<host>::5025::SOCKET; *RST is sent when connecting, all outputs off",
        "no command tells what the output relay does: off is what OUTPut? says; measure it once (hardware checklist)",
        "no data sheet was at hand: the accuracies are from memory, and doubled for it",
    ),
)
