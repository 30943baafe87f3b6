"""The guardian with real processes over a simulated instrument, judged by the instrument's own truth."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import psutil
import pytest
from guarded import HERE, LEASE_S, Smu, simulated, watched

from cycler_ctl.clock import SystemClock, real_sleep
from cycler_ctl.instrument import ConstantCurrent
from cycler_ctl.link.opening import open_link
from cycler_ctl.plugins import load_driver
from cycler_ctl.watching.latch import acknowledge, latched
from cycler_ctl.watching.register import SafeOffEntry, read_register, write_register

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="kill -9 and SIGSTOP are POSIX; T18 needs its own runner"
)


@pytest.fixture
async def smu() -> AsyncGenerator[Smu]:
    async with simulated() as instrument:
        yield instrument


async def test_a_killed_station_leaves_its_output_off_within_a_second(smu: Smu, tmp_path: Path) -> None:
    async with watched(tmp_path, smu.address) as both:
        await both.energised()
        assert await smu.is_on()
        os.kill(both.station(), signal.SIGKILL)
        await smu.off_after_s(1.0)
        await both.until(lambda lives: sum(line.startswith("start") for line in lives) == 2)
        assert await both.stopped() == 0
        assert not await smu.is_on()


async def test_a_stopped_station_leaves_its_output_off_within_lease_and_a_second(smu: Smu, tmp_path: Path) -> None:
    async with watched(tmp_path, smu.address) as both:
        await both.energised()
        os.kill(both.station(), signal.SIGSTOP)
        await smu.off_after_s(LEASE_S + 1.0)
        assert await both.stopped() == 0


async def test_without_the_lease_a_stopped_station_would_leave_its_output_on(smu: Smu, tmp_path: Path) -> None:
    """The negative control of the test above."""
    async with watched(tmp_path, smu.address, "steady", "--ignore-leases") as both:
        await both.energised()
        os.kill(both.station(), signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            await smu.off_after_s(LEASE_S + 1.0)
        assert both.guardian.returncode is None  # it lives, and would have
        assert "taking over" not in both.words()


async def test_a_station_that_stalls_for_half_a_second_is_left_alone(smu: Smu, tmp_path: Path) -> None:
    async with watched(tmp_path, smu.address, "stall") as both:
        await both.until(lambda lives: lives.count("stalled") >= 5)
        assert sum(line.startswith("start") for line in both.lives()) == 1
        assert await smu.is_on()
        assert await both.stopped() == 0


async def test_asked_to_stop_the_station_turns_off_by_itself_and_all_end(smu: Smu, tmp_path: Path) -> None:
    async with watched(tmp_path, smu.address) as both:
        await both.energised()
        assert list(read_register(tmp_path)) == ["a1"]
        assert await both.stopped() == 0
        assert both.lives()[-2:] == ["off", "asked"]
        assert not await smu.is_on()
        assert read_register(tmp_path) == {}


async def test_ctrl_c_twice_does_not_skip_turning_off_a_station_that_hears_nothing(smu: Smu, tmp_path: Path) -> None:
    async with watched(tmp_path, smu.address, "deaf") as both:
        await both.energised()
        both.guardian.send_signal(signal.SIGINT)
        await both.said("stopping")
        both.guardian.send_signal(signal.SIGINT)
        await both.said("still turning the outputs off")
        assert await both.status() == 0
        assert not await smu.is_on()


async def test_a_killed_guardian_makes_the_station_turn_off_and_end(smu: Smu, tmp_path: Path) -> None:
    async with watched(tmp_path, smu.address) as both:
        await both.energised()
        both.guardian.kill()
        await smu.off_after_s(1.0)
        await both.until(lambda lives: lives[-1] == "guardian gone")


async def test_after_three_restarts_the_station_stays_down_with_its_output_off(smu: Smu, tmp_path: Path) -> None:
    """And only then people are told, by a process that delays no end."""
    told = tmp_path / "told"
    async with watched(tmp_path, smu.address, "crash", "--tells") as both:
        await both.said("IS NOT STARTED AGAIN. Every output is off, read back.")
        assert sum(line.startswith("start") for line in both.lives()) == 4
        assert not await smu.is_on()
        assert read_register(tmp_path) == {}
        await both.until(lambda _: told.exists() and told.read_text(encoding="utf-8") != "")
        pid, off, reason = told.read_text(encoding="utf-8").split(" ", 2)
        assert (off, reason) == ("off", "it failed after 3 restarts in 60 s")
        assert psutil.pid_exists(int(pid))
        assert both.guardian.returncode is None
        assert await both.stopped() == 1
        assert not psutil.pid_exists(int(pid))


async def test_a_station_held_back_stays_so_for_the_next_guardian_until_a_person_has_looked(
    smu: Smu, tmp_path: Path
) -> None:
    async with watched(tmp_path, smu.address, "crash") as both:
        await both.said("IS NOT STARTED AGAIN")
        assert await both.stopped() == 1
    begun = both.lives()
    async with watched(tmp_path, smu.address, "steady", "--hasty") as both:
        await both.said("IS NOT STARTED AGAIN. Every output is off, read back. The reason: it failed after 3 restarts")
        await real_sleep(0.5)
        assert both.lives() == begun
        acknowledge(tmp_path, "K. Abe", 1764000000.0)
        await both.energised(5)
        assert latched(tmp_path) is None
        assert await both.stopped() == 0
    kept = [json.loads(line) for line in (tmp_path / "latch.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [one["what"] for one in kept] == ["latched", "acknowledged"]
    assert (kept[1]["by"], kept[1]["utc"]) == ("K. Abe", "2025-11-24T16:00:00+00:00")


async def test_a_station_that_stands_still_while_nothing_is_on_is_started_again(smu: Smu, tmp_path: Path) -> None:
    async with watched(tmp_path, smu.address, "idle", "--hasty") as both:
        await both.until(lambda lives: len(lives) == 2)
        await real_sleep(3.5)  # longer than it may be silent: one that lives is left alone
        assert len(both.lives()) == 2
        os.kill(int(both.lives()[-1].split()[1]), signal.SIGSTOP)
        await both.said("the station stands still: taking over")
        await both.until(lambda lives: len(lives) == 4)
        assert await both.stopped() == 0


async def test_the_first_act_is_off_for_what_an_earlier_life_left_on(smu: Smu, tmp_path: Path) -> None:
    spec, address = load_driver("keithley-2400"), smu.address
    async with open_link(address, spec.link, SystemClock()) as link:
        connection = spec.connect(link, spec.options())
        instrument = await connection.__aenter__()
        await instrument.channels["1"].apply(ConstantCurrent(-0.4e-3, (0.1, 1.3)))
    assert await smu.is_on()
    write_register(tmp_path, {"a1": SafeOffEntry("smu1", "keithley-2400", address)})
    async with watched(tmp_path, address) as both:
        await both.said("off, read back")
        assert not await smu.is_on() or both.lives()
        await both.energised()
        assert await both.stopped() == 0


async def test_an_unreadable_register_turns_every_instrument_off(smu: Smu, tmp_path: Path) -> None:
    async with watched(tmp_path, smu.address) as both:
        await both.energised()
        both.guardian.kill()
        os.kill(both.station(), signal.SIGKILL)
        await both.guardian.wait()
    assert await smu.is_on()
    (tmp_path / "energised.json").write_text("{", encoding="utf-8")
    async with watched(tmp_path, smu.address) as both:
        await both.said("turning every instrument off")
        await both.said("off, read back")
        await both.energised(2)
        assert await both.stopped() == 0


async def test_a_second_guardian_on_the_same_folder_touches_nothing(smu: Smu, tmp_path: Path) -> None:
    async with watched(tmp_path, smu.address) as both:
        await both.energised()
        command = (sys.executable, str(HERE / "fake_guardian.py"), "steady", str(tmp_path), smu.address, str(LEASE_S))
        second = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        _, words = await second.communicate()
        assert second.returncode == 1
        assert b"serves" in words
        assert await smu.is_on()
        assert await both.stopped() == 0


async def test_an_instrument_that_was_moved_is_not_called_off_at_its_old_address(smu: Smu, tmp_path: Path) -> None:
    """station.toml gives the same name another address, and off at the old one was never confirmed."""
    old = entry_at("tcp://127.0.0.1:9")
    write_register(tmp_path, {"a0": old, "a1": entry_at(smu.address)})
    async with watched(tmp_path, smu.address) as both:
        await both.energised()
        assert await both.stopped() == 4
    assert read_register(tmp_path) == {"a0": old}


def entry_at(address: str) -> SafeOffEntry:
    return SafeOffEntry("smu1", "keithley-2400", address)
