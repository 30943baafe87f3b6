"""PyBaMM itself (26.10) reads what we write, and writes what we read. It needs numpy 2 and has a run of its own."""

from __future__ import annotations

import json
import os
import random
from typing import Any

import pytest
from flat_steps import Flat, counted_passes, flat

from protocols.check import check_text
from protocols.exporters.pybamm import to_pybamm
from protocols.importers.pybamm import import_pybamm
from protocols.importers.report import Imported, Refused, Request
from protocols.model import CccvStep, CurrentStep, Program, RepeatStep, Watched
from protocols.reading.documents import Document

os.environ["PYBAMM_DISABLE_TELEMETRY"] = "true"
pybamm: Any = pytest.importorskip("pybamm", reason="PyBaMM weighs 0.8 GB: it is installed for a run of its own")

NOMINAL_AH = 5.0
CELL = Document("cell.yaml", "cell: {name: A, nominal_capacity: 5 Ah}\n")
TEXT = """protocol: 1
name: LG M50, one cycle
cell: {name: A, discharge_means: lithiate, nominal_capacity: 5 Ah, temperature: 25 °C}
record: every 1 min
safety: {voltage: 2.3 V to 4.3 V, current: 10 A}
steps:
  - rest: 10 min
  - repeat:
      times: 3
      steps:
        - discharge: {at: 1C, until: 2.5 V, for: 2 h}
        - rest: {for: 30 min, record: every 10 s}
        - charge: {at: C/2, until: 4.2 V, then_hold_until: C/20 or 3 h}
  - repeat:
      times: 2
      steps:
        - repeat: {times: 2, steps: [{discharge: {at: 0.1 A, for: 90 s}}]}
        - hold: {at: 4.1 V, for: 1 h}
"""


def program_of(imported: Imported) -> Program:
    checked = check_text(imported.text, "x.yaml")
    assert checked.program is not None, [each.message for each in checked.diagnostics]
    return checked.program


def program(text: str) -> Program:
    checked = check_text(text, "x.yaml")
    assert checked.program is not None
    return checked.program


def experiment_of(text: str) -> Any:
    """What the file we wrote makes of itself in Python."""
    names: dict[str, Any] = {}
    exec(compile(text, "experiment.py", "exec"), names)  # noqa: S102 - our own text, read as its reader would
    return names["experiment"]


def theirs(experiment: Any) -> list[Flat]:
    """PyBaMM's steps with its signs and classes turned into ours."""
    return [_flat(step) for step in experiment.steps]


def _flat(step: Any) -> Flat:
    kind = type(step).__name__
    scale = NOMINAL_AH if kind == "CRate" else 1.0
    if kind == "Voltage":
        word, value = "hold", float(step.value)
    else:
        value = -scale * float(step.value)
        word = "rest" if not value else "charge" if value > 0 else "discharge"
    ends = [(Watched.TIME, float(step.duration)), *(_end(term) for term in step.termination)]
    return Flat(word, value + 0.0, tuple(sorted(ends)))


def _end(term: Any) -> tuple[Watched, float]:
    name = type(term).__name__
    if name == "VoltageTermination":
        return Watched.VOLTAGE, float(term.value)
    return Watched.CURRENT, float(term.value) * (NOMINAL_AH if "Rate" in name else 1.0)


def near(one: Flat, other: Flat) -> bool:
    same = (one.word, [each for each, _ in one.ends]) == (other.word, [each for each, _ in other.ends])
    values = zip((one.value, *(v for _, v in one.ends)), (other.value, *(v for _, v in other.ends)), strict=True)
    return same and all(mine == pytest.approx(their, rel=1e-9) for mine, their in values)


def assert_same(mine: list[Flat], their: list[Flat]) -> None:
    assert len(mine) == len(their)
    for one, other in zip(mine, their, strict=True):
        assert near(one, other), (one, other)


def test_pybamm_reads_every_string_we_write_as_the_step_we_meant() -> None:
    ours = program(TEXT)
    experiment = experiment_of(to_pybamm(ours).text)
    mine = list(flat(ours.steps))
    default = (Watched.TIME, 24 * 3600.0)  # what PyBaMM gives a step without a time, as our report says
    timed = [
        one
        if any(watched is Watched.TIME for watched, _ in one.ends)
        else Flat(one.word, one.value, tuple(sorted((*one.ends, default))))
        for one in mine
    ]
    assert_same(timed, theirs(experiment))
    assert experiment.temperature == pytest.approx(298.15)
    assert {step.period for step in experiment.steps} == {60.0, 10.0}


def test_a_hold_ends_by_its_taper_there_too() -> None:
    experiment = experiment_of(to_pybamm(program(TEXT)).text)
    holds = [step for step in experiment.steps if type(step).__name__ == "Voltage" and step.termination]
    assert [(hold.value, hold.termination[0].value, hold.duration) for hold in holds] == [(4.2, 0.25, 10800.0)] * 3


STRINGS = [
    *("Discharge at 1C for 0.5 hours", "Discharge at C/20 for 0.5 hours", "Charge at 0.5 C for 45 minutes"),
    *("Discharge at 1 A for 0.5 hours", "Charge at 200 mA for 45 minutes", "Rest for 10 minutes"),
    *("Hold at 1V for 20 seconds", "Charge at 1 C until 4.1V", "Hold at 4.1 V until 50mA", "Hold at 3V until C/50"),
    *("Discharge at C/3 for 2 hours or until 2.5 V", "Charge at 1 C until 4100 mV", "Hold at 4.1 V until 0.05 C"),
    *("Charge at C/3 until 4.1 V", "Rest for 1 m", "Rest for 1 hr", "Rest for 3 sec", "Charge at 1e-3 A for 1 h"),
    *("Charge at .5C for 1 min", "Charge at 1 A for 1E3 seconds", "Discharge at 1A until > 2.5 V for 1 h"),
    *(
        "Charge at 1 A until > 4.1 V",
        "Rest for 1 hour or until < 3 V",
        "Hold at 4.1 V until > 5A",
        "Charge at 0 A for 1 h",
    ),
    *("Discharge at 1 A until 2.5 V (1 minute period)", "Rest for 2 hours (30 second period)", "Hold at 2 A for 1 h"),
    *("Charge at 1 W for 1 h", "Charge at 1 A", "charge at 1 A for 1 h", "Charge at 1 A for 1 day", "Rest until 3 V"),
    *(
        "Hold at 4 V until 3 V",
        "Charge at C / 2 for 1 h",
        "Charge at 1 A  for 1 h",
        "Run US06 (A)",
        "Charge at 4 V for 1 h",
    ),
    *(
        "Charge at 1_0 A for 1 h",
        "Charge at 1 mA for 1hour",
        "Hold at 4 V for 20 seconds until < 1 A",
        "Rest for 1e2 s",
    ),
]
REFUSED_ON_PURPOSE = {
    "Hold at 2 A for 1 h": "it passes a current",
    "Charge at 4 V for 1 h": "it holds minus 4 V",
    "Charge at 1 W for 1 h": "no constant power here",
    "Rest until 3 V": "PyBaMM ignores the voltage",
    "Hold at 4 V until 3 V": "PyBaMM ignores the voltage",
}


TAKEN_ALL_THE_SAME = {"Charge at 1 A  for 1 h"}  # a second blank leaves no doubt


@pytest.mark.parametrize("text", STRINGS)
def test_a_string_means_here_what_it_means_there_or_is_refused(text: str) -> None:
    try:
        mine: list[Flat] | None = list(flat(program_of(_brought(json.dumps([text]), "x.json")).steps))
    except Refused:
        mine = None
    try:
        step = pybamm.step.string(text)
    except ValueError:
        step = None
    if step is None or text in REFUSED_ON_PURPOSE:
        assert mine is None or text in TAKEN_ALL_THE_SAME
        return
    assert mine is not None
    assert_same(mine, [_flat(step)])


def _brought(text: str, name: str) -> Imported:
    return import_pybamm(Request(Document(name, text), cell=CELL))


def some_member(chance: random.Random) -> str:
    good = [text for text in STRINGS if text not in REFUSED_ON_PURPOSE and _is_read(text)]
    if chance.random() < 0.3:
        return repr(chance.choice(good))
    return f"({', '.join(repr(chance.choice(good)) for _ in range(chance.randint(1, 4)))},)"


def _is_read(text: str) -> bool:
    try:
        pybamm.step.string(text)
    except ValueError:
        return False
    return True


def test_random_experiments_run_the_same_steps_in_the_same_cycles() -> None:
    chance = random.Random(26)
    for _ in range(25):
        lists = [
            f"[{', '.join(some_member(chance) for _ in range(chance.randint(1, 3)))}] * {chance.randint(1, 3)}"
            for _ in range(chance.randint(1, 3))
        ]
        text = f"import pybamm\nexperiment = pybamm.Experiment({' + '.join(lists)})\n"
        experiment = experiment_of(text)
        for read in (_brought(text, "x.py"), _brought(json.dumps(experiment.to_config()), "x.json")):
            ours = program_of(read)
            assert_same(list(flat(ours.steps)), theirs(experiment))
            assert counted_passes(ours.steps) == len(experiment.cycles)


def test_its_calls_and_their_json_are_read_alike() -> None:
    text = """import pybamm
experiment = pybamm.Experiment([(
    pybamm.step.current(1.5, duration="1 hour", termination="2.5 V", period="1 minute", tags="slow"),
    pybamm.step.c_rate(-0.5, duration=1800, termination=["4.1 V"]),
    pybamm.step.voltage(4.1, duration="1 h", termination=["50 mA", "C/50"]),
    pybamm.step.rest("10 minutes"),
)] * 2, period="10 s", temperature="25oC")
"""
    experiment = experiment_of(text)
    literal = program_of(_brought(text, "x.py"))
    config = program_of(_brought(json.dumps(experiment.to_config()), "x.json"))
    assert literal.cell == config.cell
    for read in (literal, config):
        assert_same(list(flat(read.steps)), theirs(experiment))
        (cycle,) = read.steps
        assert isinstance(cycle, RepeatStep)
        first, second = cycle.steps[:2]
        assert isinstance(first, CurrentStep)
        assert isinstance(second, CccvStep)
        assert (first.note, first.record.time_s, second.current.record.time_s) == ("tags: slow", 60.0, 10.0)


def test_what_we_write_runs_in_pybamm() -> None:
    """One cycle of the LG M50 in the single-particle model: it ends where the protocol says."""
    one = TEXT.replace("times: 3", "times: 1").split("  - repeat:\n      times: 2")[0]
    experiment = experiment_of(to_pybamm(program(one)).text)
    simulation = pybamm.Simulation(
        pybamm.lithium_ion.SPM(), experiment=experiment, parameter_values=pybamm.ParameterValues("Chen2020")
    )
    cycle = simulation.solve(calc_esoh=False).cycles[1]
    discharge, rest, charge, hold = cycle.steps
    assert discharge["Voltage [V]"].entries[-1] == pytest.approx(2.5, abs=1e-3)
    assert discharge["Current [A]"].entries[-1] == pytest.approx(5.0)
    assert rest["Current [A]"].entries[-1] == 0.0
    assert charge["Current [A]"].entries[-1] == pytest.approx(-2.5)
    assert charge["Voltage [V]"].entries[-1] == pytest.approx(4.2, abs=1e-3)
    assert abs(hold["Current [A]"].entries[-1]) == pytest.approx(0.25, rel=1e-3)
