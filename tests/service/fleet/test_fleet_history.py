"""What a batch of messages does to a real PostgreSQL: the same rows whatever comes twice, late, or changed."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from fleet_runs import Message, StationRun, a_run, deliveries, repeated
from psycopg import sql

from cycler_ctl.fleet import completeness
from cycler_ctl.fleet.collector import Collector, Database, database
from cycler_ctl.fleet.housekeeping import Housekeeper, Voice
from cycler_ctl.fleet.rows import NAMES, canonical
from cycler_ctl.fleet.said import Delivery
from cycler_ctl.fleet.settings import DatabaseSettings, conninfo
from cycler_ctl.fleet.status import read, table
from cycler_ctl.publish.models import Need, SinkReport
from cycler_ctl.publish.payloads import Value
from cycler_ctl.testing.stepclock import StepClock

ROWS = sql.SQL(
    "SELECT {}, raw FROM sample JOIN series ON id = sample.series WHERE station = %s AND run = %s ORDER BY seq"
).format(sql.SQL(", ").join(map(sql.Identifier, NAMES)))


@pytest.fixture
async def target(new_database: Callable[[], str]) -> str:
    return conninfo(new_database(), DatabaseSettings())


@pytest.fixture
async def kept(target: str) -> AsyncIterator[Database]:
    async with database(target) as made:
        yield made


@pytest.fixture
def run(tmp_path: Path) -> StationRun:
    return a_run(tmp_path, "pc1", 1, 500)


def rows_of(target: str, run: StationRun) -> list[bytes]:
    with psycopg.connect(target) as connection:
        return [canonical(row) for row in connection.execute(ROWS, (run.station, run.run), binary=True)]


def one(target: str, query: str) -> object:
    with psycopg.connect(target) as connection:
        row = connection.execute(query.encode()).fetchone()
        return row[0] if row else None


async def checked(target: str) -> int:
    async with await psycopg.AsyncConnection.connect(target, autocommit=True) as connection:
        return await completeness.check(connection)


@pytest.mark.parametrize("seed", range(3))
async def test_any_order_and_any_duplicates_give_the_rows_of_the_run_file(
    target: str, kept: Database, run: StationRun, seed: int
) -> None:
    chance = random.Random(seed)
    mixed = repeated(run.messages(7), chance)
    while mixed:
        size = chance.randint(1, 40)
        await Collector(kept).write(deliveries(mixed[:size]))
        mixed = mixed[size:]
    assert rows_of(target, run) == run.canonical()
    assert await checked(target) == 1
    assert one(target, "SELECT verdict FROM run") == "complete"
    assert one(target, "SELECT count(*) FROM gap") == 0
    assert one(target, "SELECT count(*) FROM alarm") == 0


async def test_a_row_that_comes_with_other_content_is_refused_and_an_alarm(
    target: str, kept: Database, run: StationRun
) -> None:
    await Collector(kept).write(deliveries(run.messages(60)))
    changed = [list(row) for row in run.rows[:60]]
    changed[4][1] = 4.999
    other = StationRun(run.station, run.run, run.epoch, run.columns, changed)
    await Collector(kept).write(deliveries(list(other.samples(60)) * 2))
    assert rows_of(target, run) == run.canonical()
    assert one(target, "SELECT place || ' ' || kind FROM alarm") == "5 row"
    refused = one(target, "SELECT refused FROM alarm")
    assert isinstance(refused, str)
    assert json.loads(refused)[1] == 4.999
    assert one(target, "SELECT count(*) FROM alarm") == 1


async def test_a_row_changed_on_the_way_makes_the_manifest_differ(target: str, kept: Database, run: StationRun) -> None:
    """The negative control of "complete"."""
    changed = [list(row) for row in run.rows]
    changed[250][1] = 3.0
    other = StationRun(run.station, run.run, run.epoch, run.columns, changed)
    await Collector(kept).write(deliveries([*other.samples(60), run.manifest()]))
    await checked(target)
    assert one(target, "SELECT verdict FROM run") == "differs"


async def test_what_is_missing_is_a_gap_and_the_run_is_open_until_it_came(
    target: str, kept: Database, run: StationRun
) -> None:
    messages = run.messages(50)
    late = [messages.pop(3), messages.pop(-2)]  # rows 151 to 200, and the last 50
    await Collector(kept).write(deliveries(messages))
    await checked(target)
    with psycopg.connect(target) as connection:
        found = connection.execute("SELECT from_seq, to_seq FROM gap ORDER BY 1").fetchall()
    assert found == [(151, 200), (451, 500)]
    assert one(target, "SELECT verdict FROM run") == "open"
    await Collector(kept).write(deliveries(late))
    await checked(target)
    assert one(target, "SELECT verdict FROM run") == "complete"


ODD: list[list[Value]] = [
    [1, 2.5, -0.0, 1e-310, 3, None, 5e300, "a\tb\\N\n", "", 2**53 + 1, 7] + [0.1] * 12,
    [0.1, 3, 1e22, 1.7976931348623157e308, 2**60, 2, None, "\0", "ünï\u2028", None, 1] + [None] * 12,
    [None, None, None, None, 10**25, 1.0, None, "\ud800", "\\", 3.0, 2] + [1e16] * 12,
]


async def test_every_row_that_json_can_say_comes_back_as_it_was(target: str, kept: Database, run: StationRun) -> None:
    odd = StationRun("pc9", run.run, 9, run.columns, ODD)
    assert len({len(row) for row in ODD} | {len(run.columns)}) == 1
    await Collector(kept).write(deliveries(odd.messages(1)))
    assert rows_of(target, odd) == odd.canonical()
    await checked(target)
    assert one(target, "SELECT verdict FROM run") == "complete"


async def test_rows_of_a_station_with_other_columns_are_kept_whole(
    target: str, kept: Database, run: StationRun
) -> None:
    strange = StationRun("pc9", run.run, 9, ("voltage_volt", "flux", "cycle_count"), [[3.7, "x", 1], [3.8, None, 2]])
    await Collector(kept).write(deliveries(strange.messages(2)))
    assert rows_of(target, strange) == strange.canonical()
    assert one(target, "SELECT voltage_volt FROM sample WHERE seq = 2") == 3.8
    assert one(target, "SELECT columns FROM layout") == ["voltage_volt", "flux", "cycle_count"]


BAD: list[Message] = [
    ("cycler/v1/lab/pc1/channel/a/samples", b"{"),
    ("cycler/v1/lab/pc1/channel/a/samples", b"\xff\xfe"),
    (
        "cycler/v1/lab/pc1/channel/a/samples",
        b'{"v":1,"run":"r","epoch":1,"first_seq":1,"columns":["x"],"rows":[[1],[]]}',
    ),
    (
        "cycler/v1/lab/pc1/channel/a/samples",
        b'{"v":1,"run":"r","epoch":1,"first_seq":1,"columns":["x"],"rows":[[NaN]]}',
    ),
    (
        "cycler/v1/lab/pc1/channel/a/samples",
        b'{"v":1,"run":"r","epoch":1,"first_seq":1,"columns":["x"],"rows":[[1e999]]}',
    ),
    ("cycler/v1/lab/pc1/channel/a/samples", b'{"v":1,"run":"r","epoch":-1,"first_seq":1,"columns":["x"],"rows":[[1]]}'),
    ("cycler/v1/lab/pc1/channel/a/samples", b'{"v":2}'),
    ("cycler/v1/lab/pc1/channel/a/event", b'{"v":1,"run":"r","epoch":1,"n":1,"kind":"\\u0000"}'),
    ("cycler/v1/lab/pc1/channel/a/manifest", b'{"v":1,"run":"r","epoch":1,"count":3,"sha256":"x"}'),
    ("cycler/v1/lab/../status", b"{}"),
    ("elsewhere", b"[" * 100_000),
    ("cycler/v1/lab/pc1/status", b"[" * 100_000),
]


async def test_bad_messages_are_dead_letters_and_the_good_ones_between_them_are_kept(
    target: str, kept: Database, run: StationRun
) -> None:
    good = run.messages(60)
    await Collector(kept).write(deliveries([*BAD[:6], *good, *BAD[6:]]))
    await Collector(kept).write(deliveries(BAD))
    assert rows_of(target, run) == run.canonical()
    assert one(target, "SELECT count(*) FROM dead_letter") == len(BAD)
    assert one(target, "SELECT min(times) FROM dead_letter") == 2


async def test_a_message_that_only_the_database_refuses_is_a_dead_letter(
    target: str, kept: Database, run: StationRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await kept.history()).write(deliveries(run.messages(60)[:1]))
    with psycopg.connect(target, autocommit=True) as connection:
        connection.execute("ALTER TABLE state ADD CHECK (payload NOT LIKE '%forbidden%')")
    refused: Message = ("cycler/v1/lab/pc1/status", b'{"v":1,"state":"forbidden"}')
    await Collector(kept).write(deliveries([*run.messages(60), refused]))
    assert rows_of(target, run) == run.canonical()
    assert one(target, "SELECT topic FROM dead_letter") == refused[0]


async def test_an_epoch_that_goes_on_takes_over_from_its_first_row(
    target: str, kept: Database, run: StationRun
) -> None:
    """The disk lost rows 301 on, the run was resumed: the first epoch's later rows are here and belong to nobody."""
    lost = [*run.rows[:300], *([row[0], 1.0, *row[2:]] for row in run.rows[300:350])]
    first = StationRun(run.station, run.run, 99, run.columns, lost)
    second = list(run.samples(50))[6:]
    await Collector(kept).write(
        deliveries([*first.samples(50), *second, replace(run, stretches=((99, 1), (run.epoch, 301))).manifest()])
    )
    await checked(target)
    assert one(target, "SELECT verdict FROM run") == "complete"
    assert one(target, "SELECT rows FROM run") == 500


async def test_the_fleet_is_shown_with_how_old_that_is(target: str, kept: Database, run: StationRun) -> None:
    said = [
        ("cycler/v1/lab/pc1/status", b'{"v":1,"state":"online","heartbeat_s":30.0}'),
        ("cycler/v1/lab/pc1/channel/a/state", b'{"v":1,"state":"running","run":"r","reason":"","heartbeat_s":30.0}'),
        ("cycler/v1/lab/pc1/alarm/x", b'{"v":1,"message":"too hot"}'),
        ("cycler/v1/lab/pc1/alarm/y", b'{"v":1,"message":"over"}'),
        ("cycler/v1/lab/pc1/alarm/y", b""),
    ]
    await Collector(kept).write(deliveries([*said, *run.messages(60)[:-2]]))
    with psycopg.connect(target) as connection:
        fleet = read(connection)
    (station,) = fleet.stations
    assert station.stale  # HEARD_AT is long ago
    assert station.channels[0].stale
    assert station.alarms == ("x: too hot",)
    assert fleet.runs[0].verdict == "running"
    assert any("STALE" in line for line in table(fleet))


async def test_an_older_state_that_comes_late_does_not_hide_the_newer_one(target: str, kept: Database) -> None:
    topic = "cycler/v1/lab/pc1/status"
    new, old = deliveries([(topic, b'{"v":1,"state":"offline"}'), (topic, b'{"v":1,"state":"online"}')])
    await Collector(kept).write([new])
    late = Delivery(old.topic, old.payload, old.heard_at.replace(year=2025), 0)
    await Collector(kept).write([late])
    assert one(target, "SELECT payload FROM state") == '{"v":1,"state":"offline"}'


async def test_one_collector_asks_for_what_is_missing_and_reports_how_far_it_is(
    target: str, kept: Database, run: StationRun
) -> None:
    said = list[tuple[str, bytes]]()

    async def tell(topic: str, payload: bytes) -> None:
        said.append((topic, payload))

    messages = run.messages(50)
    del messages[3]
    await Collector(kept).write(deliveries(messages))
    clock = StepClock()
    voice = Voice("historian", tell, tell)
    async with (
        await psycopg.AsyncConnection.connect(target, autocommit=True) as connection,
        await psycopg.AsyncConnection.connect(target, autocommit=True) as another,
    ):
        keeper = Housekeeper(connection, voice, clock)
        assert await keeper.leads()
        assert not await Housekeeper(another, voice, clock).leads()
        await keeper.round()
        ((topic, payload),) = said
        assert topic == "cycler/v1/lab/pc1/sink/historian"
        assert SinkReport.model_validate_json(payload).seq == 150
        said.clear()
        with clock.member():
            await clock.sleep_until(clock.now() + 31.0)
        await keeper.round()
        ((topic, payload),) = said
        assert topic == "cycler/v1/lab/pc1/need"
        assert Need.model_validate_json(payload).from_seq == 151
