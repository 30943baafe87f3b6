"""Runs a script on a simulated EmStat4, in its own time: a generator that says when it wants to be woken.

A measurement loop takes its points on a grid from its start and does its body at each; everything else takes no time.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Generator
from contextlib import suppress

from sim_hardware.palmsens_emstat4_cell import CURRENT, POTENTIAL, SET_CURRENT, SET_POTENTIAL, Electrodes, Refused
from sim_hardware.palmsens_emstat4_script import MEASURING, Code, Script, ScriptError, Statement, Test
from sim_hardware.palmsens_emstat4_values import Value, literal, package, single

Run = Generator[float, None, None]
COMPARE: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
COMPUTE: dict[str, Callable[[float, float], float]] = {
    "add_var": operator.add,
    "sub_var": operator.sub,
    "mul_var": operator.mul,
    "div_var": lambda one, other: one / other,
}
ENDLESS = 100_000  # statements without any time passing: the instrument would be stuck


class EndLoop(Exception):  # noqa: N818 - what the host asked for with Y
    pass


class Abort(Exception):  # noqa: N818 - what the host asked for with Z, or the script itself
    pass


class _Break(Exception):  # noqa: N818 - a breakloop on its way to its loop
    pass


class Machine:
    """One run of one script. ``said`` takes each line of its output; ``now`` is the instrument's time.

    ``lead``: when a loop's first point comes, in intervals after its start.
    """

    def __init__(
        self, script: Script, cell: Electrodes, now: Callable[[], float], said: Callable[[str], None], lead: float
    ) -> None:
        self._script = script
        self._cell = cell
        self._now = now
        self._said = said
        self._lead = lead
        self._values = dict.fromkeys(script.variables, Value(0.0))
        self._package: list[Value] | None = None
        self._timer_s = now()
        self._idle = 0
        self.in_loop = False
        self.broken = False
        """A test's own fault: the next statement fails as if something were wrong with the instrument."""

    def run(self) -> Run:
        """ScriptError leaves everything as it is: what stands after ``on_finished:`` is not done then."""
        with suppress(Abort):
            yield from self._block(self._script.body)
        yield from self._block(self._script.finish)

    def _block(self, statements: tuple[Statement, ...]) -> Run:
        for statement in statements:
            self._idle += 1
            if self.broken or self._idle > ENDLESS:
                raise ScriptError(Code.FATAL, statement.line)
            try:
                yield from self._one(statement)
            except Refused as refused:
                raise ScriptError(refused.code, statement.line) from refused

    def _one(self, statement: Statement) -> Run:
        name = statement.name
        if name in MEASURING:
            yield from self._measure(statement)
        elif name == "loop":
            yield from self._loop(statement)
        elif name == "if":
            yield from self._if(statement)
        elif name == "wait":
            yield self._now() + self._number(statement, statement.arguments[0]).number
            self._idle = 0
        else:
            self._command(statement)

    def _if(self, statement: Statement) -> Run:
        for test, body in statement.blocks:
            if test is None or self._holds(statement, test):
                yield from self._block(body)
                return

    def _loop(self, statement: Statement) -> Run:
        ((test, body),) = statement.blocks
        self._said("L")
        try:
            while test is None or self._holds(statement, test):
                self._idle += 1
                if self._idle > ENDLESS:
                    raise ScriptError(Code.FATAL, statement.line)
                yield from self._block(body)
        except _Break:
            pass
        self._said("+")

    def _measure(self, statement: Statement) -> Run:
        interval_s, points = self._prepare(statement)
        self._said(f"M{MEASURING[statement.name]}")
        self.in_loop = True
        started_s = self._now()
        try:
            for point in range(points):
                if point or self._lead:
                    yield started_s + (point + self._lead) * interval_s
                self._idle = 0
                self._take(statement)
                yield from self._block(statement.blocks[0][1])
        except (EndLoop, _Break):
            pass
        finally:
            self.in_loop = False
        self._said("*")

    def _prepare(self, statement: Statement) -> tuple[float, int]:
        """Put on what the loop applies; (interval, number of points)."""
        outputs = 1 if statement.name == "meas_loop_ocp" else 2
        values = [self._number(statement, word).number for word in statement.arguments[outputs:]]
        interval_s, run_s = values[-2:]
        if interval_s <= 0 or run_s < interval_s * 0.999:
            raise Refused(Code.NO_STEP)
        if outputs == 1 and self._cell.is_on:
            raise Refused(Code.OCP_WITH_CELL_ON)
        if outputs == 2:
            if not self._cell.is_on:
                raise Refused(Code.CELL_IS_OFF)
            (self._cell.set_current if statement.name == "meas_loop_cp" else self._cell.set_potential)(values[0])
        return interval_s, math.floor(run_s / interval_s + 0.5)

    def _take(self, statement: Statement) -> None:
        """CP gives the measured potential and the set current, CA the set potential and the measured current."""
        words = statement.arguments
        match statement.name:
            case "meas_loop_cp":
                self._values[words[0]] = self._cell.potential()
                self._values[words[1]] = Value(single(self._cell.current_A), type=SET_CURRENT)
            case "meas_loop_ca":
                self._values[words[0]] = Value(single(self._cell.potential_V), type=SET_POTENTIAL)
                self._values[words[1]] = self._cell.current()
            case _:
                self._values[words[0]] = self._cell.potential()
        for kind, variable in statement.measured:
            if kind not in {POTENTIAL, CURRENT}:
                raise Refused(Code.BAD_TYPE)
            self._values[variable] = self._cell.potential() if kind == POTENTIAL else self._cell.current()

    def _command(self, statement: Statement) -> None:
        name, words = statement.name, statement.arguments
        match name:
            case "store_var" | "copy_var" | "timer_start" | "timer_get" | "add_var" | "sub_var" | "mul_var" | "div_var":
                self._compute(statement)
            case "pck_start" | "pck_add" | "pck_end":
                self._pack(name, words)
            case "send_string":
                self._said("T" + words[0].strip('"'))
            case "abort":
                raise Abort
            case "breakloop":
                raise _Break
            case "cell_on" | "cell_off":
                self._cell.switch(on=name == "cell_on")
            case _:
                self._set(statement)

    def _set(self, statement: Statement) -> None:
        name, words = statement.name, statement.arguments
        if self.in_loop:
            raise Refused(Code.CURRENT_IN_LOOP if name == "set_i" else Code.POTENTIAL_IN_LOOP)
        value = self._number(statement, words[-1]).number
        match name:
            case "set_pgstat_mode":
                self._cell.set_mode(value)
            case "set_e":
                self._cell.set_potential(value)
            case "set_i":
                self._cell.set_current(value)
            case "set_range":
                self._cell.set_range(words[0], value)
            case _:
                pass  # channel, bandwidth, mains frequency, ranges that change by themselves: not simulated

    def _compute(self, statement: Statement) -> None:
        words = statement.arguments
        match statement.name:
            case "store_var":
                value = self._number(statement, words[1])
                self._values[words[0]] = Value(value.number, value.is_int, words[2])
            case "copy_var":
                self._values[words[1]] = self._values[words[0]]
            case "timer_start":
                self._timer_s = self._now()
            case "timer_get":
                self._values[words[0]] = Value(single(self._now() - self._timer_s), type="eb")
            case name:
                self._values[words[0]] = self._computed(name, statement)

    def _computed(self, name: str, statement: Statement) -> Value:
        mine, other = self._values[statement.arguments[0]], self._number(statement, statement.arguments[1])
        if mine.is_int != other.is_int:
            raise Refused(Code.BAD_DATATYPE)
        if name == "div_var" and not other.number:
            raise Refused(Code.DIVIDED_BY_ZERO)
        number = COMPUTE[name](mine.number, other.number)
        return Value(int(number) if mine.is_int else single(number), mine.is_int, mine.type)

    def _pack(self, name: str, words: tuple[str, ...]) -> None:
        if (self._package is None) != (name == "pck_start"):
            raise Refused(Code.BAD_PACKAGE)
        if self._package is None:
            self._package = []
        elif name == "pck_add":
            self._package.append(self._values[words[0]])
        else:
            self._said(package(self._package))
            self._package = None

    def _holds(self, statement: Statement, test: Test) -> bool:
        left, right = self._number(statement, test.left), self._number(statement, test.right)
        if left.is_int != right.is_int:
            raise Refused(Code.NOT_COMPARABLE)
        return COMPARE[test.operator](left.number, right.number)

    def _number(self, statement: Statement, word: str) -> Value:
        found = self._values.get(word) or literal(word)
        if found is None:
            raise ScriptError(Code.BAD_LITERAL, statement.line)
        return found
