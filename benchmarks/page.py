"""The page: a run of a million rows from the store to the screen, and what 64 live channels cost.

Answers are timed by a client in the same process, its own part included; the screen by the browser's own clock.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from shutil import which
from statistics import median
from tempfile import TemporaryDirectory

import httpx

from benchmarks.measure import Cost, Stopwatch
from benchmarks.runs import RUN, new_run
from cycler_ctl.clock import real_sleep
from cycler_ctl.config import HttpSettings
from cycler_ctl.live import ChannelState, ChannelStatus, StationView
from cycler_ctl.testing.rows import Shape, cycling_rows
from cycler_ctl.web.app import create_app
from cycler_ctl.web.nothing import NoActions, NoStation
from cycler_ctl.web.server import allowed_hosts_of, serve_http
from protocols.record import Outcome, Row

ROWS, CYCLES, PAGE = 1_000_000, 20, 20_000
REPEATS = 7
CHANNELS, LIVE_S = 64, 20.0
TOKEN = "benchmark-" + "x" * 30
READER = "import sys, urllib.request as u\nfor line in u.urlopen(sys.argv[1]): pass"
WAITING = """
const done = arguments[arguments.length - 1];
const [line, answer] = [arguments[0], arguments[1]];
const look = () => {
  const asked = performance.getEntriesByType('resource').filter((each) => each.name.includes(answer) && each.responseEnd > 0);
  if (asked.length && document.querySelectorAll(line).length) done(performance.now() - asked[0].responseEnd);
  else requestAnimationFrame(look);
};
look();
"""

SHOWN = """
const [wanted, done] = arguments;
const look = () => {
  if (document.querySelectorAll('[data-channel]').length >= wanted) done(performance.now());
  else requestAnimationFrame(look);
};
look();
"""


def make_run(data_dir: Path) -> None:
    writer = new_run(data_dir)
    shape = Shape(
        points=ROWS // (3 * CYCLES + 1) + 1, lithiation_Ah=(2.2e-3,) * CYCLES, delithiation_Ah=(1.65e-3,) * CYCLES
    )
    rows = islice(cycling_rows(shape), ROWS)
    while part := list(islice(rows, PAGE)):
        writer.append(part)
        writer.flush(60.0)
    writer.finish(Outcome.FINISHED, "")
    writer.close(60.0)


@asynccontextmanager
async def serving(data_dir: Path, view: StationView) -> AsyncGenerator[str]:
    settings = HttpSettings(listen="127.0.0.1:0")
    app = create_app(view, NoActions(), data_dir=data_dir, token=TOKEN, allowed_hosts=allowed_hosts_of(settings))
    async with serve_http(app, settings) as address:
        yield address


async def a_long_run(data_dir: Path) -> None:
    print(f"\na run of {ROWS:,} rows over HTTP")
    async with serving(data_dir, NoStation()) as address:
        async with httpx.AsyncClient(base_url=f"{address}/api/v1/runs/{RUN}", trust_env=False, timeout=60) as client:
            await _answers(client)
        await _in_browser(f"{address}/#/run/{RUN}", _run_on_screen)


async def _answers(client: httpx.AsyncClient) -> None:
    begun_s = time.perf_counter()
    cold, looks = await _timed(client, "/samples?points=4000"), 1
    while not (answer := (await client.get("/samples?points=6")).json())["whole"]:
        looks += 1
    last_s = answer["columns"]["time_s"][-1]
    print(
        f"  never looked at before: first answer {cold.wall_us:.0f} ms ({cold.cpu_us:.0f} CPU), all read after {looks} looks,",
        end=" ",
    )
    print(f"{time.perf_counter() - begun_s:.1f} s")
    part = f"/samples?points=4000&from_s={last_s * 0.4}&to_s="
    for name, path in {
        "whole run over time": "/samples?points=4000",
        "a tenth of it": f"{part}{last_s * 0.5}",
        "a thousandth": f"{part}{last_s * 0.401}",
        "voltage over capacity": "/curves?points=400&cycles=24",
        "dQ/dV": "/dqdv?cycles=12",
    }.items():
        found = [await _timed(client, path) for _ in range(REPEATS)]
        wall, cpu = median(one.wall_us for one in found), median(one.cpu_us for one in found)
        print(
            f"  {name:24} median {wall:6.1f} ms wall, {cpu:5.1f} ms CPU, best {min(one.wall_us for one in found):6.1f} ms"
        )


async def _timed(client: httpx.AsyncClient, path: str) -> Cost:
    watch = Stopwatch()
    (await client.get(path)).raise_for_status()
    return watch.cost(1e3)  # a thousand units: µs a unit are ms


async def _in_browser(page: str, measured: Callable[[httpx.AsyncClient, str, str], Awaitable[None]]) -> None:
    driver = which("chromedriver")
    if driver is None:
        print("  the screen: chromedriver is not installed")
        return
    port = 9517
    process = await asyncio.create_subprocess_exec(driver, f"--port={port}", stdout=asyncio.subprocess.DEVNULL)
    transport = httpx.AsyncHTTPTransport(retries=8)
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", transport=transport, trust_env=False, timeout=60
        ) as browser:
            options = {"args": ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1440,900"]}
            wanted = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}}
            session = f"/session/{(await browser.post('/session', json=wanted)).json()['value']['sessionId']}"
            await measured(browser, session, page)
            await browser.delete(session)
    finally:
        process.terminate()
        await process.wait()


async def _forget(browser: httpx.AsyncClient, session: str) -> None:
    """As if the browser had never been here."""
    forget: dict[str, object] = {"cmd": "Network.clearBrowserCache", "params": {}}
    await browser.post(f"{session}/goog/cdp/execute", json=forget)


async def _asked(browser: httpx.AsyncClient, session: str, page: str, script: str, *values: object) -> float:
    """What ``script`` says in a page that is opened anew."""
    await browser.post(f"{session}/url", json={"url": "about:blank"})
    await browser.post(f"{session}/url", json={"url": page})
    answer = await browser.post(f"{session}/execute/async", json={"script": script, "args": list(values)})
    return float(answer.json()["value"])


async def _run_on_screen(browser: httpx.AsyncClient, session: str, page: str) -> None:
    """From the end of the first answer to lines on the screen, plotly's own loading included."""
    await _forget(browser, session)
    first, *found = [
        await _asked(browser, session, page, WAITING, "#run .js-line", "/curves?") for _ in range(REPEATS + 1)
    ]
    print(f"  lines on the screen after the answer: median {median(found):.0f} ms, best {min(found):.0f} ms", end="; ")
    print(f"the first time in a browser {first:.0f} ms")


async def _first_page(browser: httpx.AsyncClient, session: str, page: str) -> None:
    """From the address to a tile for each channel."""
    found: list[float] = []
    for _ in range(REPEATS):
        await _forget(browser, session)
        found.append(await _asked(browser, session, page, SHOWN, CHANNELS))
    print(f"first page, all {CHANNELS} channels on it: median {median(found):.0f} ms, best {min(found):.0f} ms")


class Live:
    """A StationView of channels with a new row each second."""

    def __init__(self) -> None:
        self.row = next(cycling_rows(Shape()))
        self.names = tuple(f"c{number}" for number in range(CHANNELS))
        self.statuses = tuple(
            ChannelStatus(name, "smu", ChannelState.RUNNING, "", 0.0, energised=True, run=f"run-{name}")
            for name in self.names
        )

    def channels(self) -> tuple[ChannelStatus, ...]:
        return self.statuses

    def instruments(self) -> tuple[()]:
        return ()

    def latest(self, channel: str) -> tuple[str, Row]:
        return f"run-{channel}", self.row

    def tick(self) -> None:
        self.row = replace(self.row, seq=self.row.seq + 1, time_s=self.row.time_s + 1.0)


async def live_channels(data_dir: Path) -> None:
    view = Live()
    async with serving(data_dir, view) as address:

        async def watched() -> None:
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", READER, f"{address}/api/v1/stream")
            await real_sleep(1.0)
            shares.append(await _share(view))
            process.kill()
            await process.wait()

        shares: list[float] = []
        await real_sleep(1.0)
        idle = await _share(view)
        await _repeated(watched, 3)
        await _in_browser(f"{address}/", _first_page)
    costs = [share - idle for share in shares]
    print(
        f"\n{CHANNELS} live channels at 1 Hz, one page open: median {median(costs):.2%} of a core, best {min(costs):.2%}"
    )


async def _repeated(work: Callable[[], Awaitable[None]], times: int) -> None:
    for _ in range(times):
        await work()


async def _share(view: Live) -> float:
    """Of a core, for ``LIVE_S``."""
    cpu_s, begun_s = time.process_time(), time.perf_counter()
    while time.perf_counter() - begun_s < LIVE_S:
        view.tick()
        await real_sleep(1.0)
    return (time.process_time() - cpu_s) / (time.perf_counter() - begun_s)


async def bench() -> None:
    with TemporaryDirectory() as name:
        await live_channels(Path(name))
        make_run(Path(name))
        await a_long_run(Path(name))
