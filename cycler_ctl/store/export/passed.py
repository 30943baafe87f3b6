"""What passed in each step and cycle, with its uncertainty, as columns of equal length for the metadata of an export."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from cycler_ctl.records.bdf import charging_first, charging_sign
from cycler_ctl.records.stepfacts import StepFacts, step_facts
from cycler_ctl.records.uncertainty import COVERAGE_FACTOR, CYCLE_DEFINITION, DEFINITION
from cycler_ctl.store.reader import RunReader
from protocols.model import Verb
from protocols.record import JSON, Counters

WAYS = ("charging_capacity_ah", "discharging_capacity_ah", "charging_energy_wh", "discharging_energy_wh")


def passed(reader: RunReader, steps: Mapping[int, Counters], cycles: Mapping[int, Counters]) -> dict[str, JSON]:
    """In the format's sign. A step or cycle that goes on stands with what has passed by the last row."""
    means = reader.info.discharge_means
    known = {one.step.step_count: one for one in step_facts(reader.info, reader.steps(), reader.events())}
    facts = [known.get(number) for number in steps]
    return {
        "uncertainty": {"coverage_factor": COVERAGE_FACTOR, "definition": f"{DEFINITION} {CYCLE_DEFINITION}"},
        "steps": {"step_count": list(steps), **_ways(steps.values(), means), **_of_steps(facts)},
        "cycles": {
            "cycle_count": list(cycles),
            **_ways(cycles.values(), means),
            **_of_cycles(cycles, [(one, steps[one.step.step_count]) for one in facts if one is not None], means),
        },
    }


def _ways(counters: Iterable[Counters], means: Verb | None) -> dict[str, JSON]:
    rows = [charging_first(one, turned=charging_sign(means) < 0) for one in counters]
    return {name: [row[place] for row in rows] for place, name in enumerate(WAYS)}


def _of_steps(facts: Sequence[StepFacts | None]) -> dict[str, JSON]:
    """Null where a step has not ended, or its range is not known."""
    return {
        "step_id": [None if one is None else one.step.step_id for one in facts],
        "end_reason": [None if one is None else one.step.end_reason for one in facts],
        "capacity_uncertainty_ah": [None if one is None else one.uncertainty_Ah for one in facts],
        "crossing_test_time_second": [None if one is None else one.step.crossing_s for one in facts],
        "overshoot_volt": [None if one is None else one.step.overshoot_V for one in facts],
        "edge_resistance_ohm": [None if one is None else one.resistance_ohm for one in facts],
        "range_ampere": [None if one is None else one.range_A for one in facts],
        "flags": [[] if one is None else list(one.flags) for one in facts],
        "retries": [None if one is None else one.retries for one in facts],
    }


def _of_cycles(
    cycles: Iterable[int], steps: Sequence[tuple[StepFacts, Counters]], means: Verb | None
) -> dict[str, JSON]:
    """The sum of the steps' that pass charge mainly in one direction."""
    sums = {(cycle, charges): 0.0 for cycle in cycles for charges in (True, False)}
    for one, counters in steps:
        charging_Ah, discharging_Ah, *_ = charging_first(counters, turned=charging_sign(means) < 0)
        place = one.step.cycle, charging_Ah >= discharging_Ah
        sums[place] = sums.get(place, 0.0) + (one.uncertainty_Ah or 0.0)
    return {
        f"{way}_capacity_uncertainty_ah": [sums[cycle, charges] or None for cycle in cycles]
        for way, charges in (("charging", True), ("discharging", False))
    }
