"""A bench: several simulated instruments with their cells, one oven for all of them, one seed, one time."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from sim_hardware.cell import CELLS, make_cell
from sim_hardware.faults import Instrument, Line
from sim_hardware.keithley2400 import Keithley2400
from sim_hardware.keithley2450 import Keithley2450
from sim_hardware.keithley2450_models import FAMILY
from sim_hardware.keithley2600 import Keithley2600
from sim_hardware.keithley2600_models import FAMILY as FAMILY_2600
from sim_hardware.keysightb2900 import KeysightB2900
from sim_hardware.keysightb2900_models import FAMILY as FAMILY_B2900
from sim_hardware.loads import Battery, Load, open_lead, resistor, short
from sim_hardware.nmc import NmcCell
from sim_hardware.oven import Oven
from sim_hardware.palmsens_emstat4 import EmStat4
from sim_hardware.rs_ngu import RsNgu
from sim_hardware.rs_ngu_models import FAMILY as FAMILY_RS
from sim_hardware.server import Endpoint, serve_pty, serve_tcp

KEITHLEY, EUROTHERM = "keithley-2400", "eurotherm"
KEITHLEY_2450S = tuple(f"keithley-{model}" for model in FAMILY)
KEITHLEY_2600S = tuple(f"keithley-{model.lower()}" for model in FAMILY_2600)
KEYSIGHT_B2900S = tuple(f"keysight-{model.lower()}" for model in FAMILY_B2900)
PALMSENS = {"palmsens-emstat4": "emstat4-hr", "palmsens-emstat4-lr": "emstat4-lr", "palmsens-nexus": "nexus"}
RS_NGUS = tuple(f"rs-{model}" for model in FAMILY_RS)
SMUS = (KEITHLEY, *KEITHLEY_2450S, *KEITHLEY_2600S, *KEYSIGHT_B2900S, *PALMSENS, *RS_NGUS)
MODELS = (*SMUS, EUROTHERM)
LOADS: Mapping[str, Callable[[], Load]] = {
    "nmc": NmcCell,
    "battery": lambda: Battery(3.7, 1.0),
    "resistor": lambda: resistor(1e4),
    "open": open_lead,
    "short": short,
}
ZERO_CELSIUS_K = 273.15


@dataclass(frozen=True, slots=True)
class Place:
    """One instrument to put on the bench. ``listen`` is ``host:port``, port 0 takes a free one, or "pty"."""

    name: str
    model: str = KEITHLEY
    cell: str = "a"
    listen: str = "127.0.0.1:0"
    serial: str = ""
    setpoint_C: float = 120.0
    slave: int = 1


@dataclass(frozen=True, slots=True)
class BenchInstrument:
    """One instrument on the bench: who it is, where it is reached, and what no driver can ask it."""

    name: str
    model: str
    cell: str
    serial: str
    address: str
    line: Line

    def truth(self) -> dict[str, object]:
        return self.line.instrument.truth()

    def command_log(self) -> list[tuple[float, bytes]]:
        """The newest messages the instrument took, with its time."""
        return list(self.line.instrument.log)


@dataclass(frozen=True, slots=True)
class Bench:
    """Instruments by name, in the order of the places; ``oven`` is the one the cells sit in, if there is one."""

    instruments: Mapping[str, BenchInstrument]
    oven: Oven | None

    def __getitem__(self, name: str) -> BenchInstrument:
        return self.instruments[name]

    @property
    def smus(self) -> tuple[BenchInstrument, ...]:
        return tuple(one for one in self.instruments.values() if one.model in SMUS)


def demo_places() -> tuple[Place, ...]:
    """The five cells of Fig. S3 and their oven; two instruments on pseudo-terminals where the system has them."""
    serial_port = "127.0.0.1:0" if sys.platform == "win32" else "pty"
    wires = {"b": serial_port, "e": serial_port}
    smus = tuple(
        Place(f"smu{number}", cell=cell, listen=wires.get(cell, "127.0.0.1:0"), serial=f"140000{number}")
        for number, cell in enumerate(CELLS, start=1)
    )
    return (*smus, Place("oven1", EUROTHERM, serial="OVEN-1"))


def seed_for(seed: int, name: str) -> int:
    """A seed of its own for each name: adding an instrument does not change the others."""
    return Random(f"{seed}/{name}").getrandbits(32)  # noqa: S311 - noise, not secrets


def make_load(name: str, temperature_K: float = 120.0 + ZERO_CELSIUS_K) -> Load:
    if name in CELLS:
        return make_cell(name, temperature_K)
    if name in LOADS:
        return LOADS[name]()
    raise ValueError(f"no cell {name!r}; there are {', '.join((*CELLS, *LOADS))}")


def make_oven(place: Place, seed: int, now: Callable[[], float]) -> Oven:
    own = seed_for(seed, place.name)
    return Oven(now, seed=own, slave=place.slave, setpoint_C=place.setpoint_C, serial=place.serial or place.name)


def make_smu(
    place: Place, seed: int, now: Callable[[], float], oven: Oven | None = None
) -> Keithley2400 | Keithley2450 | Keithley2600 | KeysightB2900 | EmStat4 | RsNgu:
    own = seed_for(seed, place.name)
    serial = place.serial or str(1_000_000 + own % 9_000_000)
    oven_K = _in_kelvin(oven) if oven else None
    if place.model in RS_NGUS:
        return _make_rs_ngu(replace(place, serial=serial), own, now, oven_K)
    if place.model in KEITHLEY_2600S:
        model = place.model.removeprefix("keithley-").upper()
        at_K = (oven_K(),) if oven_K else ()
        loads = [make_load(cell, *at_K) for cell in _cells(place, FAMILY_2600[model].outputs)]
        return Keithley2600(loads, now, seed=own, serial=serial, oven_K=oven_K, model=model)
    if place.model in KEYSIGHT_B2900S:
        model = place.model.removeprefix("keysight-").upper()
        at_K = (oven_K(),) if oven_K else ()
        first, *more = [make_load(cell, *at_K) for cell in _cells(place, ("1", "2")[: FAMILY_B2900[model].channels])]
        return KeysightB2900(
            first, now, seed=own, serial=serial, oven_K=oven_K, model=model, second=next(iter(more), None)
        )
    load = make_load(place.cell, oven_K()) if oven_K else make_load(place.cell)
    if place.model in PALMSENS:
        return EmStat4(load, now, seed=own, serial=serial, oven_K=oven_K, model=PALMSENS[place.model])
    if place.model in KEITHLEY_2450S:
        model = place.model.removeprefix("keithley-")
        return Keithley2450(load, now, seed=own, serial=serial, oven_K=oven_K, model=model)
    return Keithley2400(load, now, seed=own, serial=serial, oven_K=oven_K)


def _make_rs_ngu(place: Place, seed: int, now: Callable[[], float], oven_K: Callable[[], float] | None) -> RsNgu:
    model = place.model.removeprefix("rs-")
    at_K = (oven_K(),) if oven_K else ()
    first, *more = [make_load(cell, *at_K) for cell in _cells(place, ("1", "2")[: FAMILY_RS[model].outputs])]
    second = next(iter(more), None)
    return RsNgu(first, now, seed=seed, serial=place.serial, oven_K=oven_K, model=model, second=second)


def _cells(place: Place, outputs: tuple[str, ...]) -> tuple[str, ...]:
    """``cell = "c+e"``: one on each output; a single one hangs on every output."""
    cells = tuple(place.cell.split("+"))
    return cells * len(outputs) if len(cells) == 1 else cells


def _in_kelvin(oven: Oven) -> Callable[[], float]:
    warm = oven.nominal_C
    return lambda: warm() + ZERO_CELSIUS_K


def make_instruments(places: Iterable[Place], seed: int, now: Callable[[], float]) -> dict[str, Instrument]:
    """Every place's instrument without a wire, for links in memory; all cells sit in the first oven."""
    places = tuple(places)
    ovens = {place.name: make_oven(place, seed, now) for place in places if place.model == EUROTHERM}
    first = next(iter(ovens.values()), None)
    return {place.name: ovens.get(place.name) or make_smu(place, seed, now, first) for place in places}


@asynccontextmanager
async def open_bench(
    seed: int, now: Callable[[], float], places: Iterable[Place] | None = None
) -> AsyncGenerator[Bench]:
    """Put the instruments on their wires in the running event loop; all are reachable when this is entered."""
    places = demo_places() if places is None else tuple(places)
    made = make_instruments(places, seed, now)
    async with AsyncExitStack() as stack:
        instruments: dict[str, BenchInstrument] = {}
        for place in places:
            instrument = made[place.name]
            line = Line(instrument, seed_for(seed, f"{place.name}/line"))
            endpoint = await stack.enter_async_context(serve(line, place.listen))
            cell = place.cell if place.model in SMUS else ""
            instruments[place.name] = BenchInstrument(
                place.name, place.model, cell, instrument.serial, endpoint.address, line
            )
        yield Bench(instruments, next((one for one in made.values() if isinstance(one, Oven)), None))


@asynccontextmanager
async def serve(line: Line, listen: str) -> AsyncGenerator[Endpoint]:
    """Serve on ``host:port`` or on a "pty"."""
    if listen == "pty":
        async with serve_pty(line) as endpoint:
            yield endpoint
        return
    host, port = host_and_port(listen)
    async with serve_tcp(line, host, port) as endpoint:
        yield endpoint


def host_and_port(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"{listen!r} is not HOST:PORT")
    return host, int(port)


@dataclass(frozen=True, slots=True)
class BenchFile:
    seed: int
    speed: float
    places: tuple[Place, ...]


def read_bench(path: Path) -> BenchFile:
    """``seed``, ``speed`` and one ``[instruments.<name>]`` table a place with the keys of Place; nothing else."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    seed, speed, tables = data.pop("seed", 0), data.pop("speed", 1.0), data.pop("instruments", {})
    if data:
        raise ValueError(f"{path}: unknown {', '.join(data)}")
    return BenchFile(int(seed), float(speed), tuple(_place(name, table) for name, table in tables.items()))


def _place(name: str, table: dict[str, Any]) -> Place:
    known = {"model": str, "cell": str, "listen": str, "serial": str, "setpoint_C": float, "slave": int}
    for key, value in table.items():
        kind = known.get(key)
        if kind is None or not isinstance(value, (kind, int) if kind is float else kind):
            raise ValueError(f"[instruments.{name}]: {key} = {value!r} is not understood")
    place = Place(name, **table)
    if place.model not in MODELS:
        raise ValueError(f"[instruments.{name}]: no model {place.model!r}; there are {', '.join(MODELS)}")
    return place
