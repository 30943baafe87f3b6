"""Three days without a broker: what memory they cost, and how fast the backlog goes out once there is one again.

``python -m benchmarks outage`` (Linux); the rows are those of eight channels at one a second.
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
SHIPPED_S = 60.0


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
    print(f"an outage of {ROWS} rows: from {grown[0]:.0f} MB to {grown[-1]:.0f} MB, at most {max(grown):.0f} MB")
    publisher.stop(0.0)
    await asyncio.to_thread(writer.close, 60.0)


async def backlog(data_dir: Path) -> None:
    with Broker(data_dir / "broker", port=0) as broker:
        before_MB = resident_MB()
        for name, timing, seconds in (
            ("as shipped", Timing(), SHIPPED_S),
            ("without its pauses", replace(Timing(), pace_s=0.0), 600.0),
        ):
            rate = await drained(publisher_of(data_dir, broker.url, timing), seconds)
            print(f"  backlog {name:20} {rate:7.0f} rows/s: {ROWS} rows in {ROWS / rate / 60:.1f} min")
        print(f"  memory while it went out: from {before_MB:.0f} MB to {resident_MB():.0f} MB")


async def drained(publisher: Publisher, within_s: float) -> float:
    """Rows a second; it is stopped then."""

    def waiting() -> int:
        return publisher.status().rows_waiting.get(RUN, 0)

    await until(lambda: publisher.status().connected and waiting() > 0, 30.0)
    first = waiting()
    took_s = await until(lambda: waiting() == 0, within_s)
    rate = (first - waiting()) / took_s
    await asyncio.to_thread(publisher.stop, 5.0)
    return rate
