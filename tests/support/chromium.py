"""A real headless Chromium over WebDriver: what a person sees, what the console says, where requests go."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cycler_ctl.clock import real_sleep

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

needs_chromium = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed")


class Browser:
    """A WebDriver session."""

    def __init__(self, driver: httpx.AsyncClient, session: str) -> None:
        self._driver = driver
        self._session = f"/session/{session}"

    async def open(self, address: str) -> None:
        await self._ask("url", url=address)

    async def run(self, script: str, *values: object) -> Any:
        return await self._ask("execute/sync", script=script, args=list(values))

    async def emulate(self, command: str, **parameters: object) -> None:
        await self._ask("goog/cdp/execute", cmd=command, params=parameters)

    async def until(self, script: str, *values: object) -> Any:
        """The first true answer of ``script``."""
        async with asyncio.timeout(60):
            while not (found := await self.run(script, *values)):
                await real_sleep(0.05)
            return found

    async def log(self, kind: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = await self._ask("se/log", type=kind)
        return entries

    async def complaints(self) -> list[str]:
        return [entry["message"] for entry in await self.log("browser")]

    async def requested(self) -> set[str]:
        """Every address asked for over the network since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in await self.log("performance")]
        sent = [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]
        return {url for url in sent if url.startswith(("http", "ws"))}

    async def _ask(self, what: str, **body: object) -> Any:
        answer = (await self._driver.post(f"{self._session}/{what}", json=body)).json()["value"]
        assert not (isinstance(answer, dict) and "stacktrace" in answer), answer
        return answer


@contextlib.contextmanager
def driving() -> Iterator[str]:
    """A chromedriver of our own; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen([str(DRIVER), f"--port={port}"], stdout=subprocess.DEVNULL) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def new_session(driver: httpx.Client, profile: Path) -> str:
    options = {"binary": CHROMIUM, "args": [*QUIET, f"--user-data-dir={profile}"]}
    wanted = {
        "browserName": "chrome",
        "goog:chromeOptions": options,
        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
    }
    answer = driver.post("/session", json={"capabilities": {"alwaysMatch": wanted}}).json()["value"]
    assert "sessionId" in answer, answer
    return str(answer["sessionId"])
