"""The electrodes of a simulated EmStat4: the cell switch, its two modes, its ranges, and what it measures.

Pessimistic where the documents are silent: what might harm a cell does. ``abuse`` is what the host did to the cell that
no host may do; it must stay empty.
"""

from __future__ import annotations

from random import Random

from sim_hardware.abuse import Acts
from sim_hardware.circuit import CurrentSource, Disconnected, Terminals, VoltageSource
from sim_hardware.loads import Load
from sim_hardware.palmsens_emstat4_models import Model
from sim_hardware.palmsens_emstat4_script import Code
from sim_hardware.palmsens_emstat4_values import Value, single

LEFT_ON = "a cell left on with no script running"
SWITCHED_LIVE = "another mode or range with the cell on"
THRUST = "a voltage far from the cell's put on it"
CURRENT_AT_ONCE = "switched on with a current set"

POTENTIOSTAT, GALVANOSTAT = (2, 3), 6
MODES = (*POTENTIOSTAT, GALVANOSTAT)
POTENTIAL, SET_POTENTIAL, CURRENT, SET_CURRENT = "ab", "da", "ba", "db"
OVERLOAD_AT, UNDERLOAD_AT = 2.0, 0.01  # of a range; invented
OVERLOADED, UNDERLOADED = 2, 4
POTENTIAL_RANGE = 6
NOISE_V, OFFSET_V = 2e-5, 3e-4
NOISE, GAIN, OFFSET = 1e-5, 1e-3, 2e-4


class Refused(Exception):  # noqa: N818 - what the instrument does with the command
    def __init__(self, code: Code) -> None:
        super().__init__(code)
        self.code = code


class Electrodes:
    """One cell behind one switch."""

    def __init__(self, model: Model, load: Load, seed: int) -> None:
        self.model = model
        self.terminals = Terminals(load)
        self.abuse = Acts()
        self.noise = 1.0
        self.welded = False
        self._random = Random(seed)  # noqa: S311 - noise, not secrets
        spread = self._random.uniform
        self._gain, self._offset = 1.0 + GAIN * spread(-1.0, 1.0), OFFSET * spread(-1.0, 1.0)
        self._offset_V = OFFSET_V * spread(-1.0, 1.0)
        self.power_on()

    def power_on(self) -> None:
        self.mode = 0
        self.is_on = self.welded
        self.potential_V = self.current_A = 0.0
        self._ranges = {CURRENT: max(self.model.ranges.values()), SET_CURRENT: max(self.model.ranges.values())}
        self._connect()

    def set_mode(self, mode: float) -> None:
        """The switch opens with it: afterwards cell_on must be said again."""
        if mode not in MODES:
            raise Refused(Code.BAD_PGSTAT_MODE)
        self._look(SWITCHED_LIVE, harmful=self.is_on and mode != self.mode)
        self.mode = int(mode)
        self.is_on = self.welded
        self.potential_V = self.current_A = 0.0
        self._connect()

    def set_range(self, kind: str, most: float) -> None:
        """Potential ranges are there and do not matter here."""
        if kind not in self._ranges:
            return
        number = self.model.range_for(most)
        if number is None:
            raise Refused(Code.NOT_THIS_INSTRUMENT)
        self._look(SWITCHED_LIVE, harmful=self.is_on and self.model.ranges[number] != self._ranges[kind])
        self._ranges[kind] = self.model.ranges[number]

    def set_potential(self, potential_V: float) -> None:
        if self.mode not in POTENTIOSTAT:
            raise Refused(Code.NOT_IN_THIS_MODE)
        if not abs(potential_V) <= self.model.highest_V:
            raise Refused(Code.BAD_POTENTIAL)
        self.potential_V = potential_V
        self._connect()

    def set_current(self, current_A: float) -> None:
        if self.mode != GALVANOSTAT:
            raise Refused(Code.NOT_IN_THIS_MODE)
        if not abs(current_A) <= OVERLOAD_AT * self._ranges[SET_CURRENT]:
            raise Refused(Code.OUT_OF_BOUNDS)
        self.current_A = current_A
        self._connect()

    def switch(self, *, on: bool) -> None:
        if on and not self.mode:
            raise Refused(Code.NOT_IN_THIS_MODE)
        began = on and not self.is_on
        self.is_on = on or self.welded
        self._connect()
        if began:
            self._look(CURRENT_AT_ONCE, harmful=self.mode == GALVANOSTAT and self.current_A != 0.0)
            flows_A = abs(self.terminals.operating().current_A)
            self._look(THRUST, harmful=self.mode != GALVANOSTAT and flows_A > OVERLOAD_AT * self._ranges[CURRENT])

    def left(self) -> None:
        """No script runs any more."""
        self._look(LEFT_ON, harmful=self.is_on)

    def potential(self) -> Value:
        point = self.terminals.operating()
        noise_V = self._random.gauss(0.0, NOISE_V * self.noise)
        return Value(
            single(point.voltage_V + self._offset_V + noise_V), type=POTENTIAL, metadata=_meta(0, POTENTIAL_RANGE)
        )

    def current(self) -> Value:
        full_A = self._ranges[CURRENT]
        point = self.terminals.operating()
        noise_A = self._random.gauss(0.0, NOISE * full_A * self.noise)
        share = abs(point.current_A) / full_A
        status = OVERLOADED if share > OVERLOAD_AT else UNDERLOADED if share < UNDERLOAD_AT else 0
        number = self.model.range_for(full_A)
        return Value(single(point.current_A + noise_A), type=CURRENT, metadata=_meta(status, number or 0))

    def _connect(self) -> None:
        if not self.is_on:
            wanted: CurrentSource | VoltageSource | Disconnected = Disconnected()
        elif self.mode == GALVANOSTAT:
            flows_A = self.current_A * self._gain + self._offset * 1e-3 * self._ranges[SET_CURRENT]
            wanted = CurrentSource(flows_A, self.model.compliance_V)
        else:
            wanted = VoltageSource(self.potential_V + self._offset_V, self.model.most_A)
        if wanted != self.terminals.source:
            self.terminals.drive(wanted)

    def _look(self, act: str, *, harmful: bool) -> None:
        if harmful and not self.welded:
            self.abuse.add(act)


def _meta(status: int, number: int) -> str:
    return f",1{status:X},2{number:02X}"
