"""The station process, put together: control first, reporting beside it; started and watched by the guardian."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cycler_ctl.clock import SystemClock
from cycler_ctl.commanding.opening import open_commanding
from cycler_ctl.computer.handles import take_handles
from cycler_ctl.computer.keep_awake import KeepAwake
from cycler_ctl.computer.turns import hand_over_soon, spare_what_stays
from cycler_ctl.computer.wakeful import refuse_sleepy
from cycler_ctl.config import Config, load_config
from cycler_ctl.errors import ConfigError, CyclerError, RefusedError, leaves
from cycler_ctl.queueing.opening import open_queueing
from cycler_ctl.reporting import open_reporting
from cycler_ctl.running.start import Order, read_order, who
from cycler_ctl.station import Station
from cycler_ctl.watching.lease import Ending, GuardianLease, take_lease_pipe, watch_guardian
from cycler_ctl.watching.logfile import log_file
from cycler_ctl.watching.signals import asked_to_end

log = logging.getLogger(__name__)

BROKER_URL = "CYCLER_CTL_BROKER_URL"  # set by the guardian, which owns the bundled broker
DONE, FAILED, USAGE, UNCONFIRMED = 0, 1, 2, 4


@dataclass(frozen=True, slots=True)
class Foreground:
    """``cycler-ctl run``: one run, then the end."""

    channel: str
    order: Order
    run: str


@asynccontextmanager
async def open_station(config: Config, lease: GuardianLease) -> AsyncGenerator[Station]:
    """A connected station; on leaving, every output is off and read back before anything else ends."""
    async with asyncio.TaskGroup() as group:
        station = Station(config, SystemClock(), lease)
        try:
            await station.open(group)
            yield station
        finally:
            await station.close("shutdown")


async def serve(config: Config, pipe: int, foreground: Foreground | None) -> int:
    """Run until asked to end, or until the foreground run is over. 4: an output could not be confirmed off."""
    ending = asyncio.Event()

    def end(why: Ending) -> None:
        log.warning("ending: %s", why)
        ending.set()

    async with AsyncExitStack() as stack:
        # the guardian asks by the pipe; Windows tells every program of a window that is closed, and ends it if it may
        stack.enter_context(asked_to_end(partial(end, Ending.ASKED)))
        lease = await stack.enter_async_context(GuardianLease(config.station.data_dir, pipe))
        beating = asyncio.create_task(lease.beat(), name="sign of life")
        stack.callback(beating.cancel)
        watch_guardian(end)
        awake = stack.enter_context(closing(KeepAwake()))
        station = await stack.enter_async_context(open_station(config, lease))
        station.observe(awake)
        if not config.station.may_sleep:
            station.before_start(refuse_sleepy)
        queues = await stack.enter_async_context(open_queueing(station, SystemClock(), wanted=foreground is None))
        commander = await stack.enter_async_context(open_commanding(station, os.environ.get(BROKER_URL)))
        reporting = await stack.enter_async_context(
            open_reporting(station, os.environ.get(BROKER_URL), queues, commander)
        )
        spare_what_stays(len(config.channels))
        say_where(reporting.page, config)
        if foreground is not None:
            await run_one(station, foreground, ending)
        else:
            await ending.wait()
        return DONE if await station.close("shutdown") else UNCONFIRMED


def say_where(page: str | None, config: Config) -> None:
    if page is not None:
        log.info("page: %s", shown(page, config.station.data_dir))
    broker = ", ".join(config.mqtt.url) or os.environ.get(BROKER_URL) or "no broker"
    log.info("MQTT: %s", broker if config.mqtt.enabled else "switched off")


def shown(page: str, data_dir: Path) -> str:
    """With its token for a person at a terminal; a log must not hold it."""
    if sys.stderr.isatty():
        return page
    return f"{page.partition('#')[0]} (to act there: #token= and the text in {data_dir / 'http-token'})"


async def run_one(station: Station, foreground: Foreground, ending: asyncio.Event) -> None:
    """Start as soon as the instruments were tried, and wait for the end or for Ctrl-C."""
    await station.first_tries()
    await station.begin(foreground.channel, foreground.order, foreground.run)
    async with asyncio.TaskGroup() as group:
        ended = group.create_task(station.ended(foreground.channel), name="foreground run")
        asked = group.create_task(ending.wait(), name="asked to end")
        await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        asked.cancel()


def refuse_other_folder(config: Config, watched: Path) -> None:
    """station.toml is read anew at each restart; a register that the guardian does not know of would save no cell."""
    ours = config.station.data_dir
    if ours != watched:
        raise ConfigError(f"data_dir was {watched} when the service began and is {ours} now: start the service again")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="cycler_ctl.daemon", description="The station process; started by the guardian."
    )
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--data-dir", type=Path, required=True, help="where the guardian looks for the register")
    parser.add_argument("--run", default="")
    parser.add_argument("--protocol", type=Path)
    parser.add_argument("--channel", default="")
    parser.add_argument("--cell", type=Path)
    parser.add_argument("--set", action="append", default=[])
    asked = parser.parse_args(arguments)
    take_handles()
    hand_over_soon()
    pipe = take_lease_pipe()
    status = FAILED
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        config = load_config(asked.config)
        refuse_other_folder(config, asked.data_dir)
        foreground = None
        if asked.protocol is not None:
            overrides = dict(pair.split("=", 1) for pair in asked.set)
            foreground = Foreground(asked.channel, read_order(asked.protocol, asked.cell, overrides, who()), asked.run)
        with log_file(config.station.data_dir, "station", logging.getLogger()):
            status = asyncio.run(serve(config, pipe, foreground))
    except* (ConfigError, RefusedError) as errors:
        for error in leaves(errors):
            sys.stderr.write(f"{error}\n")
        status = USAGE
    except* CyclerError as errors:
        for error in leaves(errors):
            sys.stderr.write(f"{error}\n")
        status = FAILED
    return status


if __name__ == "__main__":
    sys.exit(main())
