"""The live page in a real browser: what a person sees, what the console says, where requests go."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from chromium import Browser, needs_chromium

from cycler_ctl.clock import real_sleep
from cycler_ctl.live import ChannelState

TOKEN = "a-token-for-tests-" + "x" * 25

pytestmark = needs_chromium

TILE = "return document.querySelector(`[data-channel=${arguments[0]}]`)?.innerText.includes(arguments[1])"
CLICK = "document.querySelector(arguments[0]).click(); return true"


async def test_tiles_show_live_values_without_a_complaint_or_a_foreign_request(lab: Any, browser: Browser) -> None:
    async with lab.serve() as address:
        await browser.open(address)
        assert await browser.until("return document.querySelectorAll('.tile').length === 6")
        await browser.until(TILE, "a1", "Running")
        await browser.until(TILE, "a1", "Output on")
        await browser.until(TILE, "a4", "Off confirmed")
        await browser.until(TILE, "a5", "temperature 136.2 °C is above the limit of 135 °C")
        await browser.until("return document.querySelectorAll('[data-channel=a1] .curve').length >= 6")
        run, row = lab.station.samples["a1"]
        lab.station.samples["a1"] = (run, replace(row, voltage_V=0.9871, time_s=row.time_s + 5))
        await browser.until(TILE, "a1", "0.9871")
        assert await browser.run("return document.querySelector('[data-channel=a1] .stop').hidden")
        assert await browser.complaints() == []
        assert {url for url in await browser.requested() if not url.startswith(address)} == set()


async def test_the_large_view_draws_with_plotly_under_the_policy(lab: Any, browser: Browser) -> None:
    async with lab.serve() as address:
        await browser.open(address)
        await browser.until(TILE, "a1", "Running")
        await browser.run(CLICK, "[data-channel=a1] .open")
        assert await browser.until("return document.querySelectorAll('.detail .scatterlayer .js-line').length") == 6
        await browser.until("return document.querySelector('.cycles')?.innerText.includes('1568')")
        await browser.run(CLICK, ".tabs [data-view=time]")
        await browser.until("return document.querySelectorAll('.detail .scatterlayer .js-line').length === 2")
        await browser.emulate(
            "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}]
        )
        await browser.until("return document.querySelectorAll('.detail .scatterlayer .js-line').length === 2")
        await browser.run("document.querySelector('.close').click(); return true")
        assert not await browser.run("return document.querySelector('#detail').open")
        assert await browser.complaints() == []
        assert {url for url in await browser.requested() if not url.startswith(address)} == set()


async def test_stop_asks_first_and_says_off_only_when_it_is(lab: Any, browser: Browser) -> None:
    async with lab.serve() as address:
        await browser.open(f"{address}/#token={TOKEN}")
        await browser.until("return document.querySelector('[data-channel=a1] .stop')?.hidden === false")
        assert TOKEN not in await browser.run("return location.href")
        await browser.run(CLICK, "[data-channel=a1] .stop")
        await browser.run(CLICK, "#confirm .act:not(.sure)")
        await browser.run(CLICK, "[data-channel=a1] .stop")
        assert lab.actions.asked == []
        assert not await browser.run(TILE, "a1", "Off confirmed")
        await browser.run(CLICK, "#confirm .sure")
        await browser.until(TILE, "a1", "Off confirmed")
        assert lab.actions.asked == [("stop", "a1", "page (http 127.0.0.1)")]
        await browser.until("return document.querySelector('[data-channel=a1] .stop').hidden")


async def test_a_refused_stop_says_why(lab: Any, browser: Browser) -> None:
    lab.refuse("a1 is being started")
    async with lab.serve() as address:
        await browser.open(f"{address}/#token={TOKEN}")
        await browser.until("return document.querySelector('[data-channel=a1] .stop')?.hidden === false")
        await browser.run(CLICK, "[data-channel=a1] .stop")
        await browser.run(CLICK, "#confirm .sure")
        await browser.until("return document.querySelector('#confirm').innerText.includes('a1 is being started')")
        assert await browser.run(TILE, "a1", "Output on")


async def test_a_hold_shows_its_voltage_and_what_it_may_take(lab: Any, browser: Browser) -> None:
    held = replace(lab.station.statuses["a1"], step="2.1.cv", what="charge", doing="hold 4.2 V, ≤ 1.6 mA")
    lab.station.put(held)
    async with lab.serve() as address:
        await browser.open(address)
        await browser.until(TILE, "a1", "hold 4.2 V, ≤ 1.6 mA")


async def test_what_nobody_knows_is_never_called_off(lab: Any, browser: Browser) -> None:
    lab.station.change("a2", ChannelState.CANNOT_DEENERGISE, energised=None, reason="smu2 is silent")
    async with lab.serve() as address:
        await browser.open(address)
        await browser.until(TILE, "a2", "treat it as on")
        assert not await browser.run(TILE, "a2", "Off confirmed")
        alarm = await browser.run("return document.querySelector('#alarm').innerText")
        assert alarm.startswith("a2, b: CANNOT BE SWITCHED OFF; current MAY FLOW, nobody can know. Disconnect the cell")
        assert await browser.run("return document.querySelector('#alarms').hidden")


@pytest.mark.parametrize(
    ("state", "offered"),
    [
        (ChannelState.IDLE, []),
        (ChannelState.RUNNING, ["Pause", "Skip step", "Stop"]),
        (ChannelState.PAUSED, ["Resume", "Stop"]),
        (ChannelState.FINISHED, []),
        (ChannelState.TRIPPED, ["Acknowledge"]),
        (ChannelState.FAULTED, ["Acknowledge"]),
        (ChannelState.INTERRUPTED, ["Resume", "Acknowledge"]),
        (ChannelState.CANNOT_DEENERGISE, []),
    ],
)
async def test_only_what_the_station_would_do_is_offered(
    lab: Any, browser: Browser, state: ChannelState, offered: list[str]
) -> None:
    lab.station.change("a1", state, energised=None, reason="why")
    async with lab.serve() as address:
        await browser.open(f"{address}/#token={TOKEN}")
        await browser.until("return document.querySelector('[data-channel=a1] .open') !== null")
        await browser.run(CLICK, "[data-channel=a1] .open")
        seen = "return [...document.querySelectorAll('#detail .act')].filter((b) => !b.hidden).map((b) => b.innerText)"
        assert await browser.run(seen) == offered
        assert await browser.run("return document.querySelector('[data-channel=a1] .stop').hidden") is (
            "Stop" not in offered
        )


async def test_names_from_files_are_text_and_never_markup(lab: Any, browser: Browser) -> None:
    nasty = '<img src=x onerror="document.title=1"><b>cell</b>'
    lab.station.put(replace(lab.station.statuses["a1"], cell=nasty, protocol=nasty, what=nasty))
    async with lab.serve() as address:
        await browser.open(address)
        await browser.until(TILE, "a1", "<b>cell</b>")
        assert await browser.run("return document.querySelectorAll('.tile img, .tile b').length") == 0


async def test_a_lost_station_is_said_and_found_again(lab: Any, browser: Browser) -> None:
    from cycler_ctl.config import HttpSettings

    async with lab.serve() as address:
        await browser.open(address)
        await browser.until("return document.querySelector('#link').innerText === 'Live'")
    await browser.until("return !document.querySelector('#banner').hidden")
    assert "What is shown is old" in await browser.run("return document.querySelector('#banner').innerText")
    lab.hub = type(lab.hub)(lab.station)
    lab.station.change("a1", ChannelState.PAUSED, energised=False)
    async with lab.serve(HttpSettings(listen=address.removeprefix("http://"))):
        await browser.until("return document.querySelector('#banner').hidden")
        await browser.until(TILE, "a1", "Paused")


async def test_one_column_on_a_phone_and_nothing_sticks_out(lab: Any, browser: Browser) -> None:
    await browser.emulate("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=2, mobile=True)
    async with lab.serve() as address:
        await browser.open(address)
        await browser.until(TILE, "a1", "Running")
        lefts = "return new Set([...document.querySelectorAll('.tile')].map(t => t.getBoundingClientRect().left)).size"
        assert await browser.run(lefts) == 1
        assert await browser.run("return document.documentElement.scrollWidth") == 390


async def test_the_harness_hears_a_complaint_and_sees_a_foreign_request(lab: Any, browser: Browser) -> None:
    async with lab.serve() as address:
        await browser.open(address)
        await browser.until(TILE, "a1", "Running")
        await browser.run("new Image().src = 'http://192.0.2.1/x.png'; return true")
        await browser.run("document.body.setAttribute('style', 'color: red'); return true")
        async with asyncio.timeout(10):
            while not (complaints := await browser.complaints()):
                await real_sleep(0.05)
        assert "Content Security Policy" in complaints[0]


async def test_stop_and_whether_current_may_flow_are_in_sight_in_a_list_wider_than_the_window(
    lab: Any, browser: Browser
) -> None:
    await browser.emulate(
        "Emulation.setDeviceMetricsOverride", width=800, height=600, deviceScaleFactor=1, mobile=False
    )
    async with lab.serve() as address:
        await browser.open(f"{address}/#token={TOKEN}")
        await browser.until(TILE, "a1", "Running")
        await browser.run(CLICK, "#bar [data-view=list]")
        assert await browser.run("const l = document.querySelector('#lines'); return l.scrollWidth > l.clientWidth")
        for place in (".stop", ".of-output"):
            right = "return document.querySelector(`[data-row=a1] ${arguments[0]}`).getBoundingClientRect().right"
            assert 0 < await browser.run(right, place) <= 800, place
