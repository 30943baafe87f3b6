"""The newest value of each sensor that watches a channel; a sensor that fails delays nobody, its value grows old."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress

from cycler_ctl.channels.host import InstrumentHost
from cycler_ctl.clock import Clock
from cycler_ctl.errors import BadReply, DeviceFault, LinkError, RefusedError
from cycler_ctl.guard import TEMPERATURE_MAX_AGE_S
from cycler_ctl.instrument import Measurement, Sensor

log = logging.getLogger(__name__)

FIRST_VALUE_S = 3.0  # real time: a sensor just connected may take that long for its first value
EVERY_S = 14.0
RETRY_S = 2.0  # after a bad value: many tries before the last good one is 30 s old and counts as missing


class Sensing:
    """``names``: the instruments whose first sensor is kept read; ``watch`` is the one task of each."""

    def __init__(self, names: Iterable[str], hosts: Mapping[str, InstrumentHost], clock: Clock) -> None:
        self.names = tuple(names)
        self._hosts = hosts
        self._clock = clock
        self._values: dict[str, Measurement] = {}
        self._tried = {name: asyncio.Event() for name in self.names}

    def newest(self, name: str | None) -> Measurement | None:
        """The newest value there ever was, however old; None without a sensor."""
        return None if name is None else self._values.get(name)

    async def first_tries(self) -> None:
        """Return when each connected sensor was read once, or does not answer."""
        for name in self.names:
            if self._hosts[name].status().link == "connected":
                await self._first_try(name)

    async def refuse_blind(self, name: str) -> None:
        """A run that the guard would end at its first reading need not begin."""
        await self._first_try(name)
        value = self._values.get(name)
        if value is None or self._clock.now() - value.at_s > TEMPERATURE_MAX_AGE_S:
            message = self._hosts[name].status().message
            raise RefusedError(f"there are temperature limits, and sensor {name} gives no value ({message}): check it")

    async def _first_try(self, name: str) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_VALUE_S):
                await self._tried[name].wait()

    async def watch(self, name: str) -> None:
        host = self._hosts[name]
        while True:
            instrument = await host.online()
            if not instrument.sensors:
                log.warning("instrument %s has no sensor, so its channels get no temperature", name)
                return
            try:
                with self._clock.member():
                    await self._keep_reading(name, next(iter(instrument.sensors.values())))
            except LinkError as error:
                log.debug("sensor %s: %s", name, error)
            except Exception:
                log.exception("error in the driver of sensor %s", name)
            host.drop()

    async def _keep_reading(self, name: str, sensor: Sensor) -> None:
        while True:
            wait_s = RETRY_S
            with suppress(BadReply, DeviceFault):
                self._values[name] = await sensor.read()
                wait_s = EVERY_S
            self._tried[name].set()
            await self._clock.sleep_until(self._clock.now() + wait_s)
