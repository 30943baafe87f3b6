"""Commands in a thread of their own: nothing that comes over MQTT can delay a reading or the data that go out."""

from __future__ import annotations

import asyncio
import logging
import queue
import random
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol as Shape

from cycler_ctl.clock import Clock, SystemClock
from cycler_ctl.commanding.armed import disarm_all
from cycler_ctl.commanding.desk import Counter, Desk, Outcome, Outgoing
from cycler_ctl.commanding.ledger import FILE, Ledger
from cycler_ctl.commanding.link import Link, LinkLostError, Protocol, Whereto
from cycler_ctl.commanding.request import Action, Request, Role, Why
from cycler_ctl.computer.timesync import clock_synchronised
from cycler_ctl.config import Config, MqttSettings
from cycler_ctl.errors import ConfigError, CyclerError, InstrumentError, StoreError
from cycler_ctl.live import StationView
from cycler_ctl.publish.backoff import Backoff, Timing
from cycler_ctl.publish.endpoint import Credentials, Endpoint, endpoints
from cycler_ctl.publish.names import Names
from cycler_ctl.publish.topics import Topics
from cycler_ctl.running.start import Order
from cycler_ctl.secret import secret_from_file

log = logging.getLogger(__name__)

SHORTEST_SECRET = 32
END_S = 8.0  # longer than an attempt to connect, which cannot be cut short
_NEWEST_FIRST = (Protocol.MQTTv5, Protocol.MQTTv311)


class Acts(Shape):
    """What the station does, on its own loop. CyclerError: it did not, and why."""

    async def begin(self, channel: str, order: Order) -> str: ...
    async def stop(self, channel: str, by: str) -> None: ...
    async def pause(self, channel: str, by: str) -> None: ...
    async def skip(self, channel: str, by: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Of a commander; a test puts its own here."""

    clock: Clock
    synchronised: Callable[[], bool]
    timing: Timing


def real() -> Surroundings:
    return Surroundings(SystemClock(), clock_synchronised, Timing())


class Commander:
    """Made on the station's loop. Raises ConfigError for whatever is wrong in the settings."""

    def __init__(
        self, config: Config, view: StationView, acts: Acts, default_url: str | None, around: Surroundings | None = None
    ) -> None:
        self._config = config
        self._view = view
        self._acts = acts
        self._loop = asyncio.get_running_loop()
        self._around = around or real()
        self._brokers = endpoints(with_own_certificate(config.mqtt), default_url)
        self._names = Names()
        self._credentials = command_credentials(config.mqtt)
        self._secrets = command_secrets(config.mqtt)
        self._ending = threading.Event()
        self._over: queue.SimpleQueue[tuple[Request, Outcome]] = queue.SimpleQueue()
        self._link: Link | None = None
        self._message = "not connected yet"
        self._thread = threading.Thread(target=self._run, name="mqtt commands", daemon=True)
        disarm_all(config.station.data_dir)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Blocks; idempotent; not from the loop's thread."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join(END_S)

    @property
    def message(self) -> str:
        """What is wrong, or empty: commands are taken."""
        return self._message

    def _run(self) -> None:
        ledger = self._open_ledger()
        if ledger is None:
            return
        try:
            counter = Counter(
                self._config,
                self._secrets,
                self._view,
                self._around.clock,
                self._around.synchronised,
                act=self._act,
                say=self._say,
            )
            self._keep_connected(Desk(counter, ledger))
        finally:
            ledger.close()
            self._message = "ended"

    def _open_ledger(self) -> Ledger | None:
        """Without a memory of what was done nothing is taken."""
        while not self._ending.is_set():
            try:
                return Ledger(self._config.station.data_dir / FILE)
            except StoreError as error:
                self._wrong(str(error))
                self._ending.wait(self._around.timing.first_s)
        return None

    def _keep_connected(self, desk: Desk) -> None:
        backoff, clock = Backoff(self._around.timing, random.random), self._around.clock
        while not self._ending.is_set():
            not_welcome = False
            for broker in self._brokers:
                began_s = clock.now()
                try:
                    self._serve(self._whereto(broker, desk), desk)
                except LinkLostError as error:
                    self._wrong(f"{broker.url}: {error}")
                    not_welcome |= error.not_welcome
                    backoff.was_up(clock.now() - began_s)
            self._ending.wait(backoff.refused_s() if not_welcome else backoff.next_s())

    def _whereto(self, broker: Endpoint, desk: Desk) -> Whereto:
        try:
            located = self._names.locate_here(broker)
        except OSError as error:
            raise LinkLostError(str(error)) from error
        return Whereto(located, self._credentials, self._client_id, self._requests(), _heard(desk))

    def _serve(self, to: Whereto, desk: Desk) -> None:
        """Until asked to end, or the connection is gone."""
        self._link = link = self._open(to)
        log.info("MQTT commands: connected to %s", to.endpoint.url)
        self._message = ""
        desk.tell_anew()
        try:
            while not self._ending.is_set():
                desk.look()
                link.turn()
                self._finish(desk)
        finally:
            self._link = None
            link.close()

    def _open(self, to: Whereto) -> Link:
        """Version 5 where the broker has it: there it keeps from us what is too long."""
        try:
            return Link(to, _NEWEST_FIRST[0], self._ending.is_set)
        except LinkLostError as error:
            if error.not_welcome:
                raise
        return Link(to, _NEWEST_FIRST[1], self._ending.is_set)

    def _finish(self, desk: Desk) -> None:
        while not self._over.empty():
            desk.over(*self._over.get())

    def _say(self, message: Outgoing) -> None:
        if self._link is not None:
            self._link.say(message)

    def _wrong(self, message: str) -> None:
        if message != self._message:
            log.warning("MQTT commands: %s", message)
        self._message = message

    @property
    def _client_id(self) -> str:
        return f"{self._topics.client_id}-cmd"

    @property
    def _topics(self) -> Topics:
        return Topics(self._config.station.site, self._config.station.name)

    def _requests(self) -> dict[str, str]:
        return {self._topics.channel(name, "cmd"): name for name in self._config.channels}

    def _act(self, request: Request, order: Order | None) -> None:
        """On the station's loop; what becomes of it is told by this thread."""
        doing = self._do(request, order)
        try:
            done = asyncio.run_coroutine_threadsafe(doing, self._loop)
        except RuntimeError:  # the loop is closed
            doing.close()
            self._over.put((request, Outcome(Why.STATION, "the station has ended")))
            return
        done.add_done_callback(lambda over: self._over.put((request, _came_of(over))))

    async def _do(self, request: Request, order: Order | None) -> Outcome:
        try:
            return Outcome(run=await self._doing(request, order))
        except InstrumentError as error:
            return Outcome(Why.STATION, str(error), failed=True)
        except CyclerError as error:
            return Outcome(Why.STATION, str(error))

    def _doing(self, request: Request, order: Order | None) -> Coroutine[object, object, str | None]:
        match request.action:
            case Action.STOP:
                return self._acts.stop(request.channel, request.by)
            case Action.PAUSE:
                return self._acts.pause(request.channel, request.by)
            case Action.SKIP:
                return self._acts.skip(request.channel, request.by)
            case Action.START:
                if order is None:
                    raise CyclerError("the order was taken away in this moment: arm the channel again")
                return self._acts.begin(request.channel, order)


def _came_of(over: Future[Outcome]) -> Outcome:
    if over.cancelled():
        return Outcome(Why.STATION, "the station is ending")
    error = over.exception()
    if error is None:
        return over.result()
    log.error("a command failed", exc_info=error)
    return Outcome(Why.STATION, f"internal error: {error!r}", failed=True)


def _heard(desk: Desk) -> Callable[[str, bytes, bool], None]:
    def heard(channel: str, payload: bytes, retained: bool) -> None:  # noqa: FBT001 - a callback
        desk.hear(channel, payload, retained=retained)

    return heard


def with_own_certificate(settings: MqttSettings) -> MqttSettings:
    """Where brokers know their users by certificates."""
    if settings.command_cert_file is None:
        return settings
    own = {"cert_file": settings.command_cert_file, "key_file": settings.command_key_file}
    return settings.model_copy(update=own)


def command_credentials(settings: MqttSettings) -> Credentials:
    """Never those of the connection that publishes."""
    if settings.command_username is None:
        return Credentials(None, None)
    if settings.command_username == settings.username:
        raise ConfigError("[mqtt] command_username is that of the data: commands have a user of their own")
    file, key = settings.command_password_file, "[mqtt] command_password_file"
    return Credentials(settings.command_username, None if file is None else secret_from_file(file, key))


def command_secrets(settings: MqttSettings) -> dict[Role, bytes]:
    files = {Role.OPERATE: settings.operate_secret_file, Role.START: settings.start_secret_file}
    found: dict[Role, bytes] = {}
    for role, file in files.items():
        if file is not None:
            secret = secret_from_file(file, f"[mqtt] {role}_secret_file").encode()
            if len(secret) < SHORTEST_SECRET or secret in found.values():
                raise ConfigError(
                    f"[mqtt] {role}_secret_file {file}: a secret of its own, {SHORTEST_SECRET} or more letters"
                )
            found[role] = secret
    if Role.OPERATE not in found:
        raise ConfigError("[mqtt] commands = true needs operate_secret_file")
    return found
