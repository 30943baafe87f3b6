"""Stations, a cluster of three, two collectors and PostgreSQL: whoever is killed when, the tables are the run files."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import historians
import psycopg
import pytest
from fleet_runs import StationRun, a_run, publish, repeated
from psycopg import sql

from cycler_ctl.clock import real_sleep
from cycler_ctl.fleet.rows import NAMES, canonical

SETTINGS = 'name = "{name}"\ninstance = "{instance}"\ncheck_every_s = 0.3\nredeliver_s = 2.0\nbatch = {batch}\n'
WITHIN_S = 90.0
ROWS = sql.SQL(
    "SELECT {}, raw FROM sample JOIN series ON id = sample.series WHERE station = %s AND run = %s ORDER BY seq"
).format(sql.SQL(", ").join(map(sql.Identifier, NAMES)))
EAGER = Path(__file__).with_name("eager_collector.py")


@dataclass
class Collectors:
    """Processes of the real command; ``eager``: of the wrong one, which acknowledges before it has written."""

    url: str
    origin: str
    folder: Path
    name: str
    batch: int = 20
    eager: bool = False
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        instance = f"i{len(self.running)}"
        config = self.folder / f"{instance}.toml"
        config.write_text(SETTINGS.format(name=self.name, instance=instance, batch=self.batch), encoding="utf-8")
        program = [str(EAGER)] if self.eager else ["-m", "cycler_ctl.cli"]
        command = [sys.executable, *program, "collect", "--to", self.url, "--from", self.origin]
        with (self.folder / "collectors.log").open("ab") as log:
            started = subprocess.Popen([*command, "--config", str(config)], stderr=log, stdout=log)
        self.running.append(started)

    async def ready(self) -> None:
        """As a lab does it once: the historian's consumer is there before the first station publishes."""
        await self.said("connected to the broker", 2)

    async def said(self, words: str, times: int) -> None:
        async with asyncio.timeout(WITHIN_S):
            while (self.folder / "collectors.log").read_text(encoding="utf-8").count(words) < times:
                await real_sleep(0.05)

    def kill(self, chance: random.Random) -> None:
        one = chance.choice([each for each in self.running if each.poll() is None])
        one.kill()
        one.wait()

    def stop(self) -> None:
        for each in self.running:
            each.terminate()
        for each in self.running:
            each.wait(20)


@contextmanager
def collecting(made: Collectors) -> Iterator[Collectors]:
    try:
        made.start()
        made.start()
        yield made
    finally:
        made.stop()


def rows_of(url: str, run: StationRun) -> list[bytes]:
    with psycopg.connect(url) as connection:
        return [canonical(row) for row in connection.execute(ROWS, (run.station, run.run), binary=True)]


def numbers(url: str, query: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    return int(row[0]) if row else 0


def verdicts(url: str) -> set[tuple[str, str]]:
    """Station and run of those that the database calls complete."""
    with psycopg.connect(url) as connection:
        return set(connection.execute("SELECT station, run FROM run WHERE verdict = 'complete'"))


async def complete(url: str, runs: Sequence[StationRun], within_s: float = WITHIN_S) -> None:
    """There may be others: the cluster keeps what groups of earlier tests have not acknowledged."""
    wanted = {(run.station, run.run) for run in runs}
    async with asyncio.timeout(within_s):
        while True:
            with suppress(psycopg.Error):
                if wanted <= verdicts(url):
                    return
            await real_sleep(0.2)


async def harm(
    chance: random.Random, cluster: historians.Cluster, server: historians.Postgres, collectors: Collectors, times: int
) -> None:
    """Each time one of them, at a random moment, and it starts again a moment later; each kind comes in turn."""
    for turn in range(times):
        await real_sleep(chance.uniform(0.2, 1.0))
        match turn % 3:
            case 0:
                collectors.kill(chance)
                collectors.start()
            case 1:
                server.kill()
                await real_sleep(chance.uniform(0.0, 0.5))
                await asyncio.to_thread(server.start)
            case _:
                node = chance.choice(cluster.nodes)
                node.kill()
                await real_sleep(chance.uniform(0.0, 1.0))
                cluster.start(node)


async def test_whoever_is_killed_the_tables_are_the_run_files_row_for_row(
    cluster: historians.Cluster,
    postgres: historians.Postgres,
    new_database: Callable[[], str],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    long = request.config.getoption("--campaign")
    for seed in range(20 if long else 1):
        chance = random.Random(seed)
        url = new_database()
        folder = tmp_path / f"c{seed}"
        folder.mkdir()
        runs = [a_run(folder, f"pc{seed}-{n}", n, 1500) for n in range(6 if long else 3)]
        with collecting(Collectors(url, cluster.url, folder, "group")) as collectors:
            await collectors.ready()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(harm(chance, cluster, postgres, collectors, 12 if long else 3))
                for run in runs:
                    tasks.create_task(publish(repeated(run.messages(10), chance), cluster.mqtt_ports, 0.3))
            await complete(url, runs)
        for run in runs:
            assert rows_of(url, run) == run.canonical()
        assert numbers(url, "SELECT count(*) FROM alarm") == 0
        assert numbers(url, f"SELECT count(*) FROM gap WHERE station LIKE 'pc{seed}-%'") == 0  # noqa: S608 - a number
        sys.stdout.write(f"seed {seed}: {sum(len(run.rows) for run in runs)} rows, all here\n")


async def test_what_collectors_had_taken_when_they_were_killed_is_lost_only_by_one_that_acknowledges_too_early(
    cluster: historians.Cluster,
    postgres: historians.Postgres,
    new_database: Callable[[], str],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """The negative control: the database is away, both collectors hold a batch and die. The harness must see the loss.

    That the right one loses nothing then is shown beside it in the campaign, and by the test above always.
    """
    for eager in (False, True) if request.config.getoption("--campaign") else (True,):
        name = f"late-{eager}".lower()
        run, url, folder = a_run(tmp_path, name, 1 + eager, 600), new_database(), tmp_path / name
        folder.mkdir()
        with collecting(Collectors(url, cluster.url, folder, name, eager=eager)) as collectors:
            await collectors.ready()
            await die_with_a_batch(run, cluster, postgres, collectors)
            collectors.start()
            if eager:
                with pytest.raises(TimeoutError):
                    await complete(url, [run], 3.0)
                assert len(rows_of(url, run)) < len(run.rows)
            else:
                await complete(url, [run])
                assert rows_of(url, run) == run.canonical()


async def die_with_a_batch(
    run: StationRun, cluster: historians.Cluster, postgres: historians.Postgres, collectors: Collectors
) -> None:
    """Each message is sent once: one that came twice would hide the loss."""
    postgres.kill()
    await publish(run.messages(10), cluster.mqtt_ports, within_s=60.0)
    await collectors.said("trying until it works", 2)
    for each in collectors.running:
        each.kill()
        each.wait()
    await asyncio.to_thread(postgres.start)
