"""PyBaMM experiments to a protocol file: a Python literal (never evaluated), or JSON.

In PyBaMM every member of the list is a cycle: a tuple of steps, or one step by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from protocols.diagnostics import quoted
from protocols.importers.draft import Draft, Loop, Node, Remark, join_holds
from protocols.importers.head import Facts, whole
from protocols.importers.json_text import Json, shown
from protocols.importers.numbers import decimal_of, number_text, quantity_text, time_text
from protocols.importers.pybamm_cycles import Cycle, Experiment, Inner, Member, Written, from_json, from_script
from protocols.importers.pybamm_repeats import folded
from protocols.importers.pybamm_steps import Foreign, draft, read_step, read_temperature
from protocols.importers.pybamm_strings import read_time
from protocols.importers.report import (
    Imported,
    Notebook,
    Refused,
    Request,
    Unsupported,
    Wrong,
    refuse_too_large,
)

CAPACITY = re.compile(r"(?P<number>[0-9.eE+-]{1,40}) *(?P<unit>%|Ah|A\.h) +capacity")
VOLTAGE = re.compile(r"(?P<number>[0-9.eE+-]{1,40}) *V")


def import_pybamm(request: Request) -> Imported:
    """The protocol in this language; raises ``Refused``."""
    refuse_too_large(request)
    notebook = Notebook(request.skip_unsupported)
    try:
        experiment = _read(request, notebook)
        steps, facts = _translated(request, notebook, experiment)
    except Wrong as error:
        raise Refused([*notebook.problems, error.problem]) from error
    return whole(request, notebook, facts, steps)


def _read(request: Request, notebook: Notebook) -> Experiment:
    text = request.document.text.removeprefix("\ufeff")
    if request.document.name.lower().endswith(".json") or text.lstrip().startswith("{"):
        return from_json(text)
    experiment, others = from_script(text)
    if others:
        notebook.changed.append(f"{others} calls beside the experiment are left out")
    return experiment


@dataclass(frozen=True, slots=True)
class Stops:
    """What ends the whole experiment, in this language."""

    voltage: str | None = None
    stop_when: str | None = None
    notes: tuple[Remark, ...] = ()


def _translated(request: Request, notebook: Notebook, experiment: Experiment) -> tuple[tuple[Node, ...], Facts]:
    for error in experiment.unknown:
        notebook.skipped(error)
    stops = _stops(notebook, experiment)
    translator = Translator(notebook, stops.voltage, {})
    steps = folded(tuple(translator.member(member) for member in experiment.members))
    if notebook.problems:
        raise Refused(notebook.problems)
    if not steps:
        raise Wrong("", "the experiment has no step")
    whole_steps = (*stops.notes, *_stopping(notebook, steps, stops.stop_when))
    stem = request.document.name.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
    cell = _cell(notebook, experiment, translator)
    if notebook.problems:
        raise Refused(notebook.problems)
    return whole_steps, Facts("PyBaMM experiment", stem or "imported", cell, _record(notebook, experiment))


def _record(notebook: Notebook, experiment: Experiment) -> str | None:
    if experiment.period is None:
        notebook.changed.append("period: none is given, so a point is kept every 10 s or 5 mV")
        return None
    return f"every {time_text(read_time(experiment.period, 'period'))}"


def _cell(notebook: Notebook, experiment: Experiment, translator: Translator) -> Mapping[str, str]:
    """The temperature, where the whole experiment has one."""
    common = read_temperature(experiment.temperature, "temperature")
    said = {common if each is None else each for each in translator.temperatures()}
    known = {each for each in said if each is not None}
    if len(known) > 1:
        notebook.skipped(Unsupported("temperature", "steps at different temperatures have no equivalent"))
    if len(known) != 1:
        return {}
    text = quantity_text(known.pop(), "°C")
    whose = " of some steps" if None in said else ""
    notebook.changed.append(f"temperature: {text}{whose} is written down for the cell; nothing here sets an oven")
    return {"temperature": text}


@dataclass(frozen=True, slots=True)
class Translator:
    """Steps to drafts, each different one once."""

    notebook: Notebook
    stop_V: str | None
    known: dict[str, tuple[Node, Decimal | None]]

    def temperatures(self) -> Iterator[Decimal | None]:
        for _, temperature in self.known.values():
            yield temperature

    def member(self, member: Member) -> Loop:
        if isinstance(member, Cycle):
            return self._cycle(member)
        bodies = folded(tuple(self.member(each) for each in member.members))
        only = bodies[0] if len(bodies) == 1 else None
        if only is not None and only.times == 1:
            return replace(only, times=member.times)
        return Loop(member.times, bodies, f"{member.place}: * {member.times}")

    def _cycle(self, cycle: Cycle) -> Loop:
        steps = self._steps(cycle.steps)
        inner = any(isinstance(step, Loop) for step in steps)
        return Loop(1, steps, f"{cycle.place}: one cycle", {"count_cycles": "yes"} if inner else {})

    def _steps(self, steps: Sequence[Written | Inner]) -> tuple[Node, ...]:
        nodes = [
            Loop(step.times, self._steps(step.steps), f"{step.place}: * {step.times}", {"count_cycles": "no"})
            if isinstance(step, Inner)
            else self._step(step)
            for step in steps
        ]
        joined = join_holds(nodes)
        self.notebook.changed.extend(line for line in joined.changed if line not in self.notebook.changed)
        return joined.steps

    def _step(self, written: Written) -> Node:
        key = repr(written.config)
        if key not in self.known:
            self.known[key] = self._new(written)
        return self.known[key][0]

    def _new(self, written: Written) -> tuple[Node, Decimal | None]:
        try:
            step = read_step(written.config, written.place)
            return self._draft(step), step.temperature_degC
        except Wrong as error:
            self.notebook.skipped(error)
            problem = error.problem
            text = f"left out: {problem.place}: {problem.message}"
            return Remark(text, f"{problem.place}: could not be kept"), None

    def _draft(self, step: Foreign) -> Draft:
        if step.word == "rest" and step.at is not None:
            self.notebook.changed.append(f"{step.place} {step.text!r}: no current; a rest")
        return draft(self.notebook, step, self.stop_V)


def _stops(notebook: Notebook, experiment: Experiment) -> Stops:
    stops = Stops()
    value = experiment.termination
    terms = () if value is None else (value,) if isinstance(value, str) else value
    if not isinstance(terms, Sequence):
        raise Wrong("termination", f"needs texts, not {shown(value)}")
    for term in terms:
        try:
            stops = _stop(notebook, stops, term)
        except Wrong as error:
            notebook.skipped(error)
    return stops


def _stop(notebook: Notebook, stops: Stops, term: Json) -> Stops:
    text = term.strip()[:100] if isinstance(term, str) else ""
    capacity, voltage = CAPACITY.fullmatch(text), VOLTAGE.fullmatch(text)
    if capacity is not None:
        return replace(stops, stop_when=_capacity_stop(notebook, text, capacity))
    if voltage is not None:
        number = decimal_of(voltage["number"])
        if number is None:
            raise Wrong("termination", f"{quoted(text)} is not a voltage")
        notebook.changed.append(
            f"termination {text!r}: becomes abort_if of every step; PyBaMM looks at the end of each cycle"
        )
        return replace(stops, voltage=quantity_text(number, "V"))
    return _time_stop(notebook, stops, text, term)


def _time_stop(notebook: Notebook, stops: Stops, text: str, term: Json) -> Stops:
    """No protocol of version 1 ends by its whole time: said in the report and in the file."""
    if not text:
        raise Wrong("termination", f"needs a text, not {shown(term)}")
    seconds = read_time(text, "termination")
    said = f"termination {text!r}: nothing here ends a whole protocol after {time_text(seconds)}"
    notebook.lost.append(said)
    return replace(stops, notes=(*stops.notes, Remark(f"left out: {said}", "termination: could not be kept")))


def _capacity_stop(notebook: Notebook, text: str, match: re.Match[str]) -> str:
    number = decimal_of(match["number"])
    if number is None or number <= 0:
        raise Wrong("termination", f"{quoted(text)} is not a capacity")
    notebook.changed.append(
        f"termination {text!r}: becomes stop_when on the measured discharge capacity; PyBaMM means its model's capacity"
    )
    value = f"{number_text(number)} % of cycle 1" if match["unit"] == "%" else quantity_text(number, "Ah")
    return f"discharge capacity <= {value}"


def _stopping(notebook: Notebook, steps: tuple[Loop, ...], stop_when: str | None) -> tuple[Node, ...]:
    """The cycles inside one repeat that stops."""
    if stop_when is None:
        return steps
    idle = next((loop for loop in _cycles(steps) if not _discharges(loop)), None)
    if idle is not None:
        words = f"{idle.comment}: has no discharge, so its capacity would stop the run at once"
        error = Unsupported("termination", words)
        if not notebook.skipped(error):
            return steps
        return (Remark(f"left out: termination: {words}", "termination: could not be kept"), *steps)
    if len(steps) == 1:
        return (replace(steps[0], settings={**steps[0].settings, "stop_when": stop_when}),)
    return (Loop(1, steps, "the whole experiment", {"stop_when": stop_when}),)


def _cycles(steps: Sequence[Node]) -> Iterator[Loop]:
    """The repeats that count."""
    for step in steps:
        if isinstance(step, Loop):
            inner = any(isinstance(each, Loop) for each in step.steps)
            if not inner or step.settings.get("count_cycles") == "yes":
                yield step
            else:
                yield from _cycles(step.steps)


def _discharges(loop: Loop) -> bool:
    return any(
        _discharges(step) if isinstance(step, Loop) else isinstance(step, Draft) and step.word == "discharge"
        for step in loop.steps
    )
