"""A guardian and its station in their own processes, over a simulated instrument in a third."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

from cycler_ctl.clock import real_sleep

HERE = Path(__file__).resolve().parents[1] / "service" / "guardian"
LEASE_S = 1.0


@dataclass
class Smu:
    """A simulated instrument in its own process."""

    process: asyncio.subprocess.Process
    address: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, **request: object) -> dict[str, object]:
        self.writer.write(json.dumps(request).encode() + b"\n")
        answer: dict[str, object] = json.loads(await self.reader.readline())
        assert answer["ok"], answer
        return answer

    async def is_on(self) -> bool:
        truth = (await self.ask(do="truth"))["truth"]
        assert isinstance(truth, dict)
        return bool(truth["output_on"])

    async def off_after_s(self, at_most_s: float) -> float:
        """Real seconds until the instrument itself says off; fails after ``at_most_s``."""
        started_s = asyncio.get_running_loop().time()
        async with asyncio.timeout(at_most_s):
            while await self.is_on():
                await real_sleep(0.005)
        return asyncio.get_running_loop().time() - started_s

    async def now_s(self) -> float:
        """By the instrument's own clock."""
        return float(str((await self.ask(do="time"))["at_s"]))

    async def told(self, since_s: float, last: int = 200) -> list[tuple[float, str]]:
        """What it was told after this, and when by its own clock."""
        log = (await self.ask(do="log", last=last))["log"]
        assert isinstance(log, list)
        return [(float(at_s), str(message)) for at_s, message in log if at_s > since_s]


@asynccontextmanager
async def simulated() -> AsyncGenerator[Smu]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sim_hardware.cli", "keithley-2400", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        where = json.loads(await process.stdout.readline())
        reader, writer = await asyncio.open_connection("127.0.0.1", where["control"], limit=2**20)
        with closing(writer):
            yield Smu(process, where["address"], reader, writer)
    finally:
        process.kill()
        await process.wait()


@dataclass
class Watched:
    """A guardian and its station in their own processes."""

    guardian: asyncio.subprocess.Process
    data_dir: Path

    def lives(self) -> list[str]:
        path = self.data_dir / "lives"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def station(self) -> int:
        return int([line for line in self.lives() if line.startswith("energised")][-1].split()[1])

    async def until(self, true: Callable[[list[str]], bool], at_most_s: float = 30.0) -> None:
        async with asyncio.timeout(at_most_s):
            while not true(self.lives()):
                await real_sleep(0.01)

    async def energised(self, times: int = 1) -> None:
        await self.until(lambda lives: sum(line.startswith("energised") for line in lives) >= times)

    async def said(self, words: str) -> None:
        async with asyncio.timeout(30.0):
            while words not in self.words():
                assert self.guardian.returncode is None or words in self.words(), self.words()
                await real_sleep(0.01)

    def words(self) -> str:
        return (self.data_dir / "stderr").read_text(encoding="utf-8")

    async def stopped(self) -> int:
        self.guardian.send_signal(signal.SIGTERM)
        return await self.status()

    async def status(self) -> int:
        async with asyncio.timeout(40.0):
            return await self.guardian.wait()


@asynccontextmanager
async def watched(
    data_dir: Path, address: str, habit: str = "steady", *options: str, lease_s: float = LEASE_S
) -> AsyncGenerator[Watched]:
    script, arguments = str(HERE / "fake_guardian.py"), (*options, habit, str(data_dir), address, str(lease_s))
    with (data_dir / "stderr").open("wb") as stderr:
        guardian = await asyncio.create_subprocess_exec(sys.executable, script, *arguments, stderr=stderr)
    both = Watched(guardian, data_dir)
    try:
        yield both
    finally:
        for pid in [guardian.pid, *(int(line.split()[1]) for line in both.lives() if line.startswith("start"))]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await guardian.wait()
