"""The script an EmStat4 is given for a setpoint, and what it tells of itself. No I/O.

It first looks at the open cell, tells back every number it was given, and waits for the word (Y); only then it closes the
switch. It drives the cell with a current until the level is reached and then holds that, watching both edges of the
window, the limit of the current and the time since it was last asked. Y ends a measurement loop; the script then tells
what it saw last and begins another, with the cell on all the while: that is how it is read, and how its lease is renewed.

The commands and their order are those of PalmSens' examples (MethodSCRIPT_Examples bd1a44a, Measurement_Loops 007 to 011)
and of its battery cycling (palmsens-sdk 39c885d, battery_cycling.mscr).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from cycler_ctl.errors import BadReply, DeviceFault, Overflow
from cycler_ctl.instrument import ConstantCurrent, ConstantVoltage, Rest, Setpoint, Window
from drivers.palmsens_emstat4_ratings import Model
from drivers.palmsens_emstat4_reply import OVERLOAD, Value

OVER = 1.1  # of the limit; so much more than that in three points and a held cell is let go
ARMED_S = 5.0  # how long a checked script waits for the word
SCALES = (("", 1.0), ("m", 1e-3), ("u", 1e-6), ("n", 1e-9), ("p", 1e-12), ("f", 1e-15))
DIGITS = 1_000_000
SAME = 1e-6  # numbers are single-precision floats there


class State(IntEnum):
    """What a script is at; from WINDOW on the switch is open again."""

    DRIVING = 0
    HOLDING = 1
    RESTING = 2
    WINDOW = 3
    LEASE = 4
    LIMIT = 5


ENDED = {
    State.WINDOW: "the window's edge was reached",
    State.LEASE: "it was not asked for longer than its lease",
    State.LIMIT: "the voltage could not be held within the limit of the current",
}


@dataclass(frozen=True, slots=True)
class Pace:
    """``interval_s`` between points on the instrument; not asked for ``lease_s``, it opens the switch."""

    interval_s: float
    lease_s: float
    mains_Hz: int

    @property
    def points(self) -> int:
        return max(2, round(self.lease_s / self.interval_s))


@dataclass(frozen=True, slots=True)
class Plan:
    """A setpoint in the instrument's terms. ``sign`` 0: towards the level from wherever the cell is."""

    state: State
    sign: int = 0
    limit_A: float = 0.0
    level_V: float = 0.0
    window_V: Window = (0.0, 0.0)
    range_A: float = 0.0
    hold: bool = True

    @property
    def is_on(self) -> bool:
        return self.state is not State.RESTING


@dataclass(frozen=True, slots=True)
class Report:
    """What a script tells when it is asked."""

    script: int
    count: int
    state: int
    points: int
    time_s: float
    step_s: float
    """What the time is told in steps of: 1 s where a step of the protocol is longer than 37 h."""
    voltage_V: float
    current_A: float


def plan_for(setpoint: Setpoint, regulation: str, model: Model) -> Plan:
    """DeviceFault for what this instrument cannot do."""
    match setpoint:
        case Rest():
            return Plan(State.RESTING)
        case ConstantCurrent(current_A=current_A) if current_A == 0:
            return Plan(State.RESTING)
        case ConstantCurrent(current_A=current_A, window_V=window_V):
            _check_window(window_V, model)
            edge_V = window_V[1] if current_A > 0 else window_V[0]
            sign = 1 if current_A > 0 else -1
            range_A = _range(abs(current_A), model)
            return Plan(State.DRIVING, sign, abs(current_A), edge_V, window_V, range_A, regulation == "bounded")
        case ConstantVoltage(voltage_V=voltage_V, current_limit_A=limit_A):
            if not abs(voltage_V) < model.highest_V:
                raise DeviceFault(f"{voltage_V} V cannot be held: an {model.name} goes to {model.highest_V:g} V")
            outside_V = (-model.highest_V, model.highest_V)
            return Plan(State.DRIVING, 0, limit_A, voltage_V, outside_V, _range(limit_A, model))


def check_cell(plan: Plan, seen_V: float) -> None:
    """DeviceFault for a cell that is outside the window, or beyond the edge it is to be driven to."""
    if not plan.is_on:
        return
    low_V, high_V = plan.window_V
    if not low_V <= seen_V <= high_V:
        raise DeviceFault(
            f"the cell at {seen_V:g} V is outside the window of {low_V:g} V to {high_V:g} V: not connected"
        )
    if plan.sign and (plan.level_V - seen_V) * plan.sign <= 0:
        raise DeviceFault(f"the cell at {seen_V:g} V is at the window's edge of {plan.level_V:g} V already")


def script(plan: Plan, identity: int, pace: Pace, model: Model) -> bytes:
    """``e``, the script, and the empty line that starts it."""
    lines = [*_prelude(plan, identity, pace, model), *_told(plan, pace)]
    lines += _rest() if not plan.is_on else [*_armed(pace), *_driven(plan, pace), *_held(pace)]
    lines += ["cell_off", "set_pgstat_mode 3", "meas_loop_ocp u gap most", "endloop", *_report()]
    return "\n".join(["e", *lines, "on_finished:", "cell_off", "", ""]).encode("ascii")


def proof(identity: int) -> bytes:
    """A script that opens the switch and then does what only works with it open (error 0014 otherwise)."""
    lines = ["var id", "var u", f"store_var id {identity}i ja", "cell_off", "set_pgstat_mode 3", "cell_off"]
    lines += ["meas_loop_ocp u 50m 50m", "endloop", *2 * _package("id"), "on_finished:", "cell_off", "", ""]
    return "\n".join(["e", *lines]).encode("ascii")


def number(value: float) -> str:
    """A literal: whole numbers with a prefix, of seven digits or exact."""
    for prefix, scale in SCALES:
        raw = round(value / scale)
        if abs(raw) >= DIGITS or math.isclose(raw * scale, value, rel_tol=1e-12, abs_tol=1e-18):
            return f"{raw}{prefix}"
    raise DeviceFault(f"{value} is too small to be told")


def numbers(plan: Plan, pace: Pace) -> dict[str, tuple[float, str]]:
    """Every number that decides what happens to the cell, with its type; the script tells them back."""
    low_V, high_V = plan.window_V
    return {
        "sgn": (float(plan.sign), "ja"),
        "lim": (plan.limit_A, "db"),
        "lvl": (plan.level_V, "ab"),
        "low": (low_V, "ab"),
        "high": (high_V, "ab"),
        "over": (OVER * plan.limit_A, "ba"),
        "rng": (plan.range_A, "ba"),
        "gap": (pace.interval_s, "eb"),
        "most": (2.0 * pace.points * pace.interval_s, "eb"),
    }


def confirm(plan: Plan, pace: Pace, told: tuple[tuple[Value, ...], ...]) -> None:
    """DeviceFault unless the script holds the numbers it was given."""
    wanted = [value for value, _ in numbers(plan, pace).values()] + [float(pace.points), float(plan.hold)]
    found = [value.number for package in told for value in package]
    if len(found) != len(wanted) or not all(map(_same, wanted, found)):
        raise DeviceFault(f"the script was not taken as it was sent: {wanted} became {found}")


def report_of(values: tuple[Value, ...], raw: bytes, model: Model) -> Report:
    """BadReply for a value of another kind, of an unknown range, or overloaded."""
    if [value.type for value in values] != ["ja", "ja", "ja", "ja", "eb", "ab", "ba"]:
        raise BadReply("Y", raw, "another package than was asked for")
    voltage, current = values[5:]
    if (voltage.status | current.status) & OVERLOAD:
        raise Overflow("Y", raw, "overload")
    if current.range is not None and current.range not in model.ranges:
        raise BadReply("Y", raw, f"no such current range as {current.range}")
    whole = [int(value.number) for value in values[:4]]
    return Report(
        whole[0], whole[1], whole[2], whole[3], values[4].number, values[4].step, voltage.number, current.number
    )


def _prelude(plan: Plan, identity: int, pace: Pace, model: Model) -> Iterator[str]:
    given = numbers(plan, pace)
    yield from (
        f"var {name}" for name in ("id", "n", "i", "k", "w", "t", "v", "m", "u", "x", "y", "amp", "dead", "hold")
    )
    yield from (f"var {name}" for name in given)
    yield f"store_var id {identity}i ja"
    yield f"store_var w {plan.state:d}i ja"
    yield from (f"store_var {name} 0i ja" for name in ("n", "i", "k"))
    yield "store_var m 0 ba"
    yield from (f"store_var {name} {number(value)} {kind}" for name, (value, kind) in given.items())
    yield f"store_var dead {pace.points}i ja"
    yield f"store_var hold {plan.hold:d}i ja"
    yield from ("set_pgstat_chan 0", "set_pgstat_mode 3", "cell_off", f"set_max_bandwidth {_bandwidth(pace)}")
    yield f"set_acquisition_frac_autoadjust {pace.mains_Hz}"
    yield f"set_range ab {number(model.highest_V)}"
    yield from ("timer_start", "meas_loop_ocp v gap gap", "endloop")


def _told(plan: Plan, pace: Pace) -> Iterator[str]:
    names = [*numbers(plan, pace), "dead", "hold"]
    for some in (names[:6], names[6:]):
        yield from 2 * _package(*some)
    yield from _report()


def _armed(pace: Pace) -> Iterator[str]:
    """Waiting for the word, with the switch open."""
    yield 'send_string "armed"'
    yield f"meas_loop_ocp u gap {number(ARMED_S + 2 * pace.interval_s)}"
    yield "add_var i 1i"
    yield from _if(f"i >= {max(2, round(ARMED_S / pace.interval_s))}i", State.LEASE)
    yield "endloop"
    yield "store_var i 0i ja"


def _driven(plan: Plan, pace: Pace) -> Iterator[str]:
    yield "if w == 0i"
    if not plan.sign:
        yield from ("store_var sgn 1 ja", "if v > lvl", "store_var sgn -1 ja", "endif")
    yield from ("copy_var lim amp", "mul_var amp sgn", "set_pgstat_mode 6", f"set_max_bandwidth {_bandwidth(pace)}")
    yield from ("set_range ba rng", "set_autoranging ba rng rng", "set_range db rng", "set_i 0", "cell_on")
    yield from ("loop w == 0i", "meas_loop_cp v x amp gap most add_meas(0 ba m)", "add_var i 1i")
    yield from ("copy_var v y", "sub_var y lvl", "mul_var y sgn", "if y >= 0")
    yield from ("store_var w 3i ja", "if hold == 1i", "store_var w 1i ja", "endif", "breakloop", "endif")
    for test, state in (("v > high", State.WINDOW), ("v < low", State.WINDOW), ("i >= dead", State.LEASE)):
        yield from _if(test, state)
    yield from ("endloop", "if w == 0i", *_report(), "endif", "endloop", "endif")


def _held(pace: Pace) -> Iterator[str]:
    """The mode cannot change with the switch closed: it is open for a moment, as in the maker's own cycling."""
    yield from ("if w == 1i", "cell_off", "set_pgstat_mode 3", f"set_max_bandwidth {_bandwidth(pace)}")
    yield from ("set_range ba rng", "set_autoranging ba rng rng", "set_e lvl", "cell_on")
    yield from ("loop w == 1i", "meas_loop_ca x m lvl gap most add_meas(0 ab v)", "add_var i 1i")
    yield from ("copy_var m y", "if y < 0", "mul_var y -1", "endif", "if y > over", "add_var k 1i", "endif")
    for test, state in (("k >= 3i", State.LIMIT), ("i >= dead", State.LEASE)):
        yield from _if(test, state)
    yield from ("endloop", "if w == 1i", *_report(), "endif", "endloop", "endif")


def _rest() -> Iterator[str]:
    yield 'send_string "armed"'
    yield from ("loop w == 2i", "meas_loop_ocp v gap most", "add_var i 1i", *_if("i >= dead", State.LEASE), "endloop")
    yield from ("if w == 2i", *_report(), "endif", "endloop")


def _if(test: str, state: State) -> tuple[str, ...]:
    return (f"if {test}", f"store_var w {state:d}i ja", "breakloop", "endif")


def _report() -> list[str]:
    """What was seen last, twice; the next one is another, with points of its own."""
    package = _package("id", "n", "w", "i", "t", "v", "m")
    return ["timer_get t", *2 * package, "add_var n 1i", "store_var i 0i ja"]


def _package(*names: str) -> list[str]:
    return ["pck_start", *(f"pck_add {name}" for name in names), "pck_end"]


def _bandwidth(pace: Pace) -> str:
    return number(float(round(max(1.0, 5.85 / pace.interval_s))))  # as battery_cycling.mscr has it


def _same(wanted: float, found: float) -> bool:
    return math.isclose(wanted, found, rel_tol=SAME, abs_tol=1e-15)


def _check_window(window_V: Window, model: Model) -> None:
    low_V, high_V = window_V
    if not (math.isfinite(low_V) and math.isfinite(high_V) and low_V < high_V):
        raise DeviceFault(f"a current needs a voltage window with two finite edges, not {low_V} V to {high_V} V")
    if not max(abs(low_V), abs(high_V)) < model.highest_V:
        raise DeviceFault(
            f"a window of {low_V:g} V to {high_V:g} V: an {model.name} goes to {model.highest_V:g} V only"
        )


def _range(current_A: float, model: Model) -> float:
    """OVER times the limit must be measurable on the range: it is, up to twice its name."""
    range_A = model.range_for(current_A) if math.isfinite(current_A) and current_A > 0 else None
    if range_A is None:
        raise DeviceFault(f"{current_A} A cannot be set: an {model.name} does up to {model.most_A:g} A")
    return range_A
