"""What a start would say, over HTTP: the words of check and plan, what refuses, and a file that costs too much."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import RefusedError
from cycler_ctl.running.start import checked_program, plan_on
from cycler_ctl.web import checker, planning
from cycler_ctl.web.acting import StartRequest
from cycler_ctl.web.checker import Checker
from cycler_ctl.web.dryrun import Asked, dry_run
from protocols.check import check_text
from protocols.diagnostics import render_all
from protocols.planning.plan_text import plan_json
from protocols.shipped import library

TOKEN = "a-token-for-tests-" + "x" * 25
AUTH = {"authorization": f"Bearer {TOKEN}"}
PROTOCOL = library()["fig_s3_a"].read_text(encoding="utf-8")
ENDLESS = "import time\nprint('ready', flush=True)\nfor _ in __import__('sys').stdin:\n    while True: pass"


def asked(protocol: str, **given: Any) -> Asked:
    nothing: dict[str, Any] = {"cell": None, "cell_name": "cell", "include": {}, "set": {}}
    return Asked(protocol=protocol, file_name="x.yaml", **(nothing | given))


async def plan_for(client: httpx.AsyncClient, channel: str, **body: object) -> dict[str, Any]:
    answer = await client.post(f"/api/v1/channels/{channel}/plan", json=body, headers=AUTH)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_plan_is_that_of_the_terminal_and_says_in_one_sentence_what_will_happen(
    client: httpx.AsyncClient, lab: Any
) -> None:
    found = await plan_for(client, "a6", protocol=PROTOCOL, file_name="x.yaml")
    seen = lab.actions.outlook("a6")
    _, program = checked_program(StartRequest(protocol=PROTOCOL).order(""))
    assert found["plan"] == plan_json(plan_on(program, seen.settings, seen.instrument, seen.ratings))
    assert (found["ok"], found["refused"]) == (True, [])
    assert found["sentence"].startswith(
        "Channel a6 (smu6) passes at most 0.3927 mA through cell a, within -0.1 V to 2.5 V"
    )
    assert found["variables"][0] == {"name": "j", "default": "0.5 mA/cm2"}
    assert lab.actions.asked == []
    busy = await plan_for(client, "a1", protocol=PROTOCOL)
    assert (busy["ok"], busy["refused"]) == (False, ["channel a1 is running: stop it first"])
    assert not busy["queueable"]  # no queues here
    beyond = await plan_for(client, "a6", protocol=PROTOCOL.replace("current: 2 mA", "current: 20 mA"))
    assert not beyond["ok"]
    assert any("above the channel's limit 10 mA" in reason for reason in beyond["refused"])


def test_errors_are_said_as_check_says_them_and_the_settings_stay_known() -> None:
    wrong = PROTOCOL.replace("times: 3", "tims: 3")
    found = dry_run(asked(wrong))
    assert "\n".join(problem.text for problem in found.problems) == render_all(check_text(wrong, "x.yaml").diagnostics)
    assert "      |       ^\n      = help: did you mean 'times'?" in found.problems[0].text
    assert (found.ok, found.plan, found.problems[0].line) == (False, None, 38)
    too_much = dry_run(asked(PROTOCOL, set={"j": "50 mA/cm2"}))
    assert not too_much.ok
    assert [each.name for each in too_much.variables] == ["j", "v_low", "v_high"]


def test_what_a_protocol_may_include_is_what_came_along() -> None:
    protocol = "protocol: 1\nname: x\ninclude: cell.yaml\nsteps: [{rest: 1 h}]\n"
    cell = "cell: {name: <b>c</b>, discharge_means: lithiate}\n"
    assert dry_run(asked(protocol, include={"cell.yaml": cell})).cell == "<b>c</b>"
    assert not dry_run(asked(protocol)).ok


async def test_a_check_needs_no_channel_and_the_shipped_files_are_there(client: httpx.AsyncClient) -> None:
    shipped = {each["name"]: each["text"] for each in (await client.get("/api/v1/library")).json()}
    assert shipped["fig_s3_a.yaml"] == PROTOCOL
    assert "cell_mgh2.yaml" in shipped
    answer = await client.post("/api/v1/check", json={"protocol": "steps: 5"}, headers=AUTH)
    assert answer.json()["problems"][0]["code"] == "missing-key"
    assert (await client.post("/api/v1/channels/zz/plan", json={"protocol": "x"}, headers=AUTH)).status_code == 404


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Checker]:
    """A checker whose process reads for ever."""
    command = [sys.executable, "-c", ENDLESS]
    monkeypatch.setattr(checker, "COMMAND", command)
    found = Checker(answer_s=0.1)
    yield found
    found.close()


def test_a_file_that_takes_too_long_costs_its_time_and_no_more(slow: Checker, monkeypatch: pytest.MonkeyPatch) -> None:
    began_s = SystemClock().now()
    with pytest.raises(RefusedError, match=r"could not be read within 0 s"):
        slow.ask(asked("x"))
    assert SystemClock().now() - began_s < 10
    monkeypatch.undo()
    monkeypatch.setattr(slow, "_answer_s", 30.0)  # whatever else this computer does
    assert slow.ask(asked(PROTOCOL)).ok  # another process


def test_a_checker_that_is_closed_ends_what_is_asked_of_it(slow: Checker) -> None:
    slow._answer_s = 60.0
    with ThreadPoolExecutor(max_workers=1) as pool:
        slow._ready()
        asking = pool.submit(slow.ask, asked("x"))
        slow.close()
        with pytest.raises(RefusedError):
            asking.result(20)
    with pytest.raises(RefusedError, match="the service ends"):
        slow.ask(asked("x"))


async def test_who_finds_others_waiting_is_told_to_come_back(slow: Checker) -> None:
    with ThreadPoolExecutor(max_workers=1) as pool:
        desk = planning.Desk(slow, pool, waiting=planning.MOST_WAITING)
        with pytest.raises(RefusedError, match="try again in a moment"):
            await desk.ask(asked("x"))
