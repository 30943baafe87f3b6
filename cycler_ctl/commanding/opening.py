"""Commands over MQTT beside a running station, where its settings say so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from cycler_ctl.commanding.commander import Commander
from cycler_ctl.station import Station


@asynccontextmanager
async def open_commanding(station: Station, default_url: str | None) -> AsyncGenerator[Commander | None]:
    """None: off, as it is unless station.toml says otherwise. ConfigError for settings that cannot be."""
    mqtt = station.config.mqtt
    if not (mqtt.commands and mqtt.enabled and (mqtt.url or default_url)):
        yield None
        return
    commander = Commander(station.config, station, station, default_url)
    commander.start()
    try:
        yield commander
    finally:
        await asyncio.to_thread(commander.stop)
