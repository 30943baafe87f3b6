"""What people ask of a run: carried out one by one between samples, a stop before everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cycler_ctl.clock import Wake
from protocols.events import Event, Paused, Resumed, Skipped, Stopped

ASKED: Mapping[str, Callable[[float, float, str], Event]] = {
    "stop": Stopped,
    "pause": Paused,
    "resume": Resumed,
    "skip": Skipped,
}


@dataclass(frozen=True, slots=True)
class Request:
    """``done`` when it was carried out, or when the run is over."""

    action: str
    by: str
    done: asyncio.Future[None]

    def close(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


def event_of(request: Request, at_s: float, utc_s: float) -> Event:
    return ASKED[request.action](at_s, utc_s, request.by)


class Inbox:
    """Filled by anyone, emptied by the run's own task."""

    def __init__(self) -> None:
        self.wake = Wake()
        self._waiting: list[Request] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def is_stopping(self) -> bool:
        return any(request.action == "stop" for request in self._waiting)

    def put(self, action: str, by: str) -> asyncio.Future[None]:
        request = Request(action, by, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        self.wake.set()
        return request.done

    def take(self) -> Request:
        stops = [request for request in self._waiting if request.action == "stop"]
        chosen = (stops or self._waiting)[0]
        self._waiting.remove(chosen)
        return chosen

    def close(self) -> None:
        """Nobody waits for a run that is over."""
        for request in self._waiting:
            request.close()
