"""Lease, register and the watch on the guardian: what each side believes and when."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_loop import leap

from cycler_ctl.clock import real_sleep
from cycler_ctl.errors import StoreError
from cycler_ctl.watching.lease import (
    ALIVE_S,
    Ending,
    GuardianLease,
    Leases,
    NoLease,
    lease_for,
    take_lease_pipe,
    watch_guardian,
)
from cycler_ctl.watching.register import SafeOffEntry, read_entries, read_register, write_entries, write_register

SMU = SafeOffEntry("smu1", "keithley-2400", "TCPIP0::127.0.0.1::5025::SOCKET")


@contextmanager
def pipe() -> Generator[tuple[int, int]]:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        yield reading, writing
    finally:
        os.close(reading)
        os.close(writing)


def heard(*lines: bytes, at_s: float = 0.0) -> Leases:
    leases = Leases()
    for line in lines:
        leases.hear(line, at_s)
    return leases


def test_a_lease_lapses_when_its_time_is_over_and_not_before() -> None:
    leases = heard(b"lease 1 a1 3000", b"lease 2 a2 5000")
    assert leases.lapsed(3.0) == []
    assert leases.lapsed(3.001) == ["a1"]
    assert leases.lapsed(5.001) == ["a1", "a2"]
    assert leases.lapsed(float("nan")) == ["a1", "a2"]


def test_a_released_channel_cannot_lapse() -> None:
    assert heard(b"lease 1 a1 3000", b"release 2 a1").lapsed(100.0) == []


def test_only_a_growing_sequence_number_renews() -> None:
    leases = heard(b"lease 7 a1 3000")
    assert leases.hear(b"lease 7 a1 3000", 2.0)
    assert leases.hear(b"lease 6 a1 3000", 2.0)
    assert leases.hear(b"release 5 a1", 2.0)
    assert leases.lapsed(3.5) == ["a1"]


@pytest.mark.parametrize(
    "line", [b"", b"lease", b"lease x a1 3000", b"lease 9 a1 -1", b"lease 9 a1 1e9", b"hello world", b"lease 9 a1 3 3"]
)
def test_a_line_that_is_no_lease_is_no_renewal(line: bytes) -> None:
    leases = heard(b"lease 1 a1 3000")
    assert not leases.hear(line, 2.0)
    assert leases.lapsed(3.5) == ["a1"]


def test_a_station_that_said_once_that_it_lives_must_go_on_saying_so() -> None:
    leases = heard(b"alive 1", at_s=5.0)
    assert leases.overdue(35.0) is None
    assert leases.overdue(35.001) == "the station stands still"
    assert leases.hear(b"alive 2", 35.0)
    assert leases.overdue(65.0) is None
    assert leases.hear(b"alive 2", 65.0)  # an old one is no news
    assert leases.overdue(65.1) is not None
    assert leases.lapsed(1e9) == []


def test_the_next_look_is_just_past_the_first_end_of_a_lease_and_never_later_than_asked() -> None:
    leases = Leases()
    assert leases.next_look_s(0.0, 0.1) == 0.1
    leases.hear(b"alive 1", 0.0)
    leases.hear(b"lease 2 a1 3000", 0.0)
    leases.hear(b"lease 3 a2 5000", 0.0)
    assert leases.next_look_s(1.0, 0.1) == 0.1
    assert leases.next_look_s(2.95, 0.1) == pytest.approx(0.051)
    assert leases.next_look_s(9.0, 0.1) == 0.0
    leases.hear(b"release 4 a1", 9.0)
    leases.hear(b"release 5 a2", 9.0)
    assert leases.next_look_s(ALIVE_S - 0.01, 0.1) == pytest.approx(0.011)


def test_a_sign_of_life_is_no_lease() -> None:
    leases = heard(b"lease 1 a1 3000", b"alive 2")
    leases.hear(b"alive 3", 3.0)
    assert leases.overdue(3.001) == "no reading was handled in time on a1"


def test_a_station_that_has_only_begun_owes_no_sign_of_life() -> None:
    assert heard().overdue(1e9) is None


@given(st.binary(max_size=300))
def test_no_bytes_from_the_station_disturb_the_guardian(line: bytes) -> None:
    leases = heard(b"lease 1 a1 3000", line)
    assert isinstance(leases.lapsed(1e9), list)


def test_no_lease_is_longer_than_an_hour() -> None:
    assert heard(b"lease 1 a1 99999999999").lapsed(3601.0) == ["a1"]


@pytest.mark.parametrize(("every_s", "lease_s"), [(0.1, 3.0), (1.0, 3.0), (5.0, 11.0), (10.0, 21.0)])
def test_a_lease_outlasts_two_samples(every_s: float, lease_s: float) -> None:
    assert lease_for(every_s) == lease_s


async def test_renewals_are_few_and_their_numbers_count_every_reading(tmp_path: Path) -> None:
    with pipe() as (reading, writing):
        async with GuardianLease(tmp_path, writing) as lease:
            for _ in range(1000):
                lease.renew("a1", 3.0)
            lease.release("a1")
            lease.renew("a2", 3.0)
        assert os.read(reading, 4096) == b"lease 1 a1 3000\nrelease 1001 a1\nlease 1002 a2 3000\n"


def test_a_renewal_is_told_a_quarter_of_a_second_after_the_last_or_at_once_if_it_is_another(tmp_path: Path) -> None:
    async def renewed(writing: int) -> None:
        async with GuardianLease(tmp_path, writing) as lease:
            for lease_s, then_s in [(3.0, 0.125), (3.0, 0.125), (3.0, 0.125), (5.0, 0.0), (5.0, 0.0)]:
                lease.renew("a1", lease_s)
                await real_sleep(then_s)

    with pipe() as (reading, writing):
        leap(renewed(writing))
        assert os.read(reading, 4096) == b"lease 1 a1 3000\nlease 3 a1 3000\nlease 4 a1 5000\n"


async def test_an_output_that_goes_on_again_has_its_lease_told_at_once(tmp_path: Path) -> None:
    with pipe() as (reading, writing):
        async with GuardianLease(tmp_path, writing) as lease:
            lease.renew("a1", 3.0)
            await lease.will_energise("a1", SMU, 3.0)
            lease.release("a1")
            lease.renew("a1", 3.0)
        said = b"lease 1 a1 3000\nlease 2 a1 3000\nrelease 3 a1\nlease 4 a1 3000\n"
        assert os.read(reading, 4096) == said


def test_a_sign_of_life_is_told_every_2_s_and_counts_as_news(tmp_path: Path) -> None:
    async def beats(writing: int) -> None:
        async with GuardianLease(tmp_path, writing) as lease:
            beating = asyncio.create_task(lease.beat())
            await real_sleep(1.0)
            lease.release("a1")
            await real_sleep(3.5)
            beating.cancel()

    with pipe() as (reading, writing):
        leap(beats(writing))
        assert os.read(reading, 4096) == b"alive 1\nrelease 2 a1\nalive 3\nalive 4\n"


async def test_the_registers_thread_ends_with_the_lease(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with pipe() as (_, writing):
        async with GuardianLease(tmp_path, writing) as lease:
            await lease.will_energise("a1", SMU, 3.0)
            assert set(threading.enumerate()) > before
        assert set(threading.enumerate()) <= before


def test_of_a_line_only_the_first_200_bytes_are_read() -> None:
    assert Leases().hear(b"alive 1" + b" " * 193 + b"x", 0.0)
    assert not Leases().hear(b"alive 1" + b" " * 192 + b"x", 0.0)


STATION = """
import asyncio, os, sys
from cycler_ctl.watching.lease import take_lease_pipe, watch_guardian

async def main():
    gone = asyncio.Event()
    watch_guardian(lambda ending: print(ending) or gone.set())
    if sys.argv[1] == "waits":
        await gone.wait()

print("printed before")
pipe = take_lease_pipe()
print("printed after")
os.write(pipe, b"alive 1\\n")
asyncio.run(main())
print("blocks" if os.get_blocking(pipe) else "does not block")
"""


def station(waits: str) -> subprocess.Popen[bytes]:
    command = (sys.executable, "-c", STATION, waits)
    buffered = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=buffered
    )


@pytest.mark.skipif(sys.platform == "win32", reason="a pipe cannot be told not to block there")
def test_only_the_lease_goes_to_the_guardian_and_its_end_comes_from_standard_input() -> None:
    with station("waits") as process:
        said, printed = process.communicate(timeout=20.0)
    assert said == b"alive 1\n"
    assert printed == b"printed before\nprinted after\nguardian gone\ndoes not block\n"


@contextmanager
def instead_of(stream: int, other: int) -> Generator[None]:
    """This process's own standard stream is another one for a while."""
    kept = os.dup(stream)
    os.dup2(other, stream)
    try:
        yield
    finally:
        os.dup2(kept, stream)
        os.close(kept)


@pytest.mark.skipif(sys.platform == "win32", reason="a pipe cannot be told not to block there")
@pytest.mark.parametrize(("platform", "blocks"), [("linux", False), ("win32", True)])
def test_the_lease_pipe_does_not_block_where_a_pipe_can_be_told_so(
    platform: str, *, blocks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    with instead_of(1, writing):
        monkeypatch.setattr(sys, "platform", platform)
        taken = take_lease_pipe()
        monkeypatch.undo()
        os.write(taken, b"alive 1\n")
        assert os.fstat(1).st_ino == os.fstat(2).st_ino
    assert os.read(reading, 64) == b"alive 1\n"
    assert os.get_blocking(taken) is blocks
    for handle in (reading, writing, taken):
        os.close(handle)


async def test_the_guardian_is_heard_on_standard_input() -> None:
    reading, writing = os.pipe()
    told: asyncio.Queue[Ending] = asyncio.Queue()
    with instead_of(0, reading):
        thread = watch_guardian(told.put_nowait)
        os.write(writing, b"stop\n")
        async with asyncio.timeout(5.0):
            assert await told.get() is Ending.ASKED
        thread.join(5.0)
    os.close(reading)
    os.close(writing)


def test_a_station_that_ends_does_not_wait_for_its_guardian() -> None:
    with station("ends") as process:
        assert process.wait(20.0) == 0


async def test_the_register_names_the_output_before_it_goes_on_and_until_it_is_off(tmp_path: Path) -> None:
    with pipe() as (reading, writing):
        async with GuardianLease(tmp_path, writing) as lease:
            await lease.will_energise("a1", SMU, 3.0)
            assert read_register(tmp_path) == {"a1": SMU}
            assert os.read(reading, 4096) == b"lease 1 a1 3000\n"
            lease.release("a1")
            assert read_register(tmp_path) == {"a1": SMU}
            await lease.is_off("a1")
            assert read_register(tmp_path) == {}


def test_a_channel_that_was_never_on_has_nothing_to_strike_out(tmp_path: Path) -> None:
    async def lived() -> None:
        with pipe() as (_, writing):
            async with GuardianLease(tmp_path, writing) as lease:
                await lease.is_off("a1")

    leap(lived())
    assert list(tmp_path.iterdir()) == []


async def test_many_channels_at_once_leave_a_register_of_all_of_them(tmp_path: Path) -> None:
    with pipe() as (_, writing):
        async with GuardianLease(tmp_path, writing) as lease:
            async with asyncio.TaskGroup() as group:
                for number in range(20):
                    group.create_task(lease.will_energise(f"a{number}", SMU, 3.0))
            assert len(read_register(tmp_path)) == 20


async def test_an_output_must_stay_off_where_the_register_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "energised.new").mkdir()
    with pipe() as (reading, writing):
        async with GuardianLease(tmp_path, writing) as lease:
            with pytest.raises(StoreError, match="cannot be written"):
                await lease.will_energise("a1", SMU, 3.0)
            lease.release("a1")
        assert os.read(reading, 4096) == b"release 1 a1\n"


async def test_what_an_earlier_station_left_on_is_known(tmp_path: Path) -> None:
    write_register(tmp_path, {"a1": SMU})
    with pipe() as (_, writing):
        async with GuardianLease(tmp_path, writing) as lease:
            assert dict(lease.left_over) == {"a1": SMU}


async def test_a_guardian_that_reads_no_more_does_not_hold_up_control(tmp_path: Path) -> None:
    with pipe() as (_, writing):
        async with GuardianLease(tmp_path, writing) as lease:
            for _ in range(20000):  # more than any pipe holds: a blocking write would never return
                lease.release("a1")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"entries": 3}', '{"entries": {"a1": {"name": 1}}}', "null"])
def test_a_register_that_cannot_be_read_is_never_taken_for_an_empty_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "energised.json").write_text(text, encoding="utf-8")
    with pytest.raises(StoreError):
        read_register(tmp_path)


def test_no_register_means_that_nothing_was_ever_on(tmp_path: Path) -> None:
    assert read_register(tmp_path) == {}
    write_entries(tmp_path / "new", [SMU])
    assert read_entries(tmp_path / "new") == (SMU,)


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([], Ending.GUARDIAN_GONE),
        ([b"stop\n"], Ending.ASKED),
        ([b"st", b"op\n"], Ending.ASKED),
        ([b"sto"], Ending.GUARDIAN_GONE),
    ],
)
async def test_the_station_sees_the_guardian_ask_or_die(pieces: list[bytes], expected: Ending) -> None:
    reading, writing = os.pipe()
    told: asyncio.Queue[Ending] = asyncio.Queue()
    thread = watch_guardian(told.put_nowait, reading)
    for piece in pieces:
        os.write(writing, piece)
    os.close(writing)
    async with asyncio.timeout(5.0):
        assert await told.get() is expected
    thread.join(5.0)
    assert not thread.is_alive()
    assert told.empty()
    os.close(reading)


async def test_a_guardian_that_cannot_be_heard_is_gone() -> None:
    told: asyncio.Queue[Ending] = asyncio.Queue()
    watch_guardian(told.put_nowait, -1).join(5.0)
    assert await told.get() is Ending.GUARDIAN_GONE


async def test_nothing_is_heard_while_the_guardian_lives() -> None:
    reading, writing = os.pipe()
    told: asyncio.Queue[Ending] = asyncio.Queue()
    thread = watch_guardian(told.put_nowait, reading)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await told.get()
    os.close(writing)
    async with asyncio.timeout(5.0):
        await told.get()
    thread.join(5.0)
    os.close(reading)


async def test_without_a_guardian_a_lease_does_nothing() -> None:
    lease = NoLease()
    await lease.will_energise("a1", SMU, 3.0)
    lease.renew("a1", 3.0)
    lease.release("a1")
    await lease.is_off("a1")
