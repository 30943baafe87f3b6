"""A process without a free file handle still turns off: nothing that off needs is opened then (reliability F39)."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rig import Rig, open_rig, until

from cycler_ctl.live import ChannelState

if sys.platform == "win32":
    pytest.skip("file handles are limited by POSIX's RLIMIT_NOFILE", allow_module_level=True)
import resource

ROOM = 16


@contextmanager
def no_handle_left() -> Generator[None]:
    """While entered this process can open nothing, as this itself proves."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (max(int(one.name) for one in Path("/dev/fd").iterdir()) + ROOM, before[1])
    )
    try:
        with pytest.raises(OSError, match="Too many open files") as found:
            taken.extend(iter(lambda: os.dup(2), None))
        assert found.value.errno == errno.EMFILE
        yield
    finally:
        for handle in taken:
            os.close(handle)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Rig]:
    async with open_rig(tmp_path, monkeypatch) as opened:
        yield opened


async def test_stop_turns_off_and_says_so_without_a_free_handle(rig: Rig) -> None:
    run = await rig.flowing()
    await until(lambda: len(rig.rows(run)) > 2)
    with no_handle_left():
        await rig.station.stop("a1", "K. Abe")
        assert rig.is_off()
        assert rig.status().energised is False
    assert rig.status().state is ChannelState.STOPPED


async def test_a_fault_turns_off_without_a_free_handle(rig: Rig) -> None:
    await rig.flowing()
    with no_handle_left():
        rig.smu().line.instrument.set_fault("lead", "open")
        await until(lambda: rig.status().state in {ChannelState.FAULTED, ChannelState.TRIPPED})
        assert rig.is_off()
        assert not rig.lies
