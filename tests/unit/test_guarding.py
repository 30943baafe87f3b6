"""A guardian through the lives of its station, in virtual time: when it takes over, what it turns off, when it starts again."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from io import StringIO
from pathlib import Path

import pytest
import virtual_loop
from filelock import FileLock
from virtual_loop import leap

from cycler_ctl import guardian
from cycler_ctl.clock import Clock, real_sleep
from cycler_ctl.errors import ConfigError, StoreError
from cycler_ctl.guardian import Guardian, preload, run_guardian
from cycler_ctl.watching.latch import acknowledge, hold_back, latched
from cycler_ctl.watching.lease import STOP
from cycler_ctl.watching.register import (
    ENTRIES_FILE,
    REGISTER_FILE,
    SafeOffEntry,
    read_entries,
    read_register,
    write_entries,
    write_register,
)
from cycler_ctl.watching.safeoff import SafeOffResult

SMU1 = SafeOffEntry("smu1", "keithley-2400", "one")
SMU2 = SafeOffEntry("smu2", "keithley-2400", "two")
NEVER = 1_000_000.0
Life = Callable[["Child"], Awaitable[None]]


def now_s() -> float:
    return asyncio.get_running_loop().time()


class Child:
    """A station process, as far as its guardian sees it. ``life`` is what it does."""

    def __init__(self, lab: Lab, life: Life) -> None:
        self.returncode: int | None = None
        self.stdin: Child | None = self
        self.stdout: Child | None = self
        self.asked = asyncio.Event()
        self.killed = 0
        self.is_closed = False
        self.breaks = False
        self.is_held_open = False
        self.lab = lab
        self._lines = b""
        self._news = asyncio.Event()
        self._over = asyncio.Event()
        self._task = asyncio.ensure_future(life(self))

    def says(self, *lines: str) -> None:
        self._lines += "".join(f"{line}\n" for line in lines).encode()
        self._news.set()

    async def read(self, most: int) -> bytes:
        """Waits as a pipe does; empty at its end."""
        while not self._lines and (self.is_held_open or self.returncode is None) and not self.is_closed:
            self._news.clear()
            await self._news.wait()
        said, self._lines = self._lines[:most], self._lines[most:]
        return said

    def closes_its_pipe(self) -> None:
        self.is_closed = True
        self._news.set()

    def write(self, data: bytes) -> None:
        if self.breaks:
            raise BrokenPipeError
        if data == STOP:
            self.asked.set()

    def close(self) -> None:
        self.lab.told.append("input closed")

    def ends(self, status: int) -> None:
        if self.returncode is None:
            self.returncode = status
            self.lab.told.append(f"ended {status}")
            self._news.set()
            self._over.set()

    async def wait(self) -> int:
        await self._over.wait()
        assert self.returncode is not None
        return self.returncode

    def kill(self) -> None:
        self._task.cancel()
        self.ends(-9)


class Lab:
    """What a guardian has to do with. ``told`` is what happened, in order; ``stuck``: who does not go off."""

    def __init__(self, data_dir: Path, lives: Iterable[Life]) -> None:
        self.data_dir = data_dir
        self.lives: Iterator[Life] = iter(lives)
        self.told: list[object] = []
        self.at_s: list[float] = []
        self.environments: list[Mapping[str, str]] = []
        self.stuck: set[SafeOffEntry] = set()
        self.takes_s = 0.0
        self.offs: list[list[SafeOffEntry]] = []

    async def start_child(self, _command: Sequence[str], env: Mapping[str, str]) -> Child:
        self.told.append("started")
        self.at_s.append(now_s())
        self.environments.append(env)
        return Child(self, next(self.lives))

    def kill_child(self, child: Child) -> None:
        child.kill()

    async def safe_off_all(self, entries: Iterable[SafeOffEntry], _clock: Clock) -> list[SafeOffResult]:
        found = list(dict.fromkeys(entries))
        self.offs.append(found)
        self.told.append("off")
        await real_sleep(self.takes_s)
        return [SafeOffResult(one.name, one.address, one not in self.stuck, f"{one.name} told") for one in found]

    async def switch_off(self, channel: str, entry: SafeOffEntry) -> tuple[bool, str]:
        self.told.append(("relay", channel, entry.name))
        return True, "the command ended with status 0"

    def put(self, patch: pytest.MonkeyPatch) -> None:
        for name in ("start_child", "kill_child", "safe_off_all", "switch_off"):
            patch.setattr(guardian, name, getattr(self, name))


class Manager:
    """systemd's socket."""

    def __init__(self, path: Path, patch: pytest.MonkeyPatch) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        patch.setenv("NOTIFY_SOCKET", str(path))

    def heard(self) -> list[str]:
        heard: list[str] = []
        with suppress(BlockingIOError):
            while True:
                heard.append(self._socket.recv(4096).decode())
        return heard

    def close(self) -> None:
        self._socket.close()


async def steady(child: Child, sequence: int = 1) -> None:
    """Handles a reading a second, and ends in order when it is asked to."""
    while not child.asked.is_set():
        child.says(f"lease {sequence} a1 3000")
        sequence += 1
        await real_sleep(1.0)
    child.ends(0)


async def hangs(child: Child) -> None:
    child.says("lease 1 a1 3000")
    await asyncio.Event().wait()


async def crashes(child: Child) -> None:
    await real_sleep(1.0)
    child.ends(3)


async def ends_well(child: Child) -> None:
    child.ends(0)


@asynccontextmanager
async def guarded(lab: Lab) -> AsyncGenerator[tuple[Guardian, asyncio.Task[int]]]:
    one = Guardian(["station"], lab.data_dir, None)
    running = asyncio.ensure_future(one.run())
    yield one, running
    assert running.done()
    assert asyncio.all_tasks() == {asyncio.current_task()}, "something is left"


async def asked_after(one: Guardian, running: asyncio.Task[int], at_s: float) -> int:
    await real_sleep(at_s)
    assert not running.done()
    one.ask_to_stop()
    return await running


@pytest.fixture(autouse=True)
def _no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_loop, "GRACE_S", 0.0)  # nothing comes from anywhere else


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Lab]:
    def made(*lives: Life) -> Lab:
        one = Lab(tmp_path, lives)
        one.put(monkeypatch)
        return one

    return made


Labs = Callable[..., Lab]


def test_off_is_the_first_act_and_the_last(lab: Labs) -> None:
    async def lived() -> None:
        place = lab(steady)
        write_register(place.data_dir, {"a1": SMU1})
        async with guarded(place) as (one, running):
            await real_sleep(0.5)
            assert place.told[:2] == ["off", "started"]
            assert read_register(place.data_dir) == {}
            assert await asked_after(one, running, 10.0) == 0
        assert place.told == ["off", "started", "input closed", "ended 0", "off", "off"]
        assert place.offs == [[SMU1], [], []]

    leap(lived())


def test_a_station_that_handles_its_readings_is_left_alone(lab: Labs) -> None:
    async def lived() -> None:
        place = lab(steady)
        async with guarded(place) as (one, running):
            assert await asked_after(one, running, 30.0) == 0
        assert place.told.count("started") == 1

    leap(lived())


def test_a_lease_that_lapses_ends_the_station_turns_off_and_starts_it_again(
    lab: Labs, capsys: pytest.CaptureFixture[str]
) -> None:
    async def lived() -> None:
        place = lab(hangs, steady)
        async with guarded(place) as (one, running):
            await real_sleep(0.0)
            began_s = now_s()
            write_register(place.data_dir, {"a1": SMU1})
            assert await asked_after(one, running, 10.0) == 0
        assert place.told[:5] == ["off", "started", "ended -9", "off", "started"]
        assert place.offs[1] == [SMU1]
        assert 3.0 < place.at_s[1] - began_s < 3.25  # the lease, and a second look a tenth of a second later

    leap(lived())
    said = capsys.readouterr().err
    assert "guardian: no reading was handled in time on a1: taking over\n" in said
    assert "guardian: starting the station again\n" in said
    assert "guardian: smu1 told\n" in said
    assert "ended by itself" not in said


def test_it_looks_at_the_end_of_a_lease_and_once_more_before_it_takes_over(lab: Labs) -> None:
    async def lived() -> None:
        async def hangs_soon(child: Child) -> None:
            child.says("lease 1 a1 2950")
            await real_sleep(NEVER)

        place = lab(hangs_soon, steady)
        async with guarded(place) as (one, running):
            await asked_after(one, running, 5.0)
        assert place.at_s[1] - place.at_s[0] == pytest.approx(3.051, abs=0.005)

    leap(lived())


def test_a_guardian_that_stood_still_itself_reads_what_was_said_before_it_takes_over(lab: Labs) -> None:
    async def lived() -> None:
        async def late(child: Child) -> None:
            child.says("lease 1 a1 2950")
            await real_sleep(3.0)  # after the look at the lease's end, before the second one
            await steady(child, 2)

        place = lab(late)
        async with guarded(place) as (one, running):
            assert await asked_after(one, running, 60.0) == 0
        assert place.told.count("started") == 1

    leap(lived())


def test_a_station_that_dies_is_started_again_after_off(lab: Labs, capsys: pytest.CaptureFixture[str]) -> None:
    async def lived() -> None:
        place = lab(crashes, steady)
        async with guarded(place) as (one, running):
            assert await asked_after(one, running, 10.0) == 0
        assert place.told[:5] == ["off", "started", "ended 3", "off", "started"]

    leap(lived())
    assert "the station ended by itself with status 3" in capsys.readouterr().err


def test_a_station_whose_pipe_ends_is_taken_for_dead(lab: Labs) -> None:
    async def lived() -> None:
        async def deaf(child: Child) -> None:
            await real_sleep(1.0)
            child.closes_its_pipe()
            await asyncio.Event().wait()

        place = lab(deaf, steady)
        async with guarded(place) as (one, running):
            assert await asked_after(one, running, 10.0) == 0
        assert place.told[:5] == ["off", "started", "ended -9", "off", "started"]

    leap(lived())


def test_a_pipe_that_somebody_else_holds_open_after_the_stations_death_is_heard_no_more(lab: Labs) -> None:
    async def lived() -> None:
        async def left_alone(child: Child) -> None:
            child.is_held_open = True
            await crashes(child)

        place = lab(left_alone, steady)
        async with guarded(place) as (one, running):
            assert await asked_after(one, running, 10.0) == 0
        assert place.told.count("started") == 2

    leap(lived())


@pytest.mark.parametrize("status", [0, 2])
def test_a_station_that_ended_in_order_or_was_called_wrongly_is_not_started_again(lab: Labs, status: int) -> None:
    async def lived() -> None:
        async def over(child: Child) -> None:
            child.ends(status)

        place = lab(over)
        async with guarded(place) as (_, running):
            assert await running == status
        assert place.told == ["off", "started", f"ended {status}", "off", "off"]

    leap(lived())


@pytest.mark.parametrize(("status", "told"), [(0, 0), (1, 1), (2, 2), (4, 1), (-15, 1)])
def test_how_the_station_ended_when_asked_is_how_the_guardian_ends(lab: Labs, status: int, told: int) -> None:
    async def lived() -> None:
        async def over(child: Child) -> None:
            await child.asked.wait()
            child.ends(status)

        place = lab(over)
        async with guarded(place) as (one, running):
            assert await asked_after(one, running, 1.0) == told

    leap(lived())


def test_an_output_that_is_not_confirmed_off_at_the_end_is_status_4(lab: Labs) -> None:
    async def lived() -> None:
        async def leaves_it_on(child: Child) -> None:
            write_register(place.data_dir, {"a1": SMU1, "a2": SMU2})
            await steady(child)

        place = lab(leaves_it_on)
        place.stuck.add(SMU2)
        async with guarded(place) as (one, running):
            assert await asked_after(one, running, 1.5) == 4
        assert place.offs == [[], [SMU1, SMU2], [SMU2]]
        assert read_register(place.data_dir) == {"a2": SMU2}

    leap(lived())


def test_asked_to_stop_the_station_has_10_s_while_its_leases_hold(
    lab: Labs, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guardian, "TICK_S", 0.125)  # then the looks are at these times to the last bit

    async def lived() -> None:
        place = lab(lambda child: steady_for(child, 1000))
        async with guarded(place) as (one, running):
            await real_sleep(1.0625)
            began_s = now_s()
            assert await asked_after(one, running, 0.0) == 0  # every output read back as off: an orderly end
            assert now_s() - began_s == pytest.approx(10.0625, abs=0.01)
        assert place.told[2:] == ["input closed", "ended -9", "off", "off"]

    leap(lived())
    said = capsys.readouterr().err
    assert "the station did not end in time: taking over" in said
    assert "stopping: turning every output off" in said


async def steady_for(child: Child, times: int) -> None:
    for sequence in range(1, times):
        child.says(f"lease {sequence} a1 3000")
        await real_sleep(1.0)


def test_asked_to_stop_a_station_whose_lease_lapses_has_no_more_time(lab: Labs) -> None:
    async def lived() -> None:
        place = lab(hangs)
        async with guarded(place) as (one, running):
            await real_sleep(1.0)
            began_s = now_s()
            assert await asked_after(one, running, 0.0) == 0
            assert now_s() - began_s == pytest.approx(2.1, abs=0.21)

    leap(lived())


def test_a_station_that_ends_in_time_is_waited_for_no_longer(lab: Labs, capsys: pytest.CaptureFixture[str]) -> None:
    async def lived() -> None:
        place = lab(steady)
        async with guarded(place) as (one, running):
            began_s = now_s()
            await asked_after(one, running, 5.0)
            assert now_s() - began_s < 6.5

    leap(lived())
    assert "taking over" not in capsys.readouterr().err


@pytest.mark.parametrize("broken", ["no input", "input broken", "no output"])
def test_a_station_whose_pipes_are_gone_is_ended_all_the_same(lab: Labs, broken: str) -> None:
    async def lived() -> None:
        async def odd(child: Child) -> None:
            await real_sleep(NEVER)

        def life(child: Child) -> Awaitable[None]:
            if broken == "no input":
                child.stdin = None
            elif broken == "input broken":
                child.breaks = True
            else:
                child.stdout = None
            return odd(child)

        place = lab(life, steady)
        async with guarded(place) as (one, running):
            assert await asked_after(one, running, 0.05) == 0
        assert "ended -9" in place.told
        assert ("input closed" in place.told) == (broken != "no input")

    leap(lived())


def test_asked_again_it_still_turns_everything_off(lab: Labs, capsys: pytest.CaptureFixture[str]) -> None:
    async def lived() -> None:
        place = lab(steady)
        async with guarded(place) as (one, running):
            await real_sleep(1.0)
            one.ask_to_stop()
            one.ask_to_stop()
            assert await running == 0
        assert place.told[-2:] == ["off", "off"]

    leap(lived())
    said = capsys.readouterr().err
    assert said.count("stopping: turning every output off") == 1
    assert said.count("still turning the outputs off, please wait") == 1


def test_asked_to_stop_before_the_station_began_nothing_is_started(lab: Labs) -> None:
    async def lived() -> None:
        place = lab()
        one = Guardian(["station"], place.data_dir, None)
        one.ask_to_stop()
        assert await one.run() == 0
        assert place.told == ["off", "off"]

    leap(lived())


def test_asked_to_stop_while_a_dead_stations_outputs_are_turned_off_it_is_not_started_again(
    lab: Labs, capsys: pytest.CaptureFixture[str]
) -> None:
    async def lived() -> None:
        place = lab(crashes)
        place.takes_s = 2.0
        async with guarded(place) as (one, running):
            assert await asked_after(one, running, 4.0) == 0
        assert place.told.count("started") == 1

    leap(lived())
    assert "starting the station again" not in capsys.readouterr().err


def test_after_three_restarts_in_a_minute_it_stays_down_until_a_person_has_looked(
    lab: Labs, capsys: pytest.CaptureFixture[str]
) -> None:
    async def lived() -> None:
        place = lab(*[crashes] * 4, steady)
        async with guarded(place) as (one, running):
            await real_sleep(3600.0)
            assert place.told.count("started") == 4
            held = latched(place.data_dir)
            assert held is not None
            assert held.startswith("it failed after 3 restarts in 60 s, at ")
            acknowledge(place.data_dir, "K. Abe", 1_764_000_000.0)
            await real_sleep(6.0)
            assert place.told.count("started") == 5
            assert await asked_after(one, running, 10.0) == 0

    leap(lived())
    said = capsys.readouterr().err
    assert "THE STATION IS NOT STARTED AGAIN. Every output is off, read back. The reason: it failed after 3" in said
    assert said.count("NOT STARTED AGAIN") == 1
    assert "acknowledged: starting the station again" in said
    assert said.count("starting the station again") == 4


def test_after_an_acknowledgement_the_restarts_are_counted_anew(lab: Labs) -> None:
    async def lived() -> None:
        place = lab(*[crashes] * 8)
        async with guarded(place) as (one, running):
            await real_sleep(10.0)
            acknowledge(place.data_dir, "K. Abe", 1_764_000_000.0)
            await real_sleep(20.0)
            assert place.told.count("started") == 8
            assert await asked_after(one, running, 1.0) == 1

    leap(lived())


def test_what_was_acknowledged_is_no_failure_any_more(lab: Labs) -> None:
    async def lived() -> None:
        place = lab(crashes)
        hold_back(place.data_dir, "it failed", 1_764_000_000.0)
        async with guarded(place) as (one, running):
            await real_sleep(1.0)
            acknowledge(place.data_dir, "K. Abe", 1_764_000_000.0)
            await real_sleep(4.5)
            place.takes_s = 2.0
            assert await asked_after(one, running, 2.0) == 0  # while what has died again is turned off

    leap(lived())


def test_one_that_was_held_back_by_an_earlier_guardian_is_not_begun(
    lab: Labs, capsys: pytest.CaptureFixture[str]
) -> None:
    async def lived() -> None:
        place = lab()
        hold_back(place.data_dir, "it failed", 1_764_000_000.0)
        async with guarded(place) as (one, running):
            assert await asked_after(one, running, 100.0) == 1
        assert place.told == ["off", "off", "off"]  # once is enough where nothing is left on
        text = (place.data_dir / "latch.jsonl").read_text(encoding="utf-8")
        assert text.count("\n") == 1  # it is not held back twice

    leap(lived())
    assert "The reason: it failed, at 2025-11-24T16:00:00+00:00." in capsys.readouterr().err


def test_while_it_is_held_back_what_is_not_confirmed_off_is_tried_every_5_s(
    lab: Labs, capsys: pytest.CaptureFixture[str]
) -> None:
    async def lived() -> None:
        place = lab()
        hold_back(place.data_dir, "it failed", 1_764_000_000.0)
        write_register(place.data_dir, {"a1": SMU1})
        place.stuck.add(SMU1)
        async with guarded(place) as (one, running):
            await real_sleep(21.0)
            assert len(place.offs) == 2 + 4
            place.stuck.clear()
            await real_sleep(60.0)
            assert len(place.offs) == 2 + 5
            assert await asked_after(one, running, 0.0) == 1

    leap(lived())
    assert "NOT EVERY OUTPUT IS CONFIRMED OFF. The reason" in capsys.readouterr().err


@pytest.mark.parametrize(("stuck", "word"), [(False, "off"), (True, "unsure")])
def test_people_are_told_that_everything_is_off_only_where_it_was_read_back(
    lab: Labs, monkeypatch: pytest.MonkeyPatch, stuck: bool, word: str
) -> None:
    told: list[tuple[str, ...]] = []

    @asynccontextmanager
    async def telling(command: Sequence[str], *words: str) -> AsyncGenerator[None]:
        told.append((*command, *words))
        yield

    async def lived() -> None:
        place = lab()
        hold_back(place.data_dir, "it failed", 1_764_000_000.0)
        write_register(place.data_dir, {"a1": SMU1})
        place.stuck |= {SMU1} if stuck else set()
        one = Guardian(["station"], place.data_dir, None, ["teller"])
        await asked_after(one, asyncio.ensure_future(one.run()), 7.0)

    monkeypatch.setattr(guardian, "telling", telling)
    leap(lived())
    assert told == [("teller", word, "it failed, at 2025-11-24T16:00:00+00:00")]


def test_asked_to_stop_while_held_back_it_ends_at_once(lab: Labs) -> None:
    async def lived() -> None:
        place = lab()
        hold_back(place.data_dir, "it failed", 1_764_000_000.0)
        async with guarded(place) as (one, running):
            began_s = now_s()
            await asked_after(one, running, 7.0)
            assert now_s() - began_s == pytest.approx(7.0, abs=0.1)

    leap(lived())


def test_where_the_latch_cannot_be_written_nothing_is_started_and_it_is_written_as_soon_as_it_can_be(
    lab: Labs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lived() -> None:
        place = lab(*[crashes] * 4, steady)

        def full(*_: object) -> None:
            raise StoreError("the disk is full")

        monkeypatch.setattr(guardian, "hold_back", full)
        async with guarded(place) as (one, running):
            await real_sleep(100.0)
            assert place.told.count("started") == 4
            monkeypatch.setattr(guardian, "hold_back", hold_back)
            await real_sleep(6.0)
            assert latched(place.data_dir) is not None
            acknowledge(place.data_dir, "K. Abe", 1_764_000_000.0)
            await real_sleep(6.0)
            assert place.told.count("started") == 5
            assert await asked_after(one, running, 1.0) == 0

    leap(lived())


def test_an_unreadable_register_turns_every_instrument_off_and_is_made_anew_once_all_are(
    lab: Labs, capsys: pytest.CaptureFixture[str]
) -> None:
    async def lived() -> None:
        place = lab(steady)
        write_entries(place.data_dir, [SMU1, SMU2])
        (place.data_dir / REGISTER_FILE).write_text("{", encoding="utf-8")
        place.stuck.add(SMU2)
        async with guarded(place) as (one, running):
            await real_sleep(0.5)
            assert place.offs == [[SMU1, SMU2]]
            assert read_register(place.data_dir) == {"smu2": SMU2}
            assert await asked_after(one, running, 1.0) == 4

    leap(lived())
    assert "cannot be read: " in capsys.readouterr().err


def test_a_station_of_no_known_instruments_whose_register_cannot_be_read_is_never_said_to_be_off(
    lab: Labs, capsys: pytest.CaptureFixture[str]
) -> None:
    async def lived() -> None:
        place = lab(steady)
        for name in (REGISTER_FILE, ENTRIES_FILE):
            (place.data_dir / name).write_text("{", encoding="utf-8")
        async with guarded(place) as (one, running):
            assert await asked_after(one, running, 1.0) == 4
        assert place.offs == []
        assert (place.data_dir / REGISTER_FILE).read_text(encoding="utf-8") == "{"

    leap(lived())
    assert "run 'cycler-ctl safe-off --config FILE'" in capsys.readouterr().err


def test_a_register_that_cannot_be_written_costs_one_more_safe_off_and_nothing_else(
    lab: Labs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lived() -> None:
        place = lab(steady)
        write_register(place.data_dir, {"a1": SMU1})

        def full(*_: object) -> None:
            raise StoreError("the disk is full")

        monkeypatch.setattr(guardian, "write_register", full)
        async with guarded(place) as (one, running):
            assert await asked_after(one, running, 1.0) == 0
        assert place.offs == [[SMU1], [SMU1], [SMU1]]

    leap(lived())


def test_an_instrument_that_was_moved_is_struck_out_only_where_it_was_turned_off(lab: Labs) -> None:
    async def lived() -> None:
        place, moved = lab(steady), SafeOffEntry("smu1", "keithley-2400", "elsewhere")
        write_register(place.data_dir, {"a1": SMU1, "a2": moved})
        place.stuck.add(moved)
        async with guarded(place) as (one, running):
            assert await asked_after(one, running, 1.0) == 4
        assert read_register(place.data_dir) == {"a2": moved}

    leap(lived())


def test_the_labs_relay_is_run_for_what_does_not_go_off_at_most_once_a_minute_and_proves_nothing(
    lab: Labs, capsys: pytest.CaptureFixture[str]
) -> None:
    async def lived() -> None:
        place = lab()
        hold_back(place.data_dir, "it failed", 1_764_000_000.0)
        with_relay = SafeOffEntry("smu1", "keithley-2400", "one", relay=("pdu", "off"))
        write_register(place.data_dir, {"a1": with_relay, "a2": SMU2})
        place.stuck |= {with_relay, SMU2}
        async with guarded(place) as (one, running):
            await real_sleep(59.0)
            assert place.told.count(("relay", "a1", "smu1")) == 1
            await real_sleep(1.5)
            assert place.told.count(("relay", "a1", "smu1")) == 2
            assert ("relay", "a2", "smu2") not in place.told
            assert await asked_after(one, running, 0.0) == 4
        assert read_register(place.data_dir) == {"a1": with_relay, "a2": SMU2}

    leap(lived())
    assert "guardian: a1: the command ended with status 0\n" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="systemd's socket")
def test_the_service_manager_hears_when_it_is_ready_that_it_lives_and_why_nothing_runs(
    lab: Labs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = Manager(tmp_path / "notify", monkeypatch)

    async def lived() -> None:
        place = lab(*[crashes] * 4, steady)
        place.takes_s = 0.5
        async with guarded(place) as (one, running):
            await real_sleep(0.4)
            assert manager.heard() == []  # not before what may be on is off
            await real_sleep(0.2)
            assert manager.heard() == ["READY=1", "WATCHDOG=1"]
            await real_sleep(10.0)
            heard = manager.heard()
            assert "STATUS=the station failed too often and is not started again" in heard
            await real_sleep(30.0)
            assert manager.heard() == ["WATCHDOG=1"] * 6
            acknowledge(place.data_dir, "K. Abe", 1_764_000_000.0)
            await real_sleep(10.0)
            heard = manager.heard()
            assert "STATUS=" in heard
            assert 5 <= heard.count("WATCHDOG=1") <= 11
            one.ask_to_stop()
            await running
            assert manager.heard() == ["STOPPING=1"]

    leap(lived())
    manager.close()


@pytest.mark.skipif(sys.platform == "win32", reason="systemd's socket")
def test_the_station_does_not_speak_for_the_service(lab: Labs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = Manager(tmp_path / "notify", monkeypatch)

    async def lived() -> None:
        place = lab(ends_well)
        async with guarded(place) as (_, running):
            await running
        ours = dict(os.environ)
        del ours["NOTIFY_SOCKET"]
        assert place.environments == [ours]

    leap(lived())
    manager.close()


class Broker:
    """The bundled broker."""

    url = "mqtt://127.0.0.1:1883"

    def __init__(self) -> None:
        self.told: list[str] = []

    def start(self) -> None:
        self.told.append("start")

    def stop(self) -> None:
        self.told.append("stop")

    def alive(self) -> bool:
        return self.told[-1:] == ["start"]


def test_the_broker_begins_before_the_station_which_is_told_where_it_is_and_ends_after_it(lab: Labs) -> None:
    async def lived() -> None:
        place, broker = lab(steady), Broker()
        one = Guardian(["station"], place.data_dir, broker)
        running = asyncio.ensure_future(one.run())
        await real_sleep(30.0)
        assert broker.told == ["start"]
        assert place.environments[0]["CYCLER_CTL_BROKER_URL"] == broker.url
        one.ask_to_stop()
        assert await running == 0
        assert broker.told == ["start", "stop"]

    leap(lived())


def test_a_broker_that_died_is_started_again_while_the_station_goes_on(
    lab: Labs, capsys: pytest.CaptureFixture[str]
) -> None:
    async def lived() -> None:
        place, broker = lab(steady), Broker()
        one = Guardian(["station"], place.data_dir, broker)
        running = asyncio.ensure_future(one.run())
        await real_sleep(1.0)
        broker.told.append("died")
        await real_sleep(5.0)
        assert broker.told[:3] == ["start", "died", "start"]
        one.ask_to_stop()
        assert await running == 0
        assert place.told.count("started") == 1

    leap(lived())
    assert "guardian: the broker is gone: starting it again" in capsys.readouterr().err


def test_lines_that_are_no_leases_are_shown_and_torn_ones_are_put_together(
    lab: Labs, capsys: pytest.CaptureFixture[str]
) -> None:
    async def lived() -> None:
        async def talks(child: Child) -> None:
            child.says("Hello")
            for piece in (b"lease 1 a", b"1 30", b"00\nx" + b"y" * 300 + b"\n"):
                child._lines += piece
                child._news.set()
                await real_sleep(0.01)
            await real_sleep(NEVER)

        place = lab(talks, steady)
        async with guarded(place) as (one, running):
            await real_sleep(3.5)
            assert place.told.count("started") == 2  # so the torn one was heard
            assert await asked_after(one, running, 1.0) == 0

    leap(lived())
    said = capsys.readouterr().err
    assert "guardian: the station wrote on its lease pipe: b'Hello'\n" in said
    assert "b'x" + "y" * 199 + "'\n" in said


def test_of_a_line_without_end_only_so_much_is_kept_as_a_lease_can_have(lab: Labs) -> None:
    async def lived() -> None:
        async def floods(child: Child) -> None:
            child._lines += b"z" * 20_000 + b"\n"
            await steady(child)

        place = lab(floods)
        async with guarded(place) as (one, running):
            assert await asked_after(one, running, 10.0) == 0

    leap(lived())


def test_whatever_goes_wrong_in_between_the_last_act_is_off(lab: Labs) -> None:
    async def lived() -> None:
        place = lab()  # no life at all: to start the station fails
        with pytest.raises(BaseExceptionGroup):
            await Guardian(["station"], place.data_dir, None).run()
        assert place.told == ["off", "started", "off"]

    leap(lived())


def test_a_guardian_that_is_cancelled_leaves_no_station_behind(lab: Labs) -> None:
    async def lived() -> None:
        place = lab(steady)
        running = asyncio.ensure_future(Guardian(["station"], place.data_dir, None).run())
        await real_sleep(1.0)
        running.cancel()
        await asyncio.wait({running})
        assert place.told == ["off", "started", "ended -9", "off"]

    leap(lived())


class Gone(StringIO):
    """A terminal that is not there any more."""

    def write(self, _: str) -> int:
        raise OSError("the terminal is gone")


def test_a_terminal_that_is_gone_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Gone())
    guardian.say("off")
    sys.stderr.close()
    guardian.say("off")


def test_run_holds_the_folder_writes_what_can_be_turned_off_and_ends_as_the_station_did(
    lab: Labs, tmp_path: Path
) -> None:
    place = lab(ends_well)
    folder = tmp_path / "new" / "data"
    assert run_guardian(["station"], data_dir=folder, entries=[SMU1]) == 0
    assert read_entries(folder) == (SMU1,)
    assert place.told == ["off", "started", "ended 0", "off", "off"]


def test_run_without_instruments_leaves_the_list_as_it_is(lab: Labs, tmp_path: Path) -> None:
    lab(ends_well)
    write_entries(tmp_path, [SMU1])
    assert run_guardian(["station"], data_dir=tmp_path) == 0
    assert read_entries(tmp_path) == (SMU1,)


def test_a_second_guardian_of_a_folder_touches_nothing(
    lab: Labs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = lab()
    with FileLock(tmp_path / guardian.LOCK_FILE):
        assert run_guardian(["station"], data_dir=tmp_path) == 1
    assert place.told == []
    assert f"another cycler-ctl serves {tmp_path} already" in capsys.readouterr().err


def test_every_driver_is_imported_before_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(guardian, "load_driver", loaded.append)
    preload([SMU1, SMU2, SafeOffEntry("oven", "eurotherm", "three")])
    assert loaded == ["eurotherm", "keithley-2400"]


def test_a_driver_that_is_not_there_is_told_before_anything_begins(lab: Labs, tmp_path: Path) -> None:
    place = lab()
    with pytest.raises(ConfigError):
        run_guardian(["station"], data_dir=tmp_path, entries=[SafeOffEntry("smu1", "no-such-driver", "one")])
    assert place.told == []
