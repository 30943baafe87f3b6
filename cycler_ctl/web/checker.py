"""The process that reads what strangers wrote: started when first asked, killed when it takes too long, then another."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress

from cycler_ctl.errors import CyclerError, RefusedError
from cycler_ctl.web.dryrun import READY, Asked, DryRun

COMMAND = [sys.executable, "-P", "-m", "cycler_ctl.web.dryrun"]
ANSWER_S = 5.0
STARTING_S = 30.0  # to start it and import what it needs, on a computer that is busy


class Checker:
    """For any thread: one asks at a time, and ``close`` does not wait for what a file may cost."""

    def __init__(self, answer_s: float = ANSWER_S) -> None:
        self._answer_s = answer_s
        self._asking = threading.Lock()
        self._starting = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._closed = False

    def ask(self, asked: Asked) -> DryRun:
        """RefusedError: it took too long, and whatever reads this file would take as long."""
        with self._asking:
            process = self._ready()
            with _killed_after(self._answer_s, process):
                said = _exchange(process, json.dumps(asked.model_dump()) + "\n")
            if not said:
                self._end()
                raise RefusedError(f"this protocol could not be read within {self._answer_s:.0f} s: make it smaller")
        return DryRun.model_validate_json(said)

    def close(self) -> None:
        """Kill it, and with it what is asked; nothing is asked any more."""
        with self._starting:
            self._closed = True
            if self._process is not None:
                self._process.kill()
        with self._asking:
            self._end()

    def _ready(self) -> subprocess.Popen[str]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._end()
        with self._starting:
            if self._closed:
                raise RefusedError("the service ends")
            self._process = process = _started()
        with _killed_after(STARTING_S, process):
            if _exchange(process, "") == READY:
                return process
        self._end()
        raise CyclerError("protocols cannot be checked here: the process that reads them does not start")

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with suppress(OSError), process:
                pass


def _started() -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(COMMAND, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, encoding="utf-8")


def _exchange(process: subprocess.Popen[str], line: str) -> str:
    if process.stdin is None or process.stdout is None:
        return ""
    try:
        process.stdin.write(line)
        process.stdin.flush()
    except OSError:  # it has ended
        return ""
    return process.stdout.readline()


@contextmanager
def _killed_after(seconds: float, process: subprocess.Popen[str]) -> Generator[None]:
    timer = threading.Timer(seconds, process.kill)
    timer.name = "http-check time"
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
