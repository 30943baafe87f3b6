"""The same work by other programs: read V and I from an instrument in the process, compare with a cut-off, record.

Each is installed in an environment of its own, kept in the computer's folder for temporary files, and runs as a process
of its own (``peer_programs``). Nothing is published. Rows reach the disk itself with us (each 250 ms) and with QCoDeS (when
it writes); the others leave that to the system.
"""

from __future__ import annotations

import asyncio
import json
import sys
import venv
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from benchmarks.measure import Cost, Table, compare

HERE = Path(__file__).parent
SAMPLES = 20_000
LENGTHS = (10_000, 100_000, 1_000_000)
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Peer:
    """``samples``: as many as take seconds."""

    name: str
    program: str
    packages: tuple[str, ...]
    samples: int


PYMEASURE = ("PyMeasure==0.16.0",)
PEERS = (
    Peer("PyMeasure, property and file", "by_pymeasure", PYMEASURE, SAMPLES),
    Peer("PyMeasure, procedure and worker", "by_pymeasure_worker", PYMEASURE, SAMPLES),
    Peer("QCoDeS", "by_qcodes", ("qcodes==0.58.0",), SAMPLES),
    Peer("bluesky with ophyd", "by_bluesky", ("bluesky==1.15.1", "ophyd==1.11.2"), 2_000),
    Peer("tomato, a poll a sample", "by_tomato", ("tomato==2.2",), 1_000),
)


def python_of(packages: tuple[str, ...]) -> Path:
    """That of the environment with these packages."""
    name = "+".join(packages).replace("==", "-")
    folder = Path(gettempdir()) / "cycler-ctl-peers" / name
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


async def install(packages: tuple[str, ...]) -> str:
    """Why it could not be, or nothing."""
    python = python_of(packages)
    done = python.parent / "installed"
    if done.exists():
        return ""
    await asyncio.to_thread(venv.create, python.parent.parent, with_pip=True, clear=True)
    found = await asyncio.create_subprocess_exec(
        python, "-m", "pip", "install", "-q", *packages, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await found.communicate()
    if found.returncode:
        return errors.decode(errors="replace").strip().splitlines()[-1]
    done.touch()
    return ""


async def told(*command: str | Path) -> Cost:
    """What a contestant says it cost, in a folder of its own."""
    child = await asyncio.create_subprocess_exec(
        *command, cwd=HERE.parent, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, errors = await child.communicate()
    answer = [line for line in out.decode().splitlines() if line.startswith("{")]
    if child.returncode or not answer:
        raise RuntimeError(f"{command[1]}: {errors.decode(errors='replace')[-2000:]}")
    found: dict[str, float] = json.loads(answer[-1])
    return Cost(found["wall_us"], found["cpu_us"])


def ours(way: str, samples: int) -> Callable[[], Awaitable[Cost]]:
    async def run() -> Cost:
        with TemporaryDirectory() as folder:
            return await told(sys.executable, "-m", "benchmarks.ours", way, folder, str(samples))

    return run


def theirs(peer: Peer, samples: int) -> Callable[[], Awaitable[Cost]]:
    async def run() -> Cost:
        with TemporaryDirectory() as folder:
            program = HERE / "peer_programs" / f"{peer.program}.py"
            return await told(python_of(peer.packages), program, folder, str(samples))

    return run


async def bench() -> AsyncIterator[Table]:
    missing = {peer.name: why for peer in PEERS if (why := await install(peer.packages))}
    there = [peer for peer in PEERS if peer.name not in missing]
    remark = "; ".join(f"{name} could not be installed: {why}" for name, why in missing.items())
    contestants = {peer.name: theirs(peer, peer.samples) for peer in there}
    title = "one sample: read, compare, record"
    parts = {"driver, guard, engine, store": ours("parts", SAMPLES)}
    yield await compare(title, parts | contestants, ROUNDS, remark=remark)
    service = {"the whole service, virtual time": ours("service", SAMPLES)}
    yield await compare(f"{title}, with all that a run does", service | contestants, ROUNDS)
    longest_first = {f"{length:,} samples": ours("parts", length) for length in reversed(LENGTHS)}
    title = "driver, guard, engine, store: one sample by the length of the run, the longest against the others"
    yield await compare(title, longest_first, ROUNDS)
