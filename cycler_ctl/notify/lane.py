"""One rule at work: a thread that compares what is with what it has told, and sends the difference."""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from math import inf
from typing import Protocol

from cycler_ctl.alarms.model import Alarm
from cycler_ctl.clock import Clock
from cycler_ctl.live import ChannelStatus
from cycler_ctl.notify.message import Message, Scene, message_of
from cycler_ctl.notify.news import Book, Item, Turn, due, noted, now_of
from cycler_ctl.notify.services import Answer
from cycler_ctl.publish.backoff import Backoff, Timing
from cycler_ctl.settings import NotifyRule

log = logging.getLogger(__name__)

LOOK_S = 1.0
MOST_ENDED = 100
KILLED_S = 2.0
TIMING = Timing(first_s=10.0, most_s=600.0)
URGENT_WAIT_S = 60.0
"""The longest wait before an emergency is tried again."""


class Way(Protocol):
    """To the services; ``send`` takes as long as it takes, ``cancel`` ends it."""

    def send(self, message: Message | None) -> tuple[Answer, ...]: ...
    def cancel(self) -> None: ...


@dataclass(frozen=True, slots=True)
class LaneStatus:
    """``trouble``: why messages do not arrive, or arrive at some services only. ``waiting``: things not told yet."""

    rule: str
    trouble: str | None = None
    trouble_since_utc_s: float | None = None
    last_sent_utc_s: float | None = None
    sending_since_utc_s: float | None = None
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Sight:
    """What a rule looks at, from its own thread."""

    station: str
    alarms: Callable[[], tuple[Alarm, ...]]
    channels: Callable[[], tuple[ChannelStatus, ...]]

    def scene(self) -> Scene:
        channels: Mapping[str, ChannelStatus] = {status.channel: status for status in self.channels()}
        return Scene(self.station, channels)


class Lane:
    """``start`` and ``stop`` its thread, or ``step`` it by hand; ``run_ended`` and ``status`` never wait."""

    def __init__(self, name: str, rule: NotifyRule, sight: Sight, way: Way, clock: Clock) -> None:
        self._rule = rule
        self._sight = sight
        self._way = way
        self._clock = clock
        self._book = Book()
        self._ended: deque[ChannelStatus] = deque(maxlen=MOST_ENDED)
        self._backoff = Backoff(TIMING, random.random)
        self._failed_s: float | None = None
        self._wait_s = 0.0
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._status = LaneStatus(name)
        self._thread = threading.Thread(target=self._work, name=f"notify {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ending.set()
        self._wake.set()

    def stop(self, timeout_s: float) -> None:
        """What is due is still sent within ``timeout_s``; what is not by then is left."""
        self.end()
        self._thread.join(timeout_s)
        self._way.cancel()
        self._thread.join(KILLED_S)

    def run_ended(self, status: ChannelStatus) -> None:
        """Of many that nobody could be told of, the newest are kept."""
        self._ended.append(status)
        self._wake.set()

    def status(self) -> LaneStatus:
        return self._status

    def _work(self) -> None:
        self._tell(self._way.send(None))
        while not self._ending.is_set():
            self._wake.clear()
            self.step()
            self._wake.wait(LOOK_S)
        self.step()

    def step(self) -> None:
        """Send what is due and may be sent; what no service takes stays due."""
        ended, now_s = tuple(self._ended), self._clock.now()
        items = due(self._rule, self._book, self._sight.alarms(), ended, now_s)
        going = now_of(self._rule, self._book, items, now_s, _minute_of_day(self._clock.utc()))
        self._status = replace(self._status, waiting=len(items))
        if not any(item.turn is Turn.ENDED for item in items):
            self._forget(ended)
        if going and not self._must_wait(going, now_s):
            self._send(going, ended)

    def _must_wait(self, going: tuple[Item, ...], now_s: float) -> bool:
        """After a failure, ever longer; an emergency never long."""
        urgent = any(item.urgent for item in going)
        wait_s = min(self._wait_s, URGENT_WAIT_S) if urgent else self._wait_s
        return self._failed_s is not None and now_s - self._failed_s < wait_s

    def _send(self, going: tuple[Item, ...], ended: tuple[ChannelStatus, ...]) -> None:
        message = message_of(going, self._sight.scene())
        self._status = replace(self._status, sending_since_utc_s=self._clock.utc())
        answers = self._way.send(message)
        self._status = replace(self._status, sending_since_utc_s=None)
        self._tell(answers)
        now_s = self._clock.now()
        if not any(answer.ok for answer in answers):
            self._failed_s, self._wait_s = now_s, self._backoff.next_s()
            return
        self._backoff.was_up(inf)
        self._failed_s, self._book = None, noted(self._book, going, now_s)
        self._status = replace(self._status, last_sent_utc_s=self._clock.utc())
        if any(item.turn is Turn.ENDED for item in going):
            self._forget(ended)

    def _forget(self, ended: tuple[ChannelStatus, ...]) -> None:
        """These are told; others may have come meanwhile, and pushed old ones out."""
        for status in ended:
            if status in self._ended:
                self._ended.remove(status)

    def _tell(self, answers: tuple[Answer, ...]) -> None:
        """Trouble goes to the log once when it begins and once when it is over; how it is now, to the status."""
        failed = [f"{answer.service} {answer.said}".strip() for answer in answers if not answer.ok]
        trouble, before = "; ".join(failed) or None, self._status.trouble
        since_utc_s = None if trouble is None else self._status.trouble_since_utc_s or self._clock.utc()
        self._status = replace(self._status, trouble=trouble, trouble_since_utc_s=since_utc_s)
        if trouble is not None and before is None:
            log.warning("notify %s: %s", self._status.rule, trouble)
        elif trouble is None and before is not None:
            log.info("notify %s: messages arrive again", self._status.rule)


def _minute_of_day(utc_s: float) -> int:
    """Of the day as people here live it."""
    local = datetime.fromtimestamp(utc_s).astimezone()
    return 60 * local.hour + local.minute
