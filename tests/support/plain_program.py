"""A checked program as the plain lines that ``plain_reader`` makes of its file."""

from __future__ import annotations

from collections.abc import Iterator

from plain_reader import Plain, shown

from protocols import model


def as_read(program: model.Program) -> list[str]:
    """What the checker made of it."""
    return [*_program(program)]


def _program(program: model.Program) -> Iterator[str]:
    yield " | ".join((program.name, program.description, program.author, program.source))
    plain = Plain({"cell": {}, "variables": {}})
    amounts = [(name, shown(_amount(program, plain, text))) for name, text in program.variables]
    yield f"variables {amounts}"
    safety, cell = program.safety, program.cell
    ranges = [
        "-" if pair is None else f"{shown(pair[0])} to {shown(pair[1])}"
        for pair in (safety.voltage_V, safety.temperature_degC)
    ]
    yield f"safety {ranges} {[shown(safety.current_A), shown(safety.step_charge_Ah)]} {shown(safety.for_s)}"
    yield f"cell {cell.name} {cell.as_built} {cell.discharge_means}"
    yield from _steps(program, program.steps)


def _amount(program: model.Program, plain: Plain, text: str) -> float:
    cell = program.cell
    known = {
        "nominal_capacity": cell.nominal_capacity_Ah and f"{cell.nominal_capacity_Ah!r} Ah",
        "area": cell.area_cm2 and f"{cell.area_cm2!r} cm2",
        "active_mass": cell.active_mass_g and f"{cell.active_mass_g!r} g",
    }
    plain.cell = {key: value for key, value in known.items() if value}
    return plain.plain(text)


def _steps(program: model.Program, steps: tuple[model.Step, ...]) -> Iterator[str]:
    for step in steps:
        yield from _step(program, step)


def _step(program: model.Program, step: model.Step) -> Iterator[str]:
    match step:
        case model.NoteStep():
            yield f"{step.path} note {step.text}"
        case model.RestStep():
            yield f"{step.path} rest {_ends(step.until)} record {_record(step.record)} window {_pair(step.window_V)} {_tail(step)}"
        case model.HoldStep():
            held = f"{shown(step.voltage_V)} at most {shown(step.current_limit_A)}"
            yield f"{step.path} hold {held} {_ends(step.until)} record {_record(step.record)} {_tail(step)}"
        case model.CurrentStep():
            where = f"record {_record(step.record)} window {_pair(step.window_V)} start {step.on_start_met.value}"
            yield f"{step.path} {step.word} {shown(step.current_A)} {_ends(step.until)} {where} {_tail(step)}"
        case model.CccvStep():
            yield f"{step.path} cccv {[*step.hold_after]} {_tail(step)}"
            yield from _steps(program, (step.current, step.hold))
        case model.GittStep():
            yield f"{step.path} gitt {_ends(step.until)} {step.pulses or '-'} {_tail(step)}"
            yield from _steps(program, (step.pulse, step.rest))
        case model.RepeatStep():
            yield from _repeat(program, step)


def _repeat(program: model.Program, step: model.RepeatStep) -> Iterator[str]:
    plain = Plain({"cell": {}, "variables": {}})
    values = [(name, shown(_amount(program, plain, text))) for name, text in step.values]
    stop = "-"
    if step.stop_when is not None:
        when = step.stop_when
        stop = f"{when.verb.value} {when.op.value} {shown(when.value)} of {when.of_cycle or 0} for {when.cycles}"
    yield f"{step.path} repeat {step.times} {step.counts} {values} stop {stop} label {step.label or '-'} note {step.note or '-'}"
    yield from _steps(program, step.steps)


def _pair(pair: tuple[float, float]) -> str:
    return f"{shown(pair[0])} to {shown(pair[1])}"


def _record(record: model.Record) -> str:
    fields = (record.time_s, record.voltage_V, record.current_A, record.charge_Ah, record.temperature_K)
    return " ".join(map(shown, fields))


def _tail(step: model.TimedStep | model.Whole) -> str:
    return f"abort {_ends(step.abort_if)} label {step.label or '-'} note {step.note or '-'}"


def _ends(condition: model.Condition) -> list[str]:
    return [" & ".join(map(_clause, each.clauses)) for each in condition]


def _clause(clause: model.Clause) -> str:
    match clause.reference:
        case None:
            reference = "-"
        case model.LabelOf():
            reference = f"label {clause.reference.label}"
        case model.PreviousOf():
            reference = "previous" if clause.reference.verb is None else f"previous {clause.reference.verb.value}"
    return f"{clause.watched.value} {clause.op.value} {shown(clause.value)} {reference} for {shown(clause.for_s)}"
