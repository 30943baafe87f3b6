"""A message on its way: a process for each, which is killed when its time is over."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from importlib.util import find_spec

from pydantic import TypeAdapter

from cycler_ctl.errors import ConfigError
from cycler_ctl.notify.message import Message
from cycler_ctl.notify.services import ANSWER_S, Answer, addresses_of
from cycler_ctl.settings import NotifyRule

ANSWER: TypeAdapter[Answer] = TypeAdapter(Answer)
MOST_BYTES = 65_536  # of answers; a library that prints for ever must not fill the station's memory
STARTING_S = 20.0  # to start the process and import the library, on a computer that is busy
MISSING = "notifications need the library apprise: pip install 'cycler-ctl[notify]', or take [notify] out"


def has_library() -> bool:
    return find_spec("apprise") is not None


def refuse_unready(rules: Mapping[str, NotifyRule]) -> None:
    """ConfigError with what is missing, before anybody relies on a message that cannot come."""
    if rules and not has_library():
        raise ConfigError(MISSING)
    for name, rule in rules.items():
        try:
            addresses_of(rule.to_file, rule.to_env)
        except ConfigError as error:
            raise ConfigError(f"[notify.{name}] {error}") from error


class Sender:
    """To the services of one rule."""

    def __init__(self, rule: NotifyRule, answer_s: float = ANSWER_S) -> None:
        self._rule = rule
        self._answer_s = answer_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._cancelled = False

    def send(self, message: Message | None) -> tuple[Answer, ...]:
        """What each service answers, the worst case after ``answer_s`` and some; None: only look at the addresses."""
        asked = {
            "to_file": None if self._rule.to_file is None else str(self._rule.to_file),
            "to_env": self._rule.to_env,
            "message": {} if message is None else asdict(message),
            "answer_s": self._answer_s,
        }
        command = [sys.executable, "-P", "-m", "cycler_ctl.notify.services"]
        try:
            process = self._started(command)
        except OSError as error:
            return (Answer("", ok=False, said=f"no process to send with: {error}"),)
        with process:
            said = _exchange(process, json.dumps(asked), self._answer_s + STARTING_S)
        return said or (Answer("", ok=False, said="it was not sent: the process that sends ended without a word"),)

    def _started(self, command: list[str]) -> subprocess.Popen[bytes]:
        """With nothing of ours open: it must not keep the lease pipe or a port."""
        with self._lock:
            if self._cancelled:
                raise OSError("the service ends")
            pipe, null = subprocess.PIPE, subprocess.DEVNULL
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=null)
            return self._process

    def cancel(self) -> None:
        """End what is under way, from any thread; nothing is sent any more."""
        with self._lock:
            self._cancelled = True
            if self._process is not None:
                self._process.kill()


def _exchange(process: subprocess.Popen[bytes], asked: str, at_most_s: float) -> tuple[Answer, ...]:
    late = threading.Event()
    limit = threading.Timer(at_most_s, _end, (process, late))
    limit.daemon = True
    limit.start()
    try:
        out = _said(process, asked)
    finally:
        limit.cancel()
    if late.is_set():
        return (*_answers(out), Answer("", ok=False, said=f"not sent within {at_most_s:.0f} s"))
    if len(out) > MOST_BYTES:
        return (*_answers(out), Answer("", ok=False, said=f"ended: what sends said more than {MOST_BYTES} bytes"))
    return _answers(out)


def _end(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    process.kill()


def _said(process: subprocess.Popen[bytes], asked: str) -> bytes:
    """All of it, or a byte more than it may say."""
    if process.stdin is None or process.stdout is None:
        return b""
    with suppress(OSError):  # it ended before it read
        process.stdin.write(asked.encode())
        process.stdin.close()
    out = process.stdout.read(MOST_BYTES + 1)
    if len(out) > MOST_BYTES:
        process.kill()
    return out


def _answers(out: bytes) -> tuple[Answer, ...]:
    """A library that prints, or dies in the middle of a line, says nothing by that."""
    found: list[Answer] = []
    for line in out.splitlines():
        with suppress(ValueError, TypeError):
            found.append(ANSWER.validate_json(line))
    return tuple(found)
