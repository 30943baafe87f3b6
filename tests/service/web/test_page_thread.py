"""The page in a thread of its own: control goes on whatever a request costs, and what acts is done on control's loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from rig import open_rig, until

from cycler_ctl.clock import real_sleep
from cycler_ctl.config import HttpSettings, MqttSettings
from cycler_ctl.errors import ConfigError, DeviceFault, RefusedError
from cycler_ctl.live import ChannelState
from cycler_ctl.reporting import open_reporting
from cycler_ctl.web import server, threaded
from cycler_ctl.web.app import create_app
from cycler_ctl.web.hop import Hop
from cycler_ctl.web.server import allowed_hosts_of, serve_http
from cycler_ctl.web.threaded import in_a_thread
from protocols.shipped import library

TOKEN = "a-token-for-tests-" + "x" * 25
AUTH = {"authorization": f"Bearer {TOKEN}"}
HTTP = HttpSettings(listen="127.0.0.1:0")
RUN = "20261122-101500-a1-k3x1"
TURNS = 20


def page_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "page"]


@contextlib.asynccontextmanager
async def speaking(serving: Any) -> AsyncGenerator[httpx.AsyncClient]:
    async with (
        serving as address,
        httpx.AsyncClient(base_url=address, headers=AUTH, trust_env=False, timeout=30.0) as client,
    ):
        yield client


def served(lab: Any, *, threads: bool) -> Any:
    """As the service serves it, or as it was before: on the loop that controls."""
    if not threads:
        return lab.serve()
    lab.hop = Hop(asyncio.get_running_loop())
    return in_a_thread(lab.serve)


class Control:
    """Counts how often the loop that controls has had its turn."""

    def __init__(self) -> None:
        self.turns = 0

    async def run(self) -> None:
        while True:
            self.turns += 1
            await real_sleep(0.0)


def an_app_that_computes(control: Control) -> FastAPI:
    app = FastAPI()

    async def compute(limit: int) -> int:
        """Pure work that never waits, until control has had its turns; how many it had."""
        before = control.turns
        for _ in range(limit):
            if control.turns - before >= TURNS:
                break
        return control.turns - before

    app.add_api_route("/compute", compute)
    return app


@pytest.mark.parametrize(("threads", "limit", "most"), [(True, 10**10, None), (False, 3_000_000, 0)])
async def test_control_has_its_turns_while_a_request_computes_and_had_none_on_one_loop(
    threads: bool, limit: int, most: int | None
) -> None:
    control = Control()

    def serve() -> Any:
        return serve_http(an_app_that_computes(control), HTTP, lambda _: None)

    async with speaking(in_a_thread(serve) if threads else serve()) as client:
        controlling = asyncio.create_task(control.run())
        turns = (await client.get("/compute", params={"limit": limit})).json()
        controlling.cancel()
    assert turns >= TURNS if most is None else turns == most


class Watched:
    """Says of each thing that is asked of ``whole`` in which thread it was."""

    def __init__(self, whole: object, seen: list[tuple[str, str]]) -> None:
        self._whole = whole
        self._seen = seen

    def __getattr__(self, name: str) -> Any:
        self._seen.append((name, threading.current_thread().name))
        return getattr(self._whole, name)


def acts_of(entry: str, first: str) -> dict[tuple[str, str], tuple[str, dict[str, object], str]]:
    """(method, route): where, what is sent, and what of the station, the queues or the amending it asks."""
    protocol: dict[str, object] = {"protocol": library()["fig_s3_a"].read_text(encoding="utf-8")}
    channel, queue = "/api/v1/channels/{channel}", "/api/v1/channels/{channel}/queue"
    at, on = "/api/v1/channels/a1", "/api/v1/channels/a4/queue"
    acts: dict[tuple[str, str], tuple[str, dict[str, object], str]] = {
        ("POST", f"{channel}/{word}"): (f"{at}/{word}", {}, word)
        for word in ("pause", "resume", "skip", "acknowledge", "stop")
    }
    return acts | {
        ("POST", f"{channel}/start"): ("/api/v1/channels/a6/start", protocol, "begin"),
        ("POST", f"{channel}/plan"): ("/api/v1/channels/a6/plan", protocol, "outlook"),
        ("POST", f"{channel}/amend"): (f"{at}/amend", protocol, "amend"),
        ("POST", queue): (on, protocol, "add"),
        ("POST", f"{queue}/release"): (f"{on}/release", {}, "release"),
        ("POST", f"{queue}/{{entry}}/ready"): (f"{on}/{first}/ready", {}, "ready"),
        ("POST", f"{queue}/{{entry}}/unready"): (f"{on}/{first}/unready", {}, "unready"),
        ("POST", f"{queue}/{{entry}}/move"): (f"{on}/{entry}/move", {"to": 1}, "move"),
        ("DELETE", f"{queue}/{{entry}}"): (f"{on}/{entry}", {}, "remove"),
        ("POST", f"{queue}/hold"): (f"{on}/hold", {}, "hold"),
    }


ANY_THREAD = {"names", "of"}
"""Of the queues: what these read is replaced as a whole."""
OF_NO_CONTROL = {("POST", "/api/v1/check"), ("POST", "/api/v1/alarms/{alarm}/acknowledge")}


async def test_whatever_acts_is_done_on_the_thread_that_controls(busy_lab: Any) -> None:
    seen: list[tuple[str, str]] = []
    lab = busy_lab
    keeper = lab.queues
    lab.actions, lab.queues, lab.amending = (Watched(each, seen) for each in (lab.actions, keeper, lab.amending))
    lab.station.change("a4", ChannelState.FINISHED, energised=False)
    acts = acts_of("a42", "a40")
    async with speaking(served(lab, threads=True)) as client:
        del seen[:]  # the routes have looked their acts up
        for (method, _), (path, body, _) in acts.items():
            answer = await client.request(method, path, json=body)
            assert answer.status_code < 500, (path, answer.text)
    home = threading.current_thread().name
    looked = {(name, thread) for name, thread in seen if name not in ANY_THREAD}
    routed = {"pause", "resume", "skip", "acknowledge"}  # bound when the routes were made
    assert {name for name, _ in looked} == {asked for _, _, asked in acts.values()} - routed
    assert {thread for _, thread in looked} == {home}


def unsafe(app: FastAPI) -> set[tuple[str, str]]:
    described: dict[str, dict[str, object]] = app.openapi()["paths"]
    return {(method.upper(), path) for path, methods in described.items() for method in methods if method != "get"}


async def test_no_act_is_missing_above(busy_lab: Any) -> None:
    app = create_app(
        busy_lab.station,
        busy_lab.actions,
        data_dir=busy_lab.data_dir,
        token=TOKEN,
        allowed_hosts=allowed_hosts_of(HTTP),
        queues=busy_lab.queues,
    )
    assert unsafe(app) == set(acts_of("", "")) | OF_NO_CONTROL


class Threads:
    """Actions that say in which thread they are carried out."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def act(*_: object) -> None:
            self.seen.append((name, threading.current_thread().name))

        return act


async def test_the_acts_of_a_run_are_carried_out_on_the_thread_that_controls(lab: Any) -> None:
    lab.actions = Threads()
    words = ("pause", "resume", "skip", "acknowledge", "stop")
    async with speaking(served(lab, threads=True)) as client:
        for word in words:
            assert (await client.post(f"/api/v1/channels/a1/{word}", json={})).status_code == 200
    assert lab.actions.seen == [(word, threading.current_thread().name) for word in words]


@pytest.mark.parametrize("word", ["pause", "resume", "skip", "acknowledge"])
async def test_an_act_meant_for_one_run_never_meets_the_one_that_began_while_it_was_on_its_way(
    lab: Any, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    hopping = Hop.do

    async def another_begins_first(hop: Hop, work: Any) -> Any:
        lab.station.put(replace(lab.station.statuses["a1"], run="20261122-120000-a1-next"))
        return await hopping(hop, work)

    monkeypatch.setattr(Hop, "do", another_begins_first)
    async with speaking(served(lab, threads=True)) as client:
        answer = await client.post(f"/api/v1/channels/a1/{word}", json={"run": RUN})
    assert answer.status_code == 409
    assert "is another one than you looked at" in answer.json()["detail"]
    assert lab.actions.asked == []


@pytest.mark.parametrize(
    ("error", "status"), [(RefusedError("no"), 409), (ConfigError("no"), 422), (DeviceFault("no"), 502)]
)
async def test_an_act_s_error_comes_back_as_it_is(lab: Any, error: Exception, status: int) -> None:
    lab.actions.refusal = error
    async with speaking(served(lab, threads=True)) as client:
        answer = await client.post("/api/v1/channels/a1/stop", json={})
    assert (answer.status_code, answer.json()) == (status, {"detail": "no"})


async def test_a_hop_to_a_loop_that_has_ended_is_refused() -> None:
    gone = asyncio.new_event_loop()
    gone.close()

    async def act() -> None:
        raise AssertionError

    with pytest.raises(RefusedError, match="has ended"):
        await Hop(gone).do(act)


def stop_for_ever(lab: Any, begun: asyncio.Event, ended: list[str]) -> None:
    async def stop(channel: str, by: str) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append(threading.current_thread().name)
            raise

    lab.actions.stop = stop


@pytest.mark.parametrize("threads", [True, False])
async def test_the_end_of_the_service_ends_streams_and_cancels_an_act_that_lasts(
    lab: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, threads: bool
) -> None:
    caplog.set_level(logging.CRITICAL)  # uvicorn tells of the request it cancelled
    monkeypatch.setattr(server, "LAST_ANSWERS_S", 0)
    begun, ended = asyncio.Event(), list[str]()
    stop_for_ever(lab, begun, ended)
    async with contextlib.AsyncExitStack() as stack:
        address = await stack.enter_async_context(served(lab, threads=threads))
        client = httpx.AsyncClient(base_url=address, headers=AUTH, trust_env=False, timeout=30.0)
        async with client, client.stream("GET", "/api/v1/stream") as stream:
            acting = asyncio.create_task(client.post("/api/v1/channels/a1/stop", json={}))
            await begun.wait()
            news = read_to_its_end(stream)
            await stack.aclose()
            await news
            with contextlib.suppress(httpx.HTTPError):
                assert (await acting).status_code == 500
    await until(lambda: bool(ended))
    assert ended == [threading.current_thread().name]
    assert page_threads() == []
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", int(address.rpartition(":")[2])))


def read_to_its_end(stream: httpx.Response) -> asyncio.Task[None]:
    async def read() -> None:
        lines: AsyncIterator[str] = stream.aiter_lines()
        with contextlib.suppress(httpx.RemoteProtocolError):
            async for _ in lines:
                pass

    return asyncio.create_task(read())


async def test_a_client_that_goes_away_leaves_its_act_to_its_end(lab: Any) -> None:
    begun, go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def stop(channel: str, by: str) -> None:
        begun.set()
        await go_on.wait()
        done.set()

    lab.actions.stop = stop
    async with served(lab, threads=True) as address:
        async with httpx.AsyncClient(base_url=address, headers=AUTH, trust_env=False) as client:
            acting = asyncio.create_task(client.post("/api/v1/channels/a1/stop", json={}))
            await begun.wait()
            acting.cancel()
        go_on.set()
        async with asyncio.timeout(10):
            await done.wait()


async def test_a_port_that_is_taken_is_an_error_of_the_settings_and_no_thread_is_left(lab: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = HttpSettings(listen=f"127.0.0.1:{other.getsockname()[1]}")
        with pytest.raises(ConfigError, match="cannot listen there"):
            async with in_a_thread(lambda: lab.serve(taken)):
                raise AssertionError
    assert page_threads() == []


async def test_a_thread_that_dies_is_told_once_and_holds_up_nobody(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()

    def die_now() -> None:
        raise SystemExit

    async def die() -> None:
        asyncio.get_running_loop().call_soon(die_now)
        await real_sleep(0.0)

    app.add_api_route("/die", die)
    async with speaking(in_a_thread(lambda: serve_http(app, HTTP, lambda _: None))) as client:
        with contextlib.suppress(httpx.HTTPError):
            await client.get("/die")
        await until(lambda: page_threads() == [])
        told = [each for each in caplog.records if each.name == threaded.__name__]
        assert [each.getMessage() for each in told] == [
            "the page and the HTTP API have ended by an error; the cells go on"
        ]
    assert len([each for each in caplog.records if each.name == threaded.__name__]) == 1


async def test_a_thread_that_hangs_is_left_behind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(threaded, "END_S", 0.05)
    hanging = threading.Event()

    @contextlib.asynccontextmanager
    async def serving() -> AsyncGenerator[str]:
        yield "somewhere"
        hanging.wait(30)

    async with in_a_thread(serving) as address:
        assert address == "somewhere"
        (thread,) = page_threads()
    assert thread.is_alive()
    assert "is left behind" in caplog.text
    hanging.set()
    thread.join(30)
    assert not thread.is_alive()


async def test_whoever_gives_up_waiting_for_the_page_ends_it() -> None:
    begun, may_begin = threading.Event(), threading.Event()
    left: list[str] = []

    @contextlib.asynccontextmanager
    async def serving() -> AsyncGenerator[str]:
        begun.set()
        may_begin.wait(30)
        yield "somewhere"
        left.append(threading.current_thread().name)

    async def enter() -> None:
        async with in_a_thread(serving):
            raise AssertionError

    entering = asyncio.create_task(enter())
    await until(begun.is_set)
    entering.cancel()
    await until(lambda: entering.cancelling() > 0)
    may_begin.set()
    with pytest.raises(asyncio.CancelledError):
        await entering
    assert left == ["page"]


async def test_the_station_serves_its_page_from_that_thread_and_goes_on_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_rig(tmp_path / "data", monkeypatch) as rig:
        more = {"http": HTTP, "mqtt": MqttSettings(enabled=False)}
        rig.station.config = rig.station.config.model_copy(update=more)
        await rig.flowing()
        async with open_reporting(rig.station, None) as reporting:
            assert reporting.page is not None
            assert len(page_threads()) == 1
            address, _, token = reporting.page.partition("/#token=")
            headers = {"authorization": f"Bearer {token}"}
            async with httpx.AsyncClient(base_url=address, headers=headers, trust_env=False, timeout=30) as client:
                stopped = await client.post("/api/v1/channels/a1/stop", json={"by": "anna"})
                assert stopped.json() == {"channel": "a1", "done": "stop"}
                assert rig.is_off()
        monkeypatch.setitem(sys.modules, "cycler_ctl.web.app", None)
        async with open_reporting(rig.station, None) as reporting:
            assert reporting.page is None
        assert "pip install 'cycler-ctl[web]'" in caplog.text
    assert page_threads() == []


async def test_what_an_observer_hears_makes_no_news_until_who_serves_looks(lab: Any) -> None:
    lab.hub.look(0.0)
    before = lab.hub._number
    lab.station.change("a1", ChannelState.TRIPPED, energised=False, reason="too hot")
    lab.hub.channel_changed(lab.station.statuses["a1"])
    lab.hub.durable(RUN)
    assert lab.hub._number == before
    lab.hub.look(1.0)
    events = [news.text.partition("event: ")[2].split("\n")[0] for news in lab.hub.since(before)]
    assert {"channel", "durable"} <= set(events)
