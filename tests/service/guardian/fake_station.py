"""A station for the guardian's tests: a real lease, a real link, a real driver, and one bad habit.

``fake_station.py HABIT DATA_DIR ADDRESS LEASE_S``. Each start adds a line with its process id to DATA_DIR/lives.
"""

from __future__ import annotations

import asyncio
import os
import resource
import secrets
import sys
import threading
from pathlib import Path

from cycler_ctl.clock import SystemClock, real_sleep
from cycler_ctl.instrument import Channel, ConstantCurrent
from cycler_ctl.link.opening import open_link
from cycler_ctl.plugins import load_driver
from cycler_ctl.watching import lease as lease_module
from cycler_ctl.watching.lease import Ending, GuardianLease, take_lease_pipe, watch_guardian
from cycler_ctl.watching.register import SafeOffEntry

HABIT, DATA_DIR, ADDRESS, LEASE_S = sys.argv[1], Path(sys.argv[2]), sys.argv[3], float(sys.argv[4])
lease_module.ALIVE_EVERY_S = 0.2
STALLS_S = {"stall": 0.5, "long stall": 1.0}
HUNGRY = ("hungry", "hungry and deaf")
BITE, MOST_BITES = 1 << 16, 256
ENTRY = SafeOffEntry("smu1", "keithley-2400", ADDRESS)


def note(text: str) -> None:
    with (DATA_DIR / "lives").open("a", encoding="utf-8") as file:
        file.write(text + "\n")


def rationed() -> None:
    """From now on this process gets a few megabytes more and nothing beyond them."""
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    most = used + BITE * (1 + secrets.randbelow(MOST_BITES))
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def eat(hoard: list[bytearray], lives: int) -> None:
    """Bite by bite, and what follows is what a process does that gets no more memory."""
    try:
        hoard.extend(bytearray(BITE) for _ in range(MOST_BITES // 16))
    except MemoryError:
        os.write(lives, b"out of memory\n")
        if HABIT == "hungry and deaf":
            threading.Event().wait()
        raise


async def cycle(channel: Channel, lease: GuardianLease, over: asyncio.Event) -> None:
    """Read and renew, as a run does; the habits are what a run must not do."""
    await lease.will_energise("a1", ENTRY, LEASE_S)
    await channel.apply(ConstantCurrent(-0.4e-3, (0.1, 1.3)))
    note(f"energised {os.getpid()}")
    if HABIT == "crash":
        os._exit(3)
    hoard: list[bytearray] = []
    lives = os.open(DATA_DIR / "lives", os.O_WRONLY | os.O_APPEND)
    if HABIT in HUNGRY:
        rationed()
    while not over.is_set():
        await channel.read()
        lease.renew("a1", LEASE_S)
        if HABIT in STALLS_S:
            threading.Event().wait(STALLS_S[HABIT])  # the whole process stands still
            note("stalled")
        if HABIT in HUNGRY:
            eat(hoard, lives)
        await real_sleep(0.05)
    if HABIT == "deaf":
        threading.Event().wait()
    await channel.turn_off()
    lease.release("a1")
    await lease.is_off("a1")
    note("off")


async def idle(lease: GuardianLease, over: asyncio.Event) -> None:
    beating = asyncio.create_task(lease.beat())
    note(f"idle {os.getpid()}")
    await over.wait()
    beating.cancel()


async def main() -> int:
    ended: list[Ending] = []
    over = asyncio.Event()

    def end(ending: Ending) -> None:
        ended.append(ending)
        over.set()

    note(f"start {os.getpid()}")
    pipe = take_lease_pipe()
    watch_guardian(end)
    spec = load_driver("keithley-2400")
    async with (
        GuardianLease(DATA_DIR, pipe) as lease,
        open_link(ADDRESS, spec.link, SystemClock()) as link,
        spec.connect(link, spec.options()) as instrument,
    ):
        await (idle(lease, over) if HABIT == "idle" else cycle(instrument.channels["1"], lease, over))
    note(ended[0].value)
    return 0


sys.exit(asyncio.run(main()))
