"""Keeps a session with one of the brokers: tries them in turn, waits longer after each failure, never gives up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from aiomqtt import MqttError, ProtocolVersion, Will
from aiomqtt.exceptions import MqttCodeError, MqttConnectError

from cycler_ctl.errors import StoreError
from cycler_ctl.publish import payloads
from cycler_ctl.publish.backoff import Backoff
from cycler_ctl.publish.certificates import warnings
from cycler_ctl.publish.endpoint import Credentials, Endpoint
from cycler_ctl.publish.explain import NotHeard, explain, not_welcome
from cycler_ctl.publish.mailbox import Mailbox
from cycler_ctl.publish.names import Names
from cycler_ctl.publish.outbox import WINDOW, Outbox
from cycler_ctl.publish.session import Session, Subject
from cycler_ctl.publish.speaker import HungUp, Speaker

log = logging.getLogger(__name__)
# aiomqtt and paho keep what is on the way to our window and the few retained states, never more.
_IN_FLIGHT = WINDOW + 16
# MQTT 5 name of CONNACK's "unacceptable protocol version", as paho gives it for 3.1.1's too.
_UNSUPPORTED_VERSION = 132
FAREWELL_S = 2.0
"""To say offline after the time for draining is over; a broker that does not even answer is left then."""


@dataclass(frozen=True, slots=True)
class Report:
    """How the connection is, for people: ``message`` says what is wrong and what to do."""

    connected: bool
    url: str | None
    message: str


class Courier:
    """Everything here runs on the publisher's loop. ``tell`` is called at every change of the connection."""

    def __init__(
        self,
        subject: Subject,
        outbox: Outbox,
        brokers: tuple[Endpoint, ...],
        credentials: Credentials,
        tell: Callable[[Report], None],
    ) -> None:
        self._subject = subject
        self._outbox = outbox
        self._brokers = brokers
        self._credentials = credentials
        self._tell = tell
        self._session: Session | None = None
        self._stopping: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._backoff = Backoff(subject.timing, random.random)
        self._names = Names(subject.timing.connack_s)
        self._old: set[str] = set()
        """Brokers that do not know MQTT 5, or perhaps not."""

    async def follow(self, mailbox: Mailbox, looked: Callable[[], None]) -> None:
        """Takes what other threads left: more rows on disk, changed channels, the wish to stop."""
        while True:
            mail = await mailbox.wait()
            for run in mail.runs:
                self._outbox.durable(run)
            if mail.gathered:
                self._outbox.release()
            looked()
            if mail.stop_within_s is not None and not self._stopping.done():
                self._stopping.set_result(asyncio.get_running_loop().time() + mail.stop_within_s)
            if self._session is not None:
                self._session.channels_changed(mail.channels)
            self.wake()

    def wake(self) -> None:
        """There may be more to do."""
        if self._session is not None:
            self._session.more_to_send()

    async def deliver(self) -> None:
        """Returns after ``stop``: everything delivered, or the time is over, or no broker is to be had."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None) as limit:
                self._stopping.add_done_callback(partial(_end, limit))
                await self._deliver()

    async def _deliver(self) -> None:
        if not self._brokers:
            self._tell(Report(connected=False, url=None, message="no broker is configured"))
            await self._stopping
            return
        while not self._stopping.done():
            if await self._round():
                return
        if not self._outbox.idle():  # asked to stop while away: each broker once more
            await self._round()

    async def _round(self) -> bool:
        """Each broker once. True: stopped as asked. False: all failed, and the wait after that is over."""
        failures: list[BaseException] = []
        for broker in self._brokers:
            failure = await self._attempt(broker)
            if failure is None:
                return True
            failures.append(failure)
        await self._pause(failures)
        return False

    async def _attempt(self, broker: Endpoint) -> BaseException | None:
        """Connected until asked to stop, or until it failed: why."""
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        failure = await self._connection(broker)
        if _too_new(failure) and broker.url not in self._old:
            self._old.add(broker.url)
            return await self._attempt(broker)
        if isinstance(failure, HungUp):
            self._old ^= {broker.url}
        if failure is not None:
            self._outbox.lost(suspicious=not isinstance(failure, NotHeard))
            self._backoff.was_up(loop.time() - started_s)
            self._report_failure(broker, failure)
        return failure

    async def _connection(self, broker: Endpoint) -> BaseException | None:
        """What ended it, or kept it from being made; None: it ended as asked."""
        failure: BaseException | None = None
        speaker: Speaker | None = None
        try:
            speaker = self._client(await self._names.locate(broker))
            async with speaker as client:
                await self._serve(client, broker)
        except* (MqttError, NotHeard, StoreError, OSError) as errors:
            failure = _first(errors)
        if speaker is not None and isinstance(failure, MqttCodeError):  # "not connected", and why not was known before
            return speaker.gone or failure
        return failure

    async def _serve(self, client: Speaker, broker: Endpoint) -> None:
        log.info("MQTT: connected to %s", broker.url)
        soon = "; ".join(warnings(broker.certificates(), self._subject.utc()))
        if soon:
            log.warning("MQTT: %s", soon)
        self._tell(Report(connected=True, url=broker.url, message=soon))
        self._session = Session(client, self._subject, self._outbox)
        try:
            await self._session.run(self._stopping)
        finally:
            self._session = None

    async def _pause(self, failures: list[BaseException]) -> None:
        """Between rounds, cut short by the wish to stop."""
        wait_s = self._backoff.refused_s() if any(map(not_welcome, failures)) else self._backoff.next_s()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await asyncio.shield(self._stopping)

    def _report_failure(self, broker: Endpoint, failure: BaseException) -> None:
        message = explain(broker, failure)
        log.warning("MQTT: %s", message)
        self._tell(Report(connected=False, url=broker.url, message=message))

    def _client(self, broker: Endpoint) -> Speaker:
        topics, timing = self._subject.topics, self._subject.timing
        will = Will(topics.status, payloads.will(self._subject.utc()), qos=1, retain=True)
        version = ProtocolVersion.V311 if broker.url in self._old else ProtocolVersion.V5
        return Speaker(
            broker,
            credentials=self._credentials,
            will=will,
            identifier=topics.client_id,
            version=version,
            timing=timing,
            in_flight=_IN_FLIGHT,
        )


def _end(limit: asyncio.Timeout, stop: asyncio.Future[float]) -> None:
    with contextlib.suppress(RuntimeError):  # everything is delivered already
        limit.reschedule(stop.result() + FAREWELL_S)


def _too_new(failure: BaseException | None) -> bool:
    return isinstance(failure, MqttConnectError) and getattr(failure.rc, "value", None) == _UNSUPPORTED_VERSION


def _first(error: BaseException) -> BaseException:
    """The innermost first one: task groups wrap what they raise."""
    inner: tuple[BaseException, ...] = getattr(error, "exceptions", ())
    return _first(inner[0]) if inner else error
