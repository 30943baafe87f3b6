"""The HTTP API over real sockets: who may speak, what is answered, how the stream goes on."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import ssl
import stat
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from cycler_ctl.config import HttpSettings
from cycler_ctl.errors import ConfigError, DeviceFault
from cycler_ctl.live import ChannelState
from cycler_ctl.web import gate, recordings
from cycler_ctl.web.access import load_or_make_token, read_token
from cycler_ctl.web.server import allowed_hosts_of, token_of
from protocols.reading.documents import Document

TOKEN = "a-token-for-tests-" + "x" * 25
AUTH = {"authorization": f"Bearer {TOKEN}"}
RUN = "20261122-101500-a1-k3x1"
ACTIONS = ("start", "stop", "pause", "resume", "skip", "acknowledge")
READS = ("/api/v1/station", "/api/v1/channels", "/api/v1/runs", f"/api/v1/runs/{RUN}/samples", "/openapi.json", "/")


async def events(response: httpx.Response) -> AsyncIterator[tuple[str, str, Any]]:
    """(id, event, data) of each server-sent event."""
    field: dict[str, str] = {}
    async for line in response.aiter_lines():
        if not line and "data" in field:
            yield field.get("id", ""), field["event"], json.loads(field["data"])
        if not line:
            field = {}
        else:
            name, _, value = line.partition(": ")
            field[name] = value


async def until(stream: AsyncIterator[tuple[str, str, Any]], event: str) -> list[tuple[str, str, Any]]:
    """Everything up to and with the first ``event``."""
    seen: list[tuple[str, str, Any]] = []
    async with asyncio.timeout(10):
        async for found in stream:
            seen.append(found)
            if found[1] == event:
                return seen
    raise AssertionError(f"the stream ended without {event}")


async def test_reading_on_loopback_needs_no_token(client: httpx.AsyncClient) -> None:
    for path in READS:
        answer = await client.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["content-security-policy"] == "default-src 'self'; img-src 'self' data: blob:"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in answer.headers
        assert "set-cookie" not in answer.headers


async def test_a_foreign_host_name_is_refused(client: httpx.AsyncClient) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.", "127.0.0.1@evil", "localhost:x", ""):
        assert (await client.get("/api/v1/channels", headers={"host": host})).status_code in {400, 421}, host


async def test_our_own_names_are_answered(client: httpx.AsyncClient) -> None:
    for name in ("localhost", "127.0.0.1", "[::1]"):
        host = f"{name}:{client.base_url.port}"
        assert (await client.get("/api/v1/channels", headers={"host": host})).status_code == 200


async def test_another_site_is_refused_even_with_the_token(client: httpx.AsyncClient, lab: Any) -> None:
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "sec-fetch-dest": "document"},
    ):
        assert (await client.get("/api/v1/channels", headers=headers)).status_code == 403
        assert (await client.post("/api/v1/channels/a1/stop", json={}, headers=AUTH | headers)).status_code == 403
    assert lab.actions.asked == []


async def test_a_link_to_the_page_may_be_followed_but_not_embedded(client: httpx.AsyncClient) -> None:
    foreign = {"sec-fetch-site": "cross-site"}
    assert (await client.get("/", headers=foreign | {"sec-fetch-dest": "document"})).status_code == 200
    assert (await client.get("/", headers=foreign | {"sec-fetch-dest": "iframe"})).status_code == 403


async def test_our_own_page_may_act(client: httpx.AsyncClient, lab: Any) -> None:
    own = {"origin": str(client.base_url).rstrip("/"), "sec-fetch-site": "same-origin"}
    answer = await client.post("/api/v1/channels/a1/stop", json={"by": "anna"}, headers=AUTH | own)
    assert answer.status_code == 200, answer.text
    assert lab.actions.asked == [("stop", "a1", "anna (http 127.0.0.1)")]


async def test_no_action_without_the_token(client: httpx.AsyncClient, lab: Any) -> None:
    for given in (b"", b"Bearer", b"Bearer wrong", f"Basic {TOKEN}".encode(), "Bearer ü".encode(), TOKEN.encode()):
        for action in ACTIONS:
            answer = await client.post(
                f"/api/v1/channels/a1/{action}", json={"protocol": "x"}, headers=[(b"authorization", given)]
            )
            assert answer.status_code == 401, (given, action)
            assert "token" in answer.json()["detail"]
    assert lab.actions.asked == []


async def test_only_json_is_taken(client: httpx.AsyncClient, lab: Any) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        answer = await client.post(
            "/api/v1/channels/a1/stop", content=b"{}", headers=AUTH | ({"content-type": kind} if kind else {})
        )
        assert answer.status_code == 415
    assert lab.actions.asked == []


async def test_each_action_reaches_the_station(client: httpx.AsyncClient, lab: Any) -> None:
    for action in ACTIONS[1:]:
        answer = await client.post(f"/api/v1/channels/a2/{action}", json={}, headers=AUTH)
        assert answer.json() == {"channel": "a2", "done": action}
    assert lab.actions.asked == [(action, "a2", "http 127.0.0.1") for action in ACTIONS[1:]]


async def test_a_start_carries_protocol_cell_and_overrides(client: httpx.AsyncClient, lab: Any) -> None:
    body = {"protocol": "protocol: 1\n", "file_name": "x.yaml", "cell": "cell: 1\n", "set": {"j": "0.1 mA/cm2"}}
    answer = await client.post("/api/v1/channels/a6/start", json=body, headers=AUTH)
    assert answer.status_code == 201
    assert answer.json() == {"run": "20261122-120000-a1-abcd"}
    (asked,) = lab.actions.asked
    action, channel, order = asked
    assert (action, channel) == ("start", "a6")
    assert order.protocol == Document("x.yaml", "protocol: 1\n")
    assert order.cell == Document("cell", "cell: 1\n")
    assert order.overrides == {"j": "0.1 mA/cm2"}
    assert order.sent == {}  # nothing may be included, and no file is ever looked for
    assert (order.folder, order.by) == (None, "http 127.0.0.1")


async def test_a_start_carries_the_included_files_and_who_asked(client: httpx.AsyncClient, lab: Any) -> None:
    body = {
        "protocol": "protocol: 1\ninclude: safety.yaml\n",
        "include": {"safety.yaml": "safety: {current: 1 mA}\n"},
        "cell": "cell: {name: a}\n",
        "cell_name": "MG-0142.yaml",
        "by": "K. Abe\x07\n",
    }
    assert (await client.post("/api/v1/channels/a6/start", json=body, headers=AUTH)).status_code == 201
    ((_, _, order),) = lab.actions.asked
    assert order.sent == {"safety.yaml": "safety: {current: 1 mA}\n"}
    assert order.cell.name == "MG-0142.yaml"
    assert order.by == "K. Abe (http 127.0.0.1)"


async def test_what_is_wrong_is_said_in_one_message(client: httpx.AsyncClient, lab: Any) -> None:
    lab.refuse("a1 is running: stop it first")
    answer = await client.post("/api/v1/channels/a1/start", json={"protocol": "x"}, headers=AUTH)
    assert (answer.status_code, answer.json()) == (409, {"detail": "a1 is running: stop it first"})
    lab.actions.refusal = ConfigError("x.yaml:1:1: error")
    answer = await client.post("/api/v1/channels/a1/start", json={"protocol": "x"}, headers=AUTH)
    assert (answer.status_code, answer.json()) == (422, {"detail": "x.yaml:1:1: error"})
    lab.actions.refusal = DeviceFault("off was not confirmed")
    answer = await client.post("/api/v1/channels/a1/stop", json={}, headers=AUTH)
    assert (answer.status_code, answer.json()) == (502, {"detail": "off was not confirmed"})


MALFORMED = (
    ("nowhere/stop", b"{}", 404),
    ("a1/explode", b"{}", 404),
    ("a1/stop", b"", 422),
    ("a1/stop", b"[1", 422),
    ("a1/stop", b"\xff", 400),
    ("a1/stop", b'{"force": true}', 422),
    ("a1/start", b'{"protocol": 5}', 422),
    ("a1/start", b'{"protocol": ""}', 422),
    ("a1/start", b'{"protocol": "x", "set": {"j": NaN}}', 422),
    ("a1/start", b'{"protocol": "x", "set": {"j": 1}}', 422),
    ("a1/start", b'{"protocol": "\\ud800"}', 422),
    ("a1/start", b'{"protocol": "x", "cell": "\\ud800"}', 422),
    ("a1/start", b'{"protocol": "x", "set": {"j": "\\ud800"}}', 422),
    ("a1/start", b'{"protocol": "x", "include": {"a.yaml": 5}}', 422),
    ("a1/start", b'{"protocol": "x", "include": ["a.yaml"]}', 422),
    ("a1/start", b'{"protocol": "x", "include": {"a.yaml": "\\ud800"}}', 422),
    ("a1/start", b'{"protocol": "x", "include": {"%s": "x"}}' % (b"n" * 256), 422),
    ("a1/start", json.dumps({"protocol": "x", "include": {f"{n}.yaml": "x" for n in range(17)}}).encode(), 422),
    ("a1/stop", b"[" * 10_000, 400),
)


async def test_a_malformed_action_changes_nothing(client: httpx.AsyncClient, lab: Any) -> None:
    for path, body, status in MALFORMED:
        headers = AUTH | {"content-type": "application/json"}
        answer = await client.post(f"/api/v1/channels/{path}", content=body, headers=headers)
        assert answer.status_code == status, (path, body[:40], answer.text)
        assert isinstance(answer.json()["detail"], str)
    assert lab.actions.asked == []


async def test_bodies_are_capped_declared_or_not(client: httpx.AsyncClient, lab: Any) -> None:
    json_type = AUTH | {"content-type": "application/json"}

    async def dribble(size: int) -> AsyncIterator[bytes]:
        for _ in range(size // 1024):
            yield b" " * 1024

    long = b" " * (16 * 1024 + 1)
    assert (await client.post("/api/v1/channels/a1/stop", content=long, headers=json_type)).status_code == 413
    stream = await client.post("/api/v1/channels/a1/stop", content=dribble(20 * 1024), headers=json_type)
    assert stream.status_code == 413
    protocol = {"protocol": "x" * (900 * 1024)}
    assert (await client.post("/api/v1/channels/a1/start", json=protocol, headers=AUTH)).status_code == 201
    protocol = {"protocol": "x" * (1024 * 1024)}
    assert (await client.post("/api/v1/channels/a1/start", json=protocol, headers=AUTH)).status_code == 413
    together = {"protocol": "x" * (600 * 1024), "include": {"a.yaml": "x" * (600 * 1024)}}
    assert (await client.post("/api/v1/channels/a1/start", json=together, headers=AUTH)).status_code == 413


async def test_a_body_that_never_comes_is_given_up(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "BODY_TIME_S", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    head = f"POST /api/v1/channels/a1/stop HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
    writer.write(f"{head}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n".encode())
    async with asyncio.timeout(10):
        assert b"408" in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_hasty_actions_are_slowed_but_stop_never_is(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate.Bucket, "take", lambda _bucket, _now_s: False)
    assert (await client.post("/api/v1/channels/a1/pause", json={}, headers=AUTH)).status_code == 429
    assert (await client.post("/api/v1/channels/a1/stop", json={}, headers=AUTH)).status_code == 200


def test_a_bucket_gives_its_measure_and_fills_with_time() -> None:
    bucket = gate.Bucket(20.0)
    assert sum(bucket.take(5.0) for _ in range(50)) == 20
    assert not bucket.take(5.04)
    assert bucket.take(5.1)
    assert sum(bucket.take(900.0) for _ in range(50)) == 20


async def test_channels_and_station_say_what_is_going_on(client: httpx.AsyncClient) -> None:
    channels = {each["channel"]: each for each in (await client.get("/api/v1/channels")).json()}
    assert channels["a1"]["state"] == "running"
    assert channels["a1"]["last"]["run"] == RUN
    assert channels["a6"]["last"] is None
    station = (await client.get("/api/v1/station")).json()
    assert (station["name"], station["channels"]) == ("lab-3", ["a1", "a2", "a3", "a4", "a5", "a6"])
    assert station["instruments"][0]["link"] == "connected"


async def test_runs_are_listed_and_described(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/api/v1/runs")).json()
    assert [each["channel"] for each in listed] == ["a5", "a4", "a3", "a2", "a1"]
    assert next(each for each in listed if each["channel"] == "a4")["outcome"] == "finished"
    described = (await client.get(f"/api/v1/runs/{RUN}")).json()
    assert described["basis"] == {"unit": "mAh/g", "mass_g": 0.0014, "of": "MgH2"}
    assert [cycle["cycle"] for cycle in described["cycles"]] == [1, 2]
    assert [round(cycle["efficiency"], 3) for cycle in described["cycles"]] == [0.758, 0.987]
    assert described["rows"] == len((await samples(client, points=20_000))["seq"])


async def samples(client: httpx.AsyncClient, **query: int) -> dict[str, list[float]]:
    answer = await client.get(f"/api/v1/runs/{RUN}/samples", params=query)
    assert answer.status_code == 200, answer.text
    columns: dict[str, list[float]] = answer.json()["columns"]
    return columns


async def test_samples_keep_the_extremes_and_never_exceed_the_points(client: httpx.AsyncClient) -> None:
    whole = await samples(client, points=20_000)
    for points in (6, 50, 333):
        few = await samples(client, points=points)
        assert len(few["seq"]) <= points
        assert max(few["voltage_V"]) == max(whole["voltage_V"])
        assert min(few["voltage_V"]) == min(whole["voltage_V"])
        rows = dict(zip(whole["seq"], whole["voltage_V"], strict=True))
        assert all(rows[seq] == volt for seq, volt in zip(few["seq"], few["voltage_V"], strict=True))


async def test_samples_after_a_seq_are_only_the_newer_ones(client: httpx.AsyncClient) -> None:
    whole = await samples(client, points=20_000)
    assert (await samples(client, after=1000, points=20_000))["seq"] == whole["seq"][1000:]
    assert (await samples(client, after=10**9))["seq"] == []


async def test_curves_are_per_gram_by_cycle_and_direction(client: httpx.AsyncClient) -> None:
    answer = (await client.get(f"/api/v1/runs/{RUN}/curves", params={"points": 40})).json()
    assert [(curve["cycle"], curve["word"]) for curve in answer["curves"]] == [
        (cycle, word) for cycle in (1, 2, 3) for word in ("lithiation", "delithiation")
    ]
    assert answer["curves"][0]["capacity"][-1] == pytest.approx(1568, rel=1e-5)
    assert all(len(curve["capacity"]) <= 40 for curve in answer["curves"])


NOWHERE = (
    "/api/v1/runs/20261122-101500-zz-0000/samples",
    "/api/v1/runs/20261122-101500-zz-0000",
    "/static/..%2fapp.py",
    "/static/__init__.py",
    "/docs",
    "/redoc",
)


async def test_what_is_not_there_is_404(client: httpx.AsyncClient) -> None:
    for path in NOWHERE:
        assert (await client.get(path)).status_code == 404, path


async def test_a_run_id_cannot_name_another_place(client: httpx.AsyncClient) -> None:
    for run in ("..", "%2e%2e%2fsecrets", "A", "a" * 99, "a.b", "%00"):
        assert (await client.get(f"/api/v1/runs/{run}/samples")).status_code in {404, 422}, run


async def test_unreasonable_queries_are_refused(client: httpx.AsyncClient) -> None:
    for query in ({"points": 5}, {"points": 10**9}, {"after": -1}, {"points": "x"}, {"after": 10**30}):
        assert (await client.get(f"/api/v1/runs/{RUN}/samples", params=query)).status_code == 422, query


async def test_the_api_describes_itself(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert {f"/api/v1/channels/{{channel}}/{action}" for action in ACTIONS} <= set(paths)
    assert "/api/v1/stream" in paths


async def test_the_stream_begins_with_everything(client: httpx.AsyncClient) -> None:
    async with client.stream("GET", "/api/v1/stream") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        seen = await until(events(response), "beat")
    assert [data["channel"] for _, event, data in seen if event == "channel"] == ["a1", "a2", "a3", "a4", "a5", "a6"]
    assert {data["channel"] for _, event, data in seen if event == "sample"} == {"a1", "a2", "a3", "a4", "a5"}


async def test_a_change_is_told_within_a_moment(client: httpx.AsyncClient, lab: Any) -> None:
    async with client.stream("GET", "/api/v1/stream") as response:
        stream = events(response)
        await until(stream, "beat")
        lab.station.change("a1", ChannelState.TRIPPED, energised=False, reason="too hot")
        (*_, (_, _, data)) = await until(stream, "channel")
    assert (data["channel"], data["state"], data["energised"]) == ("a1", "tripped", False)


async def test_a_stream_resumed_by_its_last_event_id_tells_only_what_changed(
    client: httpx.AsyncClient, lab: Any
) -> None:
    async with client.stream("GET", "/api/v1/stream") as response:
        seen = await until(events(response), "beat")
    last_id = [number for number, _, _ in seen if number][-1]
    lab.station.change("a2", ChannelState.PAUSED, energised=False)
    lab.station.change("a2", ChannelState.STOPPED, energised=False)
    lab.hub.durable(RUN)
    async with client.stream("GET", "/api/v1/stream", headers={"last-event-id": last_id}) as response:
        news = await until(events(response), "durable")
    told = [(event, data) for _, event, data in news if event != "beat"]
    assert [(event, data.get("channel"), data.get("run")) for event, data in told] == [
        ("channel", "a2", told[0][1]["run"]),
        ("durable", None, RUN),
    ]
    assert told[0][1]["state"] == "stopped"


async def test_an_unknown_last_event_id_begins_anew(client: httpx.AsyncClient) -> None:
    for last_id in ("ffffffff-999", "nonsense", "", "-", "-5"):
        async with client.stream("GET", "/api/v1/stream", headers={"last-event-id": last_id}) as response:
            seen = await until(events(response), "beat")
        assert sum(event == "channel" for _, event, _ in seen) == 6


def test_a_growing_run_is_read_on_from_where_it_was_and_old_runs_are_let_go(
    tmp_path: Path, make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "CHUNK_ROWS", 100)
    cache = recordings.StoreRecordings(tmp_path, cached_rows=600)
    with make_run(tmp_path, RUN) as (writer, rows):
        for end in (150, 151, 400, 480):
            writer.append(rows[cache.look(RUN).read : end])
            assert writer.flush(20)
            seen = cache.look(RUN).columns
            assert seen["seq"].tolist() == list(range(1, end + 1))
            assert seen["voltage_V"].tolist() == [row.voltage_V for row in rows[:end]]
    other = RUN.replace("a1", "b1")
    with make_run(tmp_path, other) as (writer, rows):
        writer.append(rows[:200])
        assert writer.flush(20)
        assert cache.look(other).read == 200
    assert list(cache._read) == [(other, 7)]


def test_samples_are_told_at_most_once_a_second(lab: Any) -> None:
    told = 0
    for tenth in range(100):
        run, row = lab.station.samples["a1"]
        lab.station.samples["a1"] = (run, replace(row, time_s=row.time_s + 0.1))
        before = lab.hub._number
        lab.hub.look(tenth * 0.13)
        told += any('"sample"' in news.text or "event: sample" in news.text for news in lab.hub.since(before))
    assert 10 <= told <= 14


def test_a_reader_that_was_away_costs_no_memory(lab: Any) -> None:
    for number in range(2000):
        lab.hub.durable(f"run-{number}")
        lab.hub.look(float(number))
    assert len(lab.hub.since(0)) < 300


async def test_reading_from_elsewhere_needs_the_token_but_the_page_itself_does_not(lab: Any, speak: Any) -> None:
    async with speak(lab, reading_needs_token=True) as client:
        assert (await client.get("/api/v1/channels")).status_code == 401
        assert (await client.get("/api/v1/stream")).status_code == 401
        assert (await client.get("/openapi.json")).status_code == 401
        assert (await client.get("/")).status_code == 200
        assert (await client.get("/static/app.js")).status_code == 200
        assert (await client.get("/api/v1/channels", headers=AUTH)).status_code == 200


async def test_an_open_stream_ends_with_the_server_and_does_not_hold_it_up(lab: Any) -> None:
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        begun = asyncio.Event()

        async def watch(address: str) -> int:
            count = 0
            async with client.stream("GET", f"{address}/api/v1/stream") as response:
                async for _ in events(response):
                    count += 1
                    begun.set()
            return count

        async with lab.serve() as address:
            watching = tasks.create_task(watch(address), name="watch")
            await begun.wait()
            started_s = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - started_s < 1.9  # before uvicorn would cut it off
        assert await watching >= 12


async def test_a_taken_port_is_named_with_what_to_do(lab: Any) -> None:
    async with lab.serve() as address:
        listen = address.removeprefix("http://")
        with pytest.raises(ConfigError, match=rf"{listen}.*end the other program"):
            async with lab.serve(HttpSettings(listen=listen)):
                pass
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"{address}/api/v1/station")).status_code == 200


async def test_the_port_is_free_again_at_once(lab: Any, speak: Any) -> None:
    async with lab.serve() as address:
        listen = address.removeprefix("http://")
    async with lab.serve(HttpSettings(listen=listen)) as again:
        assert again == address


async def test_signal_handlers_stay_ours(lab: Any) -> None:
    import signal

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    async with lab.serve():
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


async def test_an_error_in_the_body_reaches_the_caller_as_it_is(lab: Any) -> None:
    with pytest.raises(KeyError):
        async with lab.serve():
            raise KeyError("mine")


async def test_log_settings_are_left_alone(lab: Any) -> None:
    before = list(logging.getLogger("uvicorn").handlers)
    async with lab.serve():
        assert logging.getLogger("uvicorn").handlers == before


@pytest.mark.parametrize("listen", ["0.0.0.0:8787", "192.0.2.1:8787", "[::]:8787", "lab-pc.example:8787"])
async def test_other_computers_only_with_tls_and_token(lab: Any, listen: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tls_cert, tls_key, token_file"):
        async with lab.serve(HttpSettings(listen=listen)):
            pass
    half = HttpSettings(listen=listen, tls_cert=tmp_path / "c", tls_key=tmp_path / "k")
    with pytest.raises(ConfigError, match="needs token_file"):
        async with lab.serve(half):
            pass


async def test_a_certificate_that_cannot_be_used_is_a_message(lab: Any, tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("not a certificate")
    with pytest.raises(ConfigError, match="tls_cert, tls_key"):
        async with lab.serve(HttpSettings(listen="127.0.0.1:0", tls_cert=bad, tls_key=bad)):
            pass


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the test's certificate and is not installed")
async def test_with_tls_the_address_and_the_origin_are_https(lab: Any, tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = await asyncio.create_subprocess_exec(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-keyout", str(key), "-out", str(cert), "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await made.wait() == 0
    trusted = ssl.create_default_context(cafile=str(cert))
    settings = HttpSettings(listen="127.0.0.1:0", tls_cert=cert, tls_key=key)
    async with lab.serve(settings) as address, httpx.AsyncClient(verify=trusted, trust_env=False) as client:
        assert address.startswith("https://127.0.0.1:")
        assert (await client.get(f"{address}/api/v1/station", headers={"origin": address})).status_code == 200
        plain = address.replace("https", "http")
        assert (await client.get(f"{address}/api/v1/station", headers={"origin": plain})).status_code == 403


@pytest.mark.parametrize("listen", ["8787", "localhost", ":80", "127.0.0.1:http", "127.0.0.1:99999", ""])
async def test_an_address_that_is_none_is_refused(lab: Any, listen: str) -> None:
    with pytest.raises(ConfigError, match="expected HOST:PORT"):
        async with lab.serve(HttpSettings.model_construct(listen=listen)):
            pass


def test_the_token_is_made_once_and_is_the_owners_alone(tmp_path: Path) -> None:
    token = token_of(HttpSettings(), tmp_path / "data")
    path = tmp_path / "data" / "http-token"
    assert len(token) >= 43
    assert load_or_make_token(path) == token
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_token_file_must_hold_a_long_token(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("short\n")
    with pytest.raises(ConfigError, match="at least 32 characters"):
        read_token(path)
    with pytest.raises(ConfigError, match="cannot read"):
        token_of(HttpSettings(token_file=tmp_path / "none"), tmp_path)
    path.write_text(TOKEN + "\n")
    assert token_of(HttpSettings(token_file=path), tmp_path) == TOKEN


def test_allowed_hosts_are_the_names_we_listen_on() -> None:
    assert allowed_hosts_of(HttpSettings()) == {"localhost", "127.0.0.1", "[::1]"}
    assert allowed_hosts_of(HttpSettings(listen="lab-pc.example:443")) == {"lab-pc.example"}
    assert "localhost" in allowed_hosts_of(HttpSettings(listen="0.0.0.0:443"))
