"""What one row costs the historian: N lab PCs of 64 channels at 1 row/s, a NATS cluster of three, PostgreSQL.

The PCs' messages are those of the publisher's own payloads and go by MQTT, QoS 1, one connection a PC; the collectors
are processes of the real command. What the servers use while nobody publishes is measured before and after, and subtracted
from the cost of a row. Run on a machine with nothing else to do: ``python -m benchmarks fleet --pcs 100 --minutes 10``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import resource
import subprocess
import sys
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import psycopg
from aiomqtt import Client

from cycler_ctl.clock import real_sleep
from cycler_ctl.publish import payloads
from cycler_ctl.publish.payloads import Value
from cycler_ctl.publish.runs import StoredRuns
from cycler_ctl.records.bdf import bdf_values
from cycler_ctl.testing.rows import Shape, cycling_rows
from tests.support import historians

CHANNELS = 64
SIZES = (1, 10, 100)
COLLECTORS = 1
IDLE_S = 10.0
CATCH_UP_S = 120.0
Servers = tuple[historians.Cluster, historians.Postgres]


@dataclass(frozen=True, slots=True)
class Wanted:
    sizes: tuple[int, ...] = SIZES
    seconds: float = 20.0
    rows: int = 5
    """A message holds so many rows, and each channel sends one every so many seconds, as stations gather them."""


@dataclass(frozen=True, slots=True)
class Table:
    columns: tuple[str, ...]
    rows: list[tuple[Value, ...]]


@dataclass(frozen=True, slots=True)
class Load:
    """Which processes are looked at, and the seconds of processor each group has used."""

    groups: tuple[list[psutil.Process], ...]

    def used(self) -> list[float]:
        return [cpu_s(each) for each in self.groups]


def some_values() -> list[tuple[Value, ...]]:
    return [bdf_values(row, None) for row in islice(cycling_rows(Shape(points=200)), 1000)]


async def station(number: int, port: int, until_s: float, every: int, table: Table) -> int:
    """One lab PC; how many rows the broker took."""
    loop = asyncio.get_running_loop()
    sent = 0
    async with Client("127.0.0.1", port, identifier=f"pc{number}", timeout=30, max_inflight_messages=200) as client:
        client.pending_calls_threshold = 1000
        due_s = loop.time() + every * (number % 97) / 97
        while due_s < until_s:
            await real_sleep(max(0.0, due_s - loop.time()))
            rows = [table.rows[(sent + n) % len(table.rows)] for n in range(every)]
            async with asyncio.TaskGroup() as tasks:
                for channel in range(CHANNELS):
                    said = payloads.samples(f"20260101-000000-c{channel}-bnch", number, sent + 1, table.columns, rows)
                    topic = f"cycler/v1/lab/pc{number}/channel/c{channel}/samples"
                    tasks.create_task(client.publish(topic, said, qos=1, timeout=60))
            sent += every
            due_s += every
    return sent * CHANNELS


@contextlib.contextmanager
def collectors(url: str, origin: str, folder: Path) -> Generator[list[psutil.Process]]:
    started = list[subprocess.Popen[bytes]]()
    with (folder / "collectors.log").open("ab") as log:
        for _ in range(COLLECTORS):
            command = [sys.executable, "-m", "cycler_ctl.cli", "collect", "--to", url, "--from", origin]
            started.append(subprocess.Popen(command, stderr=log))
    try:
        yield [psutil.Process(each.pid) for each in started]
    finally:
        for each in started:
            each.terminate()
            each.wait()


def cpu_s(processes: list[psutil.Process]) -> float:
    """Of these and of their children, also of those that have ended meanwhile."""
    total = 0.0
    for each in processes:
        with contextlib.suppress(psutil.Error):
            times = each.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
            for child in each.children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    total += sum(child.cpu_times()[:2])
    return total


def count(url: str) -> int:
    with psycopg.connect(url) as connection:
        try:
            row = connection.execute(
                "SELECT coalesce(sum(upper(r) - lower(r)), 0) FROM progress, unnest(held) AS r"
            ).fetchone()
        except psycopg.errors.UndefinedTable:
            return 0
    return int(row[0]) if row else 0


async def one_size(size: int, wanted: Wanted, servers: Servers, folder: Path) -> None:
    cluster, postgres = servers
    url = postgres.new_database(f"bench_{size}")
    log = folder / "collectors.log"
    seen = log.read_text().count("connected to the broker") if log.exists() else 0
    with collectors(url, cluster.url, folder) as historian:
        while log.read_text().count("connected to the broker") < seen + COLLECTORS:
            await real_sleep(0.1)
        nats = [psutil.Process(node.process.pid) for node in cluster.nodes if node.process]
        load = Load((historian, nats, [psutil.Process(postgres.process.pid)] if postgres.process else []))
        idle = await _idle(load)
        started_s, before, own_s = _now_s(), load.used(), _own_s()
        sent = await _publish(size, wanted, cluster, folder)
        took_s, own_s = _now_s() - started_s, _own_s() - own_s
        here = await _arrived(url, sent)
        all_s = _now_s() - started_s
        gross = [used - start for used, start in zip(load.used(), before, strict=True)]
        memory = max(each.memory_info().rss for each in historian) / 1e6
        rests = [(before + after) / 2 for before, after in zip(idle, await _idle(load), strict=True)]
    net = [each - all_s * rest for each, rest in zip(gross, rests, strict=True)]
    cells = "  ".join(f"{1e6 * part / max(here, 1):7.1f}" for part in (*net, own_s))
    print(
        f"  {size:4} PCs  {sent / took_s:6.0f} rows/s  {sent:8} sent  {here:8} here  {sent - here:6} lost  {cells}"
        f"   {1e6 * sum(net) / max(here, 1):7.1f}  {all_s - took_s:6.1f} s  {memory:4.0f} MB",
        flush=True,
    )


async def _idle(load: Load) -> list[float]:
    """Processor seconds a second that each group uses while nobody publishes."""
    await real_sleep(2.0)
    before, since_s = load.used(), _now_s()
    await real_sleep(IDLE_S)
    return [(now - start) / (_now_s() - since_s) for now, start in zip(load.used(), before, strict=True)]


async def _publish(size: int, wanted: Wanted, cluster: historians.Cluster, folder: Path) -> int:
    table = Table(StoredRuns(folder).columns, some_values())
    until_s = _now_s() + wanted.seconds
    async with asyncio.TaskGroup() as tasks:
        sends = [
            tasks.create_task(station(number, cluster.mqtt_ports[number % 3], until_s, wanted.rows, table))
            for number in range(size)
        ]
    return sum(each.result() for each in sends)


async def _arrived(url: str, sent: int) -> int:
    """Rows in the database, once they are all there or nobody waits for them any longer."""
    until_s = _now_s() + CATCH_UP_S
    while (here := await asyncio.to_thread(count, url)) < sent and _now_s() < until_s:
        await real_sleep(0.2)
    return here


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _own_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def wanted_of(words: Sequence[str]) -> Wanted:
    parser = argparse.ArgumentParser(prog="python -m benchmarks fleet")
    parser.add_argument("--pcs", type=int, nargs="+", default=SIZES, help="lab PCs, one size after the other")
    parser.add_argument("--minutes", type=float, default=1 / 3, help="for how long each size")
    parser.add_argument("--rows", type=int, default=5, help="rows a message")
    found = parser.parse_args(words)
    return Wanted(tuple(found.pcs), 60 * found.minutes, found.rows)


async def bench(wanted: Wanted = Wanted()) -> None:
    print(
        f"historian, {CHANNELS} channels a PC at 1 row/s, {wanted.rows} row(s) a message, {wanted.seconds:.0f} s a size; "
        "CPU in µs a row of"
    )
    print(f"{'collector   cluster  PostgreSQL  the PCs  without PCs  lag     memory':>142}")
    with TemporaryDirectory() as name, historians.cluster(Path(name)) as cluster, historians.postgres() as postgres:
        await asyncio.to_thread(cluster.wait)
        for size in wanted.sizes:
            await one_size(size, wanted, (cluster, postgres), Path(name))
