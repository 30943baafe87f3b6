"""What the page reads of recorded runs over HTTP: windows of time, long runs in parts, events in words, files."""

from __future__ import annotations

import asyncio
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from cycler_ctl.clock import real_sleep
from cycler_ctl.errors import StoreError
from cycler_ctl.web import making, recordings
from cycler_ctl.web.making import GoneError, Workshop
from cycler_ctl.web.steplines import step_lines
from cycler_ctl.web.told import told
from protocols.record import EventKind, EventRecord

RUN = "20261122-101500-a1-k3x1"


def held(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def get(client: httpx.AsyncClient, what: str, **query: object) -> Any:
    answer = await client.get(f"/api/v1/runs/{RUN}/{what}", params={name: str(value) for name, value in query.items()})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_window_holds_its_rows_and_one_beyond_each_side(client: httpx.AsyncClient) -> None:
    times = (await get(client, "samples", points=20_000))["columns"]["time_s"]
    from_s, to_s = times[100] - 0.01, times[200] + 0.01
    part = (await get(client, "samples", points=20_000, from_s=from_s, to_s=to_s))["columns"]["time_s"]
    assert part == times[99:202]
    assert (await get(client, "samples", from_s=1e9))["columns"]["time_s"] == times[-1:]


async def test_a_window_that_is_none_is_refused(client: httpx.AsyncClient) -> None:
    for bad in ("nan", "inf", "-1", "x"):
        assert (await client.get(f"/api/v1/runs/{RUN}/samples", params={"from_s": bad})).status_code == 422, bad


async def test_a_long_run_is_a_glimpse_until_a_few_looks_have_read_it(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CHUNK_ROWS", "READ_AT_ONCE_ROWS", "GLIMPSE_ROWS"):
        monkeypatch.setattr(recordings, name, 200)
    first = await get(client, "samples", points=20_000)
    assert (first["whole"], first["last_seq"], first["read"]) == (False, 0, 200)
    seen = first["columns"]["seq"]
    assert seen[0] == 1
    assert seen[-1] == first["of"]
    part = await get(client, "samples", points=20_000, from_s=first["columns"]["time_s"][90], to_s=1e12)
    assert len(part["columns"]["seq"]) > len([seq for seq in seen if seq >= seen[90]])
    reads = [part["read"]]
    while not (last := await get(client, "samples", points=20_000))["whole"]:
        reads.append(last["read"])
    assert reads == sorted(set(reads))
    assert last["columns"]["seq"] == list(range(1, last["of"] + 1))


async def test_dqdv_has_the_capacity_under_it(client: httpx.AsyncClient) -> None:
    answer = await get(client, "dqdv", cycles=1)
    curve = next(each for each in answer["curves"] if each["word"] == "lithiation" and each["cycle"] == 1)
    step_V = curve["voltage_V"][1] - curve["voltage_V"][0]
    assert -sum(curve["capacity_per_V"]) * step_V == pytest.approx(1568, rel=0.01)


async def test_a_description_says_where_the_run_is_and_where_its_steps_stand(client: httpx.AsyncClient) -> None:
    about = (await client.get(f"/api/v1/runs/{RUN}")).json()
    assert about["at"]["cycle"] == 3
    assert set(about["lines"]) == {"1", "2", "2.1", "2.2", "2.3", "2.4"}
    assert about["at"]["step_id"] == "2.3"
    assert (await get(client, "events"))["events"] == []


def test_steps_are_found_in_the_text_and_in_repeats() -> None:
    text = "protocol: 1\nsteps:\n  - rest: 1 h\n  - repeat:\n      times: 2\n      steps:\n        - rest: 1 h\n        - charge:\n            at: 1 mA\n"
    assert step_lines(text) == {"1": 3, "2": 4, "2.1": 7, "2.2": 8}
    assert step_lines("include: steps.yaml\n") == {}
    assert step_lines("a: [") == {}


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        (
            EventKind.GAP,
            {"gap_s": 90.0, "inferred_Ah": 1e-3, "text": "restart"},
            "90 s without a reading, 1 mAh inferred: restart",
        ),
        (EventKind.RUN_ENDED, {"outcome": "tripped", "reason": "too hot"}, "tripped: too hot"),
        (EventKind.OPERATOR, {"action": "pause", "by": "mi"}, "pause by mi"),
        (EventKind.RUN_STARTED, {"protocol": "p", "cell": None}, "p"),
        (EventKind.NOTE, {"text": "<b>"}, "<b>"),
        (EventKind.RETRY, {"count": 2, "step_count": 3}, "count 2, step_count 3"),
    ],
)
def test_an_event_is_one_sentence(kind: EventKind, data: dict[str, Any], words: str) -> None:
    assert told(EventRecord(1.0, 2.0, kind, data))["words"] == words


async def test_a_file_is_an_attachment_and_leaves_nothing_behind(
    client: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    answer = await client.get(f"/api/v1/runs/{RUN}/files/bdf-csv")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert len(answer.text.splitlines()) > 1000
    async with asyncio.timeout(5):
        while held(tmp_path):
            await real_sleep(0.02)
    assert (await client.get(f"/api/v1/runs/{RUN}/files/passwd")).status_code == 422
    assert (await client.get("/api/v1/runs/no-such-run/files/bundle")).status_code == 404


async def test_a_file_nobody_waits_for_is_not_made(lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    async def gone() -> bool:
        return True

    async def stays() -> bool:
        return False

    monkeypatch.setattr(making, "RECIPES", {**making.RECIPES, "nonsense": making.Recipe("no-such-command", (), ".x")})
    with ThreadPoolExecutor(1) as pool:
        workshop = Workshop(pool)
        with pytest.raises(GoneError):
            await workshop.make(lab.data_dir / "runs" / RUN, "bundle", gone)
        with pytest.raises(StoreError, match="no-such-command"):
            await workshop.make(lab.data_dir / "runs" / RUN, "nonsense", stays)
    assert held(tmp_path) == []
