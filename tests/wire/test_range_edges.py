"""Currents at the edges of ranges: each is reached from each, on every driver and with each regulation, or is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import pairwise
from random import Random

import pytest

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import DeviceFault
from cycler_ctl.instrument import Channel, ConstantCurrent, Ratings
from cycler_ctl.link.opening import open_link
from cycler_ctl.plugins import load_driver
from cycler_ctl.terminal.driver_facts import errors
from sim_hardware.bench import Place, open_bench
from sim_hardware.simtime import SimTime

WINDOW_V = (2.5, 4.2)
EDGES = (0.5, 0.999, 1.0, 1.0 + 1e-12, 1.01, 1.039, 1.045, 1.05, 1.055, 1.061, 1.07, 1.1)
RANGES_A = (100e-6, 1e-3)
"""Ranges that all of them have, or a neighbour of them: the edges above and below are tried."""
PAIRS, CAMPAIGN_PAIRS = 20, 400
DRIVERS = pytest.mark.parametrize(
    ("driver", "model", "options"),
    [
        ("keithley-2400", "keithley-2400", {}),
        ("keithley-2400", "keithley-2400", {"regulation": "current"}),
        ("keithley-2450", "keithley-2450", {}),
        ("keithley-2450", "keithley-2450", {"regulation": "current"}),
        ("keithley-2600", "keithley-2602b", {}),
        ("keithley-2600", "keithley-2602b", {"regulation": "current"}),
        ("keysight-b2900", "keysight-b2902a", {}),
        ("keysight-b2900", "keysight-b2902a", {"regulation": "current"}),
        ("palmsens-emstat4", "palmsens-emstat4", {}),
        ("rs-ngu", "rs-ngu401", {}),
        ("rs-ngu", "rs-ngm202", {"model": "NGM202"}),
    ],
)


@asynccontextmanager
async def connected(driver: str, model: str, options: dict[str, str]) -> AsyncGenerator[Channel]:
    spec, clock = load_driver(driver), SystemClock()
    time = SimTime(asyncio.get_running_loop().time, 1.0)
    async with (
        open_bench(1, time, (Place("smu", model, "battery"),)) as bench,
        open_link(bench["smu"].address, spec.link, clock) as link,
        spec.connect(link, spec.options(**options)) as instrument,
    ):
        yield next(iter(instrument.channels.values()))


def currents(*, only_charges: bool) -> list[float]:
    sizes = [edge * range_A for range_A in RANGES_A for edge in EDGES]
    return sizes if only_charges else [sign * size for size in sizes for sign in (1.0, -1.0)]


def allowed_A(ratings: Ratings, current_A: float) -> float:
    """What setting and reading may be off by."""
    accuracy = ratings.range_for(current_A)
    assert accuracy is not None
    return sum(errors(accuracy, abs(current_A))) * abs(current_A)


async def refused(channel: Channel, current_A: float) -> bool:
    """Whether it said that it cannot; any other fault is none of its range."""
    try:
        await channel.apply(ConstantCurrent(current_A, WINDOW_V))
    except DeviceFault as error:
        if "falls between two ranges" in str(error) or "cannot be set" in str(error):
            return True
        raise
    return False


@DRIVERS
async def test_every_current_at_an_edge_is_reached_from_every_other(
    driver: str, model: str, options: dict[str, str], request: pytest.FixtureRequest
) -> None:
    pairs = CAMPAIGN_PAIRS if request.config.getoption("--campaign") else PAIRS
    random = Random(1)
    async with connected(driver, model, options) as channel:
        wanted = currents(only_charges=model == "rs-ngm202")
        neighbours = [1e-3, 1.01e-3, 1e-3, 1.05e-3, 1.061e-3, 1.1e-3, 1.05e-3, 100e-6, 101e-6, 105e-6, 1.0]
        order = [*neighbours[:-1], *(random.choice(wanted) for _ in range(pairs))]
        reached = 0
        for before_A, current_A in pairwise(order):
            if await refused(channel, current_A):
                continue
            reading = await channel.read()
            assert abs(reading.current_A - current_A) <= allowed_A(channel.ratings, current_A), (before_A, current_A)
            reached += 1
    assert reached > 0
