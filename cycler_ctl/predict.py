"""``cycler-ctl predict``: a protocol on a simulated cell in virtual time, with the engine that runs real ones.

Beside the demo the only module of the service that knows of simulators. No instrument is simulated here, only what one
does to a cell: a current inside its voltage window, a voltage inside its current limit, nothing in a rest.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import signal
import sys
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from math import inf
from pathlib import Path

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import ConfigError
from cycler_ctl.records.curves import capacity_table
from cycler_ctl.running.start import overrides_of, versions
from cycler_ctl.store.export.atomic import Overwriting, free_path
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo, new_run_id
from cycler_ctl.store.progress import Tell
from cycler_ctl.store.reader import open_run
from cycler_ctl.store.writer import RunWriter, create_run
from cycler_ctl.terminal.folding import columns, fitted
from cycler_ctl.terminal.predicted import SIMULATED, Prediction, prediction_json, render
from cycler_ctl.terminal.progress import progress
from cycler_ctl.virtual import COMMIT_ROWS, Moment, Recorder, VirtualRun, Watch
from protocols.check import load_protocol
from protocols.diagnostics import render_all
from protocols.model import Cell, ConstantCurrent, ConstantVoltage, Program, Rest, Setpoint
from protocols.plan import plan
from protocols.planning.plan_text import plan_json
from protocols.quantities import Dimension, QuantityError, parse_positive
from protocols.record import Outcome
from sim_hardware.circuit import Disconnected, Terminals, VoltageSource
from sim_hardware.sized import Model, Size, sized

INSTRUMENT_V = 5.0
"""Where the protocol leaves the voltage open, an instrument and its channel do not."""
HOLD_C = 10.0
"""What a hold without a current limit may take, in C: at the bench the channel decides."""
FIGURES = (".png", ".svg", ".pdf")
DISK_BYTES = 50_000_000


@dataclass(frozen=True, slots=True)
class PredictOptions:
    """``out``: the rows as Battery Data Format (x.csv), or a figure (x.png, x.svg, x.pdf)."""

    cell_model: str
    sample_every: str = "10 s"
    out: Path | None = None
    as_json: bool = False
    overwriting: Overwriting = Overwriting.REFUSED


class SimulatedChannel:
    """A simulated cell on ideal terminals. ``most_A`` is set where a hold names no limit."""

    def __init__(self, model: Model) -> None:
        self._terminals = Terminals(model.load)
        self._most_A = HOLD_C * model.capacity_Ah

    def apply(self, setpoint: Setpoint) -> Setpoint:
        match setpoint:
            case Rest():
                self._terminals.drive(Disconnected())
            case ConstantCurrent(current_A=current_A, window_V=(low_V, high_V)):
                # As a source-measure unit is run: a voltage at the window's edge, limited to the current.
                edge_V = min(high_V, INSTRUMENT_V) if current_A > 0 else max(low_V, -INSTRUMENT_V)
                self._terminals.drive(VoltageSource(edge_V, abs(current_A)))
            case ConstantVoltage(voltage_V=voltage_V, current_limit_A=limit_A):
                setpoint = ConstantVoltage(voltage_V, limit_A if limit_A < inf else self._most_A)
                self._terminals.drive(VoltageSource(voltage_V, setpoint.current_limit_A))
        return setpoint

    def read(self, after_s: float) -> tuple[float, float]:
        self._terminals.advance(after_s)
        point = self._terminals.operating()
        return point.voltage_V, point.current_A


def show_prediction(file: Path, cell: Path | None, overrides: Sequence[str], options: PredictOptions) -> int:
    """0 when the predicted run finishes; 1 when it ends in any other way, or is interrupted."""
    every_s = _sample_every_s(options.sample_every)
    if options.out is not None and options.out.suffix not in {".csv", *FIGURES}:
        raise ConfigError(f"{options.out}: the rows go into a .csv, a figure into one of {', '.join(FIGURES)}")
    if options.out is not None:
        free_path(options.out, options.overwriting)
    checked = load_protocol(file, overrides=overrides_of(overrides), cell_path=cell)
    if checked.program is None:
        raise ConfigError(render_all(checked.diagnostics))
    program = replace(checked.program, settings=replace(checked.program.settings, sample_every_s=every_s))
    model = model_of(options.cell_model, program.cell)
    if checked.diagnostics:
        sys.stderr.write(render_all(checked.diagnostics) + "\n")
    with (
        tempfile.TemporaryDirectory(prefix="cycler-predict-") as folder,
        interruptible() as interrupted,
        progress(wanted=not options.as_json) as tell,
    ):
        found = predict(program, model, Path(folder), checked.text, _watch(program, interrupted, tell))
        if options.out is not None:
            _write_out(Path(folder), options.out, options.overwriting, tell)
    told = fitted(render(found, str(file)), columns())
    sys.stdout.write((json.dumps(prediction_json(found), ensure_ascii=False) if options.as_json else told) + "\n")
    return 0 if found.outcome is Outcome.FINISHED else 1


def _sample_every_s(text: str) -> float:
    try:
        return parse_positive(text, Dimension.TIME).value
    except QuantityError as error:
        raise ConfigError(f"--sample-every {text!r}: {error}; write for example '10 s'") from error


def model_of(name: str, cell: Cell) -> Model:
    """A simulated cell of the size of the protocol's; ConfigError with the names there are."""
    size = Size(
        area_cm2=cell.area_cm2,
        composite_g=cell.electrode_mass_g,
        active_g=cell.active_mass_g,
        active_material=cell.active_material,
        mgh2_share=dict(cell.composition).get("MgH2"),
        capacity_Ah=cell.nominal_capacity_Ah or cell.theoretical_capacity_Ah,
        temperature_C=cell.temperature_degC,
    )
    try:
        return sized(name, size)
    except ValueError as error:
        raise ConfigError(f"--cell-model: {error}") from error


def _never(_: Moment) -> None:
    return None


def predict(
    program: Program, model: Model, data_dir: Path, protocol_text: str = "", watch: Watch = _never
) -> Prediction:
    """Run the program on the model; its record is a run in ``data_dir``. A model can be used once."""
    utc_s = SystemClock().utc()
    info = run_info(program, model, protocol_text, utc_s)
    options = WriterOptions(commit_every_s=1.0, commit_rows=COMMIT_ROWS, minimum_free_bytes=DISK_BYTES)
    writer = create_run(data_dir, info, on_durable=lambda _: None, options=options)
    recorder = Recorder(writer)
    run = VirtualRun(program, SimulatedChannel(model), recorder, model.temperature_C)
    try:
        end = run.run(utc_s, watch)
        recorder.flush()
        writer.finish(end.outcome, end.reason)
    finally:
        _close(writer)
    with open_run(writer.run_dir) as reader:
        cycles = tuple(capacity_table(reader))
    return Prediction(
        program=program,
        model=model.name,
        taken=model.taken,
        sample_every_s=program.settings.sample_every_s,
        outcome=end.outcome,
        reason=end.reason,
        total_s=run.time_s,
        steps=tuple(recorder.steps),
        cycles=cycles,
        repeats_ended=tuple(recorder.repeats),
        warnings=(*model.doubts, *recorder.warnings),
        rows=recorder.rows,
        file_bytes=sum(file.stat().st_size for file in writer.run_dir.glob("*.sqlite")),
    )


def _close(writer: RunWriter) -> None:
    if not writer.close(60.0) and writer.failed is not None:
        raise writer.failed


def run_info(program: Program, model: Model, protocol_text: str, utc_s: float) -> RunInfo:
    """So that nobody takes the file for a measurement."""
    return RunInfo(
        run=new_run_id("simulated", utc_s, secrets.token_hex(2)),
        epoch=secrets.randbits(48),
        channel="simulated",
        station="predict",
        site="predict",
        started_utc_s=utc_s,
        protocol_name=program.name,
        protocol_text=protocol_text,
        protocol_sha256=hashlib.sha256(protocol_text.encode()).hexdigest(),
        cell=asdict(program.cell),
        plan=plan_json(plan(program)),
        settings={"variables": [list(pair) for pair in program.variables]},
        instrument={"model": SIMULATED, "cell_model": model.name, "taken": list(model.taken)},
        versions=versions(),
        discharge_means=program.cell.discharge_means,
        sample_every_s=program.settings.sample_every_s,
    )


def _write_out(data_dir: Path, out: Path, overwriting: Overwriting, tell: Tell) -> None:
    run_dir = next((data_dir / "runs").iterdir())
    if out.suffix == ".csv":
        from cycler_ctl.store.export.bdf_csv import export_bdf_csv

        export_bdf_csv(run_dir, out, overwriting=overwriting, tell=tell)
    else:
        from cycler_ctl.figures.kinds import Kind
        from cycler_ctl.figures.wishes import Wish
        from cycler_ctl.plot import draw

        draw([run_dir], Kind.VOLTAGE_CAPACITY, Wish(note=SIMULATED), out, overwriting, tell=tell)
    sys.stderr.write(f"{out}: {SIMULATED}\n")


@contextmanager
def interruptible() -> Generator[Callable[[], bool]]:
    """While entered, Ctrl-C is a question to be asked; so that what is known by then can be shown."""
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)


def _watch(program: Program, interrupted: Callable[[], bool], tell: Tell) -> Watch:
    """Says how far it is, and stops at Ctrl-C. A protocol without a longest duration has no bar, only a pulse."""
    planned = plan(program)
    most_s = int(planned.at_most_s) if planned.bounded else None

    def look(now: Moment) -> str | None:
        tell("simulated time", int(now.time_s), most_s)
        return "Ctrl-C" if interrupted() else None

    return look
