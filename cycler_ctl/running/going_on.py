"""Going on with an interrupted run: what is left of it, and everything that must hold before its cell is touched.

The same instrument, the same program, the same way of measuring, a record that is whole. Each refusal says why; the
run stays readable, and ``acknowledge`` closes it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from cycler_ctl.errors import StoreError
from cycler_ctl.running.amending import newest_info
from cycler_ctl.running.order import cannot, order_of, table_of
from cycler_ctl.running.start import Prepared, Spot, prepare
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.reader import RunReader, open_run
from cycler_ctl.store.writer import RunWriter, reopen_run
from protocols import engine
from protocols.model import Program
from protocols.record import JSON, EventKind
from protocols.running.place import step_at
from protocols.running.state import Phase, State

SAME_SETTINGS = ("instrument", "output", "sample_every_s", "debounce", "slope_window_s", "regulation", "temperature")
UNTOLD = "nobody went on with the interrupted run"
SAME_IDENTITY = ("maker", "model", "serial")


@dataclass(frozen=True, slots=True)
class Remains:
    """What the run file says: the engine's newest state, and the run time and UTC of the last sign of life.

    ``info`` has the newest texts; ``told_utc_s``: up to when a gap has been told already.
    """

    info: RunInfo
    state: State
    alive_s: float
    alive_utc_s: float
    told_utc_s: float

    def untold_s(self, utc_s: float) -> float:
        return max(0.0, utc_s - self.told_utc_s)


def read_remains(run_dir: Path) -> Remains:
    """RefusedError where the run cannot be gone on with, and why."""
    try:
        with open_run(run_dir) as reader:
            return _remains(reader)
    except StoreError as error:
        raise cannot(run_dir.name, f"its record is damaged: {error}") from error


def _remains(reader: RunReader) -> Remains:
    run, text = reader.info.run, reader.checkpoint()
    if reader.state.state == "ended":
        raise cannot(run, f"it has ended ({reader.state.reason})")
    if text is None:
        raise cannot(run, "it was interrupted before it had begun")
    state = _state(run, text, reader.info.versions)
    recorded = 0 if state.live.recorded is None else state.live.recorded.seq
    if recorded != reader.last_seq:
        raise cannot(run, f"its checkpoint is that of row {recorded}, its last row is {reader.last_seq}")
    alive_s, alive_utc_s = reader.alive
    newest = state.live.sample
    events = list(reader.events())
    told = [event.utc_s for event in events if event.kind is EventKind.GAP]
    return Remains(
        newest_info(reader.info, events),
        state,
        max(alive_s, 0.0 if newest is None else newest.at_s),
        alive_utc_s,
        max([alive_utc_s, *told]),
    )


def _state(run: str, text: str, versions: Mapping[str, JSON]) -> State:
    try:
        state = engine.from_json(text)
    except ValueError as error:
        by = versions.get("cycler-ctl", "another version")
        raise cannot(run, f"its checkpoint was written by cycler-ctl {by}, and this version cannot read it") from error
    if state.phase not in {Phase.RUNNING, Phase.PAUSED}:
        ending = "it had not begun" if state.ending is None else f"it had come to its end ({state.ending.reason})"
        raise cannot(run, ending)
    return state


def prepare_again(remains: Remains, spot: Spot, utc_s: float, by: str) -> Prepared:
    """The run's own program, checked against the channel and the instrument as for a start, and against what it was."""
    info = remains.info
    differences = [*_other_settings(info, spot), *_other_instrument(info, spot)]
    if differences:
        raise cannot(info.run, " and ".join(differences))
    prepared = prepare(order_of(info, by), spot, utc_s, info.run)
    _check_program(info, prepared, remains.state)
    return replace(prepared, info=info)


def _other_settings(info: RunInfo, spot: Spot) -> Iterator[str]:
    was, now = table_of(info.settings.get("channel")), spot.settings.model_dump(mode="json")
    for name in SAME_SETTINGS:
        if name in was and was[name] != now[name]:
            yield f"the channel's {name} was {was[name]} and is {now[name]} in station.toml now"


def _other_instrument(info: RunInfo, spot: Spot) -> Iterator[str]:
    was = info.instrument
    for name in SAME_IDENTITY:
        now = getattr(spot.identity, name)
        if was.get(name) != now:
            yield f"the instrument's {name} was {was.get(name)} and is {now} now"
    yield from _other_options(info, spot)


def _other_options(info: RunInfo, spot: Spot) -> Iterator[str]:
    """How the driver was told to set it up; an option nobody wrote has its default, then as now."""
    now = _options(spot, spot.config.instruments[spot.settings.instrument].options)
    was = _options(spot, table_of(info.instrument.get("options")))
    for name in sorted({*was, *now} - {"regulation"}):
        if was.get(name) != now.get(name):
            yield f"the instrument's {name} was {was.get(name)} and is {now.get(name)} in station.toml now"


def _options(spot: Spot, written: Mapping[str, object]) -> Mapping[str, object]:
    """As the driver understands them; what another version of it took and this one does not, as it was written."""
    try:
        return spot.spec.options.model_validate(dict(written)).model_dump(mode="json")
    except ValidationError:
        return {**spot.spec.options().model_dump(mode="json"), **written}


def _check_program(info: RunInfo, prepared: Prepared, state: State) -> None:
    """A newer version might read the same text as other steps; then the checkpoint's place would mean another step."""
    was, now = info.settings.get("program_sha256"), prepared.info.settings.get("program_sha256")
    if was is None or was != now:
        raise cannot(info.run, "this version of cycler-ctl does not read its protocol as the one that began it did")
    if not _has_place(prepared.program, state):
        raise cannot(info.run, "its checkpoint stands at no step of its protocol")


def _has_place(program: Program, state: State) -> bool:
    try:
        return step_at(program, state.course.place) is not None
    except (IndexError, ValueError):
        return False


def reopen(
    run_dir: Path, on_durable: Callable[[str], None], utc: Callable[[], float], options: WriterOptions
) -> RunWriter:
    """Its writer, in an epoch of its own: no number of an earlier one ever comes to denote something else."""
    try:
        return reopen_run(run_dir, on_durable=on_durable, utc=utc, options=options, epoch=secrets.randbits(48))
    except StoreError as error:
        raise cannot(run_dir.name, str(error)) from error
