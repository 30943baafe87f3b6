"""Bugs put into the service on purpose: each breaks one rule, and the invariants must notice within the usual seeds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cycler_ctl import host, lease, output, recovery
from cycler_ctl.publish import runs
from cycler_ctl.publish.cursors import Stream
from cycler_ctl.store import writer
from drivers import keithley_2400
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
            asyncio.get_running_loop().create_task(instrument.channels["1"]._switch_on())

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


@dataclass(frozen=True, slots=True)
class Bug:
    """``shown_by``: the faults under which it harms; a hunt for it draws only these, and often."""

    put_in: Callable[[], None]
    shown_by: tuple[str, ...]


BUGS: Mapping[str, Bug] = {
    "off without read-back": Bug(off_without_read_back, ("output stays on", "lose", "hang")),
    "no lease": Bug(no_lease, ("station stalls",)),
    "on again after reconnect": Bug(on_again_after_reconnect, ("disconnect", "unplugged")),
    "published before durable": Bug(published_before_durable, ("disk slow",)),
    "latch forgotten": Bug(latch_forgotten, ("cell reversed", "lead open", "station killed")),
    "off said before it is": Bug(says_off_at_once, ("hang", "output stays on", "unplugged")),
}
