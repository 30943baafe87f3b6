"""What a run's record says of it: numbers and texts, not yet words for people."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median

from cycler_ctl.errors import StoreError
from cycler_ctl.records.curves import active_mass_g
from cycler_ctl.records.efficiency import charge_efficiency, energy_efficiency
from cycler_ctl.records.stepfacts import StepFacts, step_facts
from cycler_ctl.report.scan import Scan, scan
from cycler_ctl.store.export.atomic import sha256_of
from cycler_ctl.store.export.seal import Seal, check_seals, read_manifest
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.progress import Tell, nobody
from cycler_ctl.store.reader import RunReader, RunState
from cycler_ctl.store.segment import segment_paths
from cycler_ctl.terminal.predicted import static_path
from protocols.record import CycleSummary, EventKind, EventRecord, StepSummary


@dataclass(frozen=True, slots=True)
class CycleFacts:
    """A completed cycle. ``efficiency``: charge given back over charge put in before; ``energy_efficiency``: discharge
    over charge, None where the cell does not say what discharge is.
    """

    cycle: int
    lithiation_mAh: float
    delithiation_mAh: float
    lithiation_mAh_per_g: float | None
    delithiation_mAh_per_g: float | None
    efficiency: float | None
    lithiation_mWh: float
    delithiation_mWh: float
    energy_efficiency: float | None
    hours: float


@dataclass(frozen=True, slots=True)
class StepEnds:
    """Why the executions of one step of the protocol ended, most frequent first; those unlike the first stand apart."""

    step_id: str
    word: str
    reasons: tuple[tuple[str, int], ...]
    exceptions: tuple[StepSummary, ...]


@dataclass(frozen=True, slots=True)
class Overshoot:
    """By how far voltage cut-offs were passed when they were seen."""

    count: int
    median_V: float
    worst_V: float
    worst: StepSummary


@dataclass(frozen=True, slots=True)
class RunFile:
    """``sha256`` is None while the file may still be written: only SQLite may open it then."""

    name: str
    byte_size: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Facts:
    info: RunInfo
    state: RunState
    protocol_is_its_hash: bool
    cycles: tuple[CycleFacts, ...]
    steps: tuple[StepFacts, ...]
    ends: tuple[StepEnds, ...]
    overshoot: Overshoot | None
    events: tuple[EventRecord, ...]
    scan: Scan
    clocks_untold: tuple[str, ...]
    """What the rows show of their clocks and no event explains."""
    files: tuple[RunFile, ...]
    seals: tuple[Seal, ...]
    seal_trouble: str | None

    def of(self, *kinds: EventKind) -> list[EventRecord]:
        return [event for event in self.events if event.kind in kinds]


def gather(reader: RunReader, tell: Tell = nobody) -> Facts:
    """Everything, from the folder of a run; a bundle's copy is one too."""
    info, state = reader.info, reader.state
    steps, events = reader.steps(), tuple(reader.events())
    seals, seal_trouble = _seals(reader)
    scanned = scan(reader, tell)
    return Facts(
        info=info,
        state=state,
        protocol_is_its_hash=_sha256(info.protocol_text) == info.protocol_sha256,
        cycles=tuple(_cycles(info, reader.cycles())),
        steps=tuple(step_facts(info, steps, events)),
        ends=tuple(_ends(steps)),
        overshoot=_overshoot(steps),
        events=events,
        scan=scanned,
        clocks_untold=tuple(scanned.clocks.untold(events)),
        files=tuple(_files(reader, state)),
        seals=seals,
        seal_trouble=seal_trouble,
    )


def counted_texts(events: Iterable[EventRecord]) -> list[tuple[str, int, float]]:
    """(text, how often, run time of the first), in the order of the first."""
    told = [(text_of(event.data), event.time_s) for event in events]
    counts = Counter(text for text, _ in told)
    firsts = dict(reversed(told))
    return [(text, counts[text], firsts[text]) for text in dict.fromkeys(text for text, _ in told)]


def text_of(data: Mapping[str, object]) -> str:
    """What an event says of itself."""
    for key in ("message", "reason", "text"):
        if isinstance(said := data.get(key), str) and said:
            step = data.get("step_id")
            return f"step {step}: {said}" if step else said
    return ", ".join(f"{key} {value}" for key, value in data.items() if value is not None)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _cycles(info: RunInfo, cycles: Sequence[CycleSummary]) -> Iterable[CycleFacts]:
    mass_g = active_mass_g(info.cell)
    for one in cycles:
        yield CycleFacts(
            cycle=one.cycle,
            lithiation_mAh=one.lithiation_Ah * 1e3,
            delithiation_mAh=one.delithiation_Ah * 1e3,
            lithiation_mAh_per_g=None if mass_g is None else one.lithiation_Ah * 1e3 / mass_g,
            delithiation_mAh_per_g=None if mass_g is None else one.delithiation_Ah * 1e3 / mass_g,
            efficiency=charge_efficiency(info, one),
            lithiation_mWh=one.lithiation_Wh * 1e3,
            delithiation_mWh=one.delithiation_Wh * 1e3,
            energy_efficiency=energy_efficiency(info, one),
            hours=(one.ended_s - one.started_s) / 3600,
        )


def _ends(steps: Sequence[StepSummary]) -> Iterable[StepEnds]:
    """The usual end is the most frequent one; a step that ended otherwise is an exception worth a line."""
    places = dict.fromkeys((static_path(step.step_id), step.word) for step in steps)
    for path, word in places:
        executed = [step for step in steps if (static_path(step.step_id), step.word) == (path, word)]
        reasons = Counter(step.end_reason for step in executed).most_common()
        usual = reasons[0][0]
        yield StepEnds(path, word, tuple(reasons), tuple(s for s in executed if s.end_reason != usual))


def _overshoot(steps: Sequence[StepSummary]) -> Overshoot | None:
    known = [(abs(step.overshoot_V), step) for step in steps if step.overshoot_V is not None]
    if not known:
        return None
    worst_V, worst = max(known, key=lambda one: one[0])
    return Overshoot(len(known), median(one for one, _ in known), worst_V, worst)


def _files(reader: RunReader, state: RunState) -> Iterable[RunFile]:
    for path in segment_paths(reader.run_dir):
        yield RunFile(path.name, path.stat().st_size, sha256_of(path) if state.state == "ended" else None)


def _seals(reader: RunReader) -> tuple[tuple[Seal, ...], str | None]:
    """They are compared with the run file row by row: a digit that was changed shows nowhere else."""
    try:
        return tuple(read_manifest(reader.run_dir)), "; ".join(check_seals(reader.run_dir)) or None
    except StoreError as error:
        return (), str(error)


def first_of_each(steps: Sequence[StepSummary]) -> list[tuple[StepSummary, int]]:
    """Steps in a row that ended alike, as the first of them and how many."""
    runs = (list(group) for _, group in groupby(steps, key=lambda step: (static_path(step.step_id), step.end_reason)))
    return [(group[0], len(group)) for group in runs]
