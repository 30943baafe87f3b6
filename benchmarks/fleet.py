"""What one row costs the historian: N lab PCs of 64 channels at 1 row/s, a NATS cluster of three, PostgreSQL.

The PCs' messages are those of the publisher's own payloads and go by MQTT, QoS 1, one connection a PC; the collectors
are processes of the real command. Run alone: ``python -m benchmarks fleet [PCs ...]``; ``FLEET_SECONDS`` is for how long.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
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
SECONDS = float(os.environ.get("FLEET_SECONDS", "20"))
COLLECTORS = 1
ROWS_A_MESSAGE = int(os.environ.get("FLEET_ROWS", "1"))


def some_values() -> list[tuple[Value, ...]]:
    return [bdf_values(row, None) for row in islice(cycling_rows(Shape(points=200)), 1000)]


async def station(
    number: int, port: int, until_s: float, values: list[tuple[Value, ...]], columns: tuple[str, ...]
) -> int:
    """One lab PC; how many rows the broker took."""
    loop = asyncio.get_running_loop()
    sent = 0
    async with Client("127.0.0.1", port, identifier=f"pc{number}", timeout=30, max_inflight_messages=200) as client:
        client.pending_calls_threshold = 1000
        due_s = loop.time() + number % 97 / 97
        while due_s < until_s:
            await real_sleep(max(0.0, due_s - loop.time()))
            rows = [values[(sent + n) % len(values)] for n in range(ROWS_A_MESSAGE)]
            async with asyncio.TaskGroup() as tasks:
                for channel in range(CHANNELS):
                    said = payloads.samples(f"20260101-000000-c{channel}-bnch", number, sent + 1, columns, rows)
                    topic = f"cycler/v1/lab/pc{number}/channel/c{channel}/samples"
                    tasks.create_task(client.publish(topic, said, qos=1, timeout=60))
            sent += ROWS_A_MESSAGE
            due_s += ROWS_A_MESSAGE
    return sent * CHANNELS


@contextlib.contextmanager
def collectors(url: str, origin: str, folder: Path) -> Iterator[list[psutil.Process]]:
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


async def one_size(size: int, servers: tuple[historians.Cluster, historians.Postgres], folder: Path) -> None:
    cluster, postgres = servers
    url = postgres.new_database(f"bench_{size}")
    values, columns = some_values(), StoredRuns(folder).columns
    loop = asyncio.get_running_loop()
    log = folder / "collectors.log"
    seen = log.read_text().count("connected to the broker") if log.exists() else 0
    with collectors(url, cluster.url, folder) as historian:
        while log.read_text().count("connected to the broker") < seen + COLLECTORS:
            await real_sleep(0.1)
        nats = [psutil.Process(node.process.pid) for node in cluster.nodes if node.process]
        database = [psutil.Process(postgres.process.pid)] if postgres.process else []
        before = [cpu_s(each) for each in (historian, nats, database)]
        started_s, own_s = loop.time(), _own_s()
        until_s = started_s + SECONDS
        async with asyncio.TaskGroup() as tasks:
            sends = [
                tasks.create_task(station(number, cluster.mqtt_ports[number % 3], until_s, values, columns))
                for number in range(size)
            ]
        sent, took_s, own_s = sum(each.result() for each in sends), loop.time() - started_s, _own_s() - own_s
        while (here := count(url)) < sent and loop.time() < until_s + 120:
            await real_sleep(0.2)
        lag_s = loop.time() - started_s - took_s
        parts = [cpu_s(each) - start for each, start in zip((historian, nats, database), before, strict=True)]
        memory = max(each.memory_info().rss for each in historian) / 1e6
    cells = "  ".join(f"{1e6 * part / max(here, 1):7.1f}" for part in (*parts, own_s))
    print(
        f"  {size:4} PCs  {sent / took_s:8.0f} rows/s  {sent:8} sent  {here:8} here  {cells}   {lag_s:5.1f} s  {memory:4.0f} MB"
    )


def _own_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def bench() -> None:
    sizes = tuple(int(word) for word in os.environ.get("FLEET_PCS", "").split()) or SIZES
    print(
        f"historian, {CHANNELS} channels a PC, {ROWS_A_MESSAGE} row(s) a message, each size for {SECONDS:.0f} s; CPU in µs a row of"
    )
    print(
        "                                                         collector   cluster  PostgreSQL  the PCs    lag    memory"
    )
    with TemporaryDirectory() as name, historians.cluster(Path(name)) as cluster, historians.postgres() as postgres:
        await asyncio.to_thread(cluster.wait)
        for size in sizes:
            await one_size(size, (cluster, postgres), Path(name))


if __name__ == "__main__":
    asyncio.run(bench())
