"""Each executed step with what the record's events and the instrument's data sheet add to its summary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cycler_ctl.records.uncertainty import Known, Limits, expanded_Ah, limits
from cycler_ctl.store.info import RunInfo
from protocols.record import JSON, EventKind, EventRecord, StepSummary

LONGEST_EDGE_S = 10.0
"""What lies longer before a step's first sample was a pause: the output was off."""
SETTLE_S = 0.1  # after a setpoint, before the first sample; see fittings.SETTLE_S


@dataclass(frozen=True, slots=True)
class StepFacts:
    """``uncertainty_Ah`` is expanded (k = 2); None where no range is known, as in a rest. ``flags``: the instrument's at
    the first sample. ``retries``: readings that did not come or could not be read.
    """

    step: StepSummary
    uncertainty_Ah: float | None
    limits: Limits | None
    resistance_ohm: float | None
    range_A: float | None
    flags: tuple[str, ...]
    retries: int


def step_facts(info: RunInfo, steps: Sequence[StepSummary], events: Sequence[EventRecord]) -> list[StepFacts]:
    edges = {_whole(event.data.get("step_count")): event.data for event in events if event.kind is EventKind.EDGE}
    lost, gaps = retries_by_step(events), [event for event in events if event.kind is EventKind.GAP]
    ranges = _ranges(info.instrument.get("ranges"))
    found: list[StepFacts] = []
    for step in steps:
        edge = edges.get(step.step_count, {})
        known = _known(edge, ranges, sum(_inferred_Ah(step, gaps)), info.sample_every_s)
        found.append(_facts(step, edge, known, lost.get(step.step_count, 0)))
    return found


def retries_by_step(events: Sequence[EventRecord]) -> dict[int, int]:
    """Each event of a step says how many it were by then."""
    found: dict[int, int] = {}
    for event in events:
        if event.kind is EventKind.RETRY:
            step = _whole(event.data.get("step_count"))
            found[step] = max(found.get(step, 0), _whole(event.data.get("count")))
    return found


def _known(
    edge: Mapping[str, JSON], ranges: Mapping[float, tuple[float, float]], inferred_Ah: float, sample_every_s: float
) -> Known | None:
    range_A = _number(edge.get("range_A"))
    if range_A is None or range_A not in ranges:
        return None
    gain, offset_A = ranges[range_A]
    return Known(gain, offset_A, _number(edge.get("to_A")) or 0.0, _edge_s(edge), sample_every_s, inferred_Ah)


def _facts(step: StepSummary, edge: Mapping[str, JSON], known: Known | None, retries: int) -> StepFacts:
    flags = edge.get("flags")
    found = None if known is None else limits(step, known)
    return StepFacts(
        step=step,
        uncertainty_Ah=None if found is None else expanded_Ah(found),
        limits=found,
        resistance_ohm=_number(edge.get("resistance_ohm")),
        range_A=_number(edge.get("range_A")),
        flags=tuple(str(flag) for flag in flags) if isinstance(flags, list) else (),
        retries=retries,
    )


def _ranges(listed: JSON) -> dict[float, tuple[float, float]]:
    """Gain and offset of what is read, by full scale."""
    found: dict[float, tuple[float, float]] = {}
    for one in listed if isinstance(listed, list) else []:
        if isinstance(one, Mapping):
            scale, gain, offset = (_number(one.get(f)) for f in ("range_A", "measure_gain", "measure_offset_A"))
            if scale is not None and gain is not None and offset is not None:
                found[scale] = gain, offset
    return found


def _edge_s(edge: Mapping[str, JSON]) -> float:
    after_s = _number(edge.get("after_s"))
    return SETTLE_S if after_s is None or not 0 <= after_s <= LONGEST_EDGE_S else after_s


def _inferred_Ah(step: StepSummary, gaps: Sequence[EventRecord]) -> Iterator[float]:
    for gap in gaps:
        inferred_Ah, to_s = (_number(gap.data.get(name)) for name in ("inferred_Ah", "to_s"))
        if inferred_Ah is None or to_s is None:
            continue
        if step.started_s <= to_s <= step.ended_s:
            yield abs(inferred_Ah)


def _number(value: JSON) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(value: JSON) -> int:
    return value if isinstance(value, int) else 0
