"""Whoever comes first: a historian that was not there, or whose broker lost rows, has all of it in the end, by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import historians
import nats
import pytest
from fleet_station import Station, collecting, complete, number, rows_of

from cycler_ctl.clock import real_sleep
from cycler_ctl.fleet.nats_source import STREAM


@pytest.fixture
def station(tmp_path: Path) -> Station:
    """A name of its own: what other tests' stations said stays with the cluster."""
    return Station(tmp_path.name.lower(), tmp_path)


def all_there(url: str, station: Station, *runs: str) -> None:
    name = station.name
    for run in runs:
        assert rows_of(url, name, run) == station.rows(run)
    assert number(url, "SELECT count(*) FROM event JOIN series s ON s.id = series WHERE station = %s", name) == 2 * len(
        runs
    )
    assert number(url, "SELECT count(*) FROM summary JOIN series s ON s.id = series WHERE station = %s", name) == len(
        runs
    )
    assert number(url, "SELECT count(*) FROM gap WHERE station = %s", name) == 0
    assert number(url, "SELECT count(*) FROM untold WHERE station = %s", name) == 0
    assert number(url, "SELECT count(*) FROM alarm") == 0
    assert number(url, "SELECT count(*) FROM dead_letter") == 0


async def test_runs_that_ended_before_the_first_collector_came_are_complete_with_a_cluster(
    cluster: historians.Cluster, new_database: Callable[[], str], station: Station
) -> None:
    """Nobody keeps them for anybody then: the gateway acknowledges a message of which nothing is left."""
    cluster.wait()
    runs = [station.run(700, "0001"), station.run(0, "0002"), station.run(130, "0003")]
    url = new_database()
    async with station.publishing(*cluster.mqtt_ports) as publisher:
        await station.delivered(publisher, *runs)
        async with collecting(url, cluster.url, station.name):
            await complete(url, station.name, len(runs))
    all_there(url, station, *runs)


async def test_runs_that_ended_before_the_first_collector_came_are_complete_with_mosquitto(
    mosquitto: int, new_database: Callable[[], str], station: Station
) -> None:
    runs = [station.run(700, "0001"), station.run(130, "0002")]
    url = new_database()
    async with station.publishing(mosquitto) as publisher:
        await station.delivered(publisher, *runs)
        async with collecting(url, f"mqtt://127.0.0.1:{mosquitto}", station.name):
            await complete(url, station.name, len(runs))
    all_there(url, station, *runs)


async def test_of_a_run_that_began_before_the_first_collector_came_and_ended_after_nothing_is_missing(
    mosquitto: int, new_database: Callable[[], str], station: Station
) -> None:
    writer, url = station.begin(300, "0001"), new_database()
    run = writer.info.run
    async with station.publishing(mosquitto) as publisher:
        async with asyncio.timeout(20):
            while not publisher.status().connected or publisher.status().rows_waiting:
                await real_sleep(0.05)
        async with collecting(url, f"mqtt://127.0.0.1:{mosquitto}", station.name):
            while number(url, "SELECT count(*) FROM state WHERE station = %s", station.name) < 1:
                await real_sleep(0.05)
            station.end(writer)
            publisher.durable(run)
            await complete(url, station.name, 1)
            async with asyncio.timeout(20):
                while number(url, "SELECT count(*) FROM untold WHERE station = %s", station.name):
                    await real_sleep(0.05)
    all_there(url, station, run)


async def test_rows_that_are_deleted_from_the_cluster_s_stream_come_back_by_themselves(
    cluster: historians.Cluster, new_database: Callable[[], str], station: Station
) -> None:
    run, url = station.run(600, "0001"), new_database()
    cluster.wait()
    async with collecting(url, cluster.url, station.name):
        while number(url, "SELECT count(*) FROM schema_version") < 1:
            await real_sleep(0.05)
    async with station.publishing(*cluster.mqtt_ports) as publisher:
        await station.delivered(publisher, run)
        assert await deleted(cluster, f"$MQTT.msgs.cycler.v1.lab.{station.name}.channel.a1.samples", every=3) >= 2
        async with collecting(url, cluster.url, station.name):
            await complete(url, station.name, 1)
    all_there(url, station, run)


async def deleted(cluster: historians.Cluster, subject: str, every: int) -> int:
    """Each third (or so) of the messages, as if it had never been; how many."""
    client = await nats.connect(cluster.url.split(","))
    try:
        stream = client.jetstream(timeout=10)
        state = (await stream.stream_info(STREAM)).state
        found = list[int]()
        for seq in range(state.first_seq, state.last_seq + 1):
            message = await stream.get_msg(STREAM, seq)
            found += [seq] if message.subject == subject else []
        for seq in found[::every]:
            assert await stream.delete_msg(STREAM, seq)
        return len(found[::every])
    finally:
        await client.close()
