"""Three days without a broker: what memory they cost, and how long the backlog takes to go out once there is one again.

``python -m benchmarks outage`` (Linux, about 15 minutes); the rows are those of eight channels at one a second, and go
out as shipped, with the pauses that leave the processor to control.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.runs import RUN, new_run
from cycler_ctl.broker import Broker
from cycler_ctl.clock import SystemClock, real_sleep
from cycler_ctl.config import MqttSettings
from cycler_ctl.live import ChannelStatus, InstrumentStatus
from cycler_ctl.publish.backoff import Timing
from cycler_ctl.publish.publisher import Publisher
from cycler_ctl.testing.rows import Shape, cycling_rows
from protocols.record import Row

ROWS = 3 * 86_400 * 8
BATCH = 20_000
LONGEST_S = 3600.0


class Nobody:
    """A station that has nothing to say of itself."""

    def channels(self) -> tuple[ChannelStatus, ...]:
        return ()

    def instruments(self) -> tuple[InstrumentStatus, ...]:
        return ()

    def latest(self, channel: str) -> tuple[str, Row] | None:  # noqa: ARG002 - as the view has it
        return None


def resident_MB() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def publisher_of(data_dir: Path, url: str, timing: Timing) -> Publisher:
    publisher = Publisher(
        MqttSettings(url=(url,)),
        site="bench",
        station="bench",
        data_dir=data_dir,
        view=Nobody(),
        default_url=None,
        meta={},
        timing=timing,
    )
    publisher.start()
    return publisher


async def until(holds: Callable[[], bool], seconds: float) -> float:
    """How long that took; at most ``seconds``."""
    now = SystemClock().now
    began_s = now()
    while not holds() and now() - began_s < seconds:
        await real_sleep(0.1)
    return now() - began_s


async def bench() -> None:
    with TemporaryDirectory() as folder:
        data_dir = Path(folder)
        with Broker(data_dir / "broker", port=0) as broker:
            url = broker.url
        await outage(data_dir, url)
        await backlog(data_dir)


async def outage(data_dir: Path, url: str) -> None:
    publisher = publisher_of(data_dir, url, replace(Timing(), most_s=2.0))
    writer = new_run(data_dir)
    rows: Iterator[Row] = islice(cycling_rows(Shape(points=ROWS // 7 + 1)), ROWS)
    grown: list[float] = []
    while batch := list(islice(rows, BATCH)):
        writer.append(batch)
        await asyncio.to_thread(writer.flush, 60.0)
        publisher.durable(RUN)
        del batch
        await until(lambda: publisher.status().rows_waiting != {}, 5.0)
        grown.append(resident_MB())
    print(
        f"an outage of {ROWS} rows: from {grown[0]:.0f} MB to {grown[-1]:.0f} MB, at most {max(grown):.0f} MB",
        flush=True,
    )
    publisher.stop(0.0)
    await asyncio.to_thread(writer.close, 60.0)


async def backlog(data_dir: Path) -> None:
    with Broker(data_dir / "broker", port=0) as broker:
        publisher = publisher_of(data_dir, broker.url, Timing())
        await until(lambda: publisher.status().connected and waiting(publisher) > 0, 30.0)
        first, used = waiting(publisher), [resident_MB()]

        def drained() -> bool:
            used.append(resident_MB())
            return waiting(publisher) == 0

        took_s = await until(drained, LONGEST_S)
        sent = first - waiting(publisher)
        print(f"  backlog: {sent} of {first} rows in {took_s / 60:.1f} min, {sent / took_s:.0f} rows/s")
        print(f"  memory meanwhile: from {used[0]:.0f} MB to {used[-1]:.0f} MB, at most {max(used):.0f} MB", flush=True)
        await asyncio.to_thread(publisher.stop, 5.0)


def waiting(publisher: Publisher) -> int:
    return publisher.status().rows_waiting.get(RUN, 0)
