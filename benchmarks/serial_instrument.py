"""A fake instrument on a pseudo-terminal in a process of its own: answers every line with one reading."""

from __future__ import annotations

import os
import pty
import sys
import tty
from collections.abc import Generator
from contextlib import contextmanager
from subprocess import PIPE, Popen

from benchmarks.instrument import REPLY


@contextmanager
def serial_instrument() -> Generator[str]:
    """The device's path."""
    with Popen([sys.executable, "-m", "benchmarks.serial_instrument"], stdout=PIPE, text=True) as child:
        try:
            yield (child.stdout.readline() if child.stdout else "").strip()
        finally:
            child.terminate()


def main() -> None:
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    print(os.ttyname(theirs), flush=True)
    while data := os.read(ours, 4096):
        os.write(ours, REPLY * data.count(b"\n"))


if __name__ == "__main__":
    main()
