"""What other languages are told, and what is refused by name; tests/interop reads it with their own programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from protocols.check import check_text
from protocols.exporters.battinfo import to_battinfo
from protocols.exporters.pybamm import to_pybamm
from protocols.exporters.report import Exported, NotSayable
from protocols.exporters.unicycler import to_unicycler
from protocols.importers.pybamm import import_pybamm
from protocols.importers.report import Request
from protocols.importers.unicycler import import_unicycler
from protocols.model import Program
from protocols.reading.documents import Document

HEAD = """protocol: 1
name: test
cell: {name: A, nominal_capacity: 2 mAh, discharge_means: %s}
record: %s
safety: {%s}
"""
Exporter = Callable[[Program], Exported]
EXPORTERS: list[Exporter] = [to_pybamm, to_unicycler, to_battinfo]
ALL = pytest.mark.parametrize("exporter", EXPORTERS)


def program(
    *steps: str,
    means: str = "lithiate",
    record: str = "every 10 s",
    safety: str = "voltage: 2 V to 5 V, current: 4 mA, for: 2 s",
) -> Program:
    listed = "".join(f"  - {step}\n" for step in steps)
    checked = check_text(f"{HEAD % (means, record, safety)}steps:\n{listed}", "x.yaml")
    assert checked.program is not None, [each.message for each in checked.diagnostics]
    return checked.program


def refusals(exporter: Exporter, given: Program) -> list[str]:
    with pytest.raises(NotSayable) as caught:
        exporter(given)
    return [refusal.told("x.yaml") for refusal in caught.value.refusals]


def strings(exported: Exported) -> list[str]:
    return [line.strip().strip('",') for line in exported.text.splitlines() if line.strip().startswith('"')]


def method(*steps: str, **options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(to_unicycler(program(*steps, **options)).text)["method"]
    return found


CHARGE = "charge: {at: 0.5C, until: 4.2 V, for: 3 h}"
DISCHARGE = "discharge: {at: 1 mA, until: 3 V}"
CCCV = "charge: {at: 1 mA, until: 4.2 V, then_hold_until: 0.1 mA or 2 h}"


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("rest: 10 min", ["Rest for 10 minutes"]),
        ("rest: 90 s", ["Rest for 90 seconds"]),
        ("rest: {for: 1 h, until: voltage <= 3 V}", ["Rest for 1 hour or until < 3 V"]),
        (CHARGE, ["Charge at 0.001 A for 3 hours or until 4.2 V"]),
        (DISCHARGE, ["Discharge at 0.001 A until 3 V"]),
        ("lithiate: {at: 1 mA, for: 1 h}", ["Discharge at 0.001 A for 1 hour"]),
        ("delithiate: {at: 1 mA, for: 1 h}", ["Charge at 0.001 A for 1 hour"]),
        ("hold: {at: 4 V, until: C/20, for: 1 h}", ["Hold at 4 V for 1 hour or until 0.0001 A"]),
        (CCCV, ["Charge at 0.001 A until 4.2 V", "Hold at 4.2 V for 2 hours or until 0.0001 A"]),
        ("charge: {at: 1 mA, until: 2 h or 1 h}", ["Charge at 0.001 A for 1 hour"]),
        ("rest: {for: 1 h, record: every 1 min}", ["Rest for 1 hour"]),
    ],
)
def test_a_step_in_pybamms_words(step: str, said: list[str]) -> None:
    assert strings(to_pybamm(program(step))) == said


def test_words_follow_discharge_means_and_a_voltage_that_goes_the_other_way_is_explicit() -> None:
    given = program("charge: {at: 1 mA, until: 2.5 V}", "lithiate: {at: 1 mA, for: 1 h}", means="delithiate")
    assert strings(to_pybamm(given)) == ["Charge at 0.001 A until < 2.5 V", "Charge at 0.001 A for 1 hour"]


def test_a_word_nobody_has_defined_is_refused() -> None:
    text = "protocol: 1\nname: x\ncell: {name: A}\nsteps:\n  - lithiate: {at: 1 mA, for: 1 h}\n"
    given = check_text(text, "x.yaml").program
    assert given is not None
    for exporter in EXPORTERS:
        (message,) = refusals(exporter, given)
        assert "discharge_means" in message


def test_repeats_are_lists_times_a_number_and_read_back_as_they_were() -> None:
    inner = "{repeat: {times: 50, steps: [{rest: 1 s}]}}, {repeat: {times: 1, steps: [{rest: 2 s}]}}"
    exported = to_pybamm(program("rest: 1 h", f"repeat: {{times: 20, steps: [{inner}]}}"))
    back = import_pybamm(Request(Document("x.py", exported.text))).text
    assert [line.strip() for line in back.splitlines() if "times:" in line] == [
        *("times: 1", "times: 20", "times: 50", "times: 1")
    ]
    assert any("cycle numbers" in line for line in exported.changed)


def test_steps_that_record_at_different_times_carry_their_own_period() -> None:
    given = program("rest: 1 h", "rest: 2 h", "rest: {for: 3 h, record: every 1 min}")
    exported = to_pybamm(given)
    assert 'period="10 seconds"' in exported.text
    assert strings(exported)[2] == "Rest for 3 hours (1 minute period)"


def test_a_gitt_by_pulses_alone_is_written_out() -> None:
    step = "gitt: {discharge: {at: 1 mA, for: 30 min}, rest: 1 h, pulses: 3}"
    assert strings(to_pybamm(program(step))) == ["Discharge at 0.001 A for 30 minutes", "Rest for 1 hour"] * 3


@ALL
@pytest.mark.parametrize(
    ("step", "path", "what"),
    [
        ("charge: {at: 1 mA, until: 4.2 V or 2 mAh}", "1", "'capacity >= 2 mAh'"),
        ("charge: {at: 1 mA, until: 4.2 V and time >= 1 h}", "1", "both hold"),
        ("charge: {at: 1 mA, until: voltage >= 4.2 V for 5 s}", "1", "must hold for 5 s"),
        ("charge: {at: 1 mA, until: 5 mWh}", "1", "energy as an end"),
        ("charge: {at: 1 mA, until: 4.2 V or temperature >= 60 °C}", "1", "temperature as an end"),
        ("charge: {at: 1 mA, until: 4.2 V or 4.3 V}", "1", "more than one voltage"),
        ("charge: {at: 1 mA, until: 4.2 V, abort_if: 9 h}", "1", "abort_if (time >= 9 h)"),
        ("charge: {at: 1 mA, until: 4.2 V, on_start_met: abort}", "1", "on_start_met"),
        ("charge: {at: 1 mA, until: 4.2 V, for: 1 h, then_hold_until: C/20}", "1", "then_hold_until beside"),
        ("rest: {until: dV/dt <= 1 mV/h, for: 4 h}", "1", "a slope"),
        ("hold: {at: 4 V, until: current >= 1 mA}", "1", "a rising current"),
        ("hold: {at: 4 V, for: 1 h, current_limit: 1 mA}", "1", "current_limit (1 mA)"),
        ("gitt: {charge: {at: 1 mA, for: 1 h}, rest: 1 h, until: 4.2 V}", "1", "a gitt that ends by"),
        (
            "repeat: {times: 2, stop_when: discharge capacity <= 80 % of cycle 1, steps: [{discharge: {at: 1 mA, for: 1 h}}]}",
            "1",
            "stop_when",
        ),
        (
            (
                "repeat: {times: 2, steps: [{discharge: {at: 1 mA, for: 1 h}}, "
                "{charge: {at: 1 mA, until: 4.2 V or 105 % of previous discharge}}]}"
            ),
            "1.2",
            "a share of another step",
        ),
    ],
)
def test_what_no_other_language_says_is_refused_by_name(exporter: Exporter, step: str, path: str, what: str) -> None:
    messages = refusals(exporter, program(step))
    assert any(message.startswith(f"x.yaml: step {path}") and what in message for message in messages), messages


@pytest.mark.parametrize(
    ("exporter", "given", "what"),
    [
        (to_pybamm, program("rest: 1 h", record="every 10 s or 1 mAh"), "record by charge"),
        (to_unicycler, program("rest: 1 h", record="every 10 s or 1 mAh"), "record by charge"),
        (to_unicycler, program("rest: 1 h", record="every 5 mV"), "a record without a time"),
        (to_unicycler, program("rest: 1 h", "rest: {for: 1 h, record: every 1 s}"), "a record of its own"),
        (to_unicycler, program("rest: 1 h", safety="temperature: 10 °C to 60 °C"), "limits of the temperature"),
        (to_unicycler, program("discharge: {at: 1 mA, until: 0 V}", safety="current: 4 mA"), "an end at 0 V"),
        (to_unicycler, program("charge: {at: 1 mA, until: 2.5 V}", means="delithiate"), "falling voltage"),
        (to_unicycler, program("rest: {for: 1 h, until: voltage <= 3 V}"), "a rest that ends at a voltage"),
        (to_battinfo, program("rest: {for: 1 h, until: voltage <= 3 V}"), "a rest that ends at a voltage"),
    ],
)
def test_what_one_language_cannot_say_is_refused_by_name(exporter: Exporter, given: Program, what: str) -> None:
    assert any(what in message for message in refusals(exporter, given))


def test_every_refusal_is_told_at_once() -> None:
    step = "charge: {at: 1 mA, until: 4.2 V or 2 mAh, abort_if: 9 h}"
    assert len(refusals(to_pybamm, program(step, "rest: {until: dV/dt <= 1 mV/h, for: 4 h}"))) == 3


@ALL
def test_words_that_do_nothing_are_listed_as_not_carried_over(exporter: Exporter) -> None:
    exported = exporter(program("note: heat first", "rest: {for: 1 h, label: first, note: long}"))
    for what in ("'heat first'", "'first'", "'long'"):
        assert any(what in line for line in exported.lost), exported.lost


@pytest.mark.parametrize("exporter", [to_pybamm, to_battinfo])
def test_safety_nobody_watches_there_is_listed(exporter: Exporter) -> None:
    lost = exporter(program("rest: 1 h")).lost
    assert sum("nothing watches it there" in line for line in lost) == 2


def test_unicycler_gets_milliamperes_with_a_sign_and_the_safety() -> None:
    charge, discharge = method(CHARGE, DISCHARGE)
    assert (charge["current_mA"], charge["until_voltage_V"], charge["until_time_s"]) == (1.0, 4.2, 10800.0)
    assert (discharge["current_mA"], discharge["until_voltage_V"], discharge["until_time_s"]) == (-1.0, 3.0, None)
    data = json.loads(to_unicycler(program(CHARGE)).text)
    assert data["sample"] == {"name": "A", "capacity_mAh": 2.0}
    assert data["safety"] == {
        "max_voltage_V": 5.0,
        "min_voltage_V": 2.0,
        "max_current_mA": 4.0,
        "min_current_mA": -4.0,
        "max_capacity_mAh": None,
        "delay_s": 2.0,
    }


def test_unicyclers_tags_are_all_different() -> None:
    """The repeats of a for_each share one path."""
    repeat = "repeat: {times: 2, for_each: {j: [1 mA, 2 mA]}, steps: [{charge: {at: $j, for: 1 h}}]}"
    tags = [step["tag"] for step in method(repeat) if step["step"] == "tag"]
    assert len(tags) == len(set(tags)) == 3


def test_what_unicycler_is_told_comes_back_as_the_same_program() -> None:
    record = "every 10 s or 5 mV or 0.1 mA"
    repeat = f"repeat: {{times: 3, steps: [{{{CCCV}}}, {{rest: 10 min}}, {{{DISCHARGE}}}]}}"
    given = program("rest: 1 h", f"repeat: {{times: 2, steps: [{{{repeat}}}, {{rest: 1 min}}]}}", CHARGE, record=record)
    text = to_unicycler(given).text
    back = check_text(import_unicycler(Request(Document("test.json", text))).text, "x.yaml").program
    assert back is not None
    assert (back.safety, back.cell) == (given.safety, given.cell)
    assert to_unicycler(back).text == text
    assert back.steps[0] == given.steps[0]
    assert back.steps[2] == given.steps[2]


def test_battinfo_names_the_steps_in_its_terms() -> None:
    repeat = f"repeat: {{times: 3, steps: [{{{CCCV}}}, {{rest: 10 min}}]}}"
    document = json.loads(to_battinfo(program(repeat, DISCHARGE)).text)
    assert document["@type"] == "IterativeWorkflow"
    assert document["hasInput"][0]["@type"] == "NumberOfIterations"
    assert document["hasInput"][0]["hasNumericalPart"]["hasNumberValue"] == 3
    charge = document["hasTask"]
    assert charge["@type"] == "ConstantCurrentCharging"
    kinds = [each["@type"] for each in charge["hasInput"]]
    assert kinds == ["ElectricCurrent", "CRate", ["UpperVoltageLimit", "TerminationQuantity"]]
    hold = charge["hasNext"]
    assert [each["@type"] for each in hold["hasInput"]] == [
        *(
            "Voltage",
            ["LowerCurrentLimit", "TerminationQuantity"],
            ["LowerCRateLimit", "TerminationQuantity"],
            "Duration",
        )
    ]
    assert hold["hasNext"]["@type"] == "OpenCircuitHold"
    assert document["hasNext"]["@type"] == "ConstantCurrentDischarging"
    assert document["hasNext"]["hasInput"][-1]["@type"] == ["LowerVoltageLimit", "TerminationQuantity"]


def test_a_document_too_deep_for_a_reader_of_json_is_refused() -> None:
    assert any("more than 150 steps" in each for each in refusals(to_battinfo, program(*["rest: 1 s"] * 151)))
