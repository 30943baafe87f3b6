"""A run's own page in a real browser: its pictures, what stands below them, other runs beside it, its files."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from chromium import Browser, needs_chromium

from cycler_ctl.clock import real_sleep
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.writer import RunWriter, create_run
from cycler_ctl.testing.rows import Shape, cycling_rows
from cycler_ctl.web import recordings
from protocols.record import CycleSummary, EventKind, EventRecord, Outcome

pytestmark = needs_chromium

NASTY = '<img src=x onerror="document.title=1"><b>%{x} cell</b>'
TEXT = """protocol: 1
name: two cycles
steps:
  - rest: 10 min
  - repeat:
      times: 2
      steps:
        - lithiate:
            at: 0.4 mA
            until: voltage <= 0.2 V
        - rest: 10 min
        - delithiate:
            at: 0.4 mA
            until: voltage >= 1.2 V
"""
RUN, OTHER = "20261122-101500-a1-k3x1", "20261122-111500-b1-k3x2"
SHAPE = Shape(points=400)
LINES = "return document.querySelectorAll('#run .js-line').length"
SAID = "return document.querySelector('.run-picture .said').textContent"
PRESS = "document.querySelector(`#run [data-value='${arguments[0]}']`).click(); return true"


def about(run: str, mass_g: float) -> RunInfo:
    return RunInfo(
        run=run,
        epoch=7,
        channel="a1",
        station="lab-3",
        site="kasuga",
        started_utc_s=1_795_342_500.0,
        protocol_name=NASTY,
        protocol_text=TEXT,
        protocol_sha256="0" * 64,
        cell={"name": NASTY, "active_mass_g": mass_g, "area_cm2": 0.785, "active_material": "MgH2"},
        plan={},
        settings={},
        instrument={"model": "2400"},
        versions={},
        discharge_means=None,
        sample_every_s=5.0,
    )


def begin(data_dir: Path, run: str, mass_g: float = 1.4e-3) -> RunWriter:
    """All rows but the last hundred, and what happened up to there."""
    info = about(run, mass_g)
    writer = create_run(data_dir, info, on_durable=lambda _: None, options=WriterOptions(minimum_free_bytes=0))
    rows = list(cycling_rows(SHAPE))[:-100]
    warning = EventRecord(30.0, info.started_utc_s + 30, EventKind.WARNING, {"text": NASTY})
    cycle = CycleSummary(1, 2.2e-3, 1.65e-3, 9e-4, 1.2e-3, 0.0, rows[-600].time_s)
    writer.append(rows, events=[warning], cycles=[cycle])
    assert writer.flush(20.0)
    return writer


@pytest.fixture
def room(lab: Any, tmp_path: Path) -> Any:
    """A lab whose data folder is the test's own, with one ended run and one under way."""
    lab.data_dir = tmp_path
    ended = begin(tmp_path, RUN)
    ended.finish(Outcome.TRIPPED, "1.31 V is above the limit of 1.3 V")
    assert ended.close()
    writer = begin(tmp_path, OTHER, 2.8e-3)
    yield lab
    assert writer.close()


async def test_each_picture_of_a_run_is_drawn_and_names_stay_text(room: Any, browser: Browser) -> None:
    async with room.serve() as address:
        await browser.open(f"{address}/#/run/{RUN}")
        await browser.until(f"{LINES} === 4")
        for picture, count in (("time", 2), ("dqdv", 4)):
            await browser.run(PRESS, picture)
            await browser.until(f"{LINES} === {count}")
        await browser.until(f"{SAID}.includes('Gaussian')")
        await browser.run(PRESS, "cycles")
        await browser.until("return document.querySelectorAll('#run .points path').length === 3")
        seen = await browser.run("return document.querySelector('#run').innerText")
        assert "1.31 V is above the limit" in seen
        assert NASTY in seen
        assert await browser.run("return document.querySelectorAll('#run img, #run dd b, #run .words b').length") == 0
        mark = await browser.run("return document.querySelector('#run [aria-current=step]').innerText")
        assert "delithiate:" in mark
        assert "step 2.3, executed last" in mark
        assert await browser.run("return document.querySelectorAll('#run .code .now').length") == 3
        assert await browser.complaints() == []
        assert {url for url in await browser.requested() if not url.startswith(address)} == set()


async def test_a_zoom_asks_for_the_part_and_keeps_the_picture_until_it_is_there(room: Any, browser: Browser) -> None:
    async with room.serve() as address:
        await browser.open(f"{address}/#/run/{RUN}")
        await browser.until(f"{LINES} === 4")
        await browser.run(PRESS, "time")
        await browser.until(f"{LINES} === 2")
        whole = await browser.run("return document.querySelector('#run .graph').data[0].x.length")
        await browser.run("""
            const graph = document.querySelector('#run .graph');
            window.least = Infinity;
            new MutationObserver(() => { window.least = Math.min(window.least, graph.querySelectorAll('.js-line').length); })
                .observe(graph, { childList: true, subtree: true });
            document.querySelector('#run .canvas').dispatchEvent(new KeyboardEvent('keydown', { key: '+', bubbles: true, cancelable: true }));
            return true""")
        zoomed = "performance.getEntriesByType('resource').filter((each) => each.name.includes('from_s='))"
        await browser.until(f"return {zoomed}.length === 1")
        points = "return document.querySelector('#run .graph').data[0].x.length"
        await browser.until(f"{points} < {whole}")
        assert await browser.run("return window.least") == 2
        await browser.run("[...document.querySelectorAll('.moves button')].at(-1).click(); return true")
        await browser.until(f"{points} === {whole}")


async def test_a_long_run_is_shown_at_once_and_fills_while_it_is_read(
    room: Any, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "CHUNK_ROWS", 50)
    monkeypatch.setattr(recordings, "READ_AT_ONCE_ROWS", 50)
    monkeypatch.setattr(recordings, "GLIMPSE_ROWS", 60)
    async with room.serve() as address:
        await browser.open(f"{address}/#/run/{RUN}")
        said = await browser.until(
            f"{SAID}.startsWith('Reading') && document.querySelector('.run-picture .said').textContent"
        )
        assert "rows:" in said
        await browser.until(f"{SAID} === '' && document.querySelectorAll('#run .js-line').length === 4")
        await browser.until("return document.querySelector('#run .graph').data.every((line) => line.x.length > 200)")


async def test_runs_are_compared_overlaid_and_side_by_side_per_gram_or_not(room: Any, browser: Browser) -> None:
    async with room.serve() as address:
        await browser.open(f"{address}/#/runs")
        await browser.until("return document.querySelectorAll('#run tbody tr').length === 2")
        await browser.run("document.querySelectorAll('#run tbody input').forEach((box) => box.click()); return true")
        await browser.run("document.querySelector('#run .run-head .act').click(); return true")
        await browser.until(f"{LINES} === 8")
        ends = "return document.querySelector('#run .graph').data.map((line) => Math.max(...line.x))"
        per_gram = await browser.run(ends)
        await browser.run(PRESS, "cell")
        await browser.until(f"{ends.replace('return', 'return Math.max(...')}) < 3")
        per_cell = await browser.run(ends)
        factors = {round(gram / cell, 1) for gram, cell in zip(per_gram, per_cell, strict=True)}
        assert factors == {round(1 / 1.4e-3, 1), round(1 / 2.8e-3, 1)}
        dashes = await browser.run(
            "return [...new Set(document.querySelector('#run .graph').data.map((line) => line.line.dash))]"
        )
        assert len(dashes) == 2  # not by colour alone
        await browser.run(PRESS, "beside")
        await browser.until(
            "return [...document.querySelectorAll('#run .graph')].every((graph) => graph.querySelectorAll('.js-line').length === 4)"
        )
        assert await browser.run("return document.querySelectorAll('#run .graph').length") == 2


async def test_the_list_of_runs_is_searched_and_sorted_by_keys_alone(room: Any, browser: Browser) -> None:
    async with room.serve() as address:
        await browser.open(f"{address}/#/runs")
        await browser.until("return document.querySelectorAll('#run tbody tr').length === 2")
        await browser.run(
            "const box = document.querySelector('#run-search'); box.value = 'tripped'; box.dispatchEvent(new Event('input')); return true"
        )
        assert await browser.run("return document.querySelector('#run .said').textContent") == "1 of 2 runs"
        await browser.run(
            "const box = document.querySelector('#run-search'); box.value = ''; box.dispatchEvent(new Event('input')); return true"
        )
        first = "return document.querySelector('#run tbody a').getAttribute('href')"
        assert await browser.run(first) in {f"#/run/{OTHER}", f"#/run/{RUN}"}
        await browser.run("document.querySelector('#run th[data-key=state] button').click(); return true")
        assert await browser.run(first) == f"#/run/{OTHER}"  # running before tripped
        assert await browser.run("return document.querySelector('#run th[data-key=state]').ariaSort") == "ascending"
        assert await browser.run("return document.querySelectorAll('#run img, #run td b').length") == 0


async def test_files_come_with_what_is_going_on_and_why_one_could_not_be_made(
    room: Any, browser: Browser, tmp_path: Path
) -> None:
    await browser.emulate("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path / "got"))
    press = "document.querySelector(`#run [data-file='${arguments[0]}']`).click(); return true"
    lines = "return document.querySelector('#run .files').innerText"
    async with room.serve() as address:
        await browser.open(f"{address}/#/run/{RUN}")
        await browser.until(f"{LINES} === 4")
        await browser.run(press, "Report")
        await browser.until(f"{lines}.includes('The station makes it')")
        await browser.until(f"{lines}.includes('is with your browser')")
        got = tmp_path / "got" / f"{RUN}-report.html"
        async with asyncio.timeout(10):
            while not got.exists():
                await real_sleep(0.05)
        assert "&lt;img src=x" in got.read_text(encoding="utf-8")
        (tmp_path / "runs" / RUN / "run.sqlite").rename(tmp_path / "away")
        await browser.run(press, "BDF (CSV)")
        await browser.until(f"{lines}.includes('Not made')")


async def test_a_run_that_is_not_there_and_a_station_that_went_away_are_said(room: Any, browser: Browser) -> None:
    async with room.serve() as address:
        await browser.open(f"{address}/#/run/20261122-101500-a1-none")
        await browser.until("return document.querySelector('#run [role=alert]')?.innerText.includes('there is no run')")
        await browser.run("location.hash = arguments[0]; return true", f"#/run/{OTHER}")
        await browser.until(f"{LINES} === 4")
    await browser.run(PRESS, "dqdv")
    await browser.until(f"{SAID}.includes('what is shown is old')")
    assert await browser.run(LINES) == 4


async def test_a_run_fits_a_phone(room: Any, browser: Browser) -> None:
    await browser.emulate("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=2, mobile=True)
    async with room.serve() as address:
        for there, ready in (
            (f"#/run/{RUN},{OTHER}", f"{LINES} === 8"),
            (f"#/run/{RUN}", f"{LINES} === 4"),
            ("#/runs", "return document.querySelector('#run tbody tr') !== null"),
        ):
            await browser.open(f"{address}/{there}")
            await browser.until(ready)
            assert await browser.run("return document.documentElement.scrollWidth") == 390, there
