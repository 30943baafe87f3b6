"""Live news for every open page: the newest of each thing, numbered.

There is no queue: a reader keeps the number of what it saw last and gets everything newer, so one that was away or is
slow misses no state, costs no memory and cannot hold anyone up.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from re import fullmatch

from cycler_ctl.alarms.model import Alarm
from cycler_ctl.clock import real_sleep
from cycler_ctl.live import ChannelStatus, StationView
from protocols.record import JSON, Row

LOOK_EVERY_S = 0.25
SAMPLE_EVERY_S = 1.0
BEAT_EVERY_S = 2.0
RUNS_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class News:
    """``text`` is the event as it goes over the wire."""

    number: int
    text: str


class Hub:
    """Looks at the station while somebody watches; an Observer, so that the writer's thread can say what is durable.

    What an Observer hears comes from any thread, and makes no news there; all else is called on the loop that serves.
    """

    def __init__(self, view: StationView, alarms: Callable[[], tuple[Alarm, ...]] = tuple) -> None:
        self._view = view
        self._alarms = alarms
        self._boot = secrets.token_hex(4)
        self._number = 0
        self._newest: dict[tuple[str, str], tuple[object, News]] = {}
        self._sent_s: dict[str, float] = {}
        self._durable: deque[str] = deque(maxlen=4096)
        self._looked_s: float | None = None
        self._closed = False

    def channel_changed(self, status: ChannelStatus) -> None:
        """Seen at the next look, by who serves and not by who controls."""

    def durable(self, run: str) -> None:
        self._durable.append(run)

    def close(self) -> None:
        """Every open stream ends within one look."""
        self._closed = True

    async def stream(self, last_event_id: str) -> AsyncIterator[str]:
        """Server-sent events: all there is now, or all that changed since ``last_event_id``, then what happens."""
        loop = asyncio.get_running_loop()
        seen = self._seen(last_event_id)
        yield "retry: 2000\n\n"
        beat_due_s = loop.time()
        while not self._closed:
            for _ in self._looking(loop.time()):
                await real_sleep(0.0)  # hands the interpreter over: control may be waiting for it
            if newer := self.since(seen):
                seen = newer[-1].number
                yield "".join(news.text for news in newer)
            if loop.time() >= beat_due_s:
                beat_due_s = loop.time() + BEAT_EVERY_S
                yield "event: beat\ndata: {}\n\n"
            await real_sleep(LOOK_EVERY_S)

    def look(self, now_s: float) -> None:
        """Compare the station with what was last told."""
        for _ in self._looking(now_s):
            pass

    def _looking(self, now_s: float) -> Iterator[None]:
        """In small steps, between which others have their turn; shared by all readers, so only once per interval."""
        if self._looked_s is not None and now_s - self._looked_s < LOOK_EVERY_S / 2:
            return
        self._looked_s = now_s
        for status in self._view.channels():
            self._put("channel", status.channel, status, partial(asdict, status))
            self._look_at_sample(status.channel, now_s)
            yield
        for instrument in self._view.instruments():
            self._put("instrument", instrument.name, instrument, partial(asdict, instrument))
        alarms = self._alarms()
        self._put("alarms", "", alarms, lambda: {"active": [asdict(alarm) for alarm in alarms]})
        while self._durable:
            run = self._durable.popleft()
            self._put("durable", run, object(), partial(_of_run, run))
        self._forget_old_runs()

    def since(self, number: int) -> list[News]:
        """The newest stand last, in order."""
        newer: list[News] = []
        for _, news in reversed(self._newest.values()):
            if news.number <= number:
                break
            newer.append(news)
        return newer[::-1]

    def _seen(self, last_event_id: str) -> int:
        """0, that is: tell everything, when the id is another boot's or no id of ours."""
        boot, _, number = last_event_id.partition("-")
        return int(number) if boot == self._boot and fullmatch("[0-9]{1,18}", number) else 0

    def _look_at_sample(self, channel: str, now_s: float) -> None:
        if now_s - self._sent_s.get(channel, -SAMPLE_EVERY_S) < SAMPLE_EVERY_S:
            return
        latest = self._view.latest(channel)
        if latest is None:
            return
        run, row = latest
        if self._put("sample", channel, (run, row), lambda: {"channel": channel, "run": run, **sample(row)}):
            self._sent_s[channel] = now_s

    def _put(self, event: str, name: str, value: object, data: Callable[[], dict[str, JSON]]) -> bool:
        """Give ``value`` a new number if it differs from what was told; most of what is looked at has not changed."""
        known = self._newest.get((event, name))
        if known is not None and known[0] == value:
            return False
        self._number += 1
        text = f"id: {self._boot}-{self._number}\nevent: {event}\ndata: {json.dumps(data(), allow_nan=False)}\n\n"
        self._newest.pop((event, name), None)  # the dictionary stays in the order of the news
        self._newest[event, name] = (value, News(self._number, text))
        return True

    def _forget_old_runs(self) -> None:
        runs = [key for key in self._newest if key[0] == "durable"]
        for key in runs[:-RUNS_REMEMBERED]:
            del self._newest[key]


def _of_run(run: str) -> dict[str, JSON]:
    return {"run": run}


def sample(row: Row) -> dict[str, JSON]:
    """The row as a page shows it; charge of the cycle so far in Ah by direction."""
    return {
        "seq": row.seq,
        "time_s": row.time_s,
        "utc_s": row.utc_s,
        "voltage_V": row.voltage_V,
        "current_A": row.current_A,
        "temperature_degC": row.temperature_degC,
        "cycle": row.cycle,
        "step_count": row.step_count,
        "step_id": row.step_id,
        "mode": row.mode,
        "direction": row.direction,
        "step_time_s": row.step_time_s,
        "cycle_oxidation_Ah": row.cycle_total.oxidation_Ah,
        "cycle_reduction_Ah": row.cycle_total.reduction_Ah,
    }
