"""Acting from the page in a real browser: a whole run on a simulated instrument, the start's words, the dense list."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chromium import Browser, needs_chromium
from rig import Rig, open_rig, protocol, until

from cycler_ctl.config import HttpSettings
from cycler_ctl.errors import InstrumentError
from cycler_ctl.live import ChannelState
from cycler_ctl.web.app import create_app
from cycler_ctl.web.hub import Hub
from cycler_ctl.web.server import allowed_hosts_of, serve_http
from protocols.shipped import library

pytestmark = needs_chromium
TOKEN = "a-token-for-tests-" + "x" * 25
CLICK = "document.querySelector(arguments[0]).click(); return true"
SAYS = "return document.querySelector(arguments[0])?.innerText.includes(arguments[1])"
WRITE = """
const field = document.querySelector(arguments[0]);
field.value = arguments[1];
field.dispatchEvent(new Event(field.tagName === 'SELECT' ? 'change' : 'input'));
return true"""
SHOWN = "return [...document.querySelectorAll('#list tbody tr')].filter((r) => !r.hidden).map((r) => r.dataset.row)"
NASTY = '<img src=x onerror="document.title=1"><b>cell</b>'


@asynccontextmanager
async def page_of(rig: Rig) -> AsyncIterator[str]:
    settings = HttpSettings(listen="127.0.0.1:0")
    app = create_app(
        rig.station,
        rig.station,
        data_dir=rig.data,
        token=TOKEN,
        allowed_hosts=allowed_hosts_of(settings),
        hub=Hub(rig.station),
    )
    async with serve_http(app, settings) as address:
        yield address


async def press(browser: Browser, word: str) -> None:
    """An act of the large view, and yes."""
    await browser.until("const b = document.querySelector(arguments[0]); return b && !b.hidden", f"#detail .act-{word}")
    await browser.run(CLICK, f"#detail .act-{word}")
    await browser.until("return document.querySelector('#confirm').open")
    await browser.run(CLICK, "#confirm .sure")


async def test_a_whole_run_is_started_watched_paused_resumed_and_stopped_from_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, browser: Browser
) -> None:
    async with open_rig(tmp_path, monkeypatch) as rig, page_of(rig) as address:
        await browser.open(f"{address}/#token={TOKEN}")
        await browser.until("const b = document.querySelector('.act.start'); return b && !b.hidden")
        await browser.run(CLICK, ".act.start")
        await browser.run(WRITE, "#start [name=channel]", "a1")
        await browser.run(WRITE, "#start [name=protocol]", protocol())
        await browser.until("return document.querySelector('#start .act.sure').disabled === false")
        sentence = await browser.run("return document.querySelector('.sentence').innerText")
        assert sentence.startswith("Channel a1 (smu1) passes at most 0.3927 mA through cell MG-0142")
        assert not rig.flows()
        await browser.run(WRITE, "#start [name=by]", "K. Abe")
        await browser.run(CLICK, "#start .act.sure")
        await browser.until(SAYS, "[data-channel=a1]", "Output on")
        await until(rig.flows)
        await browser.until("return document.querySelector('[data-channel=a1] dd').innerText.includes('V')")

        await browser.run(CLICK, "[data-channel=a1] .open")
        await press(browser, "pause")
        await browser.until(SAYS, "#detail .said", "a1: paused; off confirmed")
        assert rig.is_off()
        await press(browser, "resume")
        await browser.until(SAYS, "#detail .output", "Output on")
        await until(rig.flows)
        await browser.run(CLICK, "#detail .close")

        await browser.run(CLICK, "[data-channel=a1] .stop")
        assert "cannot be taken up again" in await browser.run("return document.querySelector('#confirm').innerText")
        await browser.run(CLICK, "#confirm .sure")
        await browser.until(SAYS, "#happened", "a1: stopped; off confirmed")
        assert rig.is_off()
        run = rig.status().run
        assert run is not None
        who = {event.data.get("by") for event in rig.events(run)} - {None}
        assert who == {"K. Abe (http 127.0.0.1)"}
        assert await browser.complaints() == []
        assert {url for url in await browser.requested() if not url.startswith(address)} == set()


async def test_the_start_shows_errors_at_their_lines_and_starts_nothing_but_what_was_planned(
    lab: Any, browser: Browser
) -> None:
    good = library()["fig_s3_a"].read_text(encoding="utf-8")
    async with lab.serve() as address:
        await browser.open(f"{address}/#token={TOKEN}")
        await browser.until("const b = document.querySelector('.act.start'); return b && !b.hidden")
        await browser.run(CLICK, ".act.start")
        await browser.run(WRITE, "#start [name=channel]", "a6")
        named = good.replace("name: a", f"name: '{NASTY}'")
        await browser.run(WRITE, "#start [name=protocol]", named.replace("times: 3", "tims: 3"))
        await browser.until(SAYS, "#start .foreseen", "help: did you mean 'times'?")
        await browser.run(CLICK, "#start .problem .plain")
        at = "const t = document.querySelector('#start [name=protocol]'); return t.value.slice(t.selectionStart, t.selectionEnd)"
        assert "tims: 3" in await browser.run(at)
        assert await browser.run("return document.querySelector('#start .act.sure').disabled")
        await browser.run(WRITE, "#start [name=protocol]", named)
        await browser.until("return document.querySelectorAll('#start .plan tbody tr').length === 5")
        assert await browser.run("return document.querySelectorAll('#start img, #start b').length") == 0
        assert NASTY in await browser.run("return document.querySelector('.sentence').innerText")
        await browser.run(WRITE, "#start .settings input", "0.1 mA/cm2")
        assert await browser.run(
            "return document.querySelector('#start .act.sure').disabled"
        )  # what it would do changed
        await browser.until(SAYS, ".sentence", "at most 0.07854 mA")
        await browser.run(WRITE, "#start [name=channel]", "a1")
        await browser.until(SAYS, "#start .refused", "channel a1 is running: stop it first")
        assert await browser.run("return document.querySelector('#start .act.sure').disabled")
        await browser.run(WRITE, "#start [name=channel]", "a6")
        await browser.until("return document.querySelector('#start .act.sure').disabled === false")
        await browser.run(CLICK, "#start .act.sure")
        await browser.until(SAYS, "#happened", "a6: started")
        ((_, channel, order),) = lab.actions.asked
        assert (channel, order.overrides) == ("a6", {"j": "0.1 mA/cm2"})
        assert await browser.complaints() == []


async def test_many_channels_are_listed_found_and_sorted_and_are_there_at_once(lab: Any, browser: Browser) -> None:
    base = lab.station.statuses["a1"]
    for number in range(7, 65):
        lab.station.put(replace(base, channel=f"a{number}", cell=f"MG-{number}"))
    lab.station.put(replace(base, channel="a64", state=ChannelState.TRIPPED, cell=NASTY, reason="too hot"))
    async with lab.serve() as address:
        await browser.open(address)
        await browser.until("return document.querySelectorAll('#list tbody tr').length === 64")
        assert await browser.run("return performance.now()") < 10_000
        assert not await browser.run("return document.querySelector('#lines').hidden")
        assert (await browser.run(SHOWN))[8:11] == ["a9", "a10", "a11"]  # as people count
        await browser.run(CLICK, "[data-key=state] button")
        assert set((await browser.run(SHOWN))[:2]) == {"a5", "a64"}  # those that need a person stand first
        assert await browser.run("return document.querySelector('[data-key=state]').ariaSort") == "descending"
        assert await browser.run("return document.querySelectorAll('#list img, #list b').length") == 0
        await browser.run(WRITE, "#bar input", "mg-3 running")
        assert set(await browser.run(SHOWN)) == {f"a{number}" for number in range(30, 40)}
        await browser.until(SAYS, ".found", "10 of 64 channels")
        await browser.run(WRITE, "#bar input", "")
        await browser.run(WRITE, "#bar select", "person")
        assert set(await browser.run(SHOWN)) == {"a5", "a64"}
        await browser.run(CLICK, "#bar [data-view=tiles]")
        tiles = "return [...document.querySelectorAll('.tile')].filter((t) => t.offsetHeight).length"
        assert await browser.run(tiles) == 2


async def test_an_end_without_off_read_back_is_never_called_off(lab: Any, browser: Browser) -> None:
    async def stop(channel: str, _by: str) -> None:
        lab.station.change(channel, ChannelState.STOPPED, energised=None, reason="stopped")

    lab.actions.stop = stop
    async with lab.serve() as address:
        await browser.open(f"{address}/#token={TOKEN}")
        await browser.until("return document.querySelector('[data-channel=a1] .stop')?.hidden === false")
        await browser.run(CLICK, "[data-channel=a1] .stop")
        await browser.run(CLICK, "#confirm .sure")
        await browser.until(SAYS, "#happened", "OFF IS NOT CONFIRMED: treat the output as on")
        assert not await browser.run(SAYS, "[data-channel=a1]", "Off confirmed")


async def test_a_failure_is_told_after_the_question_that_is_open_and_never_in_its_place(
    lab: Any, browser: Browser
) -> None:
    failing = asyncio.Event()

    async def stop(channel: str, _by: str) -> None:
        if channel == "a1":
            await failing.wait()
            raise InstrumentError("smu1 does not answer")
        lab.station.change(channel, ChannelState.STOPPED, energised=False, reason="stopped")

    lab.actions.stop = stop
    async with lab.serve() as address:
        await browser.open(f"{address}/#token={TOKEN}")
        await browser.until("return document.querySelector('[data-channel=a2] .stop')?.hidden === false")
        await browser.run(CLICK, "[data-channel=a1] .stop")
        await browser.run(CLICK, "#confirm .sure")
        await browser.until(SAYS, "#happened", "a1: switching off; not confirmed yet")
        await browser.run(CLICK, "[data-channel=a2] .stop")
        await browser.until(SAYS, "#confirm", "Stop a2?")
        failing.set()
        await browser.until("return document.querySelector('#happened').innerText === ''")
        assert await browser.run(SAYS, "#confirm", "Stop a2?")
        await browser.run(CLICK, "#confirm .sure")
        await browser.until(SAYS, "#confirm", "a1 was not stopped")
        await browser.run(CLICK, "#confirm button")
        await browser.until("return !document.querySelector('[data-channel=a1] .stop').disabled")
        assert lab.station.statuses["a2"].state is ChannelState.STOPPED


async def test_what_a_person_said_yes_to_is_not_done_to_the_step_that_came_while_she_was_asked(
    lab: Any, browser: Browser
) -> None:
    async with lab.serve() as address:
        await browser.open(f"{address}/#token={TOKEN}")
        await browser.until("return document.querySelector('[data-channel=a1] .stop')?.hidden === false")
        await browser.run(CLICK, "[data-channel=a1] .open")
        await browser.run(CLICK, "#detail .act-skip")
        await browser.until("return document.querySelector('#confirm').open")
        lab.station.put(replace(lab.station.statuses["a1"], step="9.9"))
        await browser.until(SAYS, "[data-channel=a1]", "step 9.9")
        await browser.run(CLICK, "#confirm .sure")
        await browser.until(SAYS, "#detail .said", "a1 has changed since you were asked: look again")
        assert lab.actions.asked == []
        await press(browser, "skip")
        await browser.until(SAYS, "#detail .said", "goes on with the next step")
        assert [what for what, *_ in lab.actions.asked] == ["skip"]
