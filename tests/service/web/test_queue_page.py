"""The queue and amending from the page in a real browser, on simulated instruments and their real station."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from chromium import Browser, needs_chromium
from rig import LITHIATE, Rig, open_rig, protocol, until

from cycler_ctl.clock import SystemClock
from cycler_ctl.config import HttpSettings
from cycler_ctl.live import ChannelState
from cycler_ctl.queueing.opening import open_queueing
from cycler_ctl.running.start import Order
from cycler_ctl.web.app import create_app
from cycler_ctl.web.hub import Hub
from cycler_ctl.web.server import allowed_hosts_of, serve_http
from protocols.reading.documents import Document
from protocols.record import JSON, EventKind

pytestmark = needs_chromium
TOKEN = "a-token-for-tests-" + "x" * 25
CLICK = "document.querySelector(arguments[0]).click(); return true"
SAYS = "return document.querySelector(arguments[0])?.innerText.includes(arguments[1])"
SHOWN = "const b = document.querySelector(arguments[0]); return b && !b.hidden && !b.disabled && b.offsetHeight > 0"
TEXT = "return document.querySelector(arguments[0])?.innerText"
ENTRIES = "return [...document.querySelectorAll('#queue .queue-entry .protocol')].map((one) => one.innerText)"
WRITE = """
const field = document.querySelector(arguments[0]);
field.value = arguments[1];
field.dispatchEvent(new Event(field.tagName === 'SELECT' ? 'change' : 'input'));
return true"""
WRITE_SETTING = """
const label = [...document.querySelectorAll('#amend .settings label')].find((one) => one.innerText.startsWith(arguments[0]));
const field = label.querySelector('input');
const was = field.value || field.placeholder;
if (arguments[1] === null) return was;
field.value = arguments[1];
field.dispatchEvent(new Event('input'));
return was"""
NASTY = '<img src=x onerror="document.title=1"><b>cell</b>'


@asynccontextmanager
async def page_of(rig: Rig) -> AsyncGenerator[str]:
    settings = HttpSettings(listen="127.0.0.1:0")
    async with open_queueing(rig.station, SystemClock()) as queues:
        app = create_app(
            rig.station,
            rig.station,
            data_dir=rig.data,
            token=TOKEN,
            allowed_hosts=allowed_hosts_of(settings),
            hub=Hub(rig.station),
            queues=queues,
            amending=rig.station,
        )
        async with serve_http(app, settings) as address:
            yield address


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path, monkeypatch) as made:
        yield made


async def click(browser: Browser, place: str) -> None:
    await browser.until(SHOWN, place)
    await browser.run(CLICK, place)


async def sure(browser: Browser, place: str) -> str:
    """Press what asks first, and say yes; the question."""
    await click(browser, place)
    await browser.until("return document.querySelector('#confirm').open")
    asked: str = await browser.run(TEXT, "#confirm")
    await browser.run(CLICK, "#confirm .sure")
    return asked


async def enqueue(browser: Browser, text: str, opener: str = "#queue .queue-add") -> None:
    await click(browser, opener)
    await browser.run(WRITE, "#start [name=channel]", "a1")
    await browser.run(WRITE, "#start [name=protocol]", text)
    await click(browser, "#start .to-wait")
    await browser.until("return document.querySelector('#queue').open && !document.querySelector('#start').open")


async def test_two_runs_are_queued_marked_begun_and_held_after_a_stop_and_their_names_stay_text(
    rig: Rig, browser: Browser
) -> None:
    first, second = protocol().replace("Trial", "First"), protocol().replace("name: Trial", f"name: '{NASTY}'")
    second = second.replace("name: MG-0142", f"name: '{NASTY}'")
    async with page_of(rig) as address:
        await browser.open(f"{address}/#token={TOKEN}")
        await enqueue(browser, second, ".act.start")
        await enqueue(browser, first)
        await browser.until(f"{ENTRIES}.length === 2")
        assert await browser.run(ENTRIES) == [NASTY, "First"]
        assert (
            await browser.run("return document.querySelectorAll('#queue img, .tile img, #queue .protocol b').length")
            == 0
        )
        await click(browser, "#queue .queue-entry:last-child [data-act^=up]")
        await browser.until(f"{ENTRIES}.join() === arguments[0]", f"First,{NASTY}")
        await browser.until(SAYS, "#queue .queue-why", "Nobody has said yet that its cell is in the channel")
        await browser.until(
            SAYS, "[data-channel=a1] .next", "Next: First on MG-0142 (and 1 more); waits until its cell"
        )
        assert not rig.flows()

        await click(browser, "#queue .queue-mark")
        await browser.run(CLICK, "#confirm .act:not(.sure)")
        assert rig.status().state is ChannelState.IDLE
        asked = await sure(browser, "#queue .queue-mark")
        assert "Is cell MG-0142 in a1?" in asked
        assert "begins AT ONCE, and the output of a1 goes ON now" in asked
        await until(rig.flows)
        await browser.until(f"{ENTRIES}.length === 1")
        await browser.until(SAYS, "#queue .queue-why", f"put cell {NASTY} in, then mark it ready")
        assert not await browser.run("return document.querySelector('#queue .queue-mark')")

        await browser.run(CLICK, "#queue .close")
        await sure(browser, "[data-channel=a1] .stop")
        await browser.until(SAYS, "[data-channel=a1] .next", "held: stopped")
        line = await browser.run("return document.querySelector('[data-row=a1] .of-queue').textContent")
        assert line == f"1, held: {NASTY} on {NASTY}"
        assert rig.is_off()
        await click(browser, "[data-channel=a1] .next")
        await browser.until(SAYS, "#queue .queue-why", "Held: stopped")
        assert not await browser.run("return document.querySelector('#queue .queue-mark')")
        await sure(browser, "#queue .queue-release")
        await browser.until("return document.querySelector('#queue .queue-mark')")
        await sure(browser, "#queue .queue-hold")
        await browser.until(SAYS, "#queue .queue-why", "Held: on request")
        await sure(browser, "#queue [data-act^=remove]")
        await browser.until(f"{ENTRIES}.length === 0")
        assert await browser.complaints() == []
        assert {url for url in await browser.requested() if not url.startswith(address)} == set()


async def test_a_busy_channel_takes_no_start_but_what_waits(rig: Rig, browser: Browser) -> None:
    async with page_of(rig) as address:
        await rig.flowing()
        await browser.open(f"{address}/#token={TOKEN}")
        await click(browser, ".act.start")
        await browser.run(WRITE, "#start [name=channel]", "a1")
        await browser.run(WRITE, "#start [name=protocol]", protocol())
        await browser.until(SAYS, "#start .verdict", "cannot start now, and may wait in the queue of a1")
        assert await browser.run("return document.querySelector('#start .act.sure').disabled")
        await click(browser, "#start .to-wait")
        asked = await sure(browser, "#queue .queue-mark")  # its cell is the very one that runs
        assert "as soon as the run in progress has ended as it should" in asked
        await browser.until(SAYS, "#queue .queue-ready", "Ready")
        await click(browser, "#queue [data-act^=unready]")
        await browser.until("return document.querySelector('#queue .queue-mark')")


async def test_a_running_protocol_is_amended_paused_and_stopped_from_its_own_page(rig: Rig, browser: Browser) -> None:
    before = protocol(LITHIATE, "  - rest: 20 min\n")
    async with page_of(rig) as address:
        run = await rig.start(before)
        await until(lambda: rig.flows() and rig.station.latest("a1") is not None)
        await browser.open(f"{address}/#token={TOKEN}")
        await browser.until(SHOWN, ".act.start")
        await browser.run("location.hash = arguments[0]; return true", f"#/run/{run}")
        await click(browser, "#run .to-amend")
        await browser.until("return document.querySelector('#amend [name=protocol]')?.value === arguments[0]", before)
        await browser.run(WRITE, "#amend [name=protocol]", before.replace("rest", "rst"))
        await browser.until(SAYS, "#amend .foreseen", "did you mean 'rest'")
        await browser.run(CLICK, "#amend .problem.error .plain")
        at = "const t = document.querySelector('#amend [name=protocol]'); return t.value.slice(t.selectionStart, t.selectionEnd)"
        assert await browser.run(at) == "  - rst: 20 min"
        await browser.run(WRITE, "#amend [name=protocol]", before.replace("0.05 V", "0.06 V"))
        await browser.until(SAYS, "#amend .verdict", "step 1 is in progress: it stays as it is")
        assert await browser.run("return document.querySelector('#amend .act.sure').disabled")
        await browser.run(WRITE, "#amend [name=protocol]", before.replace("20 min", "5 min"))
        await browser.until(SAYS, "#amend .changes", "step 2: ends at time >= 20 min -> time >= 5 min")
        assert "At most" in await browser.run(TEXT, "#amend .foreseen")
        await browser.run(WRITE, "#amend [name=by]", "K. Abe")
        await click(browser, "#amend .act.sure")
        await browser.until(SAYS, "#run .run-acts .said", "a1: amended, 1 change")
        await browser.until(SAYS, "#run .run-protocol", "- rest: 5 min")
        assert rig.flows()
        (event,) = [one for one in rig.events(run) if one.kind is EventKind.OPERATOR and one.data["action"] == "amend"]
        assert event.data["by"] == "K. Abe (http 127.0.0.1)"

        await sure(browser, "#run .act-pause")
        await browser.until(SAYS, "#run .run-acts .said", "a1: paused; off confirmed")
        assert rig.is_off()
        await browser.until(SHOWN, "#run .act-resume")
        await sure(browser, "#run .act-stop")
        await browser.until(SAYS, "#run .run-acts .said", "a1: stopped; off confirmed")
        await browser.until("return !document.querySelector('#run .act-stop').offsetHeight")
        await browser.until(SAYS, "#run .run-head", "Stopped")
        complaints = await browser.complaints()
        assert [one for one in complaints if "/amend - Failed to load resource" not in one] == []
        assert len(complaints) == 1  # the refused look, as the browser logs it


async def test_a_run_is_amended_from_its_page_with_the_file_it_includes_and_its_settings_and_loses_neither(
    rig: Rig, browser: Browser
) -> None:
    """The cell's own file has the name of the one that is included, as where both are called cell.yaml."""
    head, _, cell = protocol().partition("cell:")
    cell = "cell:" + cell.partition("record:")[0]
    steps = LITHIATE + "  - rest: $pause\n  - delithiate: {at: $slow, until: voltage >= 1 V}\n"
    text = f"{head}include: shared.yaml\nrecord: every 0.2 s\nsteps:\n{steps}"
    shared = "variables: {pause: 20 min, slow: 0.3 mA/cm2}\n"
    order = Order(
        Document("trial.yaml", text), Document("shared.yaml", cell), {"pause": "10 min"}, sent={"shared.yaml": shared}
    )

    async def looked() -> str:
        await browser.until(SHOWN, "#amend .act.sure")
        found: str = await browser.run(TEXT, "#amend .changes")
        return found

    def newest() -> dict[str, JSON]:
        amended = [one for one in rig.events(run) if one.kind is EventKind.OPERATOR and one.data["action"] == "amend"]
        return dict(amended[-1].data)

    async with page_of(rig) as address:
        run = await rig.station.begin("a1", order)
        await until(lambda: rig.flows() and rig.station.latest("a1") is not None)
        await browser.open(f"{address}/#token={TOKEN}")
        await browser.until(SHOWN, ".act.start")
        await browser.run("location.hash = arguments[0]; return true", f"#/run/{run}")
        await click(browser, "#run .to-amend")
        await browser.until("return document.querySelector('#amend details textarea')?.value === arguments[0]", shared)
        assert await browser.run("return document.querySelectorAll('#amend textarea').length") == 2
        assert await browser.run(WRITE_SETTING, "slow", None) == "0.3 mA/cm2"
        other = shared.replace("0.3", "0.2")
        await browser.run(WRITE, "#amend details textarea", other)
        assert await browser.run(WRITE_SETTING, "pause", "7 min") == "10 min"
        changes = await looked()
        assert "step 2: ends at time >= 10 min -> time >= 7 min" in changes
        assert changes.count("step 3: ") == 1
        await click(browser, "#amend .act.sure")
        await browser.until(SAYS, "#run .run-acts .said", "a1: amended, 2 changes")
        told = newest()
        assert told["order"] == {"file": "trial.yaml", "overrides": {"pause": "7 min"}, "cell": "shared.yaml"}
        assert [one["text"] for one in told["documents"]] == [other, cell]  # type: ignore[index,call-overload,union-attr]

        await click(browser, "#run .to-amend")
        await browser.until("return document.querySelector('#amend details textarea')?.value === arguments[0]", other)
        await browser.run(WRITE, "#amend [name=protocol]", f"{text}  - rest: 1 min\n")
        changes = await looked()
        assert changes.startswith("step 4 is new: rest")
        assert "step 2" not in changes  # as it was set last
        assert await browser.run(WRITE_SETTING, "pause", "") == "7 min"
        await browser.until(SAYS, "#amend .changes", "step 2: ends at time >= 7 min -> time >= 20 min")
        await click(browser, "#amend .act.sure")
        await browser.until(SAYS, "#run .run-acts .said", "a1: amended, 2 changes")
        assert newest()["order"] == {"file": "trial.yaml", "overrides": {}, "cell": "shared.yaml"}
        assert rig.flows()
        assert await browser.complaints() == []
