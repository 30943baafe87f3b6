"""The guardian and the broker it owns: started before the station, brought back, and of no weight in control."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cycler_ctl.broker import Broker, BrokerError
from cycler_ctl.clock import real_sleep
from cycler_ctl.guardian import Guardian
from cycler_ctl.watching import kept_broker
from cycler_ctl.watching.kept_broker import OwnedBroker

STATION = (
    "import os, pathlib, sys\n"
    "pathlib.Path(sys.argv[1]).write_text(os.environ.get('CYCLER_CTL_BROKER_URL', 'none'))\n"
    "sys.stdin.read()\n"
    "sys.exit(int(sys.argv[2]))\n"
)


class FakeBroker:
    url = "mqtt://127.0.0.1:1999"

    def __init__(self, *, able: bool = True) -> None:
        self.able = able
        self.did: list[str] = []
        self.up = False

    def start(self) -> None:
        self.did.append("start")
        if not self.able:
            raise BrokerError("no room")
        self.up = True

    def stop(self) -> None:
        self.did.append("stop")
        self.up = False

    def alive(self) -> bool:
        return self.up


async def guarded(
    tmp_path: Path, broker: OwnedBroker | None, true: Callable[[], bool] = lambda: True, status: int = 0
) -> tuple[int, str]:
    """Run until the station is up and ``true``, then ask to stop: the exit status and the URL the station got."""
    seen = tmp_path / "url"
    guardian = Guardian([sys.executable, "-c", STATION, str(seen), str(status)], tmp_path, broker)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(guardian.run(), name="guardian")
        async with asyncio.timeout(20.0):
            while not (seen.exists() and seen.read_text() and true()):
                await real_sleep(0.01)
        guardian.ask_to_stop()
    return running.result(), seen.read_text()


async def test_the_station_is_told_the_brokers_address(tmp_path: Path) -> None:
    broker = FakeBroker()
    assert await guarded(tmp_path, broker) == (0, broker.url)
    assert broker.did == ["start", "stop"]


async def test_a_dead_broker_is_brought_back_a_few_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_broker, "EVERY_S", 0.02)

    class Mortal(FakeBroker):
        def alive(self) -> bool:
            return False

    broker = Mortal()
    assert await guarded(tmp_path, broker, lambda: len(broker.did) == 4) == (0, "none")
    assert broker.did == ["start"] * 4 + ["stop"]


async def test_a_broker_that_cannot_start_keeps_no_station_from_running(tmp_path: Path) -> None:
    assert await guarded(tmp_path, FakeBroker(able=False)) == (0, "none")


async def test_a_station_that_ends_badly_when_asked_gives_status_1(tmp_path: Path) -> None:
    assert (await guarded(tmp_path, None, status=7))[0] == 1


@pytest.mark.parametrize(("code", "status"), [(0, 0), (2, 2)])
async def test_a_station_that_ends_by_itself_in_order_is_not_started_again(
    tmp_path: Path, code: int, status: int
) -> None:
    starts = tmp_path / "starts"
    script = f"open({str(starts)!r}, 'a').write('x'); raise SystemExit({code})"
    async with asyncio.timeout(20.0):
        assert await Guardian([sys.executable, "-c", script], tmp_path, None).run() == status
    assert starts.read_text() == "x"


async def test_stray_words_on_the_lease_pipe_do_no_harm(tmp_path: Path) -> None:
    script = "import sys; sys.stdout.buffer.write(b'\\xff' * 300_000 + b'\\nhello\\n'); sys.stdout.flush()"
    async with asyncio.timeout(20.0):
        assert await Guardian([sys.executable, "-c", script], tmp_path, None).run() == 0


def test_the_bundled_broker_is_what_the_guardian_can_own(tmp_path: Path) -> None:
    owned: OwnedBroker = Broker(tmp_path, 0)
    assert not owned.alive()
