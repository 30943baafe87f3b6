"""The invariants, looked at whenever anything happens: at each exchange, each state told, each commit, and in between.

(a) no current while the cell is outside its channel's limits, but for I times T_off; (b) current only under a lease and
with fresh samples; (c) on only with settings read back on this connection; (d) "off" is said only of what is off;
(e), (f) are the broker's and the disk's; (g) a latched channel waits for a person; (h) nothing grows without bound.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cycler_ctl.lease import Leases
from cycler_ctl.live import ChannelState, ChannelStatus
from simulated.wires import Wire

CELL_V = (2.5, 4.4)
MARGIN_V = 0.05  # the window's edge is 20 mV outside, and meters err
MOST_A = 10e-3
ACT_S = 15.0  # to get into step, turn off and read it back, or to set the next step
TAKEOVER_S = 25.0  # the guardian's kill, its tries to turn off, the new station's first traffic
READ_BACK = frozenset({":OUTP:SMOD", ":SYST:RSEN", ":SOUR:FUNC"})
LATCHED = frozenset({ChannelState.TRIPPED, ChannelState.FAULTED, ChannelState.CANNOT_DEENERGISE})
ASKED = re.compile(rb"(:[A-Z:]+)\?")
MOST_WAITING, MOST_TASKS, MOST_IN_FLIGHT = 5000, 200, 20


@dataclass
class Seat:
    """One channel: its instrument, its cell, and what was seen of them."""

    channel: str
    smu: Any
    wire: Wire
    cell_voltage: Callable[[float], float]
    sample_every_s: float
    on: bool = False
    asked: set[str] = field(default_factory=set[str])
    measured_s: float = 0.0
    leased_s: float = 0.0
    free_since_s: float = 0.0
    connections: int = 0
    charge_C: float = 0.0
    outside_C: float = 0.0
    latched: bool = False
    acknowledging: bool = False
    live: Callable[[], ChannelStatus] | None = None
    """The status as anyone may ask for it now; None while there is no station."""
    energised: Callable[[], bool | None] | None = None
    """The same of that status alone, for it is asked at every exchange."""

    @property
    def stale_s(self) -> float:
        return max(2.0, 3 * self.sample_every_s)

    @property
    def current_A(self) -> float:
        terminals = self.smu.terminals
        return float(terminals.operating().current_A) if self.smu.settings.output and terminals.lead == "good" else 0.0


class Judge:
    def __init__(self, now_s: Callable[[], float], say: Callable[[str, str], None]) -> None:
        self.seats: dict[str, Seat] = {}
        self.leases = Leases()
        self.broken: list[str] = []
        self.checks = 0
        self._now_s = now_s
        self._say = say

    def broke(self, letter: str, text: str) -> None:
        self._say("BROKEN", f"({letter}) {text}")
        self.broken.append(f"({letter}) at {self._now_s():.3f} s: {text}")

    def exchanged(self, wire: Wire, data: bytes, reply: bytes) -> None:
        self._say(wire.name, f"{data!r} -> {reply!r}")
        seat = self.seats.get(wire.name)
        if seat is None:
            return
        if seat.connections != wire.connections:
            seat.connections = wire.connections
            seat.asked.clear()
        if reply:
            seat.asked.update(match.decode() for match in ASKED.findall(data))
        if b":READ?" in data:
            seat.measured_s = self._now_s()
        self.look(seat)

    def rebooted(self, seat: Seat) -> None:
        seat.asked.clear()
        seat.on = False

    def look(self, seat: Seat) -> None:
        self.checks += 1
        on = bool(seat.smu.settings.output)
        if on and not seat.on:
            self._switched_on(seat)
        seat.on = on
        self._charge(seat)
        if not on:
            return
        if not seat.smu.welded and seat.energised is not None and seat.energised() is False:
            self.broke("d", f"{seat.channel} is on and its status says it is off")
        if seat.current_A:
            self._watched(seat)

    def _switched_on(self, seat: Seat) -> None:
        now_s = self._now_s()
        seat.measured_s = seat.leased_s = now_s
        missing = READ_BACK - seat.asked
        if missing:
            self.broke(
                "c", f"{seat.channel} went on and {', '.join(sorted(missing))} was not read back since it connected"
            )
        if seat.latched:
            self.broke("g", f"{seat.channel} was latched and went on without anybody's acknowledgement")
        if not self._leased(seat):
            self.broke("b", f"{seat.channel} went on without a lease")

    def _leased(self, seat: Seat) -> bool:
        return seat.channel in self.leases._until_s and seat.channel not in self.leases.lapsed(self._now_s())

    def _charge(self, seat: Seat) -> None:
        """What flowed since the last look, where the cell is outside its limits or the current beyond them."""
        charge_C, seat.charge_C = seat.smu.terminals.cell_charge_C - seat.charge_C, seat.smu.terminals.cell_charge_C
        if not seat.on or seat.smu.terminals.lead != "good":
            seat.outside_C = 0.0
            return
        current_A = seat.current_A
        voltage_V = seat.cell_voltage(current_A)
        inside = CELL_V[0] - MARGIN_V <= voltage_V <= CELL_V[1] + MARGIN_V and abs(current_A) <= MOST_A
        seat.outside_C = 0.0 if inside else seat.outside_C + abs(charge_C)
        allowed_C = max(abs(current_A), 1e-6) * (seat.stale_s + ACT_S + self._blocked_s(seat))
        if seat.outside_C > allowed_C:
            self.broke("a", f"{seat.channel}: {seat.outside_C:.3g} C at {voltage_V:.3f} V and {current_A:.3g} A")

    def _blocked_s(self, seat: Seat) -> float:
        """Where nobody can reach the instrument, its own limits must hold; it takes until contact is back."""
        return TAKEOVER_S if seat.wire.blocked or seat.smu.welded else 0.0

    def _watched(self, seat: Seat) -> None:
        now_s = self._now_s()
        if seat.wire.blocked or seat.smu.welded:
            seat.free_since_s = now_s
        if self._leased(seat):
            seat.leased_s = now_s
        age_s = now_s - max(seat.measured_s, seat.free_since_s)
        if age_s > seat.stale_s + ACT_S + (0.0 if self._leased(seat) else TAKEOVER_S):
            self.broke("b", f"{seat.channel} carries {seat.current_A:.3g} A and was not measured for {age_s:.1f} s")
        alone_s = now_s - max(seat.leased_s, seat.free_since_s)
        if alone_s > TAKEOVER_S:
            self.broke("b", f"{seat.channel} carries {seat.current_A:.3g} A without a lease for {alone_s:.1f} s")

    def told(self, status: ChannelStatus) -> None:
        """A state was published."""
        self._say(
            "state", f"{status.channel} {status.state} energised={status.energised} {status.step} {status.reason}"
        )
        seat = next(one for one in self.seats.values() if one.channel == status.channel)
        if status.state in LATCHED:
            seat.latched = True
        elif status.state is ChannelState.IDLE and seat.acknowledging:
            seat.latched = False
        if status.energised is False and seat.smu.settings.output and not seat.smu.welded:
            self.broke("d", f"{seat.channel} was told to be off and is on")

    def count(self, what: str, number: float, most: float) -> None:
        if number > most:
            self.broke("h", f"{number:g} {what}, at most {most:g} are allowed")
