"""A queue on a channel of a real station, over HTTP: what begins, what waits, and what a restart leaves."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dies_beginning
import httpx
import pytest
from virtual import CELL, Virtual, open_virtual

from cycler_ctl.clock import real_sleep
from cycler_ctl.config import HttpSettings
from cycler_ctl.errors import RefusedError
from cycler_ctl.live import ChannelState
from cycler_ctl.queueing import keeper as keeping
from cycler_ctl.queueing.keeper import QueueKeeper
from cycler_ctl.queueing.model import Queue
from cycler_ctl.queueing.opening import open_queueing
from cycler_ctl.queueing.shelf import path_of, write_queue
from cycler_ctl.store.reader import open_run
from cycler_ctl.web.app import create_app
from cycler_ctl.web.server import allowed_hosts_of, serve_http
from protocols.record import EventKind

TOKEN = "a-token-for-tests-" + "x" * 25
HTTP = HttpSettings(listen="127.0.0.1:0")
SHORT = "  - charge: {at: 1 mA, for: 5 min}\n"


def text(steps: str = SHORT, cell: str = "GN-7") -> str:
    return f"{CELL.replace('GN-7', cell)}steps:\n{steps}"


@dataclass
class Desk:
    """A person at the HTTP API of channel a1."""

    lab: Virtual
    keeper: QueueKeeper
    http: httpx.AsyncClient

    async def ask(self, method: str, path: str, status: int = 200, **body: object) -> dict[str, Any]:
        doing = self.http.request(method, f"/api/v1/channels/a1/{path}", json=None if method == "GET" else body)
        answer = await self.lab.acting(doing)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def add(self, steps: str = SHORT, cell: str = "GN-7") -> str:
        return str((await self.ask("POST", "queue", 201, protocol=text(steps, cell), by="K. Abe"))["id"])

    async def ready(self, entry: str, status: int = 200) -> dict[str, Any]:
        return await self.ask("POST", f"queue/{entry}/ready", status, by="M. Ito")

    async def queue(self) -> dict[str, Any]:
        return await self.ask("GET", "queue")

    async def until(self, holds: Callable[[], bool], limit_s: float = 3000.0) -> None:
        ends_s = self.lab.clock.now() + limit_s
        while not holds():
            assert self.lab.clock.now() < ends_s, self.lab.status()
            await self.lab.clock.sleep_until(self.lab.clock.now() + 2.0)
            await real_sleep(0.001)

    async def until_state(self, state: ChannelState) -> None:
        await self.until(lambda: self.lab.status().state is state)


@asynccontextmanager
async def open_desk(lab: Virtual) -> AsyncGenerator[Desk]:
    async with open_queueing(lab.station, lab.clock) as keeper:
        assert keeper is not None
        app = create_app(
            lab.station,
            lab.station,
            data_dir=lab.data,
            token=TOKEN,
            allowed_hosts=allowed_hosts_of(HTTP),
            queues=keeper,
            amending=lab.station,
        )
        async with (
            serve_http(app, HTTP) as address,
            httpx.AsyncClient(base_url=address, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20) as http,
        ):
            yield Desk(lab, keeper, http)


async def test_the_next_one_begins_after_a_person_marked_its_cell_ready_and_only_that_one(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "data") as lab, open_desk(lab) as desk:
        first, second = await desk.add(), await desk.add(cell="GN-8")
        assert lab.status().state is ChannelState.IDLE
        assert (await desk.ready(second, 409))["detail"].endswith(f"or mark {first}")
        await desk.ready(first)
        await desk.until_state(ChannelState.RUNNING)
        lab.run = str(lab.status().run)
        assert (await desk.ready(second, 409))["detail"].endswith("mark it when you have put it in")
        await desk.until_state(ChannelState.FINISHED)
        told = lab.status().queue
        assert told is not None
        assert (told.length, told.next, told.ready, told.held) == (1, "Trial on GN-8", False, None)
        await lab.clock.sleep_until(lab.clock.now() + 600.0)
        assert lab.status().run == lab.run  # nobody has said that the other cell is in
        (start,) = [one for one in lab.events(EventKind.OPERATOR) if one.data["action"] == "start"]
        assert start.data["by"] == (
            "M. Ito (http 127.0.0.1), who marked its cell ready; queued by K. Abe (http 127.0.0.1)"
        )
        await desk.ready(second)
        await desk.until(lambda: lab.status().run != lab.run)
        await desk.until_state(ChannelState.FINISHED)
        assert (await desk.queue())["entries"] == []


async def test_the_same_cell_may_be_ready_for_what_follows_while_it_runs(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "data") as lab, open_desk(lab) as desk:
        await desk.ready(await desk.add())
        await desk.until_state(ChannelState.RUNNING)
        before = lab.status().run
        await desk.ready(await desk.add())
        await desk.until(lambda: lab.status().run != before and lab.status().state is ChannelState.RUNNING)
        await desk.until_state(ChannelState.FINISHED)


async def test_anything_but_a_normal_end_holds_what_waits_until_a_person_releases_it(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "data") as lab, open_desk(lab) as desk:
        await desk.ready(await desk.add())
        following = await desk.add()
        await desk.until_state(ChannelState.RUNNING)
        await desk.ready(following)
        await desk.ask("POST", "stop", by="K. Abe")
        await desk.until_state(ChannelState.STOPPED)
        found = await desk.queue()
        assert found["held"].startswith("stopped: stopped by K. Abe")
        assert found["ready"] is None
        assert "release it first" in (await desk.ready(following, 409))["detail"]
        await desk.ask("POST", "queue/release", by="K. Abe")
        await desk.ready(following)
        await desk.until_state(ChannelState.FINISHED)


async def test_what_a_start_would_refuse_is_refused_when_it_is_queued_in_the_same_words(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "data") as lab, open_desk(lab) as desk:
        for steps, status in (("  - charge: {at: 1 V}\n", 422), ("  - charge: {at: 30 mA, for: 1 h}\n", 422)):
            refused = await desk.ask("POST", "queue", status, protocol=text(steps))
            assert refused == await desk.ask("POST", "start", status, protocol=text(steps))
        assert (await desk.queue())["entries"] == []


async def test_what_is_refused_when_it_begins_holds_the_queue_and_says_why(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "data") as lab, open_desk(lab) as desk:
        entry = await desk.add()
        lab.station.before_start(refuse)
        await desk.ready(entry)
        await desk.until(lambda: "held" in repr(desk.keeper.of("a1")["waits"]))
        found = await desk.queue()
        assert found["held"] == "Trial on GN-7 did not begin: the computer would sleep"
        assert [one["id"] for one in found["entries"]] == [entry]
        assert lab.is_off()


class Held:
    """Something that takes as long as the test wants it to."""

    def __init__(self) -> None:
        self.asked, self.let_go = threading.Event(), threading.Event()

    def wait(self) -> None:
        self.asked.set()
        assert self.let_go.wait(20)


async def test_what_would_begin_too_soon_after_others_begins_when_it_may(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody need be there: short runs before it hold no night's work."""
    async with open_virtual(tmp_path) as lab, open_desk(lab) as desk:
        for _ in range(3):
            await lab.start("  - charge: {at: 1 mA, for: 5 s}\n")
            await lab.ends()
        await desk.ready(await desk.add())
        with caplog.at_level(logging.INFO):
            async with asyncio.timeout(20.0):
                while "begins later" not in caplog.text:
                    await lab.acting(real_sleep(0.01), 0.001)
        assert (await desk.queue())["held"] is None
        assert lab.status().state is ChannelState.FINISHED
        await lab.at(lab.clock.now() + 60.0)
        lab.station.changed("a1")  # in real time it wakes by itself
        await desk.until_state(ChannelState.RUNNING)
        assert (await desk.queue())["entries"] == []
        await desk.until_state(ChannelState.FINISHED)


async def nothing_begins(desk: Desk) -> None:
    await desk.until(lambda: desk.keeper.of("a1")["held"] is not None)
    await desk.lab.clock.sleep_until(desk.lab.clock.now() + 300.0)
    assert desk.lab.is_off()
    assert desk.lab.status().state is ChannelState.IDLE
    assert len((await desk.queue())["entries"]) == 1


@pytest.mark.parametrize("act", ["queue/{}/unready", "queue/hold", "stop"])
async def test_what_is_just_beginning_does_not_once_a_person_said_otherwise(tmp_path: Path, act: str) -> None:
    async with open_virtual(tmp_path / "data") as lab, open_desk(lab) as desk:
        entry, look = await desk.add(), Held()
        lab.station.before_start(look.wait)
        await desk.ready(entry)
        await desk.until(look.asked.is_set)
        await desk.ask("POST", act.format(entry), by="K. Abe")
        look.let_go.set()
        await nothing_begins(desk)


@pytest.mark.parametrize("act", ["queue/{}/unready", "queue/hold", "stop"])
async def test_neither_does_it_where_that_was_said_while_the_disk_was_told_that_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    disk = Held()

    def slow(data_dir: Path, queue: Queue) -> None:
        if queue.taken is not None:
            disk.wait()
        write_queue(data_dir, queue)

    monkeypatch.setattr(keeping, "write_queue", slow)
    async with open_virtual(tmp_path / "data") as lab, open_desk(lab) as desk:
        entry = await desk.add()
        asked = [asyncio.create_task(desk.http.post(f"/api/v1/channels/a1/queue/{entry}/ready", json={}))]
        await desk.until(disk.asked.is_set)
        asked.append(asyncio.create_task(desk.http.post(f"/api/v1/channels/a1/{act.format(entry)}", json={})))
        await desk.until(lambda: desk.keeper.of("a1")["ready"] is None)
        disk.let_go.set()
        await desk.until(lambda: all(one.done() for one in asked))
        assert [one.result().status_code for one in asked] == [200, 409 if act == "stop" else 200]
        await nothing_begins(desk)


async def on_its_way_out(desk: Desk, act: Callable[[], Any]) -> Any:
    """What becomes of ``act`` between the end of the run in progress and that of its record, with the next one ready."""
    lab = desk.lab
    await desk.ready(await desk.add())
    await desk.until_state(ChannelState.RUNNING)
    lab.run = str(lab.status().run)
    await desk.ready(await desk.add())
    current = lab.station._slots["a1"]._current
    assert current is not None

    async def when_over() -> Any:
        while current.runner.end is None:
            await real_sleep(0.0)
        assert lab.status().state is ChannelState.RUNNING
        return await act()

    doing = asyncio.create_task(when_over())
    await desk.until(doing.done)
    return doing


async def test_a_stop_that_meets_a_run_at_its_normal_end_also_keeps_the_next_one_from_beginning(
    tmp_path: Path,
) -> None:
    async with open_virtual(tmp_path / "data") as lab, open_desk(lab) as desk:
        stopping = await on_its_way_out(desk, lambda: lab.station.stop("a1", "K. Abe"))
        await stopping
        await lab.clock.sleep_until(lab.clock.now() + 300.0)
        assert (lab.status().run, lab.is_off()) == (lab.run, True)
        assert (await desk.queue())["held"] == "stopped: stopped by K. Abe"


async def test_a_pause_that_meets_a_run_at_its_end_is_not_said_to_have_been_made(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "data") as lab, open_desk(lab) as desk:
        pausing = await on_its_way_out(desk, lambda: lab.station.pause("a1", "K. Abe"))
        with pytest.raises(RefusedError, match="too late to pause: the run is over"):
            await pausing
        await desk.until(lambda: lab.status().run != lab.run and lab.status().state is ChannelState.FINISHED)


async def test_what_is_meant_for_one_run_is_refused_where_another_has_begun_since(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "data") as lab, open_desk(lab) as desk:
        await lab.start(SHORT + "  - rest: 5 min\n")
        await lab.at(60.0)
        for word in ("pause", "skip", "resume", "acknowledge"):
            refused = await desk.ask("POST", word, 409, run="20261122-101500-a1-7f3k")
            assert "its run is another one than you looked at" in refused["detail"]
        other = text(SHORT + "  - rest: 1 min\n")
        refused = await desk.ask("POST", "amend", 409, protocol=other, run="20261122-101500-a1-7f3k")
        assert "its run is another one than you looked at" in refused["detail"]
        assert lab.status().step == "1"
        assert (await desk.ask("POST", "amend", protocol=other, run=lab.run))["changes"]
        await desk.ask("POST", "skip", run=lab.run)
        await desk.until(lambda: lab.status().step == "2")


def refuse() -> None:
    raise RefusedError("the computer would sleep")


async def test_after_a_restart_the_queue_is_there_its_mark_is_not_and_nothing_begins_by_itself(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "data") as lab:
        async with open_desk(lab) as desk:
            first, second = await desk.add("  - charge: {at: 1 mA, for: 30 min}\n"), await desk.add()
            await desk.ready(first)
            await desk.until_state(ChannelState.RUNNING)
            await desk.ready(second)
            lab.run = str(lab.status().run)
            await lab.clock.sleep_until(lab.clock.now() + 120.0)
        await lab.dies(60.0)
        async with open_desk(lab) as desk:
            found = await desk.queue()
            assert [one["id"] for one in found["entries"]] == [second]
            assert found["ready"] is None
            assert found["held"].startswith("interrupted: ")
            await lab.clock.sleep_until(lab.clock.now() + 300.0)
            assert lab.is_off()
            await lab.acting(lab.station.resume("a1", "K. Abe"))
            await desk.until_state(ChannelState.FINISHED)
            assert lab.status().run == lab.run
            await lab.clock.sleep_until(lab.clock.now() + 300.0)
            assert lab.is_off()


@pytest.mark.skipif(sys.platform == "win32", reason="no kill -9")
@pytest.mark.parametrize(("when", "left"), [("before", 2), ("after", 1)])
async def test_what_was_beginning_when_the_service_was_killed_is_neither_begun_twice_nor_forgotten(
    tmp_path: Path, when: str, left: int
) -> None:
    """Killed when disk knows that it begins: before its record, and after its begin, when it is in the queue on disk yet."""
    data = tmp_path / "data"
    command = [sys.executable, dies_beginning.__file__, str(data), when]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    died = await asyncio.to_thread(subprocess.run, command, env=environment, check=False, timeout=60)
    assert died.returncode == -signal.SIGKILL
    assert '"taken": {' in path_of(data, "a1").read_text()

    def begun() -> list[str]:
        found = []
        for folder in sorted((data / "runs").glob("*")):
            with open_run(folder) as reader:
                found.append(reader.info.protocol_name)
        return found

    async with open_virtual(data) as lab, open_desk(lab) as desk:
        found = await desk.queue()
        assert (len(found["entries"]), found["ready"], begun()) == (left, None, list(dies_beginning.NAMES[: 2 - left]))
        assert found["held"].startswith("the service ended when" if when == "before" else "interrupted: ")
        await lab.clock.sleep_until(lab.clock.now() + 300.0)
        assert lab.is_off()
        if when == "after":
            await desk.ask("POST", "acknowledge")
        await desk.ask("POST", "queue/release")
        while entries := (await desk.queue())["entries"]:
            await desk.ready(entries[0]["id"])
            await desk.until(lambda: lab.status().state is ChannelState.RUNNING)
            await desk.until_state(ChannelState.FINISHED)
        assert sorted(begun()) == sorted(dies_beginning.NAMES)


async def test_a_queue_that_nobody_can_read_takes_nothing_and_is_not_written_over(tmp_path: Path) -> None:
    path = path_of(tmp_path / "data", "a1")
    path.parent.mkdir(parents=True)
    path.write_text("{")
    async with open_virtual(tmp_path / "data") as lab, open_desk(lab) as desk:
        assert "cannot be read" in (await desk.queue())["held"]
        assert "cannot be read" in (await desk.ask("POST", "queue", 409, protocol=text()))["detail"]
        assert path.read_text() == "{"


async def test_entries_are_moved_removed_and_held_by_their_ids(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "data") as lab, open_desk(lab) as desk:
        one, two, three = await desk.add(), await desk.add(), await desk.add()
        moved = await desk.ask("POST", f"queue/{three}/move", to=1)
        assert [entry["id"] for entry in moved["entries"]] == [three, one, two]
        left = await desk.ask("DELETE", f"queue/{one}")
        assert [entry["id"] for entry in left["entries"]] == [three, two]
        held = await desk.ask("POST", "queue/hold", why="the oven is being mended", by="K. Abe")
        assert held["held"] == "the oven is being mended, K. Abe (http 127.0.0.1)"
        assert (await desk.ask("POST", "queue/abc/ready", 409))["detail"].startswith("channel a1: nothing with the id")


async def test_acting_on_a_queue_takes_the_token(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "data") as lab, open_desk(lab) as desk:
        desk.http.headers.pop("Authorization")
        for path in ("queue", "queue/release", "queue/abc/ready", "amend"):
            await desk.ask("POST", path, 401)
        await desk.ask("DELETE", "queue/abc", 401)


async def test_a_running_protocol_is_amended_over_http_after_a_look(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "data") as lab, open_desk(lab) as desk:
        await lab.start(SHORT + "  - rest: 5 min\n")
        await lab.at(60.0)
        other: dict[str, Any] = {"protocol": text(SHORT + "  - rest: 1 min\n"), "by": "K. Abe"}
        looked = await desk.ask("POST", "amend", **other)
        assert (looked["done"], looked["changes"]) == (False, ["step 2: ends at time >= 5 min -> time >= 1 min"])
        assert (await desk.ask("POST", "amend", of=looked["of"], **other))["done"]
        third: dict[str, Any] = {"protocol": text(SHORT + "  - rest: 2 min\n"), "of": looked["of"]}
        assert "another one than you looked at" in (await desk.ask("POST", "amend", 409, **third))["detail"]
        shown = (await desk.http.get(f"/api/v1/runs/{lab.run}")).json()
        assert shown["protocol_text"] == other["protocol"], "the page shows a protocol that is not the one that runs"
        await lab.ends()
        assert [step.end_reason for step in lab.steps()] == ["time >= 5 min", "time >= 1 min"]
