"""The invariants of the cell, looked at whenever anything happens: at each exchange, each state told, and in between.

They are judged on what truly is: the cell's voltage and charge, the instrument's own settings, the time since it was
measured. (a) the cell stays inside its limits but for I times T_off, over its whole life; (b) current only under a lease
and with samples, or an alarm where nobody can reach the instrument; (c) current only as armed; (d) "off" is said only of
what is off; (g) a latched channel waits for a person; (h) nothing grows without bound. (e), (f) and whose reading a row is
are in ``records``.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite

from cycler_ctl import guardian
from cycler_ctl.guardian import UNCONFIRMED
from cycler_ctl.live import ChannelState, ChannelStatus
from cycler_ctl.watching.lease import Leases
from sim_hardware.keithley2400_abuse import CHARGE_WHILE_OFF
from simulated.seats import CELL_V, LONG_AGO_S, MARGIN_V, MOST_A, SWITCHES, Seat, too_wide, unarmed
from simulated.wires import Wire

OFF_S = 5.0  # T_off (reliability F3)
LAPSED_S = 0.5  # past a lease (F12)
KILLED_S = 1.0  # past the station's death (F11)
ALARM_S = 5.0  # of lost contact (F1), and a sample period, for nobody asks meanwhile
RECOVER_S = (
    25.0  # where the line failed meanwhile: tries of a second each, connections made anew, a guardian's takeover
)
LATCHED = frozenset({ChannelState.TRIPPED, ChannelState.FAULTED, ChannelState.CANNOT_DEENERGISE})
A_MINUTE_S = 60.0
LOOKED_S = 1.0  # an output that is switched on just after a reset is on as that message says, until it is looked at
SENTINEL = b"E+37"


class Judge:
    def __init__(self, now_s: Callable[[], float], say: Callable[[str, str], None]) -> None:
        self.seats: dict[str, Seat] = {}
        self.leases = Leases()
        self.broken: list[str] = []
        self.checks = 0
        self.went_on_s = LONG_AGO_S
        """When a station that had stood still went on."""
        self.measured: Callable[[Seat], None] = lambda _: None
        self.now_s = now_s
        self._say = say

    def broke(self, letter: str, text: str) -> None:
        self._say("BROKEN", f"({letter}) {text}")
        self.broken.append(f"({letter}) at {self.now_s():.3f} s: {text}")

    def exchanged(self, wire: Wire, data: bytes, reply: bytes) -> None:
        self._say(wire.name, f"{data!r} -> {reply!r}")
        seat = self.seats.get(wire.name)
        if seat is None:
            return
        if b":READ?" in data:
            self.measured(seat)
            if reply and SENTINEL not in reply:
                seat.measured_s = self.now_s()
        self.look(seat)

    def look(self, seat: Seat) -> None:
        self.checks += 1
        on, was_on = bool(seat.smu.settings.output), seat.on
        if on and not was_on:
            self._switched_on(seat)
        if seat.hit():
            seat.hindered_s = self.now_s()
        if was_on and seat.flowing_A:
            self._watched(seat)
        self._charge(seat)
        seat.on, seat.flowing_A = on, seat.current_A
        self._alarmed(seat)
        self._abused(seat)
        if on:
            self._as_told(seat)
        if seat.flowing_A:
            self._as_armed(seat)
        else:
            seat.wrong_since_s = None

    def _switched_on(self, seat: Seat) -> None:
        seat.measured_s = seat.leased_s = self.now_s()
        if not seat.next_step():
            seat.switched_s.append(self.now_s())
        if len(seat.switched_s) > SWITCHES and self.now_s() - seat.switched_s[0] < A_MINUTE_S:
            self.broke("relay", f"{seat.channel} was switched on {len(seat.switched_s)} times within a minute")
        if seat.latched:
            self.broke("g", f"{seat.channel} was latched and went on without anybody's acknowledgement")
        if not self._leased(seat):
            self.broke("b", f"{seat.channel} went on without a lease")

    def _leased(self, seat: Seat) -> bool:
        return seat.channel in self.leases._until_s and seat.channel not in self.leases.lapsed(self.now_s())

    def _as_told(self, seat: Seat) -> None:
        if seat.slot is not None and seat.slot._energised() is False:
            self.broke("d", f"{seat.channel} is on and its status says it is off")

    def _as_armed(self, seat: Seat) -> None:
        """Of the instrument's own settings: what it carries current with."""
        unlooked = seat.smu.woke_on or self.now_s() - seat.reset_s < LOOKED_S
        for wrong in () if unlooked else unarmed(seat.smu.settings):
            self.broke("c", f"{seat.channel} carries {seat.flowing_A:.3g} A and {wrong}")
        wide = too_wide(seat.smu.settings)
        if not wide or unlooked or seat.hindered_s > self.now_s() - 1.0:
            seat.wrong_since_s = None
        elif seat.wrong_since_s is None:
            seat.wrong_since_s = self.now_s()
        elif self.now_s() - seat.wrong_since_s > OFF_S:
            self.broke("c", f"{seat.channel} carries {seat.flowing_A:.3g} A for {OFF_S:g} s, and {', '.join(wide)}")

    def _charge(self, seat: Seat) -> None:
        """What truly flowed since the last look: beyond the cell's limits, and within a step."""
        flowed_C, seat.charge_C = seat.smu.terminals.cell_charge_C - seat.charge_C, seat.smu.terminals.cell_charge_C
        if seat.smu.terminals.lead != "good":
            return  # a short drains the cell without our doing
        self._beyond(seat, flowed_C)
        self._in_step(seat, flowed_C)

    def _beyond(self, seat: Seat, flowed_C: float) -> None:
        """Only charge that flows back makes good what flowed beyond a limit; to be off for a while does not."""
        if not (flowed_C or seat.excess_C):
            seat.episodes = 1
            return
        current_A = seat.current_A or seat.flowing_A
        voltage_V = seat.cell_voltage(current_A)
        low_V, high_V = CELL_V[0] - MARGIN_V, CELL_V[1] + MARGIN_V
        inwards_A = -current_A if voltage_V > high_V else current_A
        if abs(current_A) > MOST_A * 1.02 or (not low_V <= voltage_V <= high_V and inwards_A < 0):
            seat.excess_C += abs(flowed_C)
        else:
            seat.excess_C = max(0.0, seat.excess_C - abs(flowed_C))
        if not seat.excess_C:
            seat.episodes = 1
        allowed_C = seat.episodes * MOST_A * (seat.stale_s + self._off_s(seat))
        if seat.excess_C > allowed_C:
            self.broke("a", f"{seat.channel}: {seat.excess_C:.3g} C beyond, at {voltage_V:.3f} V and {current_A:.3g} A")

    def _in_step(self, seat: Seat, flowed_C: float) -> None:
        """Against the ceiling of the guard's: it counts the worst that may have flowed, so the truth is less."""
        watched = None if seat.runner is None else seat.runner._watched.state
        if watched is not None and (step := seat.at_step()) != seat.step:
            seat.step, seat.step_C, seat.slack_C = step, 0.0, 0.0
        seat.step_C += flowed_C
        if seat.hindered_s >= self.now_s():
            seat.slack_C += abs(flowed_C)  # nobody can count or stop it: the instrument's own window must hold
        if watched is None:
            return
        ceilings = watched.step.ceilings
        most_Ah = ceilings.whole_Ah if isfinite(ceilings.whole_Ah) else ceilings.charge_Ah
        allowed_C = 3600.0 * most_Ah + seat.slack_C + MOST_A * (seat.stale_s + OFF_S)
        if not abs(seat.step_C) <= allowed_C:
            self.broke("a", f"{seat.channel}: {seat.step_C:.4g} C in step {seat.step}, {allowed_C:.4g} C are allowed")

    def _off_s(self, seat: Seat) -> float:
        return OFF_S if seat.hindered_s < self.now_s() - RECOVER_S else OFF_S + RECOVER_S

    def _watched(self, seat: Seat) -> None:
        now_s = self.now_s()
        if self._leased(seat):
            seat.leased_s = now_s
        age_s = now_s - seat.measured_s
        if age_s > seat.stale_s + OFF_S + self._excused_s(seat, seat.measured_s):
            self.broke("b", f"{seat.channel} carries {seat.flowing_A:.3g} A and was not measured for {age_s:.1f} s")
        lapsed_s = self.leases._until_s.get(seat.channel, seat.leased_s)
        most_s = LAPSED_S + 2 * guardian.TICK_S if seat.channel in self.leases._until_s else KILLED_S
        alone_s = now_s - lapsed_s
        if alone_s > most_s + self._excused_s(seat, lapsed_s - OFF_S):
            self.broke("b", f"{seat.channel} carries {seat.flowing_A:.3g} A without a lease for {alone_s:.1f} s")

    def _excused_s(self, seat: Seat, since_s: float) -> float:
        """How much longer it may take where the instrument could not be reached since then."""
        return 0.0 if seat.hindered_s < since_s else seat.hindered_s - since_s + RECOVER_S

    def _alarmed(self, seat: Seat) -> None:
        """Where a fault makes contact impossible nobody can turn it off; then a person is told."""
        now_s = self.now_s()
        needed = seat.on and seat.wire.blocked and not seat.hindered() and seat.state is ChannelState.RUNNING
        if not needed:
            seat.silent_since_s = None
        elif seat.silent_since_s is None:
            seat.silent_since_s = now_s
        elif now_s - seat.silent_since_s > ALARM_S + seat.sample_every_s:
            self.broke("b", f"{seat.channel}: no alarm for {now_s - seat.silent_since_s:.1f} s without contact")

    def ended(self, status: int) -> None:
        """The whole service, in order; what it could not reach is not confirmed."""
        on = [seat.channel for seat in self.seats.values() if seat.smu.settings.output]
        if status != UNCONFIRMED and on:
            self.broke("d", f"the service ended with status {status}, and {', '.join(on)} is on")

    def nobody_watched(self) -> None:
        """The computer slept: only the instrument's own window held meanwhile (F10)."""
        for seat in self.seats.values():
            seat.smu.catch_up()
            seat.slack_C += abs(seat.smu.terminals.cell_charge_C - seat.charge_C)

    def died(self) -> None:
        """The station's process: what it renewed counts no more, and what it held is the guardian's from now on."""
        for seat in self.seats.values():
            seat.switched_s.clear()  # the next one does not know how often it was
            seat.leased_s = min(self.now_s(), self.leases._until_s.get(seat.channel, seat.leased_s))
        self.leases = Leases()

    def told(self, status: ChannelStatus) -> None:
        """A state was published."""
        self._say(
            "state", f"{status.channel} {status.state} energised={status.energised} {status.step} {status.reason}"
        )
        seat = next(one for one in self.seats.values() if one.channel == status.channel)
        seat.latched = status.state in LATCHED or (seat.latched and not _looked_at(seat, status.state))
        if status.energised is False and seat.smu.settings.output:
            self.broke("d", f"{seat.channel} was told to be off and is on")

    def _abused(self, seat: Seat) -> None:
        if acts := [act for act in seat.smu.abuse.acts if not (seat.shorted and act == CHARGE_WHILE_OFF)]:
            self.broke("c", f"{seat.channel}'s cell was abused: {', '.join(acts)}")

    def count(self, what: str, number: float, most: float) -> None:
        if number > most:
            self.broke("h", f"{number:g} {what}, at most {most:g} are allowed")


def _looked_at(seat: Seat, state: ChannelState) -> bool:
    """A person has acknowledged it, or goes on with the run that a restart has made of it."""
    goes_on = state in {ChannelState.RUNNING, ChannelState.PAUSED}
    return (state is ChannelState.IDLE and seat.acknowledging) or (goes_on and seat.resuming)
