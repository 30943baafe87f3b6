"""The uncertainty of a step's charge is what the GUM makes of its limits, each found in the record."""

from __future__ import annotations

import random
from dataclasses import replace
from math import sqrt

import pytest

from cycler_ctl.records.stepfacts import StepFacts, step_facts
from cycler_ctl.records.uncertainty import Known, Limits, expanded_Ah, limits
from cycler_ctl.store.info import RunInfo
from protocols.record import JSON, EventKind, EventRecord, StepSummary

RANGE: dict[str, JSON] = {"range_A": 1e-3, "measure_gain": 3.5e-4, "measure_offset_A": 6e-7}
INFO = RunInfo(
    "20261122-101500-a1-7f3k", 7, "a1", "lab", "site", 0.0, "", "", "", {}, {}, {}, {"ranges": [RANGE]}, {}, None, 5.0
)
STEP = StepSummary(
    2,
    "2.1",
    "lithiate",
    1,
    None,
    100.0,
    7300.0,
    "voltage <= 0.2 V",
    (),
    1e-3,
    2e-4,
    0.5,
    0.199,
    7298.0,
    0.9997e-3,
    1e-3,
)
EDGE: dict[str, JSON] = {
    "step_count": 2, "range_A": 1e-3, "to_A": -5e-4, "after_s": 0.3, "resistance_ohm": 12.5, "flags": ["four_wire"]
}  # fmt: skip


def told(kind: EventKind, **data: JSON) -> EventRecord:
    return EventRecord(0.0, 0.0, kind, data)


def facts(*events: EventRecord, step: StepSummary = STEP) -> StepFacts:
    (found,) = step_facts(INFO, [step], [told(EventKind.EDGE, **EDGE), *events])
    return found


def parts(found: StepFacts) -> Limits:
    assert found.limits is not None
    return found.limits


def test_each_limit_is_found_in_the_record() -> None:
    found = parts(facts(told(EventKind.GAP, from_s=200.0, to_s=260.0, inferred_Ah=2e-6)))
    assert found.instrument_Ah == pytest.approx(3.5e-4 * 1e-3 + 6e-7 * 7200 / 3600)
    assert found.time_Ah == pytest.approx(1e-4 * 1e-3)
    assert found.edge_Ah == pytest.approx(5e-4 * 0.3 / 3600)
    assert found.cutoff_Ah == pytest.approx(3e-7)
    assert found.gaps_Ah == 2e-6


def test_they_are_combined_as_rectangles_and_doubled() -> None:
    assert expanded_Ah(Limits(3.0, 0.0, 4.0, 0.0, 0.0)) == pytest.approx(2 * 5 / sqrt(3))
    found = facts()
    assert found.uncertainty_Ah == expanded_Ah(parts(found))


def test_of_100_errors_drawn_within_the_limits_about_95_are_inside() -> None:
    made, draw = Limits(3.0, 1.0, 2.0, 1.0, 2.5), random.Random(5)
    errors = [sum(draw.uniform(-a, a) for a in (3.0, 1.0, 2.0, 1.0, 2.5)) for _ in range(20_000)]
    inside = sum(abs(error) <= expanded_Ah(made) for error in errors) / len(errors)
    assert 0.94 < inside < 0.99


def test_a_cut_off_whose_crossing_is_not_known_costs_a_sample_period() -> None:
    found = parts(facts(step=replace(STEP, crossing_s=None, crossing_charge_Ah=None)))
    assert found.cutoff_Ah == pytest.approx(1e-3 * 5.0 / 7200.0)


def test_a_step_that_ended_by_the_clock_has_no_cut_off_to_pass() -> None:
    found = parts(facts(step=replace(STEP, end_reason="2 h", crossing_s=None, crossing_charge_Ah=None)))
    assert found.cutoff_Ah == 0.0


def test_another_step_s_gap_and_a_pause_before_the_step_are_not_its_own() -> None:
    gap = told(EventKind.GAP, from_s=8000.0, to_s=8060.0, inferred_Ah=2e-6)
    paused = told(EventKind.EDGE, **{**EDGE, "after_s": 3600.0})
    (found,) = step_facts(INFO, [STEP], [paused, gap])
    assert parts(found).gaps_Ah == 0.0
    assert parts(found).edge_Ah == pytest.approx(5e-4 * 0.1 / 3600)


def test_the_better_range_states_the_smaller_uncertainty() -> None:
    coarse = Known(3.5e-4, 6e-6, 0.0, 0.0, 5.0, 0.0)
    assert expanded_Ah(limits(STEP, replace(coarse, offset_A=6e-7))) < expanded_Ah(limits(STEP, coarse))


def test_without_a_known_range_none_is_stated() -> None:
    (rest,) = step_facts(INFO, [STEP], [told(EventKind.EDGE, **{**EDGE, "range_A": None})])
    assert (rest.uncertainty_Ah, rest.limits) == (None, None)
    (unknown,) = step_facts(replace(INFO, instrument={}), [STEP], [told(EventKind.EDGE, **EDGE)])
    assert unknown.uncertainty_Ah is None
    assert (unknown.resistance_ohm, unknown.range_A, unknown.flags) == (12.5, 1e-3, ("four_wire",))


def test_the_retries_of_a_step_are_the_most_that_were_told_of_it() -> None:
    events = [told(EventKind.RETRY, step_count=step, count=count) for step, count in ((1, 9), (2, 1), (2, 2), (2, 40))]
    assert facts(*events).retries == 40
