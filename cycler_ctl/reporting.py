"""What watches a station: MQTT, the page and the HTTP API, put together; none of it can delay or stop control."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version

from cycler_ctl.alarms.board import AlarmBoard
from cycler_ctl.alarms.facts import Broker
from cycler_ctl.alarms.watch import AlarmWatch, Beside
from cycler_ctl.clock import SystemClock
from cycler_ctl.commanding.commander import Commander
from cycler_ctl.config import Config
from cycler_ctl.notify.lane import Sight
from cycler_ctl.notify.notifier import Notifier
from cycler_ctl.publish.asyncapi import asyncapi
from cycler_ctl.publish.publisher import Publisher
from cycler_ctl.publish.runs import StoredRuns
from cycler_ctl.queueing.keeper import QueueKeeper
from cycler_ctl.records.sealing import Sealer
from cycler_ctl.share.sharer import Sharer
from cycler_ctl.station import Station
from cycler_ctl.web.hop import Hop
from cycler_ctl.web.hub import Hub
from cycler_ctl.web.threaded import in_a_thread

log = logging.getLogger(__name__)

SEAL_S = 5.0
DRAIN_S = 5.0  # what is durable goes out before we say offline; the rest waits for the next start


@dataclass(frozen=True, slots=True)
class Reporting:
    """``page``: the address with its token, None without the HTTP API."""

    page: str | None


@dataclass(frozen=True, slots=True)
class _Others:
    """What the page and the alarms tell of."""

    board: AlarmBoard
    publisher: Publisher | None
    sharer: Sharer | None
    notifier: Notifier
    queues: QueueKeeper | None
    commander: Commander | None

    def commands_trouble(self) -> str | None:
        return None if self.commander is None else self.commander.message or None

    def broker(self) -> Broker | None:
        if self.publisher is None:
            return None
        status = self.publisher.status()
        return Broker(status.connected, status.message, len(status.dead_letters), status.unreadable)

    def share_trouble(self) -> str | None:
        return None if self.sharer is None else self.sharer.status().trouble

    def mqtt(self) -> dict[str, object] | None:
        """``commands``: why none can be taken, empty where they are; None where they are off."""
        if self.publisher is None:
            return None
        trouble = None if self.commander is None else self.commander.message
        return {**asdict(self.publisher.status()), "commands": trouble}

    def share(self) -> dict[str, object] | None:
        return None if self.sharer is None else asdict(self.sharer.status())

    def notify(self) -> list[dict[str, object]]:
        return [asdict(status) for status in self.notifier.status()]


@asynccontextmanager
async def open_reporting(
    station: Station,
    default_url: str | None,
    queues: QueueKeeper | None = None,
    commander: Commander | None = None,
) -> AsyncGenerator[Reporting]:
    """Raises ConfigError for settings that cannot be; leaving drains MQTT and says offline before it disconnects."""
    config = station.config
    async with AsyncExitStack() as stack:
        board = AlarmBoard(SystemClock().utc)
        publisher = _publisher(station, default_url, board)
        notifier = _open_notify(stack, station, board)
        sharer = _open_share(stack, station)
        others = _Others(board, publisher, sharer, notifier, queues, commander)
        page = await _open_page(stack, station, others) if config.http.enabled else None
        if publisher is not None:
            publisher.start()
            stack.push_async_callback(asyncio.to_thread, publisher.stop, DRAIN_S)
            station.observe(publisher)
            station.count_waiting(lambda run: publisher.status().rows_waiting.get(run, 0))
        sealer = Sealer(config.station.data_dir)
        sealer.start()
        stack.push_async_callback(asyncio.to_thread, sealer.stop, SEAL_S)
        station.observe(sealer)
        _open_alarms(stack, station, others)
        yield Reporting(page)


def _open_alarms(stack: AsyncExitStack, station: Station, others: _Others) -> None:
    """The last to begin and the first to end: it looks at all the others."""
    beside = Beside(others.broker, others.share_trouble, others.notifier.troubles, others.commands_trouble)
    watch = AlarmWatch(station.config, station, others.board, SystemClock(), beside)
    watch.start()
    stack.push_async_callback(asyncio.to_thread, watch.stop, DRAIN_S)
    station.observe(watch)


def _open_notify(stack: AsyncExitStack, station: Station, board: AlarmBoard) -> Notifier:
    """A thread for each rule and a process for each message: what hangs there hangs alone."""
    sight = Sight(station.config.station.name, board.everything, station.channels)
    notifier = Notifier(station.config.notify, sight, SystemClock())
    notifier.start()
    stack.push_async_callback(asyncio.to_thread, notifier.stop, DRAIN_S)
    station.observe(notifier)
    return notifier


def _open_share(stack: AsyncExitStack, station: Station) -> Sharer | None:
    """Copies of ended runs are made by a thread, the exports by processes: the loop knows nothing of it."""
    config = station.config
    if config.share is None:
        return None
    sharer = Sharer(config.station.data_dir, config.share, SystemClock().utc)
    sharer.start()
    stack.push_async_callback(asyncio.to_thread, sharer.stop, DRAIN_S)
    station.observe(sharer)
    return sharer


def _publisher(station: Station, default_url: str | None, board: AlarmBoard) -> Publisher | None:
    config = station.config
    if not config.mqtt.enabled or not (config.mqtt.url or default_url):
        return None
    return Publisher(
        config.mqtt,
        site=config.station.site,
        station=config.station.name,
        data_dir=config.station.data_dir,
        view=station,
        default_url=default_url,
        meta=station.meta() | {"version": version("cycler-ctl"), "schemas": asyncapi(version("cycler-ctl"))},
        files=StoredRuns(config.station.data_dir),
        alarms=board.active,
    )


async def _open_page(stack: AsyncExitStack, station: Station, others: _Others) -> str | None:
    """The page is an extra: where it is not installed the cells are cycled all the same. A port taken is ConfigError."""
    hub = Hub(station, others.board.active)
    serving = partial(_page, station, others, hub, Hop(asyncio.get_running_loop()))
    try:
        page = await stack.enter_async_context(in_a_thread(serving))
    except ModuleNotFoundError as error:
        log.warning("no page and no HTTP API (%s): pip install 'cycler-ctl[web]'", error.name)
        return None
    station.observe(hub)
    return page


@asynccontextmanager
async def _page(station: Station, others: _Others, hub: Hub, hop: Hop) -> AsyncGenerator[str]:
    """In the page's own thread, as all that it imports: what acts goes back by ``hop``, the rest any thread may read."""
    from cycler_ctl.web.app import create_app
    from cycler_ctl.web.server import allowed_hosts_of, is_loopback, serve_http, split_address, token_of

    config: Config = station.config
    token = token_of(config.http, config.station.data_dir)
    app = create_app(
        station,
        station,
        data_dir=config.station.data_dir,
        token=token,
        allowed_hosts=allowed_hosts_of(config.http),
        name=config.station.name,
        site=config.station.site,
        reading_needs_token=not is_loopback(split_address(config.http.listen)[0]),
        hub=hub,
        mqtt=others.mqtt,
        share=others.share,
        notify=others.notify,
        alarms=others.board,
        queues=others.queues,
        amending=station,
        hop=hop,
    )
    async with serve_http(app, config.http) as address:
        yield f"{address}/#token={token}"
