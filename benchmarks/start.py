"""What it takes until the program is there, and how much memory it holds: ``--help``, ``serve``, 1 to 128 channels."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import psutil

from benchmarks.measure import Cost, Line, Table, compare
from benchmarks.ours import ORDER
from cycler_ctl.clock import real_sleep
from cycler_ctl.config import load_config
from cycler_ctl.terminal.client import Answer, Client, UnreachableError
from cycler_ctl.terminal.queueing import body_of
from sim_hardware.bench import Place, make_smu
from sim_hardware.faults import Line as Wire
from sim_hardware.server import serve_tcp

CHANNELS = (1, 8, 64, 128)
REPEATS, RUNNING_S, GIVE_UP_S = 3, 10.0, 120.0
PROGRAM = (sys.executable, "-m", "cycler_ctl.cli")
STATION = '[station]\nname = "bench"\ndata_dir = "data"\n[mqtt]\nenabled = false\n[http]\nlisten = "127.0.0.1:{port}"\n'
CHANNEL = """
[instruments.{name}]
driver = "keithley-2400"
address = "{address}"
[channels.{name}]
instrument = "{name}"
sample_every = "1 s"
limits = {{ voltage = "2.5 V to 4.4 V", current = "10 mA", step_capacity = "1 Ah" }}
temperature = "unmonitored"
"""


async def until_ended(*command: str) -> Cost:
    """In µs; CPU is the child's, as the system counted it."""
    before, began_s = _children_cpu_s(), time.perf_counter()
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    await child.wait()
    return Cost((time.perf_counter() - began_s) * 1e6, (_children_cpu_s() - before) * 1e6)


def _children_cpu_s() -> float:
    times = psutil.Process().cpu_times()
    return float(times.children_user + times.children_system)


class Heard:
    """When each instrument was first told to be off."""

    def __init__(self, number: int) -> None:
        self.off_s: float | None = None
        self._instrument = make_smu(Place("smu", cell="battery", serial=str(number + 1)), number, time.perf_counter)

    def wire(self) -> Wire:
        wire = Wire(self._instrument)
        receive = wire.instrument.receive

        def listening(data: bytes) -> bytes:
            if self.off_s is None and b":OUTP OFF" in data:
                self.off_s = time.perf_counter()
            return receive(data)

        wire.receive = listening  # type: ignore[method-assign]
        return wire


@dataclass(frozen=True, slots=True)
class Served:
    """``cycler-ctl serve`` with its instruments; ``began_s`` is when it was executed."""

    process: asyncio.subprocess.Process
    client: Client
    instruments: list[Heard]
    began_s: float

    async def channels(self) -> list[Answer]:
        return await asyncio.to_thread(self.client.list, "/api/v1/channels")

    def _family(self) -> list[psutil.Process]:
        """The guardian and its station."""
        guardian = psutil.Process(self.process.pid)
        return [guardian, *guardian.children(recursive=True)]

    def memory_MB(self) -> float:
        """Each page once: what other processes hold too is shared out (PSS)."""
        return float(sum(one.memory_full_info().pss for one in self._family())) / 1e6

    def cpu_s(self) -> float:
        return float(sum(sum(one.cpu_times()[:2]) for one in self._family()))

    async def start_all(self) -> None:
        body = body_of(ORDER, "benchmark")
        for one in await self.channels():
            await asyncio.to_thread(self.client.post, f"/api/v1/channels/{one['channel']}/start", body)


@asynccontextmanager
async def serving(count: int) -> AsyncGenerator[Served]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        instruments = [Heard(number) for number in range(count)]
        ends = [await stack.enter_async_context(serve_tcp(one.wire())) for one in instruments]
        tables = [CHANNEL.format(name=f"c{number}", address=end.address) for number, end in enumerate(ends)]
        config = folder / "station.toml"
        config.write_text(STATION.format(port=_free_port()) + "".join(tables), encoding="utf-8")
        began_s = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *PROGRAM, "serve", cwd=folder, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            yield Served(process, Client(load_config(config)), instruments, began_s)
        finally:
            process.terminate()
            await process.wait()


def _free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


async def until(holds: Callable[[], Awaitable[bool]]) -> float:
    """When it does."""
    began_s = time.perf_counter()
    while not await holds():
        if time.perf_counter() - began_s > GIVE_UP_S:
            raise TimeoutError(f"not within {GIVE_UP_S} s")
        await real_sleep(0.01)
    return time.perf_counter()


async def _answers(served: Served) -> bool:
    try:
        await served.channels()
    except UnreachableError:
        return False
    return True


async def _all_off(served: Served) -> bool:
    return await _answers(served) and all(one["energised"] is False for one in await served.channels())


async def served_after(count: int) -> dict[str, float]:
    """Seconds from the start of the process."""
    async with serving(count) as served:
        answered_s = await until(lambda: _answers(served))
        ready_s = await until(lambda: _all_off(served))
        offs = [one.off_s for one in served.instruments if one.off_s is not None]
        seconds = {"first OFF": min(offs), "last first OFF": max(offs), "HTTP": answered_s, "all read back": ready_s}
        waits = {f"s to {what}": at_s - served.began_s for what, at_s in seconds.items()}
        return {**waits, "s CPU until then": served.cpu_s()}


async def memory(count: int) -> dict[str, float]:
    async with serving(count) as served:
        await until(lambda: _all_off(served))
        idle = served.memory_MB()
        await served.start_all()
        await real_sleep(RUNNING_S)
        running = {one["state"] for one in await served.channels()}
        if running != {"running"}:
            raise RuntimeError(f"not all run: {running}")
        return {"MB idle": idle, "MB running": served.memory_MB()}


async def medians(work: Callable[[], Awaitable[dict[str, float]]]) -> dict[str, float]:
    found = [await work() for _ in range(REPEATS)]
    return {name: median(one[name] for one in found) for name in found[0]}


async def bench() -> AsyncIterator[Table]:
    yield await compare(
        "from the start of a process to its end",
        {
            "cycler-ctl --help": lambda: until_ended(*PROGRAM, "--help"),
            "python -c pass": lambda: until_ended(sys.executable, "-c", "pass"),
        },
    )
    started = [Line(f"serve, {count} channels", await medians(lambda: served_after(count))) for count in (1, 64)]  # noqa: B023
    yield Table("from the start of 'serve'", tuple(started), f"medians of {REPEATS}")
    if sys.platform == "linux":
        held = [Line(f"{count} channels", await memory(count)) for count in CHANNELS]
        yield Table("memory of 'serve', guardian and station", tuple(held), f"running: {RUNNING_S:.0f} s at 1 Hz")
