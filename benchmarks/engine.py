"""One sample through the engine against the least a cycler must do: integrate the charge, compare with two limits."""

from __future__ import annotations

from collections.abc import AsyncIterator

from benchmarks.measure import Cost, Stopwatch, Table, compare
from cycler_ctl.running.start import checked_program, read_order
from protocols import engine
from protocols.events import Sampled, Started
from protocols.model import Program
from protocols.shipped import library

SAMPLES = 20_000
EVERY_S = 5.0
CURRENT_A = -7.85e-5


async def by_engine(program: Program) -> Cost:
    state, _ = engine.advance(program, engine.begin(program), Started(0.0, 0.0))
    watch = Stopwatch()
    for number in range(1, SAMPLES + 1):
        at_s = EVERY_S * number
        sample = Sampled(at_s, at_s, 0.6 - 1e-6 * number, CURRENT_A, 120.0)
        state, _ = engine.advance(program, state, sample)
    return watch.cost(SAMPLES)


async def by_loop() -> Cost:
    charge_C, last_A, ended = 0.0, 0.0, False
    watch = Stopwatch()
    for number in range(1, SAMPLES + 1):
        voltage_V, current_A = 0.6 - 1e-6 * number, CURRENT_A
        charge_C += 0.5 * EVERY_S * (last_A + current_A)
        last_A = current_A
        ended = ended or voltage_V <= 0.2 or not -1.0 <= voltage_V <= 5.0
    return watch.cost(SAMPLES)


async def bench() -> AsyncIterator[Table]:
    _, program = checked_program(read_order(library()["fig_s3_d"], None, {}))
    yield await compare(
        "one sample through the engine", {"engine": lambda: by_engine(program), "trivial loop": by_loop}
    )
