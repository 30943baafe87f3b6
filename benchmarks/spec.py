"""What a measured process is asked to do, and how it tells what that cost."""

from __future__ import annotations

import asyncio
import cProfile
import json
import resource
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from cycler_ctl.clock import real_sleep


@dataclass(frozen=True, slots=True)
class Spec:
    """``hz`` samples a second on each port for ``seconds``; ``loop``: asyncio or uvloop; ``profile``: a file for it."""

    ports: tuple[int, ...]
    hz: float
    seconds: float
    folder: str
    broker: str
    loop: str = "asyncio"
    profile: str = ""
    page: int = 0
    """Port of the page; 0: none."""
    rounds: int = 0
    """How often half of the runs are waited for and begun again."""

    @staticmethod
    def of(text: str) -> Spec:
        return Spec(**json.loads(text))

    def text(self) -> str:
        return json.dumps(asdict(self))


def runner(spec: Spec) -> asyncio.Runner:
    if sys.platform == "win32" or spec.loop == "asyncio":
        return asyncio.Runner()
    import uvloop

    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


def say(word: str, **told: object) -> None:
    sys.stdout.write(json.dumps({"at": word, **told}) + "\n")
    sys.stdout.flush()


def by_thread() -> defaultdict[str, float]:
    """Seconds of processor of each kind of thread, named by the first word of its name; what has ended is not in it."""
    used = defaultdict[str, float](float)
    for thread in threading.enumerate():
        file = Path(f"/proc/self/task/{thread.native_id}/schedstat")
        if file.exists():
            used[thread.name.split()[0].split("_")[0]] += int(file.read_text().split()[0]) * 1e-9
    return used


async def measured(spec: Spec, count: Callable[[], int]) -> None:
    """When everybody is at work; the window begins and ends with a line."""
    await real_sleep(2.0 + len(spec.ports) / 8)  # what every start had to tell has gone out by then
    say("begin")
    profile = cProfile.Profile() if spec.profile else None
    began, threads = count(), by_thread()
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    if profile is not None:
        profile.enable()
    await real_sleep(spec.seconds)
    if profile is not None:
        profile.disable()
        profile.dump_stats(spec.profile)
    samples, cpu_s, wall_s = count() - began, time.process_time() - cpu_s, time.perf_counter() - wall_s
    memory_MB = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    shares = {name: 1e6 * (s - threads[name]) / max(samples, 1) for name, s in by_thread().items()}
    say("end", samples=samples, cpu_s=cpu_s, wall_s=wall_s, memory_MB=memory_MB, threads=shares)
