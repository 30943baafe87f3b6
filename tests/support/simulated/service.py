"""The processes of the service in the simulation: the guardian's own code, and a station put together as the daemon does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from cycler_ctl.clock import SystemClock, real_sleep
from cycler_ctl.config import Config
from cycler_ctl.daemon import open_station
from cycler_ctl.guardian import Guardian
from cycler_ctl.live import ChannelStatus
from cycler_ctl.publish.backoff import Timing
from cycler_ctl.publish.outbox import Outbox
from cycler_ctl.publish.publisher import Publisher
from cycler_ctl.station import Station
from cycler_ctl.terminal.safe_off import entries_of
from cycler_ctl.watching.lease import GuardianLease
from cycler_ctl.watching.safeoff import safe_off_all
from simulated.loop import VirtualProcess

TIMING = Timing(latest_s=10.0, commit_s=2.0)
DRAIN_S = 5.0
RESTART_S = 2.0
NO_PIPE = -1


class Pipe:
    """The station's standard output as the guardian reads it."""

    def __init__(self) -> None:
        self._held = b""
        self._closed = False
        self._news = asyncio.Event()

    def feed(self, data: bytes) -> None:
        self._held += data
        self._news.set()

    def end(self) -> None:
        self._closed = True
        self._news.set()

    async def read(self, most: int) -> bytes:
        while not self._held and not self._closed:
            self._news.clear()
            await self._news.wait()
        data, self._held = self._held[:most], self._held[most:]
        return data


class Child:
    """A station process: as ``asyncio.subprocess.Process`` to the guardian, and its standard input to the station."""

    def __init__(self, process: VirtualProcess) -> None:
        self.process = process
        self.pid = 1
        self.returncode: int | None = None
        self.stdout = Pipe()
        self.stdin = self
        self.ending = asyncio.Event()
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        process.on_death.append(lambda: self.exit(-9))

    def write(self, _data: bytes) -> None:
        self.ending.set()

    def close(self) -> None:
        self.ending.set()

    def exit(self, status: int) -> None:
        if self.returncode is None:
            self.returncode = status
            self.stdout.end()
            self._over.set_result(None)

    async def wait(self) -> int:
        await asyncio.shield(self._over)
        assert self.returncode is not None
        return self.returncode


class Lease(GuardianLease):
    """Its lines go to the guardian, and whoever else listens."""

    def __init__(self, data_dir: Path, pipe: Pipe, heard: Callable[[bytes], None]) -> None:
        super().__init__(data_dir, NO_PIPE)
        self._lines = pipe
        self._heard = heard

    def _send(self, line: str) -> None:
        self._lines.feed(line.encode())
        self._heard(line.encode())


class OnOurLoop(Publisher):
    """The publisher's own code, not in a thread."""

    outbox: Outbox | None = None

    async def _work(self, outbox: Outbox) -> None:
        self.outbox = outbox
        await super()._work(outbox)

    def start(self) -> None:
        self.task = asyncio.get_running_loop().create_task(self._main(), name="mqtt")

    def failure(self) -> BaseException | None:
        return self.task.exception() if self.task.done() and not self.task.cancelled() else None

    def in_flight(self) -> int:
        return 0 if self.outbox is None else self.outbox._in_flight()

    async def stopped(self) -> None:
        self._mailbox.stop(DRAIN_S)
        await asyncio.wait({self.task}, timeout=2 * DRAIN_S)
        self.task.cancel()


class Told:
    """An ``Observer`` for whoever simulates."""

    def __init__(self, told: Callable[[ChannelStatus], None]) -> None:
        self._told = told

    def channel_changed(self, status: ChannelStatus) -> None:
        self._told(status)

    def durable(self, run: str) -> None:
        """The disk itself tells."""


class Service:
    """``station`` is the one that runs now, None between two; ``guardian`` is its keeper's process."""

    def __init__(self, config: Config, told: Callable[[ChannelStatus], None], heard: Callable[[bytes], None]) -> None:
        self.config = config
        self.station: Station | None = None
        self.publisher: OnOurLoop | None = None
        self.child: Child | None = None
        self.guardian: VirtualProcess | None = None
        self.keeper: Guardian | None = None
        self.ended: Callable[[int], None] = lambda _: None
        """In order, with this status."""
        self.on_station: Callable[[Station | None], None] = lambda _: None
        self.lives = 0
        self._told = told
        self._heard = heard

    @property
    def helpless(self) -> bool:
        """Neither process can turn anything off at this moment."""
        alive = self.child is not None and self.child.process.alive and not self.child.process.stopped
        return not alive and (self.guardian is None or not self.guardian.alive)

    async def keep(self) -> None:
        """The service manager: a guardian that is gone is followed by safe-off, and by another one."""
        while True:
            process = VirtualProcess("guardian")
            self.guardian = process
            main = process.spawn(self._guard(), "guardian")
            await asyncio.wait(set[asyncio.Future[Any]]((main, process.died)), return_when=asyncio.FIRST_COMPLETED)
            if main.done() and not main.cancelled() and main.exception() is not None:
                raise RuntimeError("the guardian failed") from main.exception()
            self.keeper = None
            process.kill()
            if main.done() and not main.cancelled():
                self.ended(main.result())
            await self._station_is_gone()
            await VirtualProcess("safe-off").spawn(self._safe_off(), "safe-off")
            await real_sleep(RESTART_S)

    async def _guard(self) -> int:
        self.keeper = Guardian((), self.config.station.data_dir, None)
        return await self.keeper.run()

    def power_cut(self) -> None:
        """The computer's: both processes at once."""
        if self.child is not None:
            self.child.process.kill()
        if self.guardian is not None:
            self.guardian.kill()

    async def _safe_off(self) -> None:
        await safe_off_all(entries_of(self.config), SystemClock())

    async def _station_is_gone(self) -> None:
        """It sees its input end; a manager kills what is left after a while."""
        if self.child is not None and self.child.returncode is None:
            self.child.close()
            await asyncio.wait({asyncio.ensure_future(self.child.wait())}, timeout=15.0)
            self.child.process.kill()

    async def start_child(self, _command: Sequence[str], _env: Mapping[str, str]) -> Any:
        process = VirtualProcess("station")
        child = Child(process)
        self.child = child
        self.lives += 1
        process.on_death.append(self._gone)
        process.spawn(self._main(child), "station")
        return child

    def kill_child(self, child: Child) -> None:
        child.process.kill()

    def _gone(self) -> None:
        self.station = self.publisher = None
        self.on_station(None)

    async def _main(self, child: Child) -> None:
        """As ``daemon.serve``, without signals and pages."""
        status = 1
        try:
            async with AsyncExitStack() as stack:
                data_dir = self.config.station.data_dir
                lease = await stack.enter_async_context(Lease(data_dir, child.stdout, self._heard))
                station = await stack.enter_async_context(open_station(self.config, lease))
                station.observe(Told(self._told))
                publisher = self._publish(station)
                stack.push_async_callback(publisher.stopped)
                self.station, self.publisher = station, publisher
                self.on_station(station)
                await child.ending.wait()
                status = 0 if await station.close("shutdown") else 4
        finally:
            child.exit(status)
            asyncio.get_running_loop().call_soon(child.process.kill)

    def _publish(self, station: Station) -> OnOurLoop:
        config = self.config
        publisher = OnOurLoop(
            config.mqtt,
            site=config.station.site,
            station=config.station.name,
            data_dir=config.station.data_dir,
            view=station,
            default_url=None,
            meta=station.meta(),
            timing=TIMING,
        )
        publisher.start()
        station.observe(publisher)
        return publisher
