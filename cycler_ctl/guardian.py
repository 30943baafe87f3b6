"""The parent process: it turns outputs off when the station that should watch them does not.

It starts the station, hears from a pipe that readings are being handled, and knows from the register on disk which
outputs may be on. A lapsed lease or a dead station: kill it, turn those outputs off, read back, start it again, within
bounds. It needs nothing but the link layer and the drivers' ``safe_off``; the broker it owns has no say in any of this.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from math import inf
from pathlib import Path

from filelock import FileLock, Timeout

from cycler_ctl.clock import SystemClock, Wake, real_sleep
from cycler_ctl.errors import StoreError
from cycler_ctl.plugins import load_driver
from cycler_ctl.running.relay import switch_off
from cycler_ctl.watching.child import kill_child, start_child
from cycler_ctl.watching.kept_broker import KeptBroker, OwnedBroker
from cycler_ctl.watching.latch import TOO_OFTEN, Restarts, hold_back, latched
from cycler_ctl.watching.lease import LONGEST_LINE, STOP, Leases
from cycler_ctl.watching.manager import VARIABLE as NOTIFY_SOCKET
from cycler_ctl.watching.manager import Watchdog, notify
from cycler_ctl.watching.register import SafeOffEntry, read_entries, read_register, write_entries, write_register
from cycler_ctl.watching.safeoff import safe_off_all
from cycler_ctl.watching.signals import asked_to_end, first_of
from cycler_ctl.watching.telling import telling

log = logging.getLogger(__name__)

DONE, FAILED, USAGE, UNCONFIRMED = 0, 1, 2, 4
KILLED = -9  # by us, with every output read back as off: an orderly end all the same
STOP_S = 10.0  # for every output off, read back and the record closed; then it is done from here
RETRY_S = 5.0  # while an output could not be confirmed off
RELAY_AGAIN_S = 60.0
TICK_S = 0.1
LOCK_FILE = "guardian.lock"


class Ending(StrEnum):
    """How one life of the station ended."""

    DIED = "died"
    LAPSED = "lapsed"
    STOPPED = "stopped"


class Guardian:
    """One station kept under watch from start to a confirmed off."""

    def __init__(
        self, command: Sequence[str], data_dir: Path, broker: OwnedBroker | None, tell: Sequence[str] = ()
    ) -> None:
        self._command = command
        self._tell = tell
        self._data_dir = data_dir
        self._broker = KeptBroker(broker, say)
        self._asked = asyncio.Event()
        self._over = asyncio.Event()
        self._restarts = Restarts()
        self._status = DONE
        self._watchdog = Watchdog()
        self._relays_s: dict[str, float] = {}

    def ask_to_stop(self) -> None:
        """Ctrl-C, SIGTERM or the end of the terminal; asked again, it still does not skip turning off."""
        again = self._asked.is_set()
        say("still turning the outputs off, please wait" if again else "stopping: turning every output off")
        notify("STOPPING=1")
        self._asked.set()

    async def run(self) -> int:
        """First of all and last of all: off. Whatever goes wrong here in between, the last one is done."""
        await self._all_off()
        notify("READY=1")
        async with asyncio.TaskGroup() as group:
            await self._broker.start()
            group.create_task(self._broker.keep(self._over), name="broker")
            try:
                await self._lives()
            finally:
                off = await self._all_off()
                self._over.set()
        await self._broker.stop()
        return self._status if off else UNCONFIRMED

    async def _lives(self) -> None:
        """The station, again and again within bounds; one that is held back, also by an earlier guardian, is not begun."""
        held = latched(self._data_dir)
        while not self._asked.is_set():
            if held is not None:
                await self._held_back(held)
                held = None
                continue
            ending, code = await self._one_life()
            await self._all_off()
            if ending is Ending.STOPPED or code in {DONE, USAGE}:
                self._status = FAILED if code not in {DONE, USAGE, KILLED} else max(code, DONE)
                return
            if not self._restarts.one_more(now_s()):
                held = TOO_OFTEN
            elif not self._asked.is_set():
                say("starting the station again")

    async def _one_life(self) -> tuple[Ending, int]:
        """How it ended, and the station's exit status."""
        station = await start_child(self._command, self._environment())
        leases = Leases()
        try:
            async with asyncio.TaskGroup() as group:
                hearing = group.create_task(_hear(station, leases), name="leases")
                exiting = group.create_task(station.wait(), name="station")
                ending = await self._watch(leases, hearing, exiting)
                if ending is Ending.STOPPED:
                    await self._stop(station, leases, exiting)
                kill_child(station)
                code = await exiting
                hearing.cancel()
        finally:
            kill_child(station)
        if ending is Ending.DIED:
            say(f"the station ended by itself with status {code}")
        return ending, code

    async def _watch(self, leases: Leases, hearing: asyncio.Task[None], exiting: asyncio.Task[int]) -> Ending:
        clock, over = SystemClock(), Wake()
        for either in (hearing, exiting):
            either.add_done_callback(lambda _: over.set())
        while not (hearing.done() or exiting.done()):
            if self._asked.is_set():
                return Ending.STOPPED
            if leases.overdue(now_s()):
                await real_sleep(TICK_S)  # were we the one who slept? then its lines wait in the pipe
                late = leases.overdue(now_s())
                if late:
                    say(f"{late}: taking over")
                    return Ending.LAPSED
            self._watchdog.fed(now_s())  # it lives, and whatever is on has been looked at in time
            await clock.sleep_until(clock.now() + leases.next_look_s(now_s(), TICK_S), over)
        return Ending.DIED

    async def _stop(self, station: asyncio.subprocess.Process, leases: Leases, exiting: asyncio.Task[int]) -> None:
        """Ask it to end; while it does, its leases still hold."""
        if station.stdin is not None:
            with contextlib.suppress(OSError):
                station.stdin.write(STOP)
            station.stdin.close()
        until_s = now_s() + STOP_S
        while not exiting.done() and now_s() < until_s and not leases.overdue(now_s()):
            await asyncio.wait({exiting}, timeout=TICK_S)
        if not exiting.done():
            say("the station did not end in time: taking over")

    def _environment(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if name != NOTIFY_SOCKET}  # we speak for the service
        url = self._broker.url()
        return ours if url is None else {**ours, "CYCLER_CTL_BROKER_URL": url}

    def _keep(self, reason: str) -> bool:
        """Whether it is on disk that the station is held back."""
        if latched(self._data_dir) is None:
            with contextlib.suppress(StoreError):  # tried again while we wait
                hold_back(self._data_dir, reason, SystemClock().utc())
        return latched(self._data_dir) is not None

    async def _held_back(self, why: str) -> None:
        """Until a person has acknowledged it, or wants the end; what is not confirmed off is tried until it is."""
        kept = self._keep(why)
        off = await self._all_off()
        say(
            f"THE STATION IS NOT STARTED AGAIN. "
            f"{'Every output is off, read back.' if off else 'NOT EVERY OUTPUT IS CONFIRMED OFF.'} "
            f"The reason: {why}. Find the cause, then 'cycler-ctl acknowledge' lets it start."
        )
        self._status = FAILED
        notify("STATUS=the station failed too often and is not started again")
        held: str | None = why
        async with telling(self._tell, "off" if off else "unsure", why):
            while held is not None and not self._asked.is_set():
                self._watchdog.fed(now_s())  # or the manager would start what was latched
                await first_of(self._asked, RETRY_S)
                off = off or await self._all_off()
                kept = kept or self._keep(why)
                held = latched(self._data_dir) if kept else why
        if held is None:
            self._acknowledged()

    def _acknowledged(self) -> None:
        say("acknowledged: starting the station again")
        notify("STATUS=")
        self._restarts.begin_anew()
        self._status = DONE

    async def _all_off(self) -> bool:
        """Turn off what the register names and strike out what was read back as off; True when nothing is left."""
        energised, known = self._energised()
        if not energised and not known:
            return False  # nobody can say what is on; the register stays as it is, for a person
        results = await safe_off_all(energised.values(), SystemClock())
        for result in results:
            say(result.message)
        left = {(result.instrument, result.address) for result in results if not result.confirmed}
        unconfirmed = {name: entry for name, entry in energised.items() if (entry.name, entry.address) in left}
        await self._cut(unconfirmed)
        if energised or not known:
            with contextlib.suppress(StoreError):  # the longer list on disk only costs one more safe-off
                write_register(self._data_dir, unconfirmed)
        return not left

    async def _cut(self, unconfirmed: Mapping[str, SafeOffEntry]) -> None:
        """Last of all the lab's own relay; what it says confirms nothing. All at once: the manager waits for us."""
        async with asyncio.TaskGroup() as group:
            for channel, entry in unconfirmed.items():
                if entry.relay and now_s() - self._relays_s.get(channel, -inf) >= RELAY_AGAIN_S:
                    self._relays_s[channel] = now_s()
                    group.create_task(cut(channel, entry), name=f"relay {channel}")

    def _energised(self) -> tuple[Mapping[str, SafeOffEntry], bool]:
        """The register, or every instrument when it cannot be read."""
        try:
            return read_register(self._data_dir), True
        except StoreError as error:
            say(f"{error}: turning every instrument off")
        try:
            return {entry.name: entry for entry in read_entries(self._data_dir)}, False
        except StoreError as error:
            say(f"{error}: run 'cycler-ctl safe-off --config FILE'")
            return {}, False


async def cut(channel: str, entry: SafeOffEntry) -> None:
    _, said = await switch_off(channel, entry)
    say(f"{channel}: {said}")


async def _hear(station: asyncio.subprocess.Process, leases: Leases) -> None:
    """Ends with the station's end of the pipe."""
    rest = b""
    while station.stdout is not None and (more := await station.stdout.read(4096)):
        *lines, rest = (rest + more).split(b"\n")
        rest = rest[-LONGEST_LINE:]
        for line in lines:
            if not leases.hear(line, now_s()):
                say(f"the station wrote on its lease pipe: {line[:LONGEST_LINE]!r}")


def now_s() -> float:
    return asyncio.get_running_loop().time()


def say(text: str) -> None:
    """Messages are for people; a terminal that is gone must not stop anything."""
    log.info("%s", text)
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"guardian: {text}\n")
        sys.stderr.flush()


def preload(entries: Iterable[SafeOffEntry]) -> None:
    """Import every driver now, so that nothing is imported in an emergency."""
    for driver in sorted({entry.driver for entry in entries}):
        load_driver(driver)


def run_guardian(
    command: Sequence[str],
    *,
    data_dir: Path,
    entries: Sequence[SafeOffEntry] = (),
    broker: OwnedBroker | None = None,
    tell: Sequence[str] = (),
) -> int:
    """Run ``command`` as the station until it is asked to stop; the exit status is 4 if an output may be on.

    ``entries``: every instrument of the station, kept in ``safe-off.json`` for the day the register is unreadable.
    ``tell``: what tells people that the station is held back; it gets ``off`` or ``unsure``, and the reason.
    """

    async def main() -> int:
        guardian = Guardian(command, data_dir, broker, tell)
        with asked_to_end(guardian.ask_to_stop):
            return await guardian.run()

    data_dir.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(data_dir / LOCK_FILE, timeout=0):
            preload(entries)
            if entries:
                write_entries(data_dir, entries)
            return asyncio.run(main())
    except Timeout:
        # A second guardian's first act would turn off what the first one's station is running.
        say(f"another cycler-ctl serves {data_dir} already: stop that one first")
        return FAILED
