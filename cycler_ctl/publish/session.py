"""One connection to one broker, from ``online`` to ``offline``: states, newest samples, and the outbox."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from aiomqtt import Message, MqttError

from cycler_ctl.alarms.model import Alarm
from cycler_ctl.clock import real_sleep
from cycler_ctl.errors import StoreError
from cycler_ctl.live import ChannelStatus, InstrumentStatus, StationView
from cycler_ctl.publish import payloads
from cycler_ctl.publish.again import Wanted
from cycler_ctl.publish.alarming import AlarmTopics
from cycler_ctl.publish.backoff import Allowance, Pace, Timing
from cycler_ctl.publish.cursors import Confirmed
from cycler_ctl.publish.echo import publish_and_hear
from cycler_ctl.publish.hearing import Asked, OwnAlarm, heard, subscriptions
from cycler_ctl.publish.home_assistant import Discovery
from cycler_ctl.publish.outbox import WINDOW, Outbox, Outgoing
from cycler_ctl.publish.source import RunFiles
from cycler_ctl.publish.speaker import PACKET_TOO_LARGE, Refused, Speaker
from cycler_ctl.publish.topics import Topics
from protocols.record import JSON, Row


@dataclass(frozen=True, slots=True)
class Subject:
    """What is published, and when it is: ``utc`` is the real machine's time."""

    topics: Topics
    view: StationView
    meta: Mapping[str, JSON]
    files: RunFiles
    timing: Timing
    utc: Callable[[], float]
    alarms: Callable[[], Iterable[Alarm]]
    """Those that are active."""
    discovery: Discovery


_HEARD_EVERY_S, _HEARD_AT_ONCE = 0.05, 100
"""How often others may ask or report; whoever is not heard asks again."""


class Session:
    """Ends with an exception when the connection does, and normally only after ``run``'s ``stopping`` is done."""

    def __init__(self, client: Speaker, subject: Subject, outbox: Outbox) -> None:
        self._client = client
        self._subject = subject
        self._outbox = outbox
        self._since_utc_s = subject.utc()
        self._work = asyncio.Event()
        self._progress = asyncio.Event()
        self._news = asyncio.Event()
        self._changed: dict[str, ChannelStatus] = {}
        self._alarms = AlarmTopics(subject.topics)
        self._listening = Allowance(_HEARD_EVERY_S, _HEARD_AT_ONCE)
        self._state = "online"
        self._hurry = False
        """The station ends and nobody is disturbed any more."""

    def more_to_send(self) -> None:
        self._work.set()

    def channels_changed(self, channels: Iterable[ChannelStatus]) -> None:
        self._changed |= {status.channel: status for status in channels}
        self._news.set()

    async def run(self, stopping: asyncio.Future[float]) -> None:
        """``stopping`` yields the loop time until which the outbox may still be drained."""
        await self._announce()
        async with asyncio.TaskGroup() as tasks:
            chores = [
                tasks.create_task(self._watch(), name="mqtt connection"),
                tasks.create_task(self._drain(), name="mqtt outbox"),
                tasks.create_task(self._tell_changes(), name="mqtt states"),
                tasks.create_task(self._heartbeat(), name="mqtt heartbeat"),
                tasks.create_task(self._tell_latest(), name="mqtt latest"),
                tasks.create_task(self._release(), name="mqtt gathering"),
            ]
            until_s = await asyncio.shield(stopping)
            await self._status("stopping")
            await self._drained(until_s)
            for chore in chores:
                chore.cancel()
        await self._farewell()

    async def _farewell(self) -> None:
        """A clean disconnect makes the broker forget the will, so ``offline`` is said before it."""
        for status in self._subject.view.channels():
            await self._channel(status)
        await self._status("offline")

    async def _watch(self) -> None:
        """Raises MqttError at once when the connection is gone."""
        try:
            async for message in self._client.messages:
                if self._listening.take(asyncio.get_running_loop().time()):
                    self._hear(message)
        except MqttError as error:
            gone = self._client.gone
            if gone is None or gone is error:  # an error that is its own cause is explained for ever
                raise
            raise gone from error

    def _hear(self, message: Message) -> None:
        match heard(self._subject.topics, message.topic.value, bytes(message.payload), retain=message.retain):
            case Wanted() as wanted if self._outbox.need(wanted):
                self._work.set()
            case Asked(after):
                self._outbox.list_runs(after)
                self._work.set()
            case Confirmed() as said:
                self._outbox.confirm(said)
            case OwnAlarm(topic):
                self._alarms.heard(topic)
            case _:
                pass

    async def _drain(self) -> None:
        pace = Pace(self._subject.timing.pace_s, WINDOW)
        now_s = asyncio.get_running_loop().time
        async with asyncio.TaskGroup() as sends:
            while True:
                outgoing = self._outbox.next(self._subject.utc())
                if outgoing is not None:
                    sends.create_task(self._send(outgoing), name=f"mqtt {outgoing.leaf} {outgoing.lane.run}")
                elif not self._outbox.digest_some():
                    self._progress.set()
                    await self._work.wait()
                    self._work.clear()
                    continue
                wait_s = pace.wait_s(now_s())
                await real_sleep(0 if self._hurry else wait_s)  # 0: the socket and the other tasks have their turn

    async def _send(self, outgoing: Outgoing) -> None:
        topics = self._subject.topics
        topic = topics.channel(outgoing.channel, outgoing.leaf) if outgoing.channel else topics.runs
        try:
            await self._publish(topic, outgoing.payload, retain=outgoing.retain)
        except Refused as refused:
            if refused.code != PACKET_TOO_LARGE:
                raise
            self._outbox.too_large(outgoing)
        else:
            self._outbox.acknowledged(outgoing)
        self._work.set()

    async def _drained(self, until_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until_s):
                self._hurry = True
                self._outbox.hurry()
                self._work.set()
                while not self._outbox.idle():
                    self._progress.clear()
                    await self._progress.wait()

    async def _announce(self) -> None:
        """Everything retained: after a crash the broker may know none of it. It need not let us listen."""
        await publish_and_hear(
            self._client, self._subject.topics.status, lambda: self._status(self._state), self._subject.timing.puback_s
        )
        await self._publish(self._subject.topics.meta, payloads.station_meta(self._subject.meta), retain=True)
        await self._client.subscribe(subscriptions(self._subject.topics))
        await self._repeat()
        channels = [status.channel for status in self._subject.view.channels()]
        await self._subject.discovery.tell(channels, partial(self._publish, retain=True))

    async def _repeat(self) -> None:
        """What expires, beside the status."""
        for instrument in self._subject.view.instruments():
            await self._instrument(instrument)
        for channel in self._subject.view.channels():
            await self._channel(channel)
        for alarm in self._subject.alarms():
            await self._alarm(self._subject.topics.alarm(alarm.id), alarm)

    async def _heartbeat(self) -> None:
        while True:
            await real_sleep(self._subject.timing.heartbeat_s)
            await self._status(self._state)
            await self._repeat()

    async def _release(self) -> None:
        while True:
            self._outbox.release()
            self._work.set()
            await real_sleep(self._subject.timing.gather_s or self._subject.timing.heartbeat_s)

    async def _tell_changes(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            changed, self._changed = self._changed, {}
            for status in changed.values():
                await self._channel(status)

    async def _tell_latest(self) -> None:
        """The newest sample of each channel, alarms and instruments that changed, at most once per ``latest_s``.

        One channel after the other, spread over that time: all in one go held up the interpreter, and control with it.
        """
        told: dict[str, tuple[str, Row]] = {}
        known: dict[str, InstrumentStatus] = {}
        channels = [status.channel for status in self._subject.view.channels()]
        share_s = self._subject.timing.latest_s / (len(channels) + 1)
        while True:
            for channel in channels:
                newest = self._subject.view.latest(channel)
                if newest is not None and told.get(channel) != newest:
                    told[channel] = newest
                    await self._latest(channel, *newest)
                await real_sleep(share_s)
            for instrument in self._subject.view.instruments():
                seen = replace(instrument, last_good_utc_s=None)  # changes at every exchange; the heartbeat tells it
                if known.get(instrument.name, seen) != seen:
                    await self._instrument(instrument)
                known[instrument.name] = seen
            for topic, alarm in self._alarms.news(self._subject.alarms()).items():
                await self._alarm(topic, alarm)
            await real_sleep(share_s)

    async def _latest(self, channel: str, run: str, row: Row) -> None:
        try:
            values = self._subject.files.values(run, row)
        except StoreError:
            return  # the outbox says which run cannot be read
        payload = payloads.latest(run, row.seq, self._subject.files.columns, values)
        await self._client.mention(self._subject.topics.channel(channel, "last"), payload)

    async def _status(self, state: str) -> None:
        self._state = state
        payload = payloads.station_status(state, self._since_utc_s, self._beat())
        await self._publish(self._subject.topics.status, payload, retain=True)

    async def _instrument(self, status: InstrumentStatus) -> None:
        topic = self._subject.topics.instrument_status(status.name)
        await self._publish(topic, payloads.instrument_status(status, self._beat()), retain=True)

    async def _channel(self, status: ChannelStatus) -> None:
        topic = self._subject.topics.channel(status.channel, "state")
        await self._publish(topic, payloads.channel_state(status, self._beat()), retain=True)

    async def _alarm(self, topic: str, alarm: Alarm | None) -> None:
        """An empty message makes the broker forget it."""
        payload = b"" if alarm is None else payloads.alarm(alarm, self._beat())
        await self._publish(topic, payload, retain=True)

    async def _publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Returns when the broker has acknowledged it, raises MqttError when it has not."""
        await self._client.deliver(topic, payload, retain=retain)

    def _beat(self) -> payloads.Beat:
        return payloads.Beat(self._subject.utc(), self._subject.timing.heartbeat_s)
