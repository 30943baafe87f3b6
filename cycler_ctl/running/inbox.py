"""What people ask of a run: carried out one by one between samples, a stop before everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cycler_ctl.clock import Wake
from cycler_ctl.errors import RefusedError
from cycler_ctl.running.script import Amendment, Script
from protocols.events import Action, Event, Paused, Resumed, Skipped, Stopped
from protocols.running.state import State

OVER = "the run is over"
Amended = tuple[State, tuple[Action, ...]]
ASKED: Mapping[str, Callable[[float, float, str], Event]] = {
    "stop": Stopped,
    "pause": Paused,
    "resume": Resumed,
    "skip": Skipped,
}


@dataclass(frozen=True, slots=True)
class Request:
    """``done`` when it was carried out, or when the run is over: then and else with why it was not, or nothing."""

    action: str
    by: str
    done: asyncio.Future[str]
    amendment: Amendment | None = None

    def close(self, why_not: str = "") -> None:
        if not self.done.done():
            self.done.set_result(why_not)


def event_of(request: Request, at_s: float, utc_s: float) -> Event:
    return ASKED[request.action](at_s, utc_s, request.by)


def amended(request: Request, script: Script, state: State, moment: tuple[float, float]) -> Amended:
    """In one go, with no sample in between. What does not fit, or nobody waits for any more, changes nothing."""
    if request.amendment is None or request.done.done():
        return state, ()
    try:
        return script.amended(state, request.amendment, *moment)
    except RefusedError as error:
        request.close(str(error))
        return state, ()


class Inbox:
    """Filled by anyone, emptied by the run's own task."""

    def __init__(self) -> None:
        self.wake = Wake()
        self._waiting: list[Request] = []
        self._closed = False

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def is_stopping(self) -> bool:
        return any(request.action == "stop" for request in self._waiting)

    def put(self, action: str, by: str, amendment: Amendment | None = None) -> asyncio.Future[str]:
        request = Request(action, by, asyncio.get_running_loop().create_future(), amendment)
        if self._closed:
            request.close(OVER)
            return request.done
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
        self._closed = True
        for request in self._waiting:
            request.close(OVER)
