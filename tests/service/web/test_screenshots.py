"""The pictures of the page in docs/screenshots.md, made anew by ``pytest tests/service/web/test_screenshots.py --campaign``."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chromium import Browser, needs_chromium

from protocols.shipped import library

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGE = DOCS / "screenshots.md"
SIZES = {390: 844, 1440: 900}
SCHEMES = ("light", "dark")
VIEWS = ("overview", "run", "start", "queue", "amend")
MOST_BYTES = 150_000
TOKEN = "a-token-for-tests-" + "x" * 25
RUN = "20261122-101500-a1-k3x1"
TILES = """
const seen = [...document.querySelectorAll('[data-channel]')].filter((one) => one.getBoundingClientRect().top < innerHeight / 2);
return seen.length > 0 && seen.every((one) => one.querySelector('.curve'))"""
LINES = """
const lines = [...document.querySelectorAll('#run .js-line')];
return lines.length > 4 && lines.every((one) => one.getBoundingClientRect().width > 50)"""
PAINTED = "return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
CLICK = "document.querySelector(arguments[0]).click(); return true"
WRITE = """
for (const [place, value] of arguments[0]) {
  const field = document.querySelector(place);
  field.value = value;
  field.dispatchEvent(new Event(field.tagName === 'SELECT' ? 'change' : 'input'));
}
return true"""


async def show(browser: Browser, address: str, view: str, lab: Any) -> None:
    """Come to the view as a person would, and wait until it is all there, however slow this computer is."""
    await browser.open("about:blank")
    await browser.open(f"{address}/#token={TOKEN}")
    await browser.until(TILES)
    for channel, (run, row) in lab.station.samples.items():
        lab.station.samples[channel] = (run, replace(row, seq=row.seq + 1))
    await browser.until("return !document.querySelector('.tile.stale')")
    if view in {"run", "amend"}:
        await browser.run("location.hash = arguments[0]; return true", f"#/run/{RUN}")
        await browser.until(LINES)
    if view == "amend":
        await browser.run(CLICK, ".to-amend")
        await browser.until("return document.querySelector('#amend [name=protocol]')")
        text = library()["fig_s3_a"].read_text(encoding="utf-8").replace("times: 3", "times: 10")
        await browser.run(WRITE, [["#amend [name=protocol]", text]])
        await browser.until("return document.querySelector('#amend .plan')")
    if view == "queue":
        await browser.run(CLICK, "[data-channel=a4] .next")
        await browser.until("return document.querySelector('#queue .queue-entry')")
    if view == "start":
        text = library()["fig_s3_a"].read_text(encoding="utf-8")
        await browser.run(CLICK, ".act.start")
        await browser.run(WRITE, [["#start [name=channel]", "a6"], ["#start [name=protocol]", text]])
        await browser.until("return document.querySelector('#start .plan')")


async def picture(browser: Browser, width: int) -> bytes:
    """128 colours, so that the repository stays small."""
    from PIL import Image

    await browser.run(PAINTED)
    answer = await browser._ask("goog/cdp/execute", cmd="Page.captureScreenshot", params={"format": "png"})
    with Image.open(io.BytesIO(base64.b64decode(answer["data"]))) as shot:
        assert shot.width == width
        small = io.BytesIO()
        shot.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()


@needs_chromium
@pytest.mark.timeout(300)
async def test_each_view_fits_a_phone_and_a_desk_light_and_dark(
    busy_lab: Any, browser: Browser, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    campaign = request.config.getoption("--campaign")
    folder, views = (DOCS / "screenshots", VIEWS) if campaign else (tmp_path, VIEWS[:1])
    async with busy_lab.serve() as address:
        for width, height in SIZES.items():
            await browser.emulate(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=height,
                deviceScaleFactor=1,
                mobile=width < 760,
            )
            for scheme in SCHEMES:
                feature = {"name": "prefers-color-scheme", "value": scheme}
                await browser.emulate("Emulation.setEmulatedMedia", features=[feature])
                for view in views:
                    await show(browser, address, view, busy_lab)
                    assert await browser.run("return document.documentElement.scrollWidth") <= width
                    (folder / f"{view}-{width}-{scheme}.png").write_bytes(await picture(browser, width))
    shots = {scheme: (folder / f"overview-390-{scheme}.png").read_bytes() for scheme in SCHEMES}
    assert shots["light"] != shots["dark"]


def test_the_manual_shows_each_of_them_and_they_are_small() -> None:
    shown = re.findall(r"!\[[^\]]+\]\(screenshots/([\w-]+)\.png\)", PAGE.read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(
        f"{view}-{width}-{scheme}" for view in VIEWS for width in SIZES for scheme in SCHEMES
    )
    for name in shown:
        content = (DOCS / "screenshots" / f"{name}.png").read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) < MOST_BYTES
        assert int.from_bytes(content[16:20]) == int(name.split("-")[1])
