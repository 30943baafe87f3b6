"""The seven drivers, each with its simulated instrument, as one table: what every test of all drivers is told of each."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from random import Random
from typing import Any, Literal

from numbered import (
    Now,
    Numbered,
    Numbered2400,
    Numbered2450,
    Numbered2600,
    NumberedB2900,
    NumberedEmStat,
    NumberedNgu,
    NumberedOven,
    cell,
)
from pydantic import BaseModel

from cycler_ctl.clock import Clock
from cycler_ctl.instrument import DriverSpec, Link
from cycler_ctl.link.opening import open_link
from drivers import eurotherm, keithley_2400, keithley_2450, keithley_2600, keysight_b2900, palmsens_emstat4, rs_ngu
from drivers.keysight_b2900_output import Options as B2900Options
from sim_hardware.faults import Instrument as Simulated
from sim_hardware.faults import Line
from sim_hardware.keithley2400 import Keithley2400
from sim_hardware.keithley2450 import Keithley2450
from sim_hardware.keithley2450_models import FAMILY as MODELS_2450
from sim_hardware.keithley2600 import Keithley2600
from sim_hardware.keithley2600_models import FAMILY as MODELS_2600
from sim_hardware.keysightb2900 import KeysightB2900
from sim_hardware.keysightb2900_models import FAMILY as MODELS_B2900
from sim_hardware.loads import Battery
from sim_hardware.oven import BROKEN_C, Oven
from sim_hardware.palmsens_emstat4 import EmStat4
from sim_hardware.palmsens_emstat4_models import MODELS as MODELS_EMSTAT
from sim_hardware.rs_ngu import RsNgu
from sim_hardware.server import Endpoint, serve_pty, serve_tcp

WINDOW_V = (2.5, 4.2)
LOW_WINDOW_V = (1.5, 2.5)  # for an EmStat4 LR, which goes to 3 V
WAYS: tuple[Literal["bounded", "current"], ...] = ("bounded", "current")
HASTY_S = 0.3  # in real time, for an instrument that answers at once

Fault = Callable[[Any, Random], None]


@dataclass(frozen=True, slots=True)
class Model:
    """One member of the family with its cell; ``options`` as a user may set them."""

    name: str
    make: Callable[[Now], Simulated]
    options: BaseModel
    window_V: tuple[float, float] = WINDOW_V


@dataclass(frozen=True, slots=True)
class Wire:
    """``terminal``: a pseudo-terminal instead of TCP; ``backend`` as in the settings."""

    name: str
    terminal: bool = False
    backend: str | None = None

    def serve(self, line: Line | Simulated) -> AbstractAsyncContextManager[Endpoint]:
        return serve_pty(line) if self.terminal else serve_tcp(line)


TCP, PTY = Wire("tcp"), Wire("pty", terminal=True)
VISA_TCP, VISA_PTY = Wire("visa-tcp", backend="visa"), Wire("visa-pty", terminal=True, backend="visa")
WIRES = (TCP, VISA_TCP) if sys.platform == "win32" else (TCP, PTY, VISA_TCP, VISA_PTY)


@dataclass(frozen=True, slots=True)
class Bench:
    """``question`` is in each message that asks for a reading, ``on`` in each that switches on.
    ``per_output``: which part of the truth is whose.

    ``own``: the instrument's mishaps by name, beside those of the line, and ``acts``: the harm that it does itself by them,
    until its driver has noticed. ``older``: so many of its own looks at the cell
    may lie between a question and what it is told. ``unsure`` is what a changed digit may do that passes for noise.
    """

    name: str
    spec: DriverSpec
    options: BaseModel
    make: Callable[[Now, int], Numbered]
    question: bytes
    on: bytes = b""
    outputs: tuple[str, ...] = ("1",)
    per_output: Callable[[Mapping[str, Any], str], Mapping[str, Any]] = lambda truth, _output: truth
    speaks_lines: bool = True
    own: Mapping[str, Fault] = field(default_factory=dict[str, Fault])
    acts: frozenset[str] = frozenset()
    older: int = 0
    unsure: float = 1e-7
    models: tuple[Model, ...] = ()

    @asynccontextmanager
    async def link(
        self, endpoint: Endpoint, clock: Clock, wire: Wire = TCP, timeout_s: float | None = None
    ) -> AsyncGenerator[Link]:
        defaults = replace(self.spec.link, timeout_s=timeout_s or self.spec.link.timeout_s)
        async with open_link(endpoint.address, defaults, clock, backend=wire.backend) as link:
            yield link


def flooded(command: bytes) -> Fault:
    """More than any error queue holds."""
    return lambda sim, _random: sim.receive(command)


def set_to(name: str, *values: str | bool) -> Fault:
    return lambda sim, random: sim.set_fault(name, random.choice(values))


def switched(*outputs: str) -> Fault:
    """Off by itself: an interlock, a protection or a hand at the front panel, which look the same to a host."""
    return lambda sim, random: sim.set_fault(random.choice(outputs), value=False)


def ended_script(sim: EmStat4, _random: Random) -> None:
    if sim.truth()["running"]:
        sim.set_fault("script", value=True)


def two_cells() -> tuple[Battery, Battery]:
    return cell(), Battery(3.6, 80.0)


def models_2400() -> Iterator[Model]:
    for way in WAYS:
        yield Model(way, partial(Keithley2400, cell()), keithley_2400.Options(regulation=way))


def models_2450() -> Iterator[Model]:
    for name, way in product(MODELS_2450, WAYS):
        make = partial(Keithley2450, cell(), model=name)
        yield Model(f"{name} {way}", make, keithley_2450.Options(regulation=way))


def models_2600() -> Iterator[Model]:
    for name, way in product(("2602B", "2601A", "2612", "2635B", "2636A"), WAYS):
        make = partial(Keithley2600, two_cells()[: len(MODELS_2600[name].outputs)], model=name)
        yield Model(f"{name} {way}", make, keithley_2600.Options(regulation=way))


def models_b2900() -> Iterator[Model]:
    for name, way in product(MODELS_B2900, WAYS):
        first, second = two_cells()
        make = partial(KeysightB2900, first, model=name, second=second)
        yield Model(f"{name} {way}", make, B2900Options(regulation=way))


def models_ngu() -> Iterator[Model]:
    for name in ("ngu201", "ngu401"):
        yield Model(name, partial(RsNgu, cell(), model=name), rs_ngu.Options())


def models_emstat() -> Iterator[Model]:
    for name, way in product(MODELS_EMSTAT, WAYS):
        low = name.endswith("-lr")
        make = partial(EmStat4, Battery(2.0, 50.0) if low else cell(), model=name, deaf_s=0.05)
        options = palmsens_emstat4.Options(regulation=way)
        yield Model(f"{name} {way}", make, options, LOW_WINDOW_V if low else WINDOW_V)


BENCHES = (
    Bench(
        "keithley_2400",
        keithley_2400.DRIVER,
        keithley_2400.Options(),
        Numbered2400,
        question=b"READ?",
        on=b":OUTP ON",
        own={"flood": flooded(b":NONSENSE\n" * 30), "trip": switched("output")},
        models=tuple(models_2400()),
    ),
    Bench(
        "keithley_2450",
        keithley_2450.DRIVER,
        keithley_2450.Options(),
        Numbered2450,
        question=b"READ?",
        on=b":OUTP ON",
        own={"flood": flooded(b":NONSENSE\n" * 1100), "trip": switched("output")},
        models=tuple(models_2450()),
    ),
    Bench(
        "keithley_2600",
        keithley_2600.DRIVER,
        keithley_2600.Options(dead_man_s=30.0),
        Numbered2600,
        question=b"measure.iv",
        on=b"source.output = 1",
        outputs=("a", "b"),
        per_output=lambda truth, output: truth[output],
        own={"flood": flooded(b"nonsense(\n" * 1100), "trip": switched("output", "b.output")},
        models=tuple(models_2600()),
    ),
    Bench(
        "keysight_b2900",
        keysight_b2900.DRIVER,
        B2900Options(),
        NumberedB2900,
        question=b"MEAS?",
        on=b":OUTP1 ON",
        outputs=("1", "2"),
        per_output=lambda truth, output: truth["channels"][output],
        own={
            "flood": flooded(b":NONSENSE\n" * 120),
            "panel": switched("output"),
            "trip": set_to("trip", True),
        },
        models=tuple(models_b2900()),
    ),
    Bench(
        "rs_ngu",
        rs_ngu.DRIVER,
        rs_ngu.Options(),
        NumberedNgu,
        question=b"READ?",
        on=b":OUTP 1",
        own={
            "flood": flooded(b"NONSENSE\n" * 1100),
            "panel": switched("output"),
            "trip": set_to("trip", "ovp", "fuse", "opp"),
        },
        unsure=2e-3,
        models=tuple(models_ngu()),
    ),
    Bench(
        "palmsens_emstat4",
        palmsens_emstat4.DRIVER,
        palmsens_emstat4.Options(interval_s=0.05),
        NumberedEmStat,
        question=b"Y\n",
        on=b"cell_on",
        speaks_lines=False,  # but in scripts of many lines
        acts=frozenset({"a cell left on with no script running"}),
        own={"trip": ended_script},  # it has no error queue: an error is the answer to the command
        older=1,
        unsure=1e-6,
        models=tuple(models_emstat()),
    ),
    Bench(
        "eurotherm",
        eurotherm.DRIVER,
        eurotherm.Options(decimals=1, highest_degC=BROKEN_C + 1.0),  # only the status tells of a broken sensor
        NumberedOven,
        question=bytes((1, 3)),
        outputs=(),
        speaks_lines=False,
        own={"trip": set_to("sensor_break", True)},
        unsure=1e-6,
        models=(Model("float", Oven, eurotherm.Options()), Model("scaled", Oven, eurotherm.Options(decimals=1))),
    ),
)
SOURCES = tuple(bench for bench in BENCHES if bench.outputs)
