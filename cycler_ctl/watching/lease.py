"""Between station and guardian: a lease renewed by work done, a register written before any output goes on.

The station's standard output is the lease pipe, its standard input ends when the guardian does. A lease line is
``lease SEQ CHANNEL MILLISECONDS``, a release ``release SEQ CHANNEL``; SEQ grows with every reading handled. ``alive SEQ``
says that the loop turned, which is all there is to say while nothing is energised; it holds no lease.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from cycler_ctl.clock import real_sleep
from cycler_ctl.watching.register import SafeOffEntry, read_register, write_register

EVERY_S = 0.25  # at most four lease lines a second and channel
SHORTEST_S = 3.0
LONGEST_S = 3600.0
PAST_S = 1e-3  # a timer may be that early
LONGEST_LINE = 200
ALIVE_EVERY_S = 2.0
ALIVE_S = 30.0  # a loop that stands still so long answers nobody and starts nothing; the leases are far stricter
STOP = b"stop\n"


def lease_for(sample_every_s: float) -> float:
    """Real seconds the guardian waits for the next reading handled before it takes over."""
    return max(SHORTEST_S, 2.0 * sample_every_s + 1.0)


class Lease(Protocol):
    """What control tells its guardian. ``left_over``: channels whose off nobody could confirm before we began."""

    left_over: Mapping[str, SafeOffEntry]

    async def will_energise(self, channel: str, entry: SafeOffEntry, lease_s: float, /) -> None:
        """Before output on: returns when it is on disk that this output may be on. StoreError: it must stay off."""
        ...

    def renew(self, channel: str, lease_s: float, /) -> None:
        """After each reading handled."""
        ...

    def release(self, channel: str, /) -> None:
        """As soon as off was read back."""
        ...

    async def is_off(self, channel: str, /) -> None:
        """After ``release``: the register forgets the channel."""
        ...


class NoLease:
    """For the demo, which has no guardian and nothing real to turn off."""

    def __init__(self) -> None:
        self.left_over: Mapping[str, SafeOffEntry] = {}

    async def will_energise(self, _channel: str, _entry: SafeOffEntry, _lease_s: float, /) -> None:
        return None

    def renew(self, _channel: str, _lease_s: float, /) -> None:
        return None

    def release(self, _channel: str, /) -> None:
        return None

    async def is_off(self, _channel: str, /) -> None:
        return None


class GuardianLease:
    """The lease of a station with a guardian. An async context manager: it owns the register's writer thread.

    ``left_over`` are channels whose off nobody could confirm before this station began.
    """

    def __init__(self, data_dir: Path, pipe: int) -> None:
        self._data_dir = data_dir
        self._pipe = pipe
        self._sequence = 0
        self._sent: dict[str, tuple[float, float]] = {}
        self._energised = dict(read_register(data_dir))
        self.left_over: Mapping[str, SafeOffEntry] = dict(self._energised)
        self._writer = ThreadPoolExecutor(1, "register")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.shutdown()

    async def will_energise(self, channel: str, entry: SafeOffEntry, lease_s: float) -> None:
        self._energised[channel] = entry
        await self._save()
        self._sent.pop(channel, None)
        self.renew(channel, lease_s)

    def renew(self, channel: str, lease_s: float) -> None:
        self._sequence += 1
        now_s = asyncio.get_running_loop().time()
        sent_s, sent_lease_s = self._sent.get(channel, (-inf, lease_s))
        if now_s - sent_s < EVERY_S and lease_s == sent_lease_s:
            return
        self._sent[channel] = now_s, lease_s
        self._send(f"lease {self._sequence} {channel} {round(lease_s * 1000)}\n")

    def release(self, channel: str) -> None:
        self._sequence += 1
        self._sent.pop(channel, None)
        self._send(f"release {self._sequence} {channel}\n")

    async def beat(self) -> None:
        """For ever, on the loop that control runs on: where it stands still this does too."""
        while True:
            self._sequence += 1
            self._send(f"alive {self._sequence}\n")
            await real_sleep(ALIVE_EVERY_S)

    async def is_off(self, channel: str) -> None:
        if self._energised.pop(channel, None) is not None:
            await self._save()

    async def _save(self) -> None:
        """One thread writes, in the order asked, so an older register never replaces a newer one."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._writer, write_register, self._data_dir, dict(self._energised))

    def _send(self, line: str) -> None:
        # A guardian that reads no more must not hold up control: the lease then lapses, or its end shows on our input.
        with contextlib.suppress(OSError):
            os.write(self._pipe, line.encode("ascii"))


def take_lease_pipe() -> int:
    """Our standard output as the lease pipe; whatever was printed and is not out yet goes to standard error, as does the rest."""
    pipe = os.dup(1)
    os.dup2(2, 1)
    if sys.platform != "win32":
        os.set_blocking(pipe, False)
    return pipe


class Leases:
    """Deadlines by channel on the real clock; only a growing sequence number is news."""

    def __init__(self) -> None:
        self._sequence = 0
        self._until_s: dict[str, float] = {}
        self._alive_until_s = inf  # a station that has never said so is only beginning

    def hear(self, line: bytes, now_s: float) -> bool:
        """Take one line from the station; False when it is none of ours."""
        match line[:LONGEST_LINE].split():
            case [b"lease", sequence, channel, lease_ms] if sequence.isdigit() and lease_ms.isdigit():
                if self._grows(int(sequence)):
                    self._until_s[channel.decode("ascii", "replace")] = now_s + min(int(lease_ms) / 1e3, LONGEST_S)
                return True
            case [b"release", sequence, channel] if sequence.isdigit():
                if self._grows(int(sequence)):
                    self._until_s.pop(channel.decode("ascii", "replace"), None)
                return True
            case [b"alive", sequence] if sequence.isdigit():
                if self._grows(int(sequence)):
                    self._alive_until_s = now_s + ALIVE_S
                return True
            case _:
                return False

    def _grows(self, sequence: int) -> bool:
        grows = sequence > self._sequence
        self._sequence = max(sequence, self._sequence)
        return grows

    def lapsed(self, now_s: float) -> list[str]:
        return [channel for channel, until_s in self._until_s.items() if not (now_s <= until_s)]

    def next_look_s(self, now_s: float, at_most_s: float) -> float:
        """How long it may be until somebody looks again: to just past the end of the first lease."""
        first_s = min((*self._until_s.values(), self._alive_until_s))
        return max(0.0, min(first_s - now_s + PAST_S, at_most_s))

    def overdue(self, now_s: float) -> str | None:
        """In words what should have been heard by now."""
        late = self.lapsed(now_s)
        if late:
            return f"no reading was handled in time on {', '.join(late)}"
        return None if now_s <= self._alive_until_s else "the station stands still"


class Ending(StrEnum):
    """Why the station must turn everything off and end."""

    ASKED = "asked"
    GUARDIAN_GONE = "guardian gone"


def watch_guardian(on_gone: Callable[[Ending], None], fd: int = 0) -> threading.Thread:
    """Call ``on_gone`` once, on the running loop, when the guardian asks us to stop or is gone.

    A thread, because no event loop reads a pipe on every platform; it ends with the pipe.
    """
    loop = asyncio.get_running_loop()

    def wait() -> None:
        ending = _ending(fd)
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(on_gone, ending)

    thread = threading.Thread(target=wait, name="guardian-watch", daemon=True)
    thread.start()
    return thread


def _ending(fd: int) -> Ending:
    heard = b""
    while True:
        try:
            more = os.read(fd, 64)
        except OSError:
            return Ending.GUARDIAN_GONE
        heard = (heard + more)[-len(STOP) :]
        if heard == STOP:
            return Ending.ASKED
        if not more:
            return Ending.GUARDIAN_GONE
