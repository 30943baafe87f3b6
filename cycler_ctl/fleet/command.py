"""``cycler-ctl collect``: one collector in the foreground, until it is asked to end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from urllib.parse import urlsplit

from paho.mqtt.enums import MQTTProtocolVersion

from cycler_ctl.clock import SystemClock
from cycler_ctl.fleet.collector import Collector, Source, database
from cycler_ctl.fleet.housekeeping import Voice, keep_house
from cycler_ctl.fleet.mqtt_source import MqttPlace, MqttSource
from cycler_ctl.fleet.nats_source import NatsPlace, NatsSource
from cycler_ctl.fleet.settings import NATS, CollectSettings, Login, brokers, conninfo, load, login

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


def collect(to: str, origin: str, config: Path | None) -> int:
    """Returns when asked to end. Raises ConfigError for whatever is wrong in what it was told."""
    settings = load(config)
    target = conninfo(to, settings.database)
    urls = brokers(origin)
    connect = source_of(urls, settings, login(settings.broker, urls))
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # Neither client of a broker nor of a database works on Windows' own loop.
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(_until_asked(target, connect, settings))
    return 0


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


async def _until_asked(target: str, connect: Connect, settings: CollectSettings) -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C is a KeyboardInterrupt there
            loop.add_signal_handler(number, asked.set)
    async with asyncio.TaskGroup() as tasks:
        work = tasks.create_task(gather(target, connect, settings), name="collect")
        await asked.wait()
        work.cancel()


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
