"""A run file that grows to ten million rows: what a row costs to append, and the newest and a window to read, on the way.

Its rows have a meter's noise and digits, so that their size is that of real ones. Takes minutes and 1.5 GB for a while.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.measure import Cost, Line, Stopwatch, Table
from benchmarks.runs import RUN, new_run
from cycler_ctl.store.export.formats import export_run_as
from cycler_ctl.store.reader import open_run
from cycler_ctl.store.writer import RunWriter
from cycler_ctl.testing.rows import Shape, cycling_rows
from cycler_ctl.web.recordings import StoreRecordings
from protocols.record import Outcome, Row

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
CYCLES, BLOCK, LOOKS = 20, 10_000, 9
EXPORTED = 1_000_000
NOISE_V, NOISE = 5e-6, 2e-5


def rows_of(count: int) -> Iterator[Row]:
    """As a source-meter tells them: seven digits, the last two of them noise."""
    gauss = Random(1).gauss
    lithiation, delithiation = (2.2e-3,) * CYCLES, (1.65e-3,) * CYCLES
    shape = Shape(points=count // (3 * CYCLES) + 1, lithiation_Ah=lithiation, delithiation_Ah=delithiation)
    for row in cycling_rows(shape):
        voltage_V = round(row.voltage_V + gauss(0.0, NOISE_V), 6)
        current_A = float(f"{row.current_A * (1.0 + gauss(0.0, NOISE)):.6e}")
        temperature_degC = round(120.0 + gauss(0.0, 0.1), 1)
        yield replace(row, voltage_V=voltage_V, current_A=current_A, temperature_degC=temperature_degC)


def append(writer: RunWriter, rows: list[Row]) -> Cost:
    watch = Stopwatch()
    for row in rows:
        writer.append((row,))
    if not writer.flush(600.0):
        raise TimeoutError("the disk does not answer")
    return watch.cost(len(rows))


def looked(look: Callable[[], object]) -> float:
    """Median ms of processor time."""

    def once() -> float:
        watch = Stopwatch()
        look()
        return watch.cost(1e3).cpu_us

    return median(once() for _ in range(LOOKS))


def at_size(writer: RunWriter, rows: Iterator[Row], size: int) -> Line:
    """Grow to ``size`` rows; its last three blocks are timed."""
    while writer.durable_seq < size - 3 * BLOCK:
        writer.append(list(islice(rows, min(BLOCK, size - 3 * BLOCK - writer.durable_seq))))
        writer.flush(600.0)
    blocks = min(BLOCK, (size - writer.durable_seq) // 3)
    costs = [append(writer, list(islice(rows, blocks))) for _ in range(3)]
    return Line(f"{size:,} rows", {"µs CPU to append": median(one.cpu_us for one in costs), **_reading(writer.run_dir)})


def _reading(run_dir: Path) -> dict[str, float]:
    with open_run(run_dir) as reader:
        last = reader.last_seq
        window = looked(lambda: reader.columns(("time_s", "voltage_V", "current_A"), last // 2, 1000))

    def newest() -> None:
        with open_run(run_dir) as fresh:
            fresh.rows(fresh.last_seq - 1, 1)

    times = (0.45 * last, 0.45 * last + 100.0)
    return {
        "ms CPU newest row": looked(newest),
        "ms CPU 1000 rows in the middle": window,
        "ms CPU page's first look": looked(lambda: StoreRecordings(run_dir.parent.parent).look(RUN, times)),
        "B a row": size_of(run_dir) / last,
    }


def size_of(run_dir: Path) -> float:
    """The file and its log."""
    return sum(path.stat().st_size for path in run_dir.glob("run*.sqlite*"))


def exported(data_dir: Path) -> Line:
    """Of a run that has ended."""
    writer = new_run(data_dir)
    rows = rows_of(EXPORTED)
    while part := list(islice(rows, min(BLOCK, EXPORTED - writer.durable_seq))):
        writer.append(part)
        writer.flush(600.0)
    writer.finish(Outcome.FINISHED, "")
    writer.close(600.0)
    live = size_of(writer.run_dir)
    watch = Stopwatch()
    file = export_run_as("bdf-parquet", writer.run_dir)
    cost = watch.cost(EXPORTED)
    sizes = {"B a row live": live / EXPORTED, "B a row in Parquet": file.stat().st_size / EXPORTED}
    return Line(f"{EXPORTED:,} rows", {**sizes, "µs CPU to export": cost.cpu_us})


async def bench() -> AsyncIterator[Table]:
    with TemporaryDirectory() as folder:
        yield Table("a run that has ended, and its export", (exported(Path(folder)),))
    with TemporaryDirectory() as folder:
        writer, rows = new_run(Path(folder)), rows_of(SIZES[-1])
        lines = tuple(at_size(writer, rows, size) for size in SIZES)
        writer.close(60.0)
    yield Table("a run that grows", lines, "appended one by one")
