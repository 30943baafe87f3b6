"""The process that speaks to mail, chat and phone services: started for each message, and killed if it takes too long.

So a service that hangs, and a library that fails, are in a process of their own, and with them the addresses, which are
secrets. On stdin one JSON object: what to send and where the addresses are. On stdout an object a line: each answer.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from cycler_ctl.errors import ConfigError

ANSWER_S = 25.0
MOST_BYTES = 65_536
MOST_SERVICES = 20
SECRET_LETTERS = 4
"""Shorter pieces of an address are words such as ``to``, and no secrets."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``service``: its address without what is secret in it."""

    service: str
    ok: bool
    said: str = ""


def addresses_of(to_file: Path | None, to_env: str | None) -> tuple[str, ...]:
    """One address a line; ConfigError, which holds none of them, where there is none or others could read them."""
    text, where = _text_of(to_file, to_env)
    lines = [line.strip() for line in text.splitlines()]
    found = tuple(line for line in lines if line and not line.startswith("#"))
    if not found or len(found) > MOST_SERVICES:
        raise ConfigError(f"{where} holds {len(found)} addresses: write one a line, 1 to {MOST_SERVICES} of them")
    return found


def _text_of(to_file: Path | None, to_env: str | None) -> tuple[str, str]:
    if to_file is None:
        name = to_env or ""
        if not os.environ.get(name):
            raise ConfigError(f"the environment variable {name} with the addresses is not set for this user")
        return os.environ[name], f"${name}"
    try:
        if sys.platform != "win32" and to_file.stat().st_mode & 0o077:
            raise ConfigError(f"{to_file} holds secrets and others may read it: chmod 600 {to_file}")
        with to_file.open(encoding="utf-8") as file:
            return file.read(MOST_BYTES), str(to_file)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{to_file} with the addresses cannot be read: {error}") from error


def seen_of(address: str) -> str:
    """Of an address that the library has made private: the service and where it is; its path may be a secret too."""
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{re.split('[/?]', rest)[0]}"


def redacted(text: str, address: str, shown: str) -> str:
    """``text`` without the parts of ``address`` that ``shown``, what may be seen of it, does not have."""
    parts = {piece for whole in (address, unquote(address)) for piece in re.split(r"[/:@?&=,]+", whole)}
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= SECRET_LETTERS and part not in shown:
            text = text.replace(part, "****")
    return text


class _Heard(logging.Handler):
    """What the library says of each service, whichever of its threads says it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._service: ContextVar[int] = ContextVar("service", default=-1)
        self._lines: dict[int, list[str]] = {}

    def of_this(self, number: int) -> None:
        self._service.set(number)

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.setdefault(self._service.get(), []).append(record.getMessage())

    def said(self) -> str:
        return " ".join(self._lines.get(self._service.get(), []))


def send_one(address: str, message: Mapping[str, str], heard: _Heard) -> Answer:
    """One service, whatever it answers."""
    apprise: Any = import_module("apprise")  # its types are half known
    asset = apprise.AppriseAsset(app_id="cycler-ctl", image_url_mask="", image_url_logo="", async_mode=False)
    service = apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=True)
    if not isinstance(service, apprise.NotifyBase):
        return Answer(f"{_scheme(address)}://****", ok=False, said="is no address that apprise can use")
    shown = seen_of(str(service.url(privacy=True)))
    if not message:
        return Answer(shown, ok=True)
    service.overflow_mode = apprise.OverflowMode.TRUNCATE
    sender = apprise.Apprise(asset=asset)
    sender.add(service)
    tone = apprise.NotifyType(message["tone"])
    ok = sender.notify(body=message["body"], title=message["title"], notify_type=tone, body_format="text")
    said = redacted(heard.said(), address, shown)[-300:] or ("" if ok else "it did not take the message")
    return Answer(shown, ok=bool(ok), said=said)


def send_all(addresses: Sequence[str], message: Mapping[str, str], answer_s: float) -> None:
    """All at once, each answer written as it comes; who has not answered in time is said not to have."""
    import_module("apprise")  # takes seconds on a busy computer, and is no service's fault
    heard, lock, done = _Heard(), threading.Lock(), threading.Event()
    log = logging.getLogger("apprise")
    log.addHandler(heard)
    log.propagate = False
    waiting = set(range(len(addresses)))

    def work(number: int) -> None:
        heard.of_this(number)
        answer = send_one(addresses[number], message, heard)
        with lock:
            if number in waiting:
                waiting.discard(number)
                say(answer)
            if not waiting:
                done.set()

    for number in range(len(addresses)):
        threading.Thread(target=work, args=(number,), daemon=True).start()
    done.wait(answer_s)
    with lock:
        for number in sorted(waiting):
            say(Answer(f"{_scheme(addresses[number])}://****", ok=False, said=f"no answer within {answer_s:g} s"))
        waiting.clear()


def _scheme(address: str) -> str:
    found = re.match(r"[A-Za-z0-9]{1,20}(?=://)", address)
    return found[0] if found else ""


def say(answer: Answer) -> None:
    sys.stdout.write(json.dumps(asdict(answer)) + "\n")
    sys.stdout.flush()


def main() -> None:
    """A hanging thread must not keep this process: it ends without waiting for any."""
    asked = json.load(sys.stdin)
    to_file = asked["to_file"]
    try:
        addresses = addresses_of(None if to_file is None else Path(to_file), asked["to_env"])
        send_all(addresses, asked["message"], float(asked["answer_s"]))
    except ConfigError as error:
        say(Answer("", ok=False, said=str(error)))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
