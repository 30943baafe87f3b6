"""The fleet's page over a real database: what it shows, and whom it answers."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from fleet_runs import a_run, deliveries

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import ConfigError
from cycler_ctl.fleet.collector import Collector, database
from cycler_ctl.fleet.command import collect
from cycler_ctl.fleet.page import serving
from cycler_ctl.fleet.said import Delivery
from cycler_ctl.fleet.settings import DatabaseSettings, conninfo
from cycler_ctl.settings import HttpSettings


def said(topic: str, payload: dict[str, object], ago_s: float) -> Delivery:
    at = datetime.fromtimestamp(SystemClock().utc(), UTC) - timedelta(seconds=ago_s)
    return Delivery(f"cycler/v1/lab/{topic}", json.dumps({"v": 1, "heartbeat_s": 30.0, **payload}).encode(), at, 0)


@pytest.fixture
async def page(new_database: Callable[[], str], tmp_path: Path) -> AsyncIterator[str]:
    target = conninfo(new_database(), DatabaseSettings())
    run = a_run(tmp_path, "pc1", 1, 200)
    states = [
        said("pc1/status", {"state": "online"}, 5),
        said("pc1/channel/a/state", {"state": "running", "run": run.run, "reason": ""}, 5),
        said("pc1/channel/b/state", {"state": "tripped", "run": "x", "reason": "<img src=x onerror=alert(1)>"}, 5),
        said("pc1/alarm/channel-b", {"message": "channel b: 4.31 V is above 4.30 V"}, 5),
        said("pc2/status", {"state": "online"}, 600),
        said("pc2/channel/a/state", {"state": "running", "run": "y", "reason": ""}, 600),
    ]
    async with database(target) as kept:
        await Collector(kept).write([*states, *deliveries(run.messages(60)[1:])])
    async with serving(target, HttpSettings(listen="127.0.0.1:0"), tmp_path) as address:
        yield address


async def test_the_page_shows_stations_channels_alarms_what_is_stale_and_runs(page: str) -> None:
    async with httpx.AsyncClient(base_url=page) as browser:
        fleet = (await browser.get("/api/v1/fleet")).json()
        shell = await browser.get("/")
        files = [await browser.get(f"/static/{name}") for name in ("fleet.js", "fleet.css", "style.css", "dom.js")]
    one, other = fleet["stations"]
    assert [(each["channel"], each["state"], each["stale"]) for each in one["channels"]] == [
        ("a", "running", False),
        ("b", "tripped", False),
    ]
    assert (one["stale"], other["stale"], other["channels"][0]["stale"]) == (False, True, True)
    assert one["alarms"] == ["channel-b: channel b: 4.31 V is above 4.30 V"]
    assert [(run["verdict"], run["missing"]) for run in fleet["runs"]] == [("open", 60)]
    assert [each.status_code for each in (shell, *files)] == [200] * 5
    assert "default-src 'self'" in shell.headers["content-security-policy"]


async def test_the_page_answers_nobody_else_s_site_and_does_nothing(page: str) -> None:
    async with httpx.AsyncClient(base_url=page) as browser:
        told = {
            "another name": await browser.get("/api/v1/fleet", headers={"host": "evil.example"}),
            "another site": await browser.get("/api/v1/fleet", headers={"origin": "https://evil.example"}),
            "acting": await browser.post("/api/v1/fleet", headers={"authorization": "Bearer x"}, json={}),
            "a file": await browser.get("/static/..%2fpage.py"),
        }
    assert {name: answer.status_code for name, answer in told.items()} == {
        "another name": 421,
        "another site": 403,
        "acting": 401,
        "a file": 404,
    }


async def test_the_page_is_not_shown_to_other_computers_without_tls_and_token(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tls_cert"):
        async with serving("host=127.0.0.1", HttpSettings(listen="192.0.2.1:8790"), tmp_path):
            pass


async def test_a_database_that_is_away_is_said_and_not_shown_as_an_empty_fleet(tmp_path: Path) -> None:
    settings = HttpSettings(listen="127.0.0.1:0")
    async with serving("host=127.0.0.1 port=1", settings, tmp_path) as address, httpx.AsyncClient() as browser:
        answer = await browser.get(f"{address}/api/v1/fleet")
    assert (answer.status_code, answer.json()["detail"]) == (503, "the database does not answer")


def test_a_port_that_is_taken_is_one_sentence(new_database: Callable[[], str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigError, match="cannot listen there"):
            collect(new_database(), "nats://127.0.0.1:1", None, address)
