"""Bugs put into the service on purpose: each breaks one rule, and the invariants must notice within the usual seeds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from math import inf, nan
from typing import Any

from cycler_ctl import guard, guardian
from cycler_ctl.channels import host, switches
from cycler_ctl.errors import Overflow
from cycler_ctl.guarding.limits import Ceilings, GuardLimits
from cycler_ctl.instrument import Reading
from cycler_ctl.link import stream
from cycler_ctl.publish import runs
from cycler_ctl.publish.cursors import Stream
from cycler_ctl.running import output, recovery
from cycler_ctl.store import files, writer
from cycler_ctl.watching import lease
from drivers import keithley_2400, keithley_2400_settings
from protocols import conditions
from protocols.running.state import Limit
from simulated import wires
from simulated.patched import put


def off_without_read_back() -> None:
    """``OFF`` is sent, and that is that."""

    async def switch_off(link: Any) -> None:
        await link.write(b":OUTP OFF;:OUTP:SMOD HIMP")

    put(keithley_2400, switch_off=switch_off)


def no_lease() -> None:
    """Nobody would notice that the station is gone."""
    put(lease.GuardianLease, renew=lambda *_: None)


def on_again_after_reconnect() -> None:
    """Contact is back, so what was set before is switched on again, as it was."""
    reached = host.InstrumentHost._reached

    def again(self: host.InstrumentHost, instrument: Any) -> None:
        lost_before = self._seen is not None
        reached(self, instrument)
        if lost_before and instrument.channels:
            asyncio.get_running_loop().create_task(instrument.channels["1"]._link.write(b":OUTP ON"))

    put(host.InstrumentHost, _reached=again)


def published_before_durable() -> None:
    """What the store has taken is told to be there, and sent from memory."""
    append = writer.RunWriter.append
    taken: dict[str, list[Any]] = {}

    def remembering(self: writer.RunWriter, rows: Any = (), *more: Any, **named: Any) -> None:
        append(self, rows, *more, **named)
        taken.setdefault(self.info.run, []).extend(rows)
        if rows:
            self._on_durable(self.info.run)

    def last(self: runs.StoredRun, stream_: Any, after: int) -> int:
        known = taken.get(self._reader.info.run, [])
        if stream_ is Stream.SAMPLES and known:
            return int(known[-1].seq)
        return int(real_last(self, stream_, after))

    def rows(self: runs.StoredRun, after: int, limit: int) -> Any:
        known = taken.get(self._reader.info.run, [])
        return [row for row in known if after < row.seq <= after + limit] or real_rows(self, after, limit)

    real_last, real_rows = runs.StoredRun.last, runs.StoredRun.rows
    put(writer.RunWriter, append=remembering)
    put(runs.StoredRun, last=last, rows=rows)


def latch_forgotten() -> None:
    """A service that is started again knows nothing of a trip that nobody has looked at."""
    put(recovery, _latched=lambda _overview: None)


def says_off_at_once() -> None:
    """Off is said as soon as it was sent."""
    turn_off = output.Output.turn_off

    async def hasty(self: output.Output) -> str | None:
        self.off_confirmed = True
        await turn_off(self)
        self.off_confirmed = True
        return None

    put(output.Output, turn_off=hasty)


def driver_that_answers_nan() -> None:
    """No bug of the guard's, which must stop at the first."""
    parse = keithley_2400_settings.parse_reading

    def answer(raw: bytes, drive: Any) -> Any:
        try:
            return parse(raw, drive)
        except Overflow:
            return nan, nan, frozenset()

    put(keithley_2400, parse_reading=answer)


def blind_to_nan() -> None:
    """What is not greater than a limit is taken for inside."""

    def outside(limits: GuardLimits, _state: object, reading: Reading) -> guard.Trip | None:
        low_V, high_V = limits.voltage_V
        if reading.voltage_V < low_V or reading.voltage_V > high_V or abs(reading.current_A) > limits.current_A:
            return guard.Trip(guard.Severity.TRIPPED, "voltage", "outside the limits")
        return None

    def spent(most: Ceilings, charge_Ah: float, _before_Ah: float, time_s: float) -> tuple[str, str] | None:
        return ("charge", "too much") if charge_Ah > most.charge_Ah or time_s > most.time_s else None

    put(guard, _outside=outside, spent=spent)


def late_answer_believed() -> None:
    """Whatever comes after a question is its answer."""
    query = stream.SocketLink.query

    async def asked(self: stream.SocketLink, message: bytes) -> bytes:
        self._in_step = True
        return await query(self, message)

    async def in_step(*_: object) -> None:
        return None

    put(stream.SocketLink, query=asked)
    put(keithley_2400, get_into_step=in_step)


def readings_take_long() -> None:
    """Else a process hardly ever stands still in the middle of one."""
    take = wires.Wire.take

    def slowly(self: wires.Wire, transport: wires.Transport, data: bytes) -> None:
        self.latency_s = (0.7, 0.9) if b":READ?" in data else (0.004, 0.02)
        take(self, transport, data)

    put(wires.Wire, take=slowly)


def old_answer_believed() -> None:
    """However long it lay in the computer."""
    put(stream, STALL_S=inf)


def failed_file_written_again() -> None:
    """Who opens a run anew goes on in the file whose sync failed."""
    put(files, is_set_aside=lambda _path: False)


def relay_not_spared() -> None:
    """However often it was switched on."""
    put(switches.Switches, refuse=lambda *_: None)


def another_instrument_driven() -> None:
    """Whatever answers at the address."""
    connect = host.InstrumentHost._connect

    async def any_serial(self: host.InstrumentHost, stack: AsyncExitStack) -> None:
        settings = self._wiring.settings.model_copy(update={"serial": None})
        self._wiring, self._seen = replace(self._wiring, settings=settings), None
        await connect(self, stack)

    put(host.InstrumentHost, _connect=any_serial)


def no_ceilings() -> None:
    """Neither the guard nor the engine ends a step by its charge."""
    exceeded = conditions._exceeded

    def without_charge(*arguments: Any, **more: Any) -> list[Any]:
        return [limit for limit in exceeded(*arguments, **more) if limit is not Limit.CHARGE]

    put(guard, spent=lambda *_: None)
    put(conditions, _exceeded=without_charge)


def ends_in_any_case() -> None:
    """The guardian's last word is that all is well."""
    all_off = guardian.Guardian._all_off

    async def said(self: guardian.Guardian) -> bool:
        await all_off(self)
        return True

    put(guardian.Guardian, _all_off=said)


def nothing() -> None:
    """The service is as it is."""


@dataclass(frozen=True, slots=True)
class Bug:
    """``shown_by``: the faults under which it harms; a hunt for it draws only these, and often.

    ``under``: what is so with and without the bug.
    """

    put_in: Callable[[], None]
    shown_by: tuple[str, ...]
    under: Callable[[], None] = nothing
    sample_every_s: float = 0.0
    """0: as the seed says."""
    seed: int = 0
    """Where the hunt begins: one that shows it now."""
    hours: float = 0.5
    people_every_s: float = 60.0


BUGS: Mapping[str, Bug] = {
    "off without read-back": Bug(off_without_read_back, ("output stays on", "lose", "hang"), seed=1),
    "no lease": Bug(no_lease, ("station stalls",)),
    "on again after reconnect": Bug(on_again_after_reconnect, ("disconnect", "unplugged")),
    "published before durable": Bug(published_before_durable, ("disk slow",)),
    "latch forgotten": Bug(latch_forgotten, ("cell reversed", "lead open", "station killed")),
    "blind to NaN": Bug(blind_to_nan, ("sentinel",), driver_that_answers_nan),
    "late answer believed": Bug(late_answer_believed, ("delay", "merge"), sample_every_s=1.0, seed=1),
    "old answer believed": Bug(
        old_answer_believed, ("station stalls",), readings_take_long, sample_every_s=10.0, seed=3
    ),
    "failed file written again": Bug(failed_file_written_again, ("disk error",), seed=4),
    "relay not spared": Bug(relay_not_spared, ("paused in a loop", "begun in a loop")),
    "another instrument driven": Bug(another_instrument_driven, ("ports swapped",)),
    "no ceilings": Bug(no_ceilings, ("cut-off never comes",), hours=2.0, people_every_s=600.0),
    "ends in any case": Bug(ends_in_any_case, ("output stays on", "service stopped")),
    "off said before it is": Bug(says_off_at_once, ("hang", "output stays on", "unplugged")),
}
