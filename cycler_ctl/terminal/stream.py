"""The service's stream of news as the command line follows it: through breaks, and never silent about one."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from threading import Event

from cycler_ctl.terminal.client import ANSWER, Answer, Client, UnreachableError

AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class News:
    """One event of the service. ``boot``: of the service that tells it; another one begins with all there is."""

    event: str
    boot: str
    data: Answer


@dataclass(frozen=True, slots=True)
class Lost:
    """Nothing is heard; told again until something is."""

    why: str


def follow(client: Client) -> Generator[News | Lost]:
    """Without an end; UnreachableError only if there is no service at first."""
    last, reached = "", False
    while True:
        try:
            for number, news in _events(client, last):
                last, reached = number or last, True
                yield news
            yield Lost("the service has ended the stream")
        except UnreachableError as error:
            if not reached:
                raise
            yield Lost(str(error))
        Event().wait(AGAIN_S)


def _events(client: Client, last: str) -> Iterator[tuple[str, News]]:
    """Each with its id, which a beat has none of."""
    number, event, boot = "", "", last.partition("-")[0]
    for line in client.lines("/api/v1/stream", {"Last-Event-ID": last}):
        key, _, value = line.partition(": ")
        match key:
            case "id":
                number, boot = value, value.partition("-")[0]
            case "event":
                event = value
            case "data":
                yield number, News(event, boot, ANSWER.validate_python(json.loads(value)))
                number, event = "", ""
            case _:
                pass
