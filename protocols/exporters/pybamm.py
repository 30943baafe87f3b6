"""A PyBaMM experiment as a Python file; the strings are those ``pybamm.step.string`` reads (26.10).

Every member of PyBaMM's list is a cycle: a counted pass of a repeat becomes a tuple.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from protocols.exporters.plain import (
    Limit,
    Plain,
    PlainCurrent,
    PlainHold,
    PlainRepeat,
    PlainRest,
    Single,
    decimal_text,
    lose_safety,
    natural,
    plain,
    singles,
)
from protocols.exporters.report import Exported, Ledger, exported
from protocols.model import Op, Program

INDENT = "    "


def to_pybamm(program: Program) -> Exported:
    """Raises ``NotSayable``."""
    ledger = Ledger("PyBaMM")
    steps = plain(program, ledger)
    lose_safety(program, ledger)
    ledger.lose("the cell but its temperature: PyBaMM has parameters of its own")
    period_s = _common_period(steps, ledger)
    _warn_of_cycles(steps, ledger)
    list_lines = list(_list(steps, Page(ledger, period_s), INDENT))
    ledger.finish()
    arguments = [f"{INDENT}period={json.dumps(_time(period_s))},"] if period_s is not None else []
    temperature = program.cell.temperature_degC
    if temperature is not None:
        arguments.append(f'{INDENT}temperature="{decimal_text(temperature)}oC",')
    head = [f"# {line}" for line in program.name.splitlines()[:1]]
    head += ["import pybamm", "", "experiment = pybamm.Experiment("]
    list_lines[-1] += ","
    return exported(ledger, "\n".join([*head, *list_lines, *arguments, ")"]) + "\n")


@dataclass(frozen=True, slots=True)
class Page:
    """What every step is written with: ``period_s`` is the experiment's."""

    ledger: Ledger
    period_s: float | None


def _step_text(step: Single, page: Page) -> str:
    own = step.record.time_s
    period = f" ({_time(own)} period)" if own is not None and own != page.period_s else ""
    return f"{_sentence(step, page.ledger)}{period}"


def _sentence(step: Single, ledger: Ledger) -> str:
    match step:
        case PlainRest():
            return _with_ends("Rest", step.time_s, _voltage(step.voltage, said=False), ledger, step.path)
        case PlainCurrent():
            what = f"{'Charge' if step.charges else 'Discharge'} at {decimal_text(step.current_A)} A"
            return _with_ends(what, step.time_s, _voltage(step.voltage, said=natural(step)), ledger, step.path)
        case PlainHold():
            what = f"Hold at {decimal_text(step.voltage_V)} V"
            taper = None if step.taper_A is None else f"{decimal_text(step.taper_A)} A"
            return _with_ends(what, step.time_s, taper, ledger, step.path)


def _voltage(limit: Limit | None, *, said: bool) -> str | None:
    """The direction is written where PyBaMM would not take it from the word."""
    if limit is None:
        return None
    value = f"{decimal_text(limit.voltage_V)} V"
    return value if said else f"{'>' if limit.op is Op.AT_LEAST else '<'} {value}"


def _with_ends(what: str, time_s: float | None, until: str | None, ledger: Ledger, path: str) -> str:
    parts = [what]
    if time_s is not None:
        parts.append(f"for {_time(time_s)}")
    else:
        ledger.change(f"step {path}: it has no longest time; PyBaMM gives it 24 h and then ends the experiment")
    if until is not None:
        parts.append(f"{'or ' if time_s is not None else ''}until {until}")
    return " ".join(parts)


def _time(seconds: float) -> str:
    exact = Fraction(repr(seconds))
    for size, unit in ((3600, "hour"), (60, "minute"), (1, "second")):
        if exact % size == 0 or unit == "second":
            value = decimal_text(float(exact / size))
            return f"{value} {unit}{'' if value == '1' else 's'}"
    raise AssertionError(seconds)


def _common_period(steps: tuple[Plain, ...], ledger: Ledger) -> float | None:
    """The period most steps have, if all have one: what a step does not say, the experiment says for it."""
    periods = [_step_period(step, ledger) for step in singles(steps)]
    known = [period for period in periods if period is not None]
    return max(set(known), key=known.count) if known and len(known) == len(periods) else None


def _step_period(step: Single, ledger: Ledger) -> float | None:
    record = step.record
    if record.charge_Ah is not None or record.temperature_K is not None:
        ledger.refuse(step.path, "record by charge or by temperature")
    if record.voltage_V is not None or record.current_A is not None:
        ledger.lose("record by voltage or current: PyBaMM keeps points by time only")
    return record.time_s


def _warn_of_cycles(steps: tuple[Plain, ...], ledger: Ledger) -> None:
    if any(not isinstance(step, PlainRepeat) or _uneven(step) for step in steps):
        ledger.change("cycle numbers: PyBaMM counts every member of its list, also those that are no cycle here")


def _uneven(step: Plain) -> bool:
    """Whether PyBaMM counts passes here that the protocol does not, or the other way round."""
    if not isinstance(step, PlainRepeat):
        return False
    inner = [each for each in step.steps if isinstance(each, PlainRepeat)]
    if not inner:
        return not step.counts
    return step.counts or len(inner) < len(step.steps) or any(_uneven(each) for each in inner)


def _list(steps: Sequence[Plain], page: Page, indent: str) -> Iterator[str]:
    """Lists joined by ``+``: a run of plain steps is one cycle, a repeat is a list times a number."""
    runs = list(_runs(steps))
    for index, run in enumerate(runs):
        lines = list(_run(run, page, indent))
        if index:
            lines[0] = f"{indent}+ {lines[0].removeprefix(indent)}"
        yield from lines


def _runs(steps: Sequence[Plain]) -> Iterator[PlainRepeat | list[Single]]:
    run: list[Single] = []
    for step in steps:
        if not isinstance(step, PlainRepeat):
            run.append(step)
            continue
        if run:
            yield run
        run = []
        yield step
    if run:
        yield run


def _run(run: PlainRepeat | list[Single], page: Page, indent: str) -> Iterator[str]:
    if isinstance(run, list):
        yield f"{indent}["
        yield from _cycle(run, page, indent + INDENT)
        yield f"{indent}]"
        return
    flat = [step for step in run.steps if not isinstance(step, PlainRepeat)]
    if len(flat) == len(run.steps):
        yield f"{indent}["
        yield from _cycle(flat, page, indent + INDENT)
        yield f"{indent}]{_times(run)}"
    else:
        yield f"{indent}("
        yield from _list(run.steps, page, indent + INDENT)
        yield f"{indent}){_times(run)}"


def _times(run: PlainRepeat) -> str:
    return f" * {run.times}" if run.times != 1 else ""


def _cycle(steps: Sequence[Single], page: Page, indent: str) -> Iterator[str]:
    yield f"{indent}("
    for step in steps:
        yield f"{indent}{INDENT}{json.dumps(_step_text(step, page))},"
    yield f"{indent})"
