"""``cycler-sim``: a simulated instrument anyone can connect to.

The first line on stdout says where: ``{"address": "<VISA resource>", "control": PORT}``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from sim_hardware.bench import (
    KEITHLEY_2450S,
    KEYSIGHT_B2900S,
    LOADS,
    MODELS,
    RS_NGUS,
    BenchFile,
    Place,
    host_and_port,
    open_bench,
    read_bench,
)
from sim_hardware.cell import CELLS
from sim_hardware.control import Control, described, serve_control
from sim_hardware.simtime import SimTime

ABUSE_FILE = "CYCLER_SIM_ABUSE"
"""Names a file to which every act of abuse is added, for tests whose simulators others start, or kill."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if ABUSE_FILE in os.environ:
        logging.getLogger("sim_hardware.abuse").addHandler(logging.FileHandler(os.environ[ABUSE_FILE], delay=True))
    try:
        bench = _bench(options)
    except (OSError, ValueError) as error:  # a broken TOML file is a ValueError too
        sys.stderr.write(f"cycler-sim: {error}\n")
        return 1
    try:
        asyncio.run(_serve(bench, options.control, until_stdin_closes=options.until_stdin_closes))
    except OSError as error:
        sys.stderr.write(f"cycler-sim: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cycler-sim", description="A simulated instrument with a simulated cell, on a port anyone can connect to."
    )
    parser.add_argument("model", choices=(*MODELS, "bench"), help="what to simulate")
    parser.add_argument("file", nargs="?", type=Path, help="for bench: a TOML file with several instruments")
    wire = parser.add_mutually_exclusive_group()
    wire.add_argument("--listen", metavar="HOST:PORT", default="127.0.0.1:0", help="port 0 takes a free one (default)")
    wire.add_argument("--pty", action="store_true", help="a pseudo-terminal instead of a port")
    parser.add_argument("--cell", choices=(*CELLS, *LOADS), default="c", help="what hangs on the terminals (c)")
    parser.add_argument("--speed", type=float, help="simulated seconds in a real one (1)")
    parser.add_argument("--seed", type=int, help="of noise and faults (0)")
    parser.add_argument("--serial", default="", help="serial number it shows")
    parser.add_argument("--control", type=int, default=0, metavar="PORT", help="control port; 0 takes a free one")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when standard input does")
    return parser


def _bench(options: argparse.Namespace) -> BenchFile:
    if (options.model == "bench") != (options.file is not None):
        raise ValueError("a file goes with bench, and bench with a file")
    if options.file is not None:
        bench = read_bench(options.file)
    else:
        if options.pty and options.model in {*KEITHLEY_2450S, *KEYSIGHT_B2900S, *RS_NGUS}:
            raise ValueError(f"a {options.model} has no serial port")
        listen = "pty" if options.pty else options.listen
        if listen != "pty":
            host_and_port(listen)
        bench = BenchFile(0, 1.0, (Place("instrument", options.model, options.cell, listen, options.serial),))
    seed = bench.seed if options.seed is None else options.seed
    speed = bench.speed if options.speed is None else options.speed
    return BenchFile(seed, speed, bench.places)


async def _serve(file: BenchFile, control_port: int, *, until_stdin_closes: bool) -> None:
    time = SimTime(asyncio.get_running_loop().time, file.speed)
    stop = _stop_event(until_stdin_closes=until_stdin_closes)
    async with (
        open_bench(file.seed, time, file.places) as bench,
        serve_control(Control(bench, time), control_port) as port,
    ):
        first = next(iter(bench.instruments.values()), None)
        where = {"address": first.address if first else "", "control": port, "instruments": described(bench)}
        sys.stdout.write(json.dumps(where) + "\n")
        sys.stdout.flush()
        await stop.wait()


def _stop_event(*, until_stdin_closes: bool) -> asyncio.Event:
    """Set at SIGINT, SIGTERM and, if asked, when standard input ends."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def end(*_: object) -> None:
        loop.call_soon_threadsafe(stop.set)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    if until_stdin_closes:
        threading.Thread(target=_wait_for_stdin, args=(end,), name="stdin", daemon=True).start()
    return stop


def _wait_for_stdin(end: Callable[[], None]) -> None:
    sys.stdin.buffer.read()
    end()


if __name__ == "__main__":
    sys.exit(main())
