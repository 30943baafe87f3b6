"""What watches a station: MQTT, the page and the HTTP API, put together; none of it can delay or stop control."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version

from cycler_ctl.clock import SystemClock
from cycler_ctl.config import Config
from cycler_ctl.publish.asyncapi import asyncapi
from cycler_ctl.publish.publisher import Publisher
from cycler_ctl.publish.runs import StoredRuns
from cycler_ctl.records.sealing import Sealer
from cycler_ctl.share.sharer import Sharer
from cycler_ctl.station import Station

log = logging.getLogger(__name__)

SEAL_S = 5.0
DRAIN_S = 5.0  # what is durable goes out before we say offline; the rest waits for the next start


@dataclass(frozen=True, slots=True)
class Reporting:
    """``page``: the address with its token, None without the HTTP API."""

    page: str | None


@asynccontextmanager
async def open_reporting(station: Station, default_url: str | None) -> AsyncGenerator[Reporting]:
    """Raises ConfigError for settings that cannot be; leaving drains MQTT and says offline before it disconnects."""
    config = station.config
    async with AsyncExitStack() as stack:
        publisher = _publisher(station, default_url)
        sharer = _open_share(stack, station)
        page = await _open_page(stack, station, publisher, sharer) if config.http.enabled else None
        if publisher is not None:
            publisher.start()
            stack.push_async_callback(asyncio.to_thread, publisher.stop, DRAIN_S)
            station.observe(publisher)
            station.count_waiting(lambda run: publisher.status().rows_waiting.get(run, 0))
        sealer = Sealer(config.station.data_dir)
        sealer.start()
        stack.push_async_callback(asyncio.to_thread, sealer.stop, SEAL_S)
        station.observe(sealer)
        yield Reporting(page)


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


def _publisher(station: Station, default_url: str | None) -> Publisher | None:
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
    )


async def _open_page(
    stack: AsyncExitStack, station: Station, publisher: Publisher | None, sharer: Sharer | None
) -> str | None:
    """The page is an extra: where it is not installed the cells are cycled all the same. A port taken is ConfigError."""
    try:
        from cycler_ctl.web.app import create_app
        from cycler_ctl.web.hub import Hub
        from cycler_ctl.web.server import allowed_hosts_of, is_loopback, serve_http, split_address, token_of
    except ModuleNotFoundError as error:
        log.warning("no page and no HTTP API (%s): pip install 'cycler-ctl[web]'", error.name)
        return None
    config: Config = station.config
    token = token_of(config.http, config.station.data_dir)
    hub = Hub(station)
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
        mqtt=lambda: None if publisher is None else asdict(publisher.status()),
        share=lambda: None if sharer is None else asdict(sharer.status()),
    )
    address = await stack.enter_async_context(serve_http(app, config.http))
    station.observe(hub)
    return f"{address}/#token={token}"
