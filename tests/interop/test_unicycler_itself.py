"""aurora-unicycler 0.4.6 itself writes what we read, and reads what we write."""

from __future__ import annotations

import json
import random
from importlib import import_module
from typing import Any

import pytest
from flat_steps import Flat, flat

from protocols.check import check_text
from protocols.exporters.battinfo import to_battinfo
from protocols.exporters.unicycler import to_unicycler
from protocols.importers.pybamm import import_pybamm
from protocols.importers.report import Imported, Request
from protocols.importers.unicycler import import_unicycler
from protocols.model import Program, Record, Safety
from protocols.reading.documents import Document

unicycler: Any = import_module("aurora_unicycler")  # it ships no types
CELL = Document("cell.yaml", "cell: {name: cell, nominal_capacity: 2 mAh}\n")
TEXT = """protocol: 1
name: test
cell: {name: A, discharge_means: lithiate}
record: every 10 s or 5 mV
safety: {voltage: -0.1 V to 5 V, current: 4 mA, capacity: 3 mAh, for: 2 s}
steps:
  - rest: 1 h
  - repeat:
      times: 2
      steps:
        - repeat:
            times: 3
            steps:
              - charge: {at: 0.3 mA, until: 4.2 V, then_hold_until: 0.05 mA or 90 s}
              - rest: 10 min
              - discharge: {at: 0.7 mA, until: -0.05 V, for: 5 h}
        - hold: {at: 3.9 V, for: 2 h}
  - gitt: {discharge: {at: 0.1 mA, for: 30 min}, rest: 1 h, pulses: 2}
"""


def program_of(imported: Imported) -> Program:
    checked = check_text(imported.text, "x.yaml")
    assert checked.program is not None, [each.message for each in checked.diagnostics]
    return checked.program


def program(text: str) -> Program:
    checked = check_text(text, "x.yaml")
    assert checked.program is not None
    return checked.program


def brought(theirs: Any) -> Program:
    return program_of(import_unicycler(Request(Document("x.json", theirs.to_json()))))


def some_step(chance: random.Random) -> Any:
    time_s = chance.choice((90, 600, 3600, 5400.5))
    volts = round(chance.uniform(-0.5, 4.5), 3) or 1.0
    sign = chance.choice((1, -1))
    rate = chance.choice((0.5, 0.05, 1 / 3, "C/3", "C/10")) if sign > 0 else chance.choice((-0.1, "D/2", -2))
    amount: dict[str, Any] = {"rate_C": rate} if chance.random() < 0.5 else {"current_mA": sign * 0.7}
    if chance.random() < 0.2:
        return unicycler.OpenCircuitVoltage(until_time_s=time_s)
    if chance.random() < 0.3:
        ends: dict[str, Any] = {"until_rate_C": 0.05} if chance.random() < 0.5 else {"until_current_mA": 0.02}
        return unicycler.ConstantVoltage(voltage_V=volts, until_time_s=time_s, **ends)
    return unicycler.ConstantCurrent(**amount, until_time_s=time_s, until_voltage_V=chance.choice((volts, None)))


def some_method(chance: random.Random, depth: int, tags: list[str]) -> list[Any]:
    """Steps with loops in loops, to tags."""
    method: list[Any] = []
    for _ in range(chance.randint(1, 4)):
        if depth and chance.random() < 0.4:
            tag = f"tag {len(tags)}"
            tags.append(tag)
            body = some_method(chance, depth - 1, tags)
            method += [unicycler.Tag(tag=tag), *body, unicycler.Loop(loop_to=tag, cycle_count=chance.randint(1, 3))]
        else:
            method.append(some_step(chance))
    return method


def near(one: Flat, other: Flat) -> bool:
    """Equal but for the digits lost where a rate was written as a decimal number."""
    same = (one.word, [each for each, _ in one.ends]) == (other.word, [each for each, _ in other.ends])
    values = zip((one.value, *(v for _, v in one.ends)), (other.value, *(v for _, v in other.ends)), strict=True)
    return same and all(mine == pytest.approx(theirs, rel=1e-12) for mine, theirs in values)


def test_the_steps_run_in_the_order_and_with_the_numbers_it_gives_to_pybamm() -> None:
    """Its own exporter unrolls the loops; we read both of its files."""
    chance = random.Random(20)
    for _ in range(40):
        method = some_method(chance, 2, [])
        sample = unicycler.SampleParams(name="cell", capacity_mAh=2.0)
        theirs = unicycler.CyclingProtocol(record=unicycler.RecordParams(time_s=10), sample=sample, method=method)
        unrolled = Document("x.json", json.dumps(theirs.to_pybamm_experiment()))
        expected = program_of(import_pybamm(Request(unrolled, cell=CELL)))
        found, wanted = list(flat(brought(theirs).steps)), list(flat(expected.steps))
        assert len(found) == len(wanted)
        assert all(near(one, other) for one, other in zip(found, wanted, strict=True))


def test_an_integer_loop_goes_where_its_own_reader_goes() -> None:
    rest = [unicycler.OpenCircuitVoltage(until_time_s=time_s) for time_s in (1, 2, 3, 4)]
    method = [rest[0], unicycler.Tag(tag="unused"), rest[1], rest[2], rest[3], unicycler.Loop(loop_to=3, cycle_count=2)]
    theirs = unicycler.CyclingProtocol(record=unicycler.RecordParams(time_s=10), method=method)
    times = [float(text.split()[2]) for text in theirs.to_pybamm_experiment()]
    assert [step.ends[0][1] for step in flat(brought(theirs).steps)] == times == [1, 2, 3, 4, 2, 3, 4]


def test_its_record_safety_and_sample_arrive() -> None:
    theirs = unicycler.CyclingProtocol(
        sample=unicycler.SampleParams(name="A 1", capacity_mAh=2.5),
        record=unicycler.RecordParams(time_s=10, voltage_V=0.005, current_mA=0.1),
        safety=unicycler.SafetyParams(
            max_voltage_V=5, min_voltage_V=-0.1, max_current_mA=4, min_current_mA=-4, delay_s=2
        ),
        method=[unicycler.OpenCircuitVoltage(until_time_s=60)],
    )
    ours = brought(theirs)
    assert (ours.cell.name, ours.cell.nominal_capacity_Ah) == ("A 1", 0.0025)
    assert ours.safety == Safety(voltage_V=(-0.1, 5.0), current_A=0.004, for_s=2.0)
    (rest,) = ours.steps
    assert getattr(rest, "record", None) == Record(time_s=10.0, voltage_V=0.005, current_A=0.0001)


def test_it_reads_what_we_write_without_changing_a_number() -> None:
    written = json.loads(to_unicycler(program(TEXT)).text)
    theirs = unicycler.CyclingProtocol.from_dict(written)
    read = json.loads(theirs.to_json())
    for step in read["method"]:
        assert step.pop("id") is None
    assert read == written


def test_what_it_read_from_us_runs_the_steps_of_our_program() -> None:
    ours = program(TEXT)
    theirs = unicycler.CyclingProtocol.from_dict(json.loads(to_unicycler(ours).text))
    strings = theirs.to_pybamm_experiment()
    gitt = [text for text in strings if "0.1 mA" in text]
    assert (len(strings), len(gitt)) == (1 + 2 * (3 * 4 + 1) + 4, 2)
    back = brought(theirs)
    assert list(flat(back.steps))[:-4] == list(flat(ours.steps))
    assert (back.safety, back.cell) == (ours.safety, ours.cell)


def test_our_battinfo_is_the_one_it_makes_of_the_same_protocol() -> None:
    ours = program(TEXT)
    theirs = unicycler.CyclingProtocol.from_dict(json.loads(to_unicycler(ours).text))
    assert json.loads(to_battinfo(ours).text) == theirs.to_battinfo_jsonld()
