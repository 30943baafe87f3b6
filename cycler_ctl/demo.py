"""The five experiments of Fig. S3 on simulated instruments: the real station, drivers and sockets, on the bench's clock.

The only module of the service that knows of simulators.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from cycler_ctl.broker import Broker, free_port
from cycler_ctl.clock import real_sleep
from cycler_ctl.computer.turns import hand_over_soon
from cycler_ctl.config import (
    ChannelSettings,
    Config,
    HttpSettings,
    InstrumentSettings,
    Limits,
    MqttSettings,
    StationSettings,
)
from cycler_ctl.errors import ConfigError, CyclerError, RefusedError, leaves
from cycler_ctl.live import ChannelState
from cycler_ctl.reporting import Reporting, open_reporting
from cycler_ctl.running.start import read_order
from cycler_ctl.station import Station
from cycler_ctl.terminal.results import Result, print_results, write_results
from cycler_ctl.testing.stepclock import StepClock
from cycler_ctl.watching.lease import NoLease
from protocols.shipped import library
from sim_hardware.bench import Bench, open_bench

log = logging.getLogger(__name__)

FAILED = 1
OVEN = "oven1"
LIMITS = Limits(voltage_V=(-0.5, 5.0), current_A=10e-3, temperature_degC=(20.0, 140.0), step_charge_Ah=20e-3)


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """``speed`` None: as fast as the machine can."""

    once: bool
    speed: float | None
    seed: int
    data_dir: Path
    port: int
    web: bool
    sample_every_s: float = 5.0
    cells: tuple[str, ...] = ("a", "b", "c", "d", "e")


def parse_speed(text: str) -> float | None:
    if text == "max":
        return None
    with suppress(ValueError):
        speed = float(text)
        if 0.0 < speed <= 1e6:
            return speed
    raise ConfigError(f"--speed {text!r}: write a number such as 1 or 1000, or max")


def run_demo(options: DemoOptions) -> int:
    """The exit status; Ctrl-C ends a demo that stays, and is no failure of it."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s", stream=sys.stderr)
    hand_over_soon()
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner, suppress(asyncio.CancelledError):
            return runner.run(demo(options))
    except* CyclerError as errors:
        for error in leaves(errors):
            sys.stderr.write(f"{error}\n")
    return FAILED


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Uvloop where it is installed: the simulators and the station share this loop."""
    if sys.platform == "win32":
        return None
    try:
        import uvloop
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop


async def demo(options: DemoOptions) -> int:
    """Everything the real service does but the guardian: there is nothing real to turn off."""
    _end_in_order(asyncio.current_task())
    async with AsyncExitStack() as stack:
        broker_url = await _open_broker(stack, options.data_dir.resolve())
        results = await cycle_five(options, broker_url)
    return 0 if all(result.outcome == "finished" for result in results) else 1


def _end_in_order(task: asyncio.Task[int] | None) -> None:
    """SIGTERM as Ctrl-C: runs stopped, records closed, the broker ended."""
    loop = asyncio.get_running_loop()

    def end(*_: object) -> None:
        if task is not None:
            loop.call_soon_threadsafe(task.cancel)

    signal.signal(signal.SIGTERM, end)


async def cycle_five(options: DemoOptions, broker_url: str | None) -> list[Result]:
    """Run the five protocols to their ends, and leave exports, the figure and the table behind."""
    clock = StepClock(speed=options.speed)
    data_dir = options.data_dir.resolve()
    async with open_bench(seed=options.seed, now=clock.now) as bench, asyncio.TaskGroup() as group:
        station = Station(demo_config(options, data_dir, bench), clock, NoLease())
        with ExitStack() as standstill:
            standstill.enter_context(clock.member())  # virtual time stands still until the last run has begun
            try:
                await station.open(group)
                async with open_reporting(station, broker_url) as reporting:
                    _say_where(reporting, broker_url, data_dir)
                    runs = await start_all(station, options.cells)
                    standstill.close()
                    await _show_progress(station, runs)
                    with clock.member():  # nothing is left to wait for, and the oven's polls would spin virtual time
                        results = await asyncio.to_thread(write_results, data_dir, runs)
                        print_results(results, data_dir)
                        if not options.once:
                            await _stay(reporting)
            finally:
                await station.close("the end of the demo")
    return results


def demo_config(options: DemoOptions, data_dir: Path, bench: Bench) -> Config:
    """What a person would write into station.toml for this bench."""
    instruments = {
        one.name: InstrumentSettings(
            driver=one.model,
            address=one.address,
            serial=one.serial if one.cell else None,
            options={} if one.cell else {"frame_gap_s": 0.0},  # no bus, no gap: it would cost real time at each reading
        )
        for one in bench.instruments.values()
    }
    channels = {
        one.cell: ChannelSettings(
            instrument=one.name, sample_every_s=options.sample_every_s, limits=LIMITS, temperature=OVEN
        )
        for one in bench.smus
    }
    return Config(
        station=StationSettings(name="demo", site="demo", data_dir=data_dir),
        mqtt=MqttSettings(),
        http=HttpSettings(listen=f"127.0.0.1:{free_port(options.port)}", enabled=options.web),
        instruments=instruments,
        channels=channels,
    )


async def _open_broker(stack: AsyncExitStack, data_dir: Path) -> str | None:
    broker = Broker(data_dir)
    try:
        await asyncio.to_thread(broker.start)
    except CyclerError as error:
        sys.stderr.write(f"no MQTT: {error}\n")
        return None
    stack.push_async_callback(asyncio.to_thread, broker.stop)
    return broker.url


async def start_all(station: Station, cells: Sequence[str]) -> dict[str, str]:
    """All of them, once everything on the bench has answered."""
    await station.first_tries()
    absent = [f"{one.name}: {one.message}" for one in station.instruments() if one.link != "connected"]
    if absent:
        raise RefusedError("the bench could not be reached: " + "; ".join(absent))
    while any(station.sensor(name) is None for name in station.sensors()):
        await real_sleep(0.01)
    for status in station.channels():
        if status.state is ChannelState.INTERRUPTED:  # a demo that was killed; its cell was a simulated one
            await station.acknowledge(status.channel, "the demo")
    files = library()
    return {cell: await station.begin(cell, read_order(files[f"fig_s3_{cell}"], None, {})) for cell in cells}


async def _show_progress(station: Station, runs: Mapping[str, str]) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[now]}"))
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=4) as progress:
        bars = {cell: progress.add_task(f"fig_s3_{cell}", total=station.steps(cell)[1], now="") for cell in runs}
        async with asyncio.TaskGroup() as group:
            waiting = {group.create_task(station.ended(cell), name=f"wait for {cell}") for cell in runs}
            while waiting:
                _, waiting = await asyncio.wait(waiting, timeout=0.25)
                for cell, bar in bars.items():
                    progress.update(bar, completed=station.steps(cell)[0], now=_now(station, cell))


def _now(station: Station, cell: str) -> str:
    status = next(one for one in station.channels() if one.channel == cell)
    newest = station.latest(cell)
    if newest is None:
        return status.state
    _, row = newest
    return (
        f"{status.state}, cycle {row.cycle}, {status.what or '-'}, "
        f"{row.voltage_V:.3f} V {round(row.current_A * 1e3, 4) + 0.0:.4f} mA, {row.time_s / 3600:.1f} h"
    )


def _say_where(reporting: Reporting, broker_url: str | None, data_dir: Path) -> None:
    if reporting.page is not None:
        sys.stderr.write(f"live page: {reporting.page}\n")
    if broker_url is not None:
        port = broker_url.rpartition(":")[2]
        sys.stderr.write(f"MQTT: {broker_url}  (mosquitto_sub -p {port} -v -t 'cycler/#')\n")
    sys.stderr.write(f"data: {data_dir}\n")


async def _stay(reporting: Reporting) -> None:
    """Until Ctrl-C, so that the page can be looked at."""
    where = f" at {reporting.page}" if reporting.page else ""
    sys.stderr.write(f"all five are done; the page stays{where}. Ctrl-C ends.\n")
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
