"""The page for everybody: axe-core in the real browser over each view, light and dark, phone and desk."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from chromium import Browser, needs_chromium

from protocols.shipped import library

pytestmark = needs_chromium
TOKEN = "a-token-for-tests-" + "x" * 25
AXE = """
const found = await axe.run(document, {resultTypes: ['violations']});
return found.violations.map((each) => `${each.id}: ${each.nodes.map((node) => node.target + ' ' + node.failureSummary).join(' | ')}`)"""
CLICK = "document.querySelector(arguments[0]).click(); return true"
WRITE = """
for (const [place, value] of arguments[0]) {
  const field = document.querySelector(place);
  field.value = value;
  field.dispatchEvent(new Event(field.tagName === 'SELECT' ? 'change' : 'input'));
}
return true"""


def axe_script() -> str:
    spec = find_spec("axe_core_python")
    assert spec is not None, "axe-core-python is a test's dependency: pip install '.[dev]'"
    assert spec.origin is not None
    return (Path(spec.origin).parent / "axe.min.js").read_text(encoding="utf-8")


async def violations(browser: Browser) -> list[str]:
    found: list[str] = await browser.run(AXE)
    return found


async def views(browser: Browser) -> list[str]:
    """What axe finds over tiles, list, an asked question, the start with a plan and with errors, a channel large."""
    good = library()["fig_s3_a"].read_text(encoding="utf-8")
    found = await violations(browser)
    await browser.run(CLICK, "#bar [data-view=list]")
    found += await violations(browser)
    await browser.run(CLICK, "#list .stop:not([hidden])")
    found += await violations(browser)
    await browser.run(CLICK, "#confirm .act:not(.sure)")
    await browser.run(CLICK, ".act.start")
    await browser.run(WRITE, [["#start [name=channel]", "a6"], ["#start [name=protocol]", good]])
    await browser.until("return document.querySelector('#start .plan')")
    found += await violations(browser)
    await browser.run(WRITE, [["#start [name=protocol]", good.replace("times: 3", "tims: 3")]])
    await browser.until("return document.querySelector('#start .problem')")
    found += await violations(browser)
    await browser.run(CLICK, "#start .close")
    await browser.run(CLICK, "[data-channel=a1] .open")
    await browser.until("return document.querySelector('#detail .cycles')?.innerText.includes('1568')")
    found += await violations(browser)
    await browser.run(CLICK, "#detail .close")
    return found


async def more_views(browser: Browser) -> list[str]:
    """A run that is live, its amendment with changes and with errors, the list of runs, a queue and its questions."""
    good = library()["fig_s3_a"].read_text(encoding="utf-8")
    await browser.run("location.hash = '#/run/20261122-101500-a1-k3x1'; return true")
    await browser.until("return document.querySelectorAll('#run .js-line').length > 4")
    await browser.until("return document.querySelector('#run .act-stop')?.offsetHeight > 0")
    found = await violations(browser)
    await browser.run(CLICK, "#run .to-amend")
    await browser.until("return document.querySelector('#amend [name=protocol]')")
    for times, seen in (("times: 9", ".changes"), ("tims: 3", ".problem")):
        await browser.run(WRITE, [["#amend [name=protocol]", good.replace("times: 3", times)]])
        await browser.until(f"return document.querySelector('#amend {seen}')")
        found += await violations(browser)
    await browser.run(CLICK, "#amend .close")
    await browser.run("location.hash = '#/runs'; return true")
    await browser.until("return document.querySelectorAll('#run tbody tr').length === 5")
    found += await violations(browser)
    await browser.run("location.hash = ''; return true")
    for channel, question in (
        ("a4", "#queue .queue-release"),
        ("a6", "#queue .queue-mark"),
        ("a1", "#queue .queue-hold"),
    ):
        await browser.run(CLICK, f"[data-channel={channel}] .next")
        await browser.until(f"return document.querySelector('{question}')?.offsetHeight > 0")
        found += await violations(browser)
        await browser.run(CLICK, question)
        found += await violations(browser)
        await browser.run(CLICK, "#confirm .act:not(.sure)")
        await browser.run(CLICK, "#queue .close")
    return found


@pytest.mark.parametrize(("width", "height", "scheme"), [(1440, 900, "dark"), (390, 844, "light")])
async def test_no_view_of_a_run_its_amendment_or_a_queue_shuts_anybody_out(
    busy_lab: Any, browser: Browser, width: int, height: int, scheme: str
) -> None:
    await browser.emulate(
        "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 760
    )
    async with busy_lab.serve() as address:
        await browser.open(f"{address}/#token={TOKEN}")
        await browser.emulate(
            "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
        )
        await browser.until("return document.querySelectorAll('[data-channel=a1] .curve').length >= 6")
        await browser.run(axe_script() + "; return true")
        assert await more_views(browser) == []
        assert await browser.run("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("width", "height", "scheme"), [(1440, 900, "light"), (390, 844, "dark")])
async def test_no_view_of_the_overview_start_or_channel_shuts_anybody_out(
    lab: Any, browser: Browser, width: int, height: int, scheme: str
) -> None:
    await browser.emulate(
        "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 760
    )
    async with lab.serve() as address:
        await browser.open(f"{address}/#token={TOKEN}")
        await browser.emulate(
            "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
        )
        await browser.until("return document.querySelectorAll('[data-channel=a1] .curve').length >= 6")
        await browser.run(axe_script() + "; return true")
        assert await views(browser) == []
        other = "dark" if scheme == "light" else "light"
        await browser.emulate("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": other}])
        assert await violations(browser) == []
        assert await browser.run("return document.documentElement.scrollWidth") <= width


async def test_axe_finds_a_button_without_a_name(lab: Any, browser: Browser) -> None:
    async with lab.serve() as address:
        await browser.open(address)
        await browser.run(axe_script() + "; return true")
        await browser.run("document.querySelector('main').append(document.createElement('button')); return true")
        assert any(each.startswith("button-name") for each in await violations(browser))
