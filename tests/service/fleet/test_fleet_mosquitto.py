"""The historian at another broker than ours: mosquitto, with a shared subscription of MQTT 5."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import historians
import psycopg
from fleet_runs import StationRun, a_run, publish

from cycler_ctl.clock import SystemClock, real_sleep
from cycler_ctl.fleet.collector import Collector, database
from cycler_ctl.fleet.mqtt_source import MqttPlace, MqttSource
from cycler_ctl.fleet.said import Delivery

HOST = historians.HOST


async def complete(url: str) -> None:
    async with asyncio.timeout(30):
        while True:
            with psycopg.connect(url) as connection:
                row = connection.execute("SELECT sum(upper(r) - lower(r)) FROM progress, unnest(held) AS r").fetchone()
            if row == (400,):
                return
            await real_sleep(0.1)


async def test_what_a_collector_took_and_did_not_write_comes_to_the_next_one(
    mosquitto: int, new_database: Callable[[], str], tmp_path: Path
) -> None:
    run: StationRun = a_run(tmp_path, "pc1", 1, 400)
    url = new_database()
    place = MqttPlace(f"mqtt://{HOST}:{mosquitto}")
    async with MqttSource(place, "group", "a", SystemClock()) as first:
        await publish(run.messages(10), [mosquitto])
        assert await first.take(5.0)  # and is gone before it wrote them
    async with database(url) as kept, asyncio.TaskGroup() as tasks:
        await kept.history()
        work = tasks.create_task(Collector(kept).run(lambda: MqttSource(place, "group", "a", SystemClock())))
        await complete(url)
        work.cancel()


async def test_two_collectors_of_one_group_share_the_messages(mosquitto: int, tmp_path: Path) -> None:
    run = a_run(tmp_path, "pc1", 1, 400)
    place = MqttPlace(f"mqtt://{HOST}:{mosquitto}")
    async with (
        MqttSource(place, "group", "a", SystemClock()) as one,
        MqttSource(place, "group", "b", SystemClock()) as other,
    ):
        await publish(run.messages(40), [mosquitto])
        mine, others = list[Delivery](), list[Delivery]()
        async with asyncio.timeout(20):
            while len(mine) + len(others) < 11:
                mine += await one.take(0.1)
                others += await other.take(0.1)
    assert mine
    assert others
    assert not {each.payload for each in mine} & {each.payload for each in others}


async def test_messages_that_come_one_after_the_other_share_a_commit(mosquitto: int, tmp_path: Path) -> None:
    messages = a_run(tmp_path, "pc1", 1, 400).messages(10)
    came = list[int]()

    async def one_by_one() -> None:
        for message in messages:
            await publish([message], [mosquitto])

    async with (
        MqttSource(MqttPlace(f"mqtt://{HOST}:{mosquitto}"), "group", "a", SystemClock()) as source,
        asyncio.timeout(20),
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(one_by_one())
        while sum(came) < len(messages):
            taken = await source.take(1.0)
            await source.settle(taken)
            came.append(len(taken))
    assert len(came) < len(messages) / 2
