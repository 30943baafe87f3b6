"""Long runs through the real station in virtual time: the charge is right, the file as large as said, nothing grows.

A simulated meter reads currents too large by a known share and with noise; what is compared is therefore the charge
that really passed the cell, each direction by itself, times that share. Noise is left to average out.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cycler_ctl.config import ChannelSettings, Config, HttpSettings, InstrumentSettings, Limits, StationSettings
from cycler_ctl.live import ChannelState
from cycler_ctl.running.start import Order
from cycler_ctl.station import Station
from cycler_ctl.store.reader import RunReader, open_run
from cycler_ctl.testing.stepclock import StepClock
from cycler_ctl.watching.lease import NoLease
from protocols.reading.documents import Document
from protocols.record import EventKind
from sim_hardware.bench import Bench, Place, open_bench
from sim_hardware.keithley2400_meter import CURRENT_GAIN
from sim_hardware.loads import Load

EVERY_S = 10.0
DAY_S = 86_400.0
LIMITS = Limits(voltage_V=(2.5, 4.4), current_A=10e-3, step_charge_Ah=20e-3)
CYCLES_A_DAY, STEPS_A_CYCLE = 8, 4
PROTOCOL = """
protocol: 1
name: Soak
cell: {{name: GN-7, nominal_capacity: 3 mAh, discharge_means: lithiate}}
record: every 10 s
safety: {{voltage: 2.6 V to 4.35 V, current: 4 mA}}
steps:
  - repeat:
      times: {cycles}
      steps:
        - charge: {{at: 1 mA, until: 70 min}}
        - rest: 20 min
        - discharge: {{at: 1 mA, until: 70 min}}
        - rest: 20 min
"""


class Counted:
    """A load that counts what passes it, each direction by itself."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self.oxidised_C = self.reduced_C = 0.0

    def set_temperature(self, temperature_K: float) -> None:
        self._load.set_temperature(temperature_K)

    def advance(self, dt_s: float, current_A: float) -> None:
        self.oxidised_C += max(current_A, 0.0) * dt_s
        self.reduced_C += max(-current_A, 0.0) * dt_s
        self._load.advance(dt_s, current_A)

    def voltage(self, current_A: float) -> float:
        return self._load.voltage(current_A)

    def current_for(self, voltage_V: float, limit_A: float) -> float:
        return self._load.current_for(voltage_V, limit_A)

    def save(self) -> tuple[float, ...]:
        return (self.oxidised_C, self.reduced_C, *self._load.save())

    def restore(self, state: tuple[float, ...]) -> None:
        self.oxidised_C, self.reduced_C = state[:2]
        self._load.restore(state[2:])

    def truth(self) -> dict[str, float]:
        return self._load.truth()


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the process and its data folder take at one moment; ``resident`` where the system tells."""

    blocks: int
    resident: int
    handles: int
    files: frozenset[str]


def footprint(data: Path) -> Footprint:
    gc.collect()
    resident = handles = 0
    if sys.platform == "linux":
        resident = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
        handles = len(list(Path("/proc/self/fd").iterdir()))
    files = frozenset(str(path.relative_to(data)) for path in data.rglob("*") if path.is_file())
    return Footprint(sys.getallocatedblocks(), resident, handles, files)


def formula_bytes(flowing: int, resting: int, steps: int) -> float:
    """A finished run's file as docs/guide/data.md has it, no temperature measured."""
    return 48e3 + 62 * flowing + 78 * resting + 1.1e3 * steps


def config_of(bench: Bench, data: Path) -> Config:
    channel = ChannelSettings(instrument="", sample_every_s=EVERY_S, limits=LIMITS, temperature="unmonitored")
    return Config(
        station=StationSettings(name="soak", data_dir=data),
        http=HttpSettings(enabled=False),
        instruments={one.name: InstrumentSettings(driver=one.model, address=one.address) for one in bench.smus},
        channels={f"c{one.name}": channel.model_copy(update={"instrument": one.name}) for one in bench.smus},
    )


def counted(bench: Bench) -> dict[str, Counted]:
    loads: dict[str, Counted] = {}
    for one in bench.smus:
        instrument: Any = one.line.instrument
        terminals = instrument.smu.terminals
        loads[f"c{one.name}"] = terminals.load = Counted(terminals.load)
        terminals.set_lead("good")
        instrument.log = deque(maxlen=100)  # what the simulation remembers is not what is looked at
    return loads


@dataclass(frozen=True, slots=True)
class Soak:
    """``looks``: footprints at equal distances, the first after a tenth of the time."""

    runs: dict[str, Path]
    loads: dict[str, Counted]
    looks: list[Footprint]


async def soak(data: Path, days: int, channels: int) -> Soak:
    clock = StepClock()
    places = [Place(f"smu{number}", cell="nmc", serial=str(number)) for number in range(1, channels + 1)]
    order = Order(Document("soak.yaml", PROTOCOL.format(cycles=days * CYCLES_A_DAY)))
    async with open_bench(1, clock.now, places) as bench, asyncio.TaskGroup() as group:
        loads, config = counted(bench), config_of(bench, data)
        station = Station(config, clock, NoLease())
        with ExitStack() as member:
            member.enter_context(clock.member())
            await station.open(group)
            await station.first_tries()
            runs = {name: data / "runs" / await station.begin(name, order) for name in config.channels}
            looks = await looked_at(clock.sleep_until, data, days)
        for name in runs:
            await station.ended(name)
        with clock.member():
            assert await station.close("the end of the soak")
        assert {status.state for status in station.channels()} == {ChannelState.FINISHED}
        assert not [one.truth()["abuse"] for one in bench.smus if one.truth()["abuse"]]
    return Soak(runs, loads, looks)


async def looked_at(sleep_until: Callable[[float], Awaitable[None]], data: Path, days: int) -> list[Footprint]:
    looks: list[Footprint] = []
    for tenth in range(1, 10):
        await sleep_until(tenth * days * DAY_S / 10.0)
        looks.append(footprint(data))
    return looks


def off_ppm(recorded_Ah: float, passed_C: float) -> float:
    return abs(recorded_Ah * 3600.0 / (passed_C * (1.0 + CURRENT_GAIN)) - 1.0) * 1e6


def check_charge(reader: RunReader, load: Counted) -> list[float]:
    (last,) = reader.rows(reader.last_seq - 1)
    return [
        off_ppm(last.run_total.oxidation_Ah, load.oxidised_C),
        off_ppm(last.run_total.reduction_Ah, load.reduced_C),
    ]


def check_rows(reader: RunReader, days: int) -> None:
    """Every second of the run is there, at the distance that was asked for, and nothing had to be told."""
    time_s = reader.columns(["time_s"])["time_s"]
    assert len(time_s) == reader.last_seq >= days * DAY_S / EVERY_S
    assert 0 <= time_s[-1] - days * DAY_S <= 0.2 * days * CYCLES_A_DAY * STEPS_A_CYCLE  # between two steps
    assert np.diff(time_s).min() > 0
    assert np.diff(time_s).max() <= EVERY_S + 0.001
    assert {event.kind for event in reader.events()}.isdisjoint({EventKind.GAP, EventKind.WARNING, EventKind.TRIP})


def check_footprints(looks: list[Footprint]) -> None:
    """From the first tenth to the last nothing has grown but the run files themselves.

    An object kept for each row would be 4 % of all in a day of two channels, and SQLite may fill a cache of 2 MB a run.
    """
    first, *_, last = looks
    assert {look.files for look in looks} == {first.files}
    assert last.handles <= first.handles
    assert last.blocks - first.blocks < 0.03 * first.blocks
    assert last.resident - first.resident < 16e6


@pytest.mark.timeout(3600)
async def test_a_long_run_s_charge_is_true_its_file_as_large_as_said_and_nothing_grows(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    days, channels = (60, 8) if request.config.getoption("--campaign") else (1, 2)
    done = await soak(tmp_path, days, channels)
    check_footprints(done.looks)
    wrong: list[float] = []
    sizes: list[float] = []
    for name, folder in done.runs.items():
        with open_run(folder) as reader:
            check_rows(reader, days)
            wrong += check_charge(reader, done.loads[name])
            flowing = int(np.count_nonzero(reader.columns(["direction"])["direction"]))
            steps = days * CYCLES_A_DAY * STEPS_A_CYCLE
            expected = formula_bytes(flowing, reader.last_seq - flowing, steps)
        sizes.append((folder / "run.sqlite").stat().st_size / expected - 1.0)
    first, *_, last = done.looks
    sys.stdout.write(  # pytest -s shows the figures
        f"{days} d x {channels}: {max(wrong):.2g} ppm, file {min(sizes):+.1%} to {max(sizes):+.1%},"
        f" blocks {first.blocks} to {last.blocks}, resident {first.resident / 1e6:.1f} to {last.resident / 1e6:.1f} MB\n"
    )
    assert max(wrong) < 10.0
    assert max(map(abs, sizes)) < 0.05


def test_the_comparison_notices_a_charge_that_is_wrong_by_its_own_limit() -> None:
    assert off_ppm(1.0 / 3600.0, 1.0 / (1.0 + CURRENT_GAIN)) < 1e-6
    assert off_ppm(1.0 / 3600.0, 1.0) == pytest.approx(CURRENT_GAIN * 1e6, rel=1e-3)
