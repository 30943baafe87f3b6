"""What a scan is at: one line on a terminal, written over again and again; nothing where no person looks."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

Say = Callable[[str], None]


def trouble(text: str) -> None:
    """What a program must not miss either: a line of its own, that stays."""
    back = "\r" if sys.stderr.isatty() else ""
    sys.stderr.write(f"{back}scan: {text}\n")
    sys.stderr.flush()


@contextmanager
def progress() -> Generator[Say]:
    """When left the line is gone; what was found stands on standard output."""
    if not sys.stderr.isatty():
        yield lambda _text: None
        return
    width = shutil.get_terminal_size().columns - 1  # a full last column would begin a new line

    def say(text: str) -> None:
        sys.stderr.write(f"\r{f'scan: {text}'[:width].ljust(width)}")
        sys.stderr.flush()

    try:
        yield say
    finally:
        sys.stderr.write(f"\r{' ' * width}\r")
        sys.stderr.flush()
