"""MQTT in its own thread with its own selector loop: told of what is new, it returns at once, and can delay nobody.

aiomqtt needs a loop with readers and writers, which Windows' default loop is not.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from cycler_ctl.alarms.model import Alarm
from cycler_ctl.clock import SystemClock, real_sleep
from cycler_ctl.config import MqttSettings
from cycler_ctl.errors import StoreError
from cycler_ctl.live import ChannelStatus, StationView
from cycler_ctl.publish.backoff import Timing
from cycler_ctl.publish.courier import Courier, Report
from cycler_ctl.publish.cursors import Confirmed, Cursors, DeadLetter
from cycler_ctl.publish.endpoint import credentials, endpoints
from cycler_ctl.publish.home_assistant import Discovery
from cycler_ctl.publish.mailbox import Mailbox
from cycler_ctl.publish.outbox import Outbox
from cycler_ctl.publish.runs import StoredRuns
from cycler_ctl.publish.session import Subject
from cycler_ctl.publish.source import RunFiles
from cycler_ctl.publish.topics import Topics
from protocols.record import JSON

# A connection attempt in the client library's thread cannot be cut short; it gives up by itself after 5 s.
_CONNECT_S = 6.0


@dataclass(frozen=True, slots=True)
class PublisherStatus:
    """``rows_waiting``: durable rows per run that no broker has acknowledged. ``message``: what is wrong, or empty."""

    connected: bool = False
    url: str | None = None
    message: str = "not started"
    rows_waiting: Mapping[str, int] = field(default_factory=dict[str, int])
    dead_letters: tuple[DeadLetter, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict[str, str])
    """Runs whose files cannot be read, and why."""
    confirmed: tuple[Confirmed, ...] = ()
    """Confirmed at a sink: how far readers that keep rows have them, by their own word."""


class Publisher:
    """An ``Observer``. Raises ConfigError when made, for whatever is wrong in the settings; later it only reports."""

    def __init__(
        self,
        settings: MqttSettings,
        *,
        site: str,
        station: str,
        data_dir: Path,
        view: StationView,
        default_url: str | None,
        meta: Mapping[str, JSON],
        files: RunFiles | None = None,
        timing: Timing | None = None,
        alarms: Callable[[], Iterable[Alarm]] = tuple,
        utc: Callable[[], float] | None = None,
    ) -> None:
        self._brokers = endpoints(settings, default_url)
        self._credentials = credentials(settings)
        self._outbox_path = data_dir / "outbox.sqlite"
        self._subject = Subject(
            Topics(site, station),
            view,
            dict(meta),
            files or StoredRuns(data_dir),
            timing or Timing(),
            utc or SystemClock().utc,
            alarms,
            Discovery(
                Topics(site, station),
                data_dir,
                settings.discovery_prefix if settings.home_assistant else None,
                str(meta.get("version", "")),
            ),
        )
        self._mailbox = Mailbox(self._subject.timing.gather_s)
        self._lock = threading.Lock()
        self._status = PublisherStatus()
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Drain what is durable within ``timeout_s``, say offline, end. Blocks; idempotent; not from the loop's thread."""
        self._mailbox.stop(timeout_s)
        if self._thread.ident is not None:
            self._thread.join(timeout_s + 2 * _CONNECT_S)

    def channel_changed(self, status: ChannelStatus) -> None:
        self._mailbox.channel_changed(status)

    def durable(self, run: str) -> None:
        self._mailbox.durable(run)

    def status(self) -> PublisherStatus:
        with self._lock:
            return self._status

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(self._main())
        finally:
            self._mailbox.close()
            self._note(Report(connected=False, url=self.status().url, message=self.status().message or "stopped"))

    async def _main(self) -> None:
        self._mailbox.open(asyncio.get_running_loop())
        outbox = await self._open_outbox()
        if outbox is None:
            return
        try:
            self._look(outbox)
            await self._work(outbox)
        finally:
            with contextlib.suppress(StoreError):  # the cursors lag then: duplicates at the next start
                outbox.close()
            self._mailbox.close()

    async def _work(self, outbox: Outbox) -> None:
        courier = Courier(self._subject, outbox, self._brokers, self._credentials, self._note)
        async with asyncio.TaskGroup() as tasks:
            chores = (
                tasks.create_task(courier.follow(self._mailbox, lambda: self._look(outbox)), name="mqtt mail"),
                tasks.create_task(self._keep(outbox, courier), name="mqtt cursors"),
            )
            await courier.deliver()
            for chore in chores:
                chore.cancel()
        self._look(outbox)

    async def _open_outbox(self) -> Outbox | None:
        """Without a place for its cursors the publisher waits: sending everything again and again helps nobody."""
        while not self._mailbox.stopping():
            try:
                return self._discovered()
            except (StoreError, OSError) as error:
                self._note(Report(connected=False, url=None, message=str(error)))
                await real_sleep(self._subject.timing.first_s)
        return None

    def _discovered(self) -> Outbox:
        with contextlib.ExitStack() as opened:
            cursors = Cursors(self._outbox_path)
            opened.callback(cursors.close)
            gathers, channels = self._subject.timing.gather_s > 0, len(self._subject.view.channels())
            outbox = Outbox(cursors, self._subject.files, gathers=gathers, channels=channels)
            outbox.discover()
            opened.pop_all()
            return outbox

    async def _keep(self, outbox: Outbox, courier: Courier) -> None:
        """Acknowledged is durable at most ``commit_s`` later."""
        while True:
            await real_sleep(self._subject.timing.commit_s)
            try:
                outbox.commit()
            except StoreError as error:
                with self._lock:
                    self._status = replace(self._status, message=str(error))
            if outbox.new_day(self._subject.utc()):
                courier.wake()
            self._look(outbox)

    def _note(self, report: Report) -> None:
        with self._lock:
            self._status = replace(self._status, connected=report.connected, url=report.url, message=report.message)

    def _look(self, outbox: Outbox) -> None:
        seen = outbox.waiting(), outbox.unreadable, outbox.dead_letters, outbox.confirmed
        with self._lock:
            status = self._status
            if seen != (status.rows_waiting, status.unreadable, status.dead_letters, status.confirmed):
                waiting, unreadable, dead_letters, confirmed = seen
                self._status = replace(
                    status,
                    rows_waiting=waiting,
                    unreadable=dict(unreadable),
                    dead_letters=dead_letters,
                    confirmed=confirmed,
                )
