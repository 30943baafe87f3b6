"""Safe-off: each instrument is said to be off only when it says so itself, whatever the others do."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from proofs import proven

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import ConfigError
from cycler_ctl.instrument import DriverSpec, Link
from cycler_ctl.plugins import load_driver
from cycler_ctl.watching import safeoff
from cycler_ctl.watching.register import SafeOffEntry
from cycler_ctl.watching.safeoff import safe_off_all

SMU = load_driver("keithley-2400")


@asynccontextmanager
async def instrument(answer: bytes) -> AsyncGenerator[str]:
    """Answers the one question safe-off has to ask; an empty answer is silence."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if b"?" in line:
                writer.write(proven(line, answer) if answer else b"")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"TCPIP0::127.0.0.1::{server.sockets[0].getsockname()[1]}::SOCKET"
    finally:
        server.close()


def entry(name: str, address: str, driver: str = "keithley-2400") -> SafeOffEntry:
    return SafeOffEntry(name, driver, address)


async def fails(link: Link) -> None:
    await link.write(b":OUTP OFF")
    raise ZeroDivisionError("a driver's own mistake")


SPECS: dict[str, DriverSpec] = {
    "keithley-2400": SMU,
    "broken": replace(SMU, safe_off=fails),
    "sensor": replace(SMU, safe_off=None),
}


def only_these(name: str) -> DriverSpec:
    if name not in SPECS:
        raise ConfigError(f"no driver is called {name!r}")
    return SPECS[name]


async def test_only_the_instrument_that_says_off_is_called_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safeoff, "load_driver", only_these)
    async with instrument(b"0;HIMP\n") as good, instrument(b"1;HIMP\n") as stuck, instrument(b"0;NORM\n") as half:
        entries = [
            entry("good", good),
            entry("stuck", stuck),
            entry("half", half),
            entry("gone", "TCPIP0::127.0.0.1::1::SOCKET"),
            entry("broken", good, "broken"),
            entry("unknown", good, "no-such-driver"),
            entry("wrong", "nowhere"),
            entry("oven", "TCPIP0::127.0.0.1::1::SOCKET", "sensor"),
        ]
        results = {result.instrument: result for result in await safe_off_all(entries, SystemClock())}
    assert [name for name, result in results.items() if result.confirmed] == ["good"]
    assert set(results) == {"good", "stuck", "half", "gone", "broken", "unknown", "wrong"}
    for name, result in results.items():
        assert result.message.startswith(f"{name} at {result.address}: ")
        assert ("OFF NOT CONFIRMED" in result.message) == (name != "good")
        assert "\n" not in result.message
    assert "a driver's own mistake" in results["broken"].message


async def test_a_silent_instrument_delays_no_other_and_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safeoff, "TRY_S", 0.3)
    monkeypatch.setattr(safeoff, "TOTAL_S", 1.0)
    loop = asyncio.get_running_loop()
    async with instrument(b"") as silent, instrument(b"0;HIMP\n") as good:
        started_s = loop.time()
        results = await safe_off_all([entry("silent", silent), entry("good", good)], SystemClock())
    assert loop.time() - started_s < 5.0
    assert [result.confirmed for result in results] == [False, True]
    assert "nothing came of it" in results[0].message


async def test_one_that_does_not_say_who_it_is_is_not_taken_for_the_one_that_was_on() -> None:
    async with instrument(b"0;HIMP\n") as good:
        (result,) = await safe_off_all([replace(entry("smu1", good), serial="1")], SystemClock())
    assert not result.confirmed
    assert "it is off, read back, but does not say who it is" in result.message


async def test_two_that_had_the_same_address_one_after_the_other_are_each_asked_for() -> None:
    async with instrument(b"0;HIMP\n") as good:
        entries = [entry("smu1", good), replace(entry("smu1", good), serial="1")]
        results = await safe_off_all(entries, SystemClock())
    assert [result.confirmed for result in results] == [True, False]


async def test_one_instrument_with_two_channels_is_turned_off_once() -> None:
    async with instrument(b"0;HIMP\n") as good:
        assert len(await safe_off_all([entry("smu1", good), entry("smu1", good)], SystemClock())) == 1


async def test_nothing_energised_means_nothing_to_do() -> None:
    assert await safe_off_all([], SystemClock()) == []


def imported_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_the_guard_knows_neither_files_nor_the_network_nor_the_engine() -> None:
    mine = {name for name in imported_by("cycler_ctl.guard") if name.startswith(("cycler_ctl", "protocols"))}
    parts = {f"cycler_ctl.guarding.{part}" for part in ("edges", "hold", "limits", "stuck", "temperature")}
    own = {"cycler_ctl.guard", "cycler_ctl.guarding", *parts}
    data = {"protocols", "protocols.model", "protocols.quick"}
    assert mine == {"cycler_ctl", *own, "cycler_ctl.instrument", "cycler_ctl.ratings", *data}


def test_the_guardian_needs_no_yaml_mqtt_http_or_store() -> None:
    names = imported_by("cycler_ctl.guardian")
    heavy = {"yaml", "aiomqtt", "fastapi", "uvicorn", "sqlite3", "numpy", "pyvisa", "typer", "rich", "tomllib"}
    assert not names & heavy
    assert not {name for name in names if name.startswith(("cycler_ctl.store", "cycler_ctl.publish", "cycler_ctl.web"))}
    assert "cycler_ctl.config" not in names
