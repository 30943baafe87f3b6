"""All channels of one lab PC: exclusive owner of its instruments, start and stop, and the truth about each output."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from cycler_ctl.clock import Clock
from cycler_ctl.config import Config
from cycler_ctl.errors import BadReply, DeviceFault, LinkError, RefusedError, StoreError
from cycler_ctl.fittings import Fittings
from cycler_ctl.guard import TEMPERATURE_MAX_AGE_S
from cycler_ctl.host import InstrumentHost, Wiring
from cycler_ctl.instrument import Measurement, Sensor
from cycler_ctl.lease import Lease
from cycler_ctl.live import ChannelStatus, InstrumentStatus, Observer
from cycler_ctl.plugins import load_driver
from cycler_ctl.runner import Runner
from cycler_ctl.slot import ACTIVE, CurrentRun, Slot
from cycler_ctl.start import Order, Prepared, prepare, spot_of, versions
from cycler_ctl.store.reader import unfinished_runs
from cycler_ctl.store.writer import RunWriter, create_run, reopen_run
from protocols.documents import Document
from protocols.record import JSON, Outcome, Row

log = logging.getLogger(__name__)

INTERRUPTED = "the service or the PC stopped during the run"
STOP_S = 7.0  # at the end of the service: less than the guardian's patience
FIRST_VALUE_S = 3.0  # a sensor just connected may take that long for its first value
SENSOR_EVERY_S = 10.0  # three tries before a value is 30 s old and counts as missing


class Station:
    """Use: ``async with asyncio.TaskGroup() as group: station.open(group)``; ``close`` before the group ends."""

    def __init__(self, config: Config, clock: Clock, lease: Lease, observers: Sequence[Observer] = ()) -> None:
        self.config = config
        self._clock = clock
        self._lease = lease
        self._observers = list(observers)
        self._group: asyncio.TaskGroup | None = None
        self._own: list[asyncio.Task[None]] = []
        self._sensor_values: dict[str, Measurement] = {}
        self._sensed = {name: asyncio.Event() for name in config.instruments}
        self._hosts = {name: self._host(name) for name in config.instruments}
        self._slots = {
            name: Slot(name, settings, self._hosts[settings.instrument], clock, lease, changed=self._tell)
            for name, settings in config.channels.items()
        }
        self._closing = False
        self._waiting: Callable[[str], int] | None = None

    def _host(self, name: str) -> InstrumentHost:
        settings = self.config.instruments[name]
        spec = load_driver(settings.driver)
        options = dict(settings.options)
        regulation = {c.regulation for c in self.config.channels.values() if c.instrument == name}
        if regulation:
            options["regulation"] = regulation.pop()
        wiring = Wiring(name, settings, options, spec, self.config.station.visa_backend)
        return InstrumentHost(wiring, self._clock, self._instrument_changed)

    def observe(self, observer: Observer) -> None:
        self._observers.append(observer)

    async def open(self, group: asyncio.TaskGroup) -> None:
        """Connect everything; the first traffic to each instrument is OFF. Nothing is ever re-energised by itself."""
        for name, host in self._hosts.items():
            self._own.append(group.create_task(host.run(), name=f"instrument {name}"))
        for name in self.sensors():
            self._own.append(group.create_task(self._poll(name), name=f"sensor {name}"))
        for run, channel in await asyncio.to_thread(self._interrupt_unfinished):
            if channel in self._slots:
                self._slots[channel].interrupted(run, INTERRUPTED)
        for name, entry in self._lease.left_over.items():
            if name not in self._slots:
                log.error(
                    "channel %s is no longer in station.toml, and its output (%s at %s) may be ON: turn it off at the "
                    "instrument, or put it back and run 'cycler-ctl safe-off'", name, entry.name, entry.address
                )  # fmt: skip
            else:
                self._own.append(group.create_task(self._slots[name].confirm_left_over(), name=f"left over {name}"))
        self._group = group

    async def first_tries(self) -> None:
        """Return when each instrument was reached or is said to be absent."""
        for host in self._hosts.values():
            await host.first_try()
        for name in self.sensors():
            if self._hosts[name].status().link == "connected":
                await self._first_value(name)

    async def close(self, by: str) -> bool:
        """Stop every run, off confirmed first. True when every output was confirmed off."""
        self._closing = True
        stopping = [slot for slot in self._slots.values() if slot.status().state in ACTIVE]
        results = await asyncio.gather(*(slot.stop(by, STOP_S) for slot in stopping), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                log.error("%s", result)
        unsure = [slot.name for slot in self._slots.values() if slot.may_be_on()]
        for task in (*self._own, *(slot.task for slot in self._slots.values() if slot.task is not None)):
            task.cancel()
        return not unsure

    def _interrupt_unfinished(self) -> list[tuple[str, str]]:
        """Runs that never ended were interrupted: the cell rests, and a person decides. (run, channel) of each."""
        found: list[tuple[str, str]] = []
        for overview in unfinished_runs(self.config.station.data_dir):
            try:
                writer = reopen_run(overview.path, on_durable=self._durable, utc=self._clock.utc)
            except StoreError as error:
                log.warning("run %s: %s", overview.run, error)
                continue
            writer.interrupt(INTERRUPTED)
            writer.close()
            found.append((overview.run, writer.info.channel))
        return found

    async def start(
        self, channel: str, protocol_text: str, file_name: str, cell_text: str | None, overrides: Mapping[str, str]
    ) -> str:
        """As ``begin``, from texts that came over the network: they may not include files of this computer."""
        cell = None if cell_text is None else Document("cell", cell_text)
        return await self.begin(channel, Order(Document(file_name, protocol_text), cell, overrides))

    async def begin(self, channel: str, order: Order, run: str | None = None) -> str:
        """Check everything, then begin; returns the run's id. ConfigError or RefusedError: nothing was energised."""
        slot = self._slot(channel)
        self._free_group(slot)
        spot = spot_of(channel, self.config, slot.host.spec, slot.host.connected())
        prepared = await asyncio.to_thread(prepare, order, spot, self._clock.utc(), run)
        writer = await asyncio.to_thread(self._create_run, prepared)
        try:
            await self._refuse_blind(slot, prepared)
            group = self._free_group(slot)
            runner = Runner(prepared.program, self._fittings(slot, prepared, writer))
        except RefusedError as error:
            writer.finish(Outcome.STOPPED, f"never begun: {error}")
            await asyncio.to_thread(writer.close)
            raise
        slot.begin(CurrentRun(prepared.info.run, prepared.program, runner, writer), group)
        return prepared.info.run

    async def _refuse_blind(self, slot: Slot, prepared: Prepared) -> None:
        """A run that the guard would end at its first reading need not begin."""
        sensor = slot.settings.temperature
        if prepared.guard.limits.temperature_degC is None or sensor not in self._hosts:
            return
        await self._first_value(sensor)
        value = self._sensor_values.get(sensor)
        if value is None or self._clock.now() - value.at_s > TEMPERATURE_MAX_AGE_S:
            message = self._hosts[sensor].status().message
            raise RefusedError(
                f"channel {slot.name} has temperature limits, and its sensor {sensor} gives no value ({message})"
            )

    async def _first_value(self, sensor: str) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_VALUE_S):
                await self._sensed[sensor].wait()

    def _free_group(self, slot: Slot) -> asyncio.TaskGroup:
        """Where the channel's run may begin now, or RefusedError."""
        slot.refuse_if_busy()
        if self._group is None or self._closing:
            raise RefusedError("the station is starting or stopping: try again in a moment")
        return self._group

    def _create_run(self, prepared: Prepared) -> RunWriter:
        return create_run(self.config.station.data_dir, prepared.info, on_durable=self._durable, utc=self._clock.utc)

    def _fittings(self, slot: Slot, prepared: Prepared, recorder: RunWriter) -> Fittings:
        instrument = slot.host.connected()
        sample_s = slot.settings.sample_every_s
        sensor = slot.settings.temperature
        return Fittings(
            name=slot.name,
            channel=instrument.channels[slot.settings.output],
            instrument=instrument,
            clock=self._clock,
            guard=prepared.guard,
            ceilings=prepared.ceilings,
            recorder=recorder,
            temperature=lambda: self._sensor_values.get(sensor) if sensor else None,
            limits_V=slot.settings.limits.voltage_V,
            sample_every_s=sample_s,
            lease=self._lease,
            safe_off=slot.host.safe_off_entry(),
            changed=slot.changed,
        )

    async def stop(self, channel: str, by: str) -> None:
        await self._slot(channel).stop(by)

    async def pause(self, channel: str, by: str) -> None:
        await self._slot(channel).ask("pause", by)

    async def resume(self, channel: str, by: str) -> None:
        await self._slot(channel).ask("resume", by)

    async def skip(self, channel: str, by: str) -> None:
        await self._slot(channel).ask("skip", by)

    async def acknowledge(self, channel: str, by: str) -> None:
        self._slot(channel).acknowledge(by)

    async def ended(self, channel: str) -> None:
        """Return when the channel's run, if any, has ended and its record is closed."""
        await self._slot(channel).ended()

    def _slot(self, channel: str) -> Slot:
        if channel not in self._slots:
            raise RefusedError(f"no channel {channel!r}: there are {', '.join(sorted(self._slots))}")
        return self._slots[channel]

    def channels(self) -> tuple[ChannelStatus, ...]:
        return tuple(self._with_waiting(slot.status()) for slot in self._slots.values())

    def count_waiting(self, waiting: Callable[[str], int]) -> None:
        """Who knows how many durable rows of a run no broker has yet."""
        self._waiting = waiting

    def _with_waiting(self, status: ChannelStatus) -> ChannelStatus:
        if self._waiting is None or status.run is None:
            return status
        return replace(status, rows_waiting=self._waiting(status.run))

    def meta(self) -> dict[str, JSON]:
        """What is fixed while the station runs: versions, channels and their limits."""
        channels = {name: one.model_dump(mode="json") for name, one in self.config.channels.items()}
        instruments = {
            name: {"driver": one.driver, "address": one.address} for name, one in self.config.instruments.items()
        }
        return {"versions": versions(), "channels": channels, "instruments": instruments}

    def sensors(self) -> tuple[str, ...]:
        """Instruments whose sensor watches a channel."""
        return tuple(
            sorted({one.temperature for one in self.config.channels.values() if one.temperature in self._hosts})
        )

    def instruments(self) -> tuple[InstrumentStatus, ...]:
        return tuple(host.status() for host in self._hosts.values())

    def latest(self, channel: str) -> tuple[str, Row] | None:
        return self._slot(channel).latest()

    def steps(self, channel: str) -> tuple[int, int]:
        """(steps ended, steps at most) of the channel's run; (0, 1) before any."""
        return self._slot(channel).steps()

    def sensor(self, name: str) -> Measurement | None:
        """The newest value of a sensor instrument, if it ever gave one."""
        return self._sensor_values.get(name)

    async def _poll(self, name: str) -> None:
        """Keep the newest value of one sensor; a failing sensor delays nobody and its value grows old."""
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
            with suppress(BadReply, DeviceFault):
                self._sensor_values[name] = await sensor.read()
            self._sensed[name].set()
            await self._clock.sleep_until(self._clock.now() + SENSOR_EVERY_S)

    def _instrument_changed(self) -> None:
        for slot in self._slots.values():
            slot.changed()

    def _tell(self, status: ChannelStatus) -> None:
        """An observer's error is its own: it must not reach the run that told of itself."""
        for observer in self._observers:
            try:
                observer.channel_changed(status)
            except Exception:
                log.exception("an observer failed")

    def _durable(self, run: str) -> None:
        for observer in self._observers:
            observer.durable(run)
