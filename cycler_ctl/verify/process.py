"""The process under the guardian that verifies one output: it holds the instrument as a station would."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from cycler_ctl.channels.host import InstrumentHost, wiring_of
from cycler_ctl.clock import Clock, SystemClock
from cycler_ctl.config import Config, load_config
from cycler_ctl.errors import CyclerError, RefusedError, leaves
from cycler_ctl.guard import Guard, GuardLimits
from cycler_ctl.instrument import Ratings
from cycler_ctl.plugins import load_driver
from cycler_ctl.running.escalation import strike_out, until_off
from cycler_ctl.running.output import Output
from cycler_ctl.running.start import spot_of, who
from cycler_ctl.verify.judge import Seen, rows
from cycler_ctl.verify.ledger import Verification, write_verification
from cycler_ctl.verify.measure import Bench, Terminals
from cycler_ctl.verify.points import Resistor, most_A, points, window_of
from cycler_ctl.watching.lease import Ending, GuardianLease, Lease, take_lease_pipe, watch_guardian

log = logging.getLogger(__name__)

DONE, REFUSED = 0, 2  # whatever went wrong, the guardian must not start this again by itself
SLACK_V, SLACK = 0.05, 1.05  # the guard stands a little behind what is set
STALE_S = 5.0


@dataclass(frozen=True, slots=True)
class Task:
    """``mark`` tells the one who asked that what is stored is the answer."""

    channel: str
    resistor: Resistor
    mark: str
    by: str


async def verify(config: Config, task: Task, lease: Lease, clock: Clock) -> Verification:
    """Store and return the result; off was read back. RefusedError and InstrumentError say why there is none."""
    if task.channel in lease.left_over:
        raise RefusedError(f"the output of {task.channel} could not be confirmed off: see to that first")
    settings = config.channels[task.channel]
    wiring = wiring_of(config, settings.instrument, load_driver(config.instruments[settings.instrument].driver))
    async with hosted(InstrumentHost(wiring, clock, _nobody_asks)) as host:
        instrument = host.connected()
        spot = spot_of(task.channel, config, host.spec, instrument)
        resistor, limits = task.resistor, settings.limits
        chosen = points(resistor, limits, spot.ratings)
        fit = _terminals(config, task, host, lease, clock)
        output = Output(fit)
        try:
            seen = await Bench(fit, output, resistor, window_of(limits, spot.ratings)).measured(
                chosen, _tell(len(chosen))
            )
        finally:
            await _off(fit, output, host)
    made = Verification(
        task.mark, task.channel, settings.output, task.by, clock.utc(), resistor.resistance_ohm, resistor.tolerance,
        instrument.identity, tuple(rows(seen, resistor)),
    )  # fmt: skip
    await asyncio.to_thread(write_verification, config.station.data_dir, made)
    return made


@asynccontextmanager
async def hosted(host: InstrumentHost) -> AsyncGenerator[InstrumentHost]:
    """Connected, which is: every output off, read back; RefusedError says why not."""
    task = asyncio.create_task(host.run(), name="instrument")
    try:
        await host.first_try()
        host.connected()
        yield host
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _off(fit: Terminals, output: Output, host: InstrumentHost) -> None:
    """However the check ended; what is not confirmed is chased as after a run."""
    if output.off_confirmed:
        return
    why_not = await output.turn_off()
    if why_not is not None:
        log.error("OFF IS NOT CONFIRMED (%s): trying; take the resistor off", why_not)
        await until_off(fit.name, host, fit.contact, fit.lease, why_not)
    await strike_out(fit.name, fit.lease)


def _terminals(config: Config, task: Task, host: InstrumentHost, lease: Lease, clock: Clock) -> Terminals:
    settings = config.channels[task.channel]
    channel = host.connected().channels[settings.output]
    return Terminals(
        name=task.channel,
        channel=channel,
        clock=clock,
        guard=_guard(config, task, channel.ratings),
        sample_every_s=settings.sample_every_s,
        lease=lease,
        safe_off=host.safe_off_entry(),
        contact=host.contact(),
    )


def _guard(config: Config, task: Task, ratings: Ratings) -> Guard:
    """Behind what is set; the channel's own voltage limits are a cell's, and a resistor stands at 0 V."""
    settings = config.channels[task.channel]
    low_V, high_V = window_of(settings.limits, ratings)
    highest_A = most_A(settings.limits, ratings, task.resistor)
    bounded = settings.regulation == "bounded"
    return Guard(GuardLimits((low_V - SLACK_V, high_V + SLACK_V), SLACK * highest_A, STALE_S, bounded=bounded))


def _nobody_asks() -> None:
    """There is no page here to tell of a change."""


def _tell(of: int) -> Callable[[Seen], None]:
    """How far it is, a line for each point: they are seconds apart, and each is worth reading."""
    done = count(1)

    def tell(seen: Seen) -> None:
        point = seen.point
        found = f"{seen.voltage_V:+.5f} V, {seen.current_A:+.5e} A"
        unit = "A" if point.kind == "current" else "V"
        sys.stderr.write(f"verify: {next(done)} of {of}: set {point.value:+.4e} {unit}: {found}\n")

    return tell


async def held(config: Config, task: Task, pipe: int) -> None:
    """With the guardian's lease. Ctrl-C, or a guardian that is gone, ends the work, which turns off on its way out."""
    loop, asked = asyncio.get_running_loop(), asyncio.Event()

    def end(_: Ending) -> None:
        asked.set()

    def asked_to_end(*_: object) -> None:
        loop.call_soon_threadsafe(asked.set)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, asked_to_end)
    async with GuardianLease(config.station.data_dir, pipe) as lease:
        watch_guardian(end)
        await until_asked(asked, verify(config, task, lease, SystemClock()))


async def until_asked(asked: asyncio.Event, work: Coroutine[object, object, object]) -> None:
    task, ending = asyncio.create_task(work, name="verify"), asyncio.create_task(asked.wait(), name="asked to end")
    await asyncio.wait({task, ending}, return_when=asyncio.FIRST_COMPLETED)
    ending.cancel()
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
        raise RefusedError("stopped before it was done; the output is off, nothing is stored")
    await task


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="cycler_ctl.verify.process", description="Started by the guardian.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--channel", required=True)
    parser.add_argument("--ohm", type=float, required=True)
    parser.add_argument("--tolerance", type=float, required=True)
    parser.add_argument("--mark", required=True)
    asked = parser.parse_args(arguments)
    pipe = take_lease_pipe()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    task = Task(asked.channel, Resistor(asked.ohm, asked.tolerance), asked.mark, who())
    status = DONE
    try:
        asyncio.run(held(load_config(asked.config), task, pipe))
    except* CyclerError as errors:
        for error in leaves(errors):
            sys.stderr.write(f"verify: {error}\n")
        status = REFUSED
    except* Exception:
        log.exception("verify")
        status = REFUSED
    return status


if __name__ == "__main__":
    sys.exit(main())
