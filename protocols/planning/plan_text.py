"""A plan for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from protocols.diagnostics import printable
from protocols.model import Cell
from protocols.plan import Cycles, InstrumentLimits, Plan, PlanRepeat, PlanStep
from protocols.planning.advice import Finding, range_text
from protocols.planning.forecast import ceilings_by_path, cell_capacity_Ah
from protocols.quantities import format_duration, format_number
from protocols.record import JSON

SET_TO_WIDTH, ENDS_WIDTH = 46, 52
"""What a line leaves for a current, at least, and for what ends a step."""


def render_plan(plan: Plan, file_name: str) -> str:
    """What ``cycler-ctl plan`` prints."""
    lines = [*_head(plan, file_name), "", *_table(plan), "", *_foot(plan)]
    return "\n".join(printable(line.rstrip()) for line in lines)


def _head(plan: Plan, file_name: str) -> Iterator[str]:
    cell = plan.program.cell
    yield f'PLAN  {file_name}  "{plan.program.name}"'
    yield f"      cell {' | '.join(_cell_parts(cell))}"
    means = "" if cell.discharge_means is None else f"; here discharge = {cell.discharge_means.value}"
    yield f"      sign: + = oxidation = delithiate{means}"
    yield f"      instrument {'not given: ranges are not checked' if plan.instrument is None else _instrument(plan.instrument)}"


def _cell_parts(cell: Cell) -> Iterator[str]:
    yield cell.name
    if cell.area_cm2 is not None:
        yield f"area {format_number(cell.area_cm2)} cm2"
    if cell.active_mass_g is not None:
        loading = "" if cell.area_cm2 is None else f" ({_mg(cell.active_mass_g / cell.area_cm2)} mg/cm2)"
        yield f"active mass {_mg(cell.active_mass_g)} mg{loading}"
    if cell.theoretical_capacity_Ah is not None:
        yield f"theoretical {_milli(cell.theoretical_capacity_Ah)} mAh"
    if cell.nominal_capacity_Ah is not None:
        nominal = _milli(cell.nominal_capacity_Ah)
        yield f"nominal {nominal} mAh (1C = {nominal} mA)"


def _mg(mass_g: float) -> str:
    return format_number(mass_g * 1000, 3)


def _milli(amount: float) -> str:
    return format_number(amount * 1000)


def _instrument(limits: InstrumentLimits) -> str:
    ranges = ", ".join(range_text(each[0]) for each in limits.ranges)
    low, high = (format_number(voltage) for voltage in limits.voltage_V)
    return (
        f"{limits.name}: ranges {ranges}; {low} to {high} V; accuracy {_accuracy(limits)}; "
        f"fastest sample {_short(limits.fastest_sample_s)}"
    )


def _accuracy(limits: InstrumentLimits) -> str:
    """The worst of its ranges."""
    gain = max((each[1] for each in limits.ranges), default=0.0)
    offset = max((each[2] / each[0] for each in limits.ranges if each[0]), default=0.0)
    of_range = f"{format_number(offset * 100, 2)} % of range"
    return of_range if not gain else f"{format_number(gain * 100, 2)} % of reading + {of_range}"


def _short(seconds: float) -> str:
    return f"{format_number(seconds * 1000)} ms" if seconds < 1 else format_duration(seconds)


def _table(plan: Plan) -> Iterator[str]:
    cell = plan.program.cell
    width = max((len(_set_to(row, cell)) for row in plan.steps if row.note is None), default=0)
    line = Line(max(width, SET_TO_WIDTH))
    yield line.text("step", "cycle", "what", "set to", "ends at", "at most", "range", "points")
    for row in plan.rows:
        if isinstance(row, PlanRepeat):
            yield _repeat_line(row)
        else:
            yield from _step_lines(row, cell, line)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table. ``width``: of its longest current."""

    width: int

    def text(self, step: str, cycle: str, what: str, set_to: str, ends_at: str, *rest: str) -> str:
        at_most, range_, points = rest
        begin = f"{step:<8} {cycle:<7} {what:<12} {set_to:<{self.width}}"
        return f"{begin} {ends_at:<{ENDS_WIDTH}} {at_most:<9} {range_:<8} {points}"


def _repeat_line(row: PlanRepeat) -> str:
    cycles = "" if row.cycles is None else f"   [{_cycles(row.cycles)}]{_first_of(row.cycles)}"
    values = "".join(f"   {name} = {value}" for name, value in row.values)
    stops = "" if row.stop_when is None else f"   stops when {row.stop_when}"
    what = f"repeat {row.times}x"
    if row.choices is not None:
        what = f"for each of {row.choices[0]} values of {', '.join(row.choices[1])}"
    return f"{row.path:<8} {'':<7} {what}{cycles}{values}{stops}"


def _cycles(cycles: Cycles) -> str:
    one = cycles.first == cycles.last
    return f"cycle {cycles.first}" if one else f"cycles {cycles.first} to {cycles.last}"


def _first_of(cycles: Cycles) -> str:
    return f" (first of {cycles.rounds})" if cycles.rounds > 1 else ""


def _step_lines(row: PlanStep, cell: Cell, line: Line) -> Iterator[str]:
    if row.note is not None:
        yield f"{row.path:<8} {row.cycles.text:<7} {'note':<12} {row.note}"
        return
    at_most = "?" if row.at_most_s is None else format_duration(row.at_most_s)
    range_ = "" if row.range_A is None else range_text(row.range_A)
    first, *others = _wrapped(_ends(row))
    yield line.text(row.path, row.cycles.text, row.what, _set_to(row, cell), first, at_most, range_, str(row.points))
    yield from (line.text("", "", "", "", other, "", "", "") for other in others)


def _ends(row: PlanStep) -> tuple[str, ...]:
    """The alternatives that end the step; of a train also its shape."""
    if row.train is None:
        return row.ends_at
    return (*row.ends_at[:-1], f"{row.ends_at[-1]} ({row.train})") if row.ends_at else (row.train,)


def _wrapped(alternatives: tuple[str, ...]) -> list[str]:
    """As many in a line as its column holds."""
    lines = [""]
    for each in alternatives:
        longer = f"{lines[-1]} or {each}" if lines[-1] else each
        if lines[-1] and len(longer) > ENDS_WIDTH:
            lines.append(f"or {each}")
        else:
            lines[-1] = longer
    return lines


def _set_to(row: PlanStep, cell: Cell) -> str:
    """The current or voltage, and what that is for this cell."""
    if row.hold_V is not None:
        limit = "" if row.limit_A is None else f", at most {_current(row.limit_A, cell)}"
        return f"{format_number(row.hold_V)} V{limit}"
    if row.current_A is None:
        return "0 A"
    return f"{'+' if row.current_A > 0 else '-'}{_current(abs(row.current_A), cell)}"


def _current(current_A: float, cell: Cell) -> str:
    shares = ", ".join(_shares(current_A, cell))
    return f"{_milli(current_A)} mA{f' ({shares})' if shares else ''}"


def _shares(current_A: float, cell: Cell) -> Iterator[str]:
    rate = None if cell.nominal_capacity_Ah is None else _rate(current_A / cell.nominal_capacity_Ah)
    density = None if cell.area_cm2 is None else f"{format_number(current_A * 1000 / cell.area_cm2, 3)} mA/cm2"
    same = " = ".join(part for part in (rate, density) if part is not None)
    if same:
        yield same
    if cell.theoretical_capacity_Ah is not None:
        yield f"{_rate(current_A / cell.theoretical_capacity_Ah)} of theor."


def _rate(per_hour: float) -> str:
    """The shorter way to write it: C/20 and 0.75C."""
    return min(f"C/{format_number(1 / per_hour, 3)}", f"{format_number(per_hour, 3)}C", key=len)


def _foot(plan: Plan) -> Iterator[str]:
    yield _total(plan)
    yield f"expected about {format_duration(plan.expected_s)} and {plan.expected_rows} points recorded"
    yield from _ceilings(plan)
    if not plan.errors and not plan.warnings:
        yield "checks: all pass"
        return
    yield "checks:"
    yield from (_finding_line("error", finding) for finding in plan.errors)
    yield from (_finding_line("warn", finding) for finding in plan.warnings)


def _finding_line(kind: str, finding: Finding) -> str:
    where = f" step {finding.step}" if finding.step else ""
    return f"  {kind}{where}: {finding.message}"


def _total(plan: Plan) -> str:
    if not plan.bounded:
        open_steps = ", ".join(step.path for step in plan.steps if step.at_most_s is None)
        return f"no longest time: nothing bounds step {open_steps} (the others take at most {format_duration(plan.at_most_s)})"
    cell = plan.program.cell
    which = "theoretical" if cell.theoretical_capacity_Ah is not None else "nominal"
    known = cell_capacity_Ah(plan.program) is not None
    why = f" (each full half cycle taken at 100 % of {which} capacity; a real cell ends earlier)" if known else ""
    return f"at most {format_duration(plan.at_most_s)} in all{why}"


def _ceilings(plan: Plan) -> Iterator[str]:
    """Where the guard stops a step that names no ceiling of its own, steps of equal ceilings together."""
    groups: dict[str, list[str]] = {}
    for path, (charge_Ah, time_s) in ceilings_by_path(plan.program).items():
        parts = [] if charge_Ah is None else [f"{_milli(charge_Ah)} mAh"]
        parts += [] if time_s is None else [format_duration(time_s)]
        if parts:
            groups.setdefault(" and ".join(parts), []).append(path)
    for ceiling, paths in groups.items():
        yield f"the guard stops step {', '.join(paths)} at {ceiling} at the latest"


def plan_json(plan: Plan) -> dict[str, JSON]:
    """What ``cycler-ctl plan --json`` prints; ``at_most_s`` null where nothing bounds it."""
    return {
        "protocol": plan.program.name,
        "cell": plan.program.cell.name,
        "steps": [_step_json(step) for step in plan.steps],
        "at_most_s": plan.at_most_s if plan.bounded else None,
        "warnings": [_finding_json(finding) for finding in plan.warnings],
        "errors": [_finding_json(finding) for finding in plan.errors],
        "expected_s": plan.expected_s,
        "expected_rows": plan.expected_rows,
    }


def _finding_json(finding: Finding) -> dict[str, JSON]:
    return {"code": finding.code, "step": finding.step, "message": finding.message}


def _step_json(step: PlanStep) -> dict[str, JSON]:
    """Currents and charges as the table shows them, to four digits."""
    return {
        "step": step.path,
        "what": step.what,
        "cycles": step.cycles.text,
        "times": step.times,
        "current_mA": _four_digits(step.current_A),
        "voltage_V": step.hold_V,
        "current_limit_mA": _four_digits(step.limit_A),
        "for_each": dict(step.for_each) or None,
        "ends_at": " or ".join(_ends(step)),
        "at_most_s": step.at_most_s,
        "expected_s": step.expected_s,
        "points": step.points,
        "range": None if step.range_A is None else range_text(step.range_A),
        "ceiling_charge_mAh": _four_digits(step.ceiling_charge_Ah),
        "ceiling_time_s": step.ceiling_time_s,
    }


def _four_digits(amount: float | None) -> float | None:
    return None if amount is None else float(f"{amount * 1000:.4g}")
