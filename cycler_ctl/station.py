"""All channels of one lab PC: exclusive owner of its instruments, start and stop, and the truth about each output."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from cycler_ctl.channels.amending import amend
from cycler_ctl.channels.auto_resume import by_itself
from cycler_ctl.channels.fitting import fittings_of
from cycler_ctl.channels.host import InstrumentHost, wiring_of
from cycler_ctl.channels.idle import IdleLook
from cycler_ctl.channels.left_on import confirm_left_over, nobodys, whose
from cycler_ctl.channels.readiness import Outlook, outlook, prove_it_answers, refuse_blind
from cycler_ctl.channels.sensing import Sensing
from cycler_ctl.channels.slot import ACTIVE, Slot
from cycler_ctl.clock import Clock, real_sleep
from cycler_ctl.config import Config
from cycler_ctl.errors import RefusedError
from cycler_ctl.instrument import Measurement
from cycler_ctl.live import ChannelState, ChannelStatus, InstrumentStatus, Observer, QueueStatus
from cycler_ctl.plugins import load_driver
from cycler_ctl.runner import Runner
from cycler_ctl.running.amending import Looked, Wanted
from cycler_ctl.running.current import CurrentRun
from cycler_ctl.running.going_on import prepare_again, read_remains, reopen
from cycler_ctl.running.opened import never_begun, not_gone_on, opened
from cycler_ctl.running.recovery import LeftOpen, acknowledged, keep_fault, tell_left_on, waiting
from cycler_ctl.running.start import Order, Prepared, Spot, begin_record, prepare, spot_of, versions
from cycler_ctl.store.files import options_for
from cycler_ctl.watching.lease import Lease
from protocols.record import JSON, Row

log = logging.getLogger(__name__)

STOP_S = 7.0  # at the end of the service: less than the guardian's patience


class Station:
    """Use: ``async with asyncio.TaskGroup() as group: station.open(group)``; ``close`` before the group ends."""

    def __init__(self, config: Config, clock: Clock, lease: Lease, observers: Sequence[Observer] = ()) -> None:
        self.config = config
        self._clock = clock
        self._lease = lease
        self._observers = list(observers)
        self._group: asyncio.TaskGroup | None = None
        self._own: list[asyncio.Task[None]] = []
        self._hosts = {name: self._host(name) for name in config.instruments}
        watching = {one.temperature for one in config.channels.values()}
        self._sensing = Sensing([name for name in self._hosts if name in watching], self._hosts, clock)
        keep = partial(keep_fault, config.station.data_dir, clock.utc)
        self._fitted = partial(fittings_of, clock=clock, lease=lease, sensing=self._sensing)
        self._slots = {
            name: Slot(name, settings, self._hosts[settings.instrument], clock, lease, changed=self._tell, keep=keep)
            for name, settings in config.channels.items()
        }
        self._looks = {one.instrument: self._look(one.instrument) for one in config.channels.values()}
        self._storing = options_for(len(self._slots))
        self._closing = False
        self._waiting: Callable[[str], int] | None = None
        self._queue: Callable[[str], QueueStatus | None] = lambda _channel: None
        self._stopping: Callable[[str, str], None] = lambda _channel, _by: None
        self._before_start: Callable[[], None] | None = None

    def _host(self, name: str) -> InstrumentHost:
        spec = load_driver(self.config.instruments[name].driver)
        return InstrumentHost(wiring_of(self.config, name, spec), self._clock, self._instrument_changed)

    def _look(self, instrument: str) -> IdleLook:
        slots = [slot for slot in self._slots.values() if slot.settings.instrument == instrument]
        return IdleLook(self._hosts[instrument], slots, self._lease, self._tell_left_on)

    def observe(self, observer: Observer) -> None:
        self._observers.append(observer)

    def before_start(self, look: Callable[[], None]) -> None:
        """What else may refuse a run, in a thread, whenever one begins or goes on: it raises RefusedError."""
        self._before_start = look

    async def open(self, group: asyncio.TaskGroup) -> None:
        """Connect everything; the first traffic to each instrument is OFF. Nothing is ever re-energised by itself."""
        tasks = {f"instrument {name}": host.run() for name, host in self._hosts.items()}
        tasks |= {f"sensor {name}": self._sensing.watch(name) for name in self._sensing.names}
        tasks |= {f"idle look {name}": look.run() for name, look in self._looks.items()}
        self._own += [group.create_task(doing, name=name) for name, doing in tasks.items()]
        left_over = {name: whose(name, entry, self._slots) for name, entry in self._lease.left_over.items()}
        left_on = [slot for slots in left_over.values() for slot in slots]
        for found in await asyncio.to_thread(self._waiting_for_a_person):
            slot = self._slots[found.channel]
            slot.interrupted(found.run, found.info, found.reason, found.state)
            if found.run is not None and slot.settings.auto_resume and slot not in left_on:
                going = by_itself(slot, found, self._run_dir(found.run), self._clock.utc, self._go_on)
                self._own.append(group.create_task(going, name=f"auto resume {slot.name}"))
        for name, slots in left_over.items():
            if not slots:
                log.error("%s", nobodys(name, self._lease.left_over[name]))
            for slot in slots:
                confirming = confirm_left_over(slot, name, self._lease, self._tell_left_on)
                self._own.append(group.create_task(confirming, name=f"left over {slot.name}"))
        self._group = group

    async def first_tries(self) -> None:
        """Return when each instrument was reached or is said to be absent."""
        for host in self._hosts.values():
            await host.first_try()
        await self._sensing.first_tries()

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

    def _waiting_for_a_person(self) -> list[LeftOpen]:
        return list(waiting(self.config.station.data_dir, self._slots, on_durable=self._durable, utc=self._clock.utc))

    async def _tell_left_on(self, before: ChannelStatus, why: str) -> None:
        data_dir, utc = self.config.station.data_dir, self._clock.utc
        await asyncio.to_thread(tell_left_on, data_dir, before, why, on_durable=self._durable, utc=utc)

    def _run_dir(self, run: str) -> Path:
        return self.config.station.data_dir / "runs" / run

    async def begin(self, channel: str, order: Order, run: str | None = None) -> str:
        """Check everything, then begin; returns the run's id. ConfigError or RefusedError: nothing was energised."""
        slot, data_dir = self._slot(channel), self.config.station.data_dir
        slot.refuse_if_busy()
        self._open_group()
        with slot.beginning.entered():
            prepared = await asyncio.to_thread(prepare, order, self._spot(slot), self._clock.utc(), run)
            opening = partial(begin_record, data_dir, prepared.info, self._durable, self._clock.utc, self._storing)
            async with self._ready(slot, prepared), opened(opening, never_begun) as writer:
                slot.beginning.refuse_if_called_off()
                slot.refuse_if_latched()
                group = self._open_group()
                runner = Runner(prepared.program, self._fitted(slot, prepared, writer))
                slot.begin(CurrentRun(prepared.info.run, prepared.info, runner, writer), group)
        await real_sleep(0.0)  # one turn of the loop: the run is under way, and on a virtual clock has joined it
        return prepared.info.run

    async def _go_on(self, slot: Slot, by: str) -> None:
        """Everything a start asks for, and that all is as it was; the cell itself is looked at by the run's own task."""
        slot.beginning.refuse()
        run = slot.refuse_unless_interrupted()
        self._open_group()
        with slot.beginning.entered():
            remains = await asyncio.to_thread(read_remains, self._run_dir(run))
            spot = self._spot(slot)
            prepared = await asyncio.to_thread(prepare_again, remains, spot, self._clock.utc(), by)
            opening = partial(reopen, self._run_dir(run), self._durable, self._clock.utc, self._storing)
            async with self._ready(slot, prepared), opened(opening, not_gone_on) as writer:
                slot.beginning.refuse_if_called_off()
                slot.refuse_unless_interrupted()
                group = self._open_group()
                runner = Runner(prepared.program, self._fitted(slot, prepared, writer), remains)
                slot.begin(CurrentRun(run, prepared.info, runner, writer), group)
        await slot.going()

    def _spot(self, slot: Slot) -> Spot:
        return spot_of(slot.name, self.config, slot.host.spec, slot.host.connected())

    @asynccontextmanager
    async def _ready(self, slot: Slot, prepared: Prepared) -> AsyncGenerator[None]:
        """The computer stays awake, the sensor sees and the instrument answers, or RefusedError.

        While entered nobody looks at the idle outputs of this instrument, and no other of its channels begins: a look
        that is under way would find an output on that nobody here had switched on.
        """
        slot.beginning.switches.refuse(self._clock.now())
        if self._before_start is not None:
            await asyncio.to_thread(self._before_start)
        await refuse_blind(slot, prepared, self._sensing)
        async with self._looks[slot.settings.instrument].turn:
            if not any(other.host is slot.host and other.active for other in self._slots.values()):
                await prove_it_answers(slot)  # else it is read all the time
            yield

    def _open_group(self) -> asyncio.TaskGroup:
        if self._group is None or self._closing:
            raise RefusedError("the station is starting or stopping: try again in a moment")
        return self._group

    async def stop(self, channel: str, by: str) -> None:
        self._stopping(channel, by)
        await self._slot(channel).stop(by)

    def call_off(self, channel: str, by: str) -> None:
        """What is just beginning there does not; what has begun goes on."""
        self._slot(channel).beginning.call_off(by)

    async def pause(self, channel: str, by: str) -> None:
        await self._slot(channel).ask("pause", by)

    async def resume(self, channel: str, by: str) -> None:
        """Go on with a paused or interrupted run. RefusedError: the cell, the instrument or the record is not as it was."""
        slot = self._slot(channel)
        interrupted = slot.status().state is ChannelState.INTERRUPTED
        await (self._go_on(slot, by) if interrupted else slot.ask("resume", by))

    async def skip(self, channel: str, by: str) -> None:
        await self._slot(channel).ask("skip", by)

    async def amend(self, channel: str, wanted: Wanted, of: str | None) -> Looked:
        """``of`` None: look only."""
        slot = self._slot(channel)
        return await amend(slot, wanted, of, self._spot(slot), self._clock.utc())

    async def acknowledge(self, channel: str, by: str) -> None:
        """The channel is free whatever the disk says; that tells who looked, and when, if it can."""
        run, data_dir, utc = self._slot(channel).acknowledge(by), self.config.station.data_dir, self._clock.utc
        await asyncio.to_thread(acknowledged, data_dir, channel, run, by, on_durable=self._durable, utc=utc)

    async def ended(self, channel: str) -> None:
        """Return when the channel's run, if any, has ended and its record is closed."""
        await self._slot(channel).ended()

    def outlook(self, channel: str) -> Outlook:
        """What a start there would look at; nothing is asked of the instrument."""
        return outlook(self._slot(channel))

    def _slot(self, channel: str) -> Slot:
        if channel not in self._slots:
            raise RefusedError(f"no channel {channel!r}: there are {', '.join(sorted(self._slots))}")
        return self._slots[channel]

    def channels(self) -> tuple[ChannelStatus, ...]:
        return tuple(slot.status(self._queue(slot.name), self._waiting) for slot in self._slots.values())

    async def look(self, channel: str, order: Order) -> Prepared:
        """Checked and planned as for a start, with the same errors; nothing is begun."""
        return await asyncio.to_thread(prepare, order, self._spot(self._slot(channel)), self._clock.utc())

    def tell_queue(self, queue: Callable[[str], QueueStatus | None], stopping: Callable[[str, str], None]) -> None:
        """Who knows what waits on a channel, and hears of a stop before it is carried out; then all are told."""
        self._queue, self._stopping = queue, stopping
        self._instrument_changed()

    def changed(self, channel: str) -> None:
        self._slot(channel).changed()

    def count_waiting(self, waiting: Callable[[str], int]) -> None:
        """Who knows how many durable rows of a run no broker has yet."""
        self._waiting = waiting

    def meta(self) -> dict[str, JSON]:
        """What is fixed while the station runs: versions, channels and their limits."""
        channels = {name: one.model_dump(mode="json") for name, one in self.config.channels.items()}
        known = self.config.instruments.items()
        instruments = {name: {"driver": one.driver, "address": one.address} for name, one in known}
        return {"versions": versions(), "channels": channels, "instruments": instruments}

    def sensors(self) -> tuple[str, ...]:
        """Instruments whose sensor watches a channel."""
        return self._sensing.names

    def instruments(self) -> tuple[InstrumentStatus, ...]:
        return tuple(host.status() for host in self._hosts.values())

    def latest(self, channel: str) -> tuple[str, Row] | None:
        return self._slot(channel).latest()

    def steps(self, channel: str) -> tuple[int, int]:
        """(steps ended, steps at most) of the channel's run; (0, 1) before any."""
        return self._slot(channel).steps()

    def sensor(self, name: str) -> Measurement | None:
        """The newest value of a sensor instrument, if it ever gave one."""
        return self._sensing.newest(name)

    def _instrument_changed(self) -> None:
        for slot in self._slots.values():
            slot.changed()

    def _tell(self, status: ChannelStatus) -> None:
        """An observer's error is its own: it must not reach the run that told of itself."""
        status = replace(status, queue=self._queue(status.channel))
        for observer in self._observers:
            try:
                observer.channel_changed(status)
            except Exception:
                log.exception("an observer failed")

    def _durable(self, run: str) -> None:
        for observer in self._observers:
            observer.durable(run)
