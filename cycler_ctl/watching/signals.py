"""How this program is asked to end: Ctrl-C, SIGTERM, a terminal or a window that is closed, Windows that shuts down."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from threading import Event
from types import FrameType

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
CLOSED, LOGGED_OFF, SHUT_DOWN = 2, 5, 6
"""CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT of HandlerRoutine."""


@contextmanager
def asked_to_end(ask: Callable[[], None]) -> Generator[None]:
    """While entered each of these calls ``ask`` on the running loop."""
    loop = asyncio.get_running_loop()

    def asked(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(ask)

    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    before = {number: signal.signal(number, asked) for number in numbers}
    over = Event()
    with ExitStack() as stack:
        if sys.platform == "win32":
            stack.enter_context(console_handler(on_console(lambda: loop.call_soon_threadsafe(ask), over)))
        try:
            yield
        finally:
            over.set()
            for number, handler in before.items():
                signal.signal(number, handler)


def on_console(ask: Callable[[], object], over: Event) -> Callable[[int], int]:
    """For Windows, which ends a process when its handler returns: so it returns when everything is off (F36).

    It is called in a thread of its own, and Windows waits about 5 s for it, 20 s where it shuts down.
    """

    def handler(kind: int) -> int:
        if kind not in {CLOSED, LOGGED_OFF, SHUT_DOWN}:
            return 0  # Ctrl-C and Ctrl-Break come as signals
        ask()
        over.wait()
        return 1

    return handler


@contextmanager
def console_handler(handler: Callable[[int], int]) -> Generator[None]:
    """Registered while entered; Windows only."""
    windows = getattr(ctypes, "windll").kernel32  # noqa: B009 - other systems' type stubs do not have it
    routine = getattr(ctypes, "WINFUNCTYPE")(ctypes.c_int, ctypes.c_uint)(handler)  # noqa: B009
    windows.SetConsoleCtrlHandler(routine, 1)
    try:
        yield
    finally:
        windows.SetConsoleCtrlHandler(routine, 0)


async def first_of(event: asyncio.Event, timeout_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), timeout_s)
