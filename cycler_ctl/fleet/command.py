"""``cycler-ctl collect``: one collector in the foreground, until it is asked to end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeGuard
from urllib.parse import urlsplit

from paho.mqtt.enums import MQTTProtocolVersion

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import ConfigError
from cycler_ctl.fleet.collector import Collector, Source, database
from cycler_ctl.fleet.housekeeping import Voice, keep_house
from cycler_ctl.fleet.mqtt_source import MqttPlace, MqttSource
from cycler_ctl.fleet.nats_source import NatsPlace, NatsSource
from cycler_ctl.fleet.settings import NATS, CollectSettings, Login, brokers, conninfo, load, login
from cycler_ctl.settings import HttpSettings

log = logging.getLogger(__name__)
Connect = Callable[[], AbstractAsyncContextManager[Source]]


class _Speaker:
    """The source that is connected now, for what is said to stations; without one it is not said, and said again later."""

    def __init__(self) -> None:
        self.source: Source | None = None

    async def tell(self, topic: str, payload: bytes) -> None:
        if self.source is not None:
            await self.source.tell(topic, payload)

    async def report(self, topic: str, payload: bytes) -> None:
        if isinstance(self.source, MqttSource):
            await self.source.report(topic, payload)
        else:
            await self.tell(topic, payload)


def collect(to: str, origin: str, config: Path | None, listen: str | None = None) -> int:
    """Returns when asked to end. Raises ConfigError for whatever is wrong in what it was told."""
    settings = with_page(load(config), listen)
    target, looking = conninfo(to, settings.database), conninfo(to, settings.database, "any")
    urls = brokers(origin)
    connect = source_of(urls, settings, login(settings.broker, urls))
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # Neither client of a broker nor of a database works on Windows' own loop.
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        try:
            runner.run(_until_asked(gather(target, connect, settings), page(looking, settings.http)))
        except BaseExceptionGroup as group:
            raise _first(group) from group
    return 0


def _first(error: BaseException) -> BaseException:
    """What went wrong, out of the groups of the tasks it went wrong in."""
    return _first(error.exceptions[0]) if _of_several(error) else error


def _of_several(error: BaseException) -> TypeGuard[BaseExceptionGroup[BaseException]]:
    return isinstance(error, BaseExceptionGroup)


def source_of(urls: Sequence[str], settings: CollectSettings, known: Login) -> Connect:
    """How to connect to one of the brokers; each time to the next."""
    if urlsplit(urls[0]).scheme in NATS:
        place = NatsPlace(
            tuple(urls), known.username, known.password, known.tls, settings.broker.replicas, settings.redeliver_s
        )
        return lambda: NatsSource(place, settings.name, settings.batch)
    turn = itertools.cycle(urls)
    version = MQTTProtocolVersion.MQTTv5 if settings.broker.mqtt_version == "5" else MQTTProtocolVersion.MQTTv311

    def next_one() -> MqttSource:
        url = next(turn)
        tls = known.tls if url.startswith("mqtts:") else None
        return MqttSource(
            MqttPlace(url, known.username, known.password, tls, version),
            settings.name,
            settings.instance,
            SystemClock(),
        )

    return next_one


async def _until_asked(*work: Coroutine[None, None, None]) -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C is a KeyboardInterrupt there
            loop.add_signal_handler(number, asked.set)
    async with asyncio.TaskGroup() as tasks:
        started = [tasks.create_task(each) for each in work]
        await asked.wait()
        for each in started:
            each.cancel()


async def page(looking: str, settings: HttpSettings | None) -> None:
    """For ever, if it is wanted. ``looking``: where the database may be a standby."""
    if settings is None:
        return
    try:
        from cycler_ctl.fleet.page import serving
    except ModuleNotFoundError as error:
        raise ConfigError("the page is not installed: pip install 'cycler-ctl[web]'") from error

    async with serving(looking, settings, Path.cwd()) as address:
        log.info("fleet page: %s", address)
        await asyncio.Event().wait()


def with_page(settings: CollectSettings, listen: str | None) -> CollectSettings:
    if listen is None:
        return settings
    http = settings.http or HttpSettings()
    return settings.model_copy(update={"http": http.model_copy(update={"listen": listen})})


async def gather(target: str, connect: Connect, settings: CollectSettings) -> None:
    """For ever."""
    speaker = _Speaker()

    @contextlib.asynccontextmanager
    async def connected() -> AsyncGenerator[Source]:
        async with connect() as source:
            speaker.source = source
            try:
                yield source
            finally:
                speaker.source = None

    voice = Voice(settings.name, speaker.tell, speaker.report, settings.patience_s)
    async with database(target) as kept, asyncio.TaskGroup() as tasks:
        tasks.create_task(Collector(kept).run(connected), name="collector")
        tasks.create_task(keep_house(target, voice, SystemClock(), settings.check_every_s), name="housekeeping")
