"""A small lab without instruments: run files from the real writer, and a station one can change by hand."""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from chromium import Browser, driving, new_session

from cycler_ctl.alarms.derive import derive
from cycler_ctl.alarms.facts import Facts
from cycler_ctl.alarms.model import Alarm
from cycler_ctl.channels.readiness import Outlook
from cycler_ctl.config import ChannelSettings, HttpSettings, Limits
from cycler_ctl.errors import RefusedError
from cycler_ctl.live import ChannelState, ChannelStatus, InstrumentStatus
from cycler_ctl.queueing.keeper import QueueKeeper
from cycler_ctl.queueing.model import Entry, Queue, entry_of
from cycler_ctl.queueing.shelf import write_queue
from cycler_ctl.ratings import Accuracy, Protection, Ratings
from cycler_ctl.running.amending import Wanted
from cycler_ctl.running.start import Order, Prepared, checked_program, plan_on
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.writer import RunWriter, create_run
from cycler_ctl.web.app import create_app
from cycler_ctl.web.hop import Hop
from cycler_ctl.web.hub import Hub
from cycler_ctl.web.server import allowed_hosts_of, serve_http
from protocols.check import check_text
from protocols.describing.differences import differences
from protocols.model import Program
from protocols.planning.plan_text import plan_json
from protocols.reading.documents import Document
from protocols.record import JSON, Counters, CycleSummary, Mark, Mode, Outcome, Row
from protocols.shipped import library

TOKEN = "a-token-for-tests-" + "x" * 25
STARTED_UTC_S = 1_795_000_000.0
CURRENT_A = 0.3927e-3
OPTIONS = WriterOptions(minimum_free_bytes=0)
SETTINGS = ChannelSettings(
    instrument="smu6", limits=Limits(voltage_V=(-0.5, 5.0), current_A=10e-3, step_charge_Ah=20e-3), temperature="oven1"
)
RATINGS = Ratings(
    voltage_V=(-20.0, 20.0),
    current_A=0.1,
    ranges=(Accuracy(1e-3, 0.0, 0.0, 0.0, 0.0), Accuracy(0.1, 0.0, 0.0, 0.0, 0.0)),
    fastest_sample_s=0.1,
    protection=Protection.B,
    protection_why="it holds the cell at the window's edge",
    rest="the relay opens",
)


def half_cycle(first: Row | None, cycle: int, direction: int, full_Ah: float, points: int) -> list[Row]:
    """One lithiation or delithiation of a conversion electrode, roughly as in Fig. S3: a plateau with bent ends."""
    seq = 1 if first is None else first.seq + 1
    start_s = 0.0 if first is None else first.time_s
    before = Counters() if first is None or first.cycle != cycle else first.cycle_total
    duration_s = full_Ah * 3600 / CURRENT_A
    rows: list[Row] = []
    for place in range(points):
        x = place / (points - 1)
        charge_Ah = x * full_Ah
        moved = replace(before, oxidation_Ah=charge_Ah) if direction > 0 else replace(before, reduction_Ah=charge_Ah)
        at_s = start_s + 30 + x * duration_s
        rows.append(
            Row(
                seq=seq + place,
                time_s=at_s,
                utc_s=STARTED_UTC_S + at_s,
                voltage_V=voltage(x, direction, cycle),
                current_A=direction * CURRENT_A,
                temperature_degC=120.0 + 0.2 * math.sin(at_s / 900),
                cycle=cycle,
                step_count=2 * cycle + (direction > 0),
                step_id="2.3" if direction > 0 else "2.1",
                mode=Mode.CURRENT,
                direction=direction,
                step_time_s=x * duration_s,
                mark=Mark.NONE,
                run_total=moved,
                cycle_total=moved,
                step_total=Counters(),
            )
        )
    return rows


def voltage(x: float, direction: int, cycle: int) -> float:
    bend = 0.016 * math.log((1.004 - x) / (x + 0.004))
    if direction > 0:
        return 0.66 + 0.1 * x - bend + 0.40 * x**14 + 0.008 * cycle
    dip = 0.09 * math.exp(-(((x - 0.05) / 0.04) ** 2)) if cycle == 1 else 0.0
    return 0.45 - 0.11 * x + bend - dip - 0.05 * x**9


@dataclass
class Recorded:
    rows: list[Row] = field(default_factory=list)
    cycles: list[CycleSummary] = field(default_factory=list)


def recorded(cycles: int, full_Ah: float, *, last_part: float = 1.0, points: int = 240) -> Recorded:
    """``cycles`` cycles, fading a little; of the last delithiation only ``last_part`` (0: none)."""
    found = Recorded()
    last: Row | None = None
    for cycle in range(1, cycles + 1):
        q_Ah = full_Ah * (1.0 if cycle == 1 else 0.78 * 0.985**cycle)
        back_Ah = full_Ah * 0.77 * 0.985**cycle
        found.rows += half_cycle(last, cycle, -1, q_Ah, points)
        part = last_part if cycle == cycles else 1.0
        back = half_cycle(found.rows[-1], cycle, 1, back_Ah, points)
        found.rows += back[: round(part * points)]
        last = found.rows[-1]
        if part == 1.0:
            found.cycles.append(CycleSummary(cycle, q_Ah, back_Ah, q_Ah * 0.42, back_Ah * 0.72, 0.0, last.time_s))
    return found


def info(run: str, channel: str, protocol: str, cell: Mapping[str, object], text: str = "protocol: 1\n") -> RunInfo:
    """As a start without overrides or included files records it."""
    program = check_text(text, "x.yaml").program
    variables: list[JSON] = [] if program is None else [list(pair) for pair in program.variables]
    settings: dict[str, JSON] = {
        "documents": [],
        "order": {"file": "protocol.yaml", "overrides": {}, "cell": None},
        "variables": variables,
    }
    return RunInfo(
        run=run,
        epoch=7,
        channel=channel,
        station="lab-3",
        site="kasuga",
        started_utc_s=STARTED_UTC_S,
        protocol_name=protocol,
        protocol_text=text,
        protocol_sha256="0" * 64,
        cell=dict(cell),  # type: ignore[arg-type]
        plan={},
        settings=settings,
        instrument={"model": "2400"},
        versions={},
        discharge_means=None,
        sample_every_s=5.0,
    )


def write(data_dir: Path, about: RunInfo, found: Recorded, outcome: Outcome | None = None) -> None:
    writer = create_run(data_dir, about, on_durable=lambda _: None, options=OPTIONS)
    try:
        writer.append(found.rows, cycles=found.cycles)
        if outcome is not None:
            writer.finish(outcome, "every step is done")
        assert writer.flush(20.0)
    finally:
        assert writer.close()


class FakeStation:
    """A StationView whose pieces a test replaces."""

    def __init__(self) -> None:
        self.statuses: dict[str, ChannelStatus] = {}
        self.samples: dict[str, tuple[str, Row]] = {}
        self.links: tuple[InstrumentStatus, ...] = ()

    def channels(self) -> tuple[ChannelStatus, ...]:
        return tuple(self.statuses.values())

    def instruments(self) -> tuple[InstrumentStatus, ...]:
        return self.links

    def latest(self, channel: str) -> tuple[str, Row] | None:
        return self.samples.get(channel)

    def put(self, status: ChannelStatus) -> None:
        self.statuses[status.channel] = status

    def changed(self, channel: str) -> None:
        """Of a queue: a reader of this station compares."""

    def call_off(self, channel: str, by: str) -> None:
        """Nothing begins here."""

    async def look(self, channel: str, order: Order) -> Prepared:
        raise RefusedError(f"nothing can be added on channel {channel} of this station: {order.by}")

    async def begin(self, channel: str, order: Order, run: str | None = None) -> str:
        raise RefusedError(f"nothing begins on channel {channel} of this station: {order.by}, {run}")

    def change(self, channel: str, state: ChannelState, *, energised: bool | None, reason: str = "") -> None:
        self.put(replace(self.statuses[channel], state=state, energised=energised, reason=reason))


class FakeActions:
    """Remembers what was asked; ``refusal`` is raised instead, when there is one."""

    def __init__(self, station: FakeStation) -> None:
        self.station = station
        self.asked: list[tuple[object, ...]] = []
        self.refusal: Exception | None = None

    def outlook(self, channel: str) -> Outlook:
        state = self.station.statuses[channel].state
        busy = () if state is ChannelState.IDLE else (f"channel {channel} is {state}: stop it first",)
        return Outlook(SETTINGS, f"2400 ({SETTINGS.instrument})", RATINGS, busy)

    async def begin(self, channel: str, order: Order) -> str:
        self._ask("start", channel, order)
        return "20261122-120000-a1-abcd"

    async def stop(self, channel: str, by: str) -> None:
        self._ask("stop", channel, by)
        self.station.change(channel, ChannelState.STOPPED, energised=False, reason=f"stopped by {by}")

    async def pause(self, channel: str, by: str) -> None:
        self._ask("pause", channel, by)

    async def resume(self, channel: str, by: str) -> None:
        self._ask("resume", channel, by)

    async def skip(self, channel: str, by: str) -> None:
        self._ask("skip", channel, by)

    async def acknowledge(self, channel: str, by: str) -> None:
        self._ask("acknowledge", channel, by)

    def _ask(self, *what: object) -> None:
        self.asked.append(what)
        if self.refusal is not None:
            raise self.refusal


@dataclass
class Lab:
    data_dir: Path
    station: FakeStation
    actions: FakeActions
    hub: Hub
    queues: QueueKeeper | None = None
    amending: Any = None
    hop: Hop | None = None

    def refuse(self, why: str) -> None:
        self.actions.refusal = RefusedError(why)

    def serve(
        self, settings: HttpSettings | None = None, *, reading_needs_token: bool = False
    ) -> AbstractAsyncContextManager[str]:
        settings = settings or HttpSettings(listen="127.0.0.1:0")
        app = create_app(
            self.station,
            self.actions,
            data_dir=self.data_dir,
            token=TOKEN,
            allowed_hosts=allowed_hosts_of(settings),
            name="lab-3",
            site="kasuga",
            reading_needs_token=reading_needs_token,
            hub=self.hub,
            queues=self.queues,
            amending=self.amending,
            hop=self.hop,
        )
        return serve_http(app, settings)


CELLS = (
    ("a1", "a", "Fig. S3 (a) - MgH2:AB = 70:30 at 0.5 mA/cm2", 0.70, 1568, 3, 0.62),
    ("a2", "b", "Fig. S3 (b) - MgH2:AB = 95:5 at 0.5 mA/cm2", 0.95, 1309, 2, 0.0),
    ("a3", "c", "Fig. S3 (c) - MgH2:AB = 99:1 at 0.5 mA/cm2", 0.99, 1182, 1, 0.35),
    ("a4", "d", "Fig. S3 (d) - MgH2:AB = 99:1 at 0.05 mA/cm2", 0.99, 1934, 3, 1.0),
    ("a5", "e", "Fig. S3 (e) - LiBH4:MgH2:AB = 40:30:30 at 0.5 mA/cm2", 0.30, 2002, 2, 0.8),
)


def furnish(lab: Lab) -> None:
    """Five cells of Fig. S3 and one empty channel: running, finished, tripped, idle."""
    for channel, cell, protocol, part, capacity_mAh_g, cycles, last_part in CELLS:
        mass_g = 2.0e-3 * part
        found = recorded(cycles, capacity_mAh_g * 1e-3 * mass_g, last_part=last_part)
        run = f"20261122-101500-{channel}-k3x{channel[1]}"
        text = library()[f"fig_s3_{cell}"].read_text(encoding="utf-8")
        about = info(run, channel, protocol, {"name": cell, "active_mass_g": mass_g, "active_material": "MgH2"}, text)
        state = {"a4": ChannelState.FINISHED, "a5": ChannelState.TRIPPED}.get(channel, ChannelState.RUNNING)
        write(lab.data_dir, about, found, Outcome.FINISHED if state is ChannelState.FINISHED else None)
        running = state is ChannelState.RUNNING
        last = found.rows[-1]
        what = "delithiate at 0.3927 mA until voltage >= 1.2 V or 120 % of previous lithiate"
        if last.direction < 0:
            what = "lithiate at 0.3927 mA until voltage <= 0.2 V"
        lab.station.samples[channel] = (run, last)
        lab.station.put(
            ChannelStatus(
                channel=channel,
                instrument=f"smu{channel[1]}",
                state=state,
                reason="temperature 136.2 °C is above the limit of 135 °C" if state is ChannelState.TRIPPED else "",
                since_utc_s=STARTED_UTC_S,
                energised=running,
                run=run,
                protocol=protocol,
                cell=cell,
                step=last.step_id if running else None,
                what=what if running else None,
                cycle=last.cycle,
                eta_utc_s=STARTED_UTC_S + 86_400 * 1.3 if running else None,
                protection="B",
                rows_waiting=0,
            )
        )
    lab.station.put(ChannelStatus("a6", "smu6", ChannelState.IDLE, "", STARTED_UTC_S, energised=False, protection="B"))
    lab.station.links = (
        InstrumentStatus("smu1", "keithley-2400", "TCPIP0::127.0.0.1::5025::SOCKET", "connected", None, "B", "", None),
    )


def empty_lab(data_dir: Path) -> Lab:
    station = FakeStation()
    return Lab(data_dir, station, FakeActions(station), Hub(station, lambda: alarms_of(station)))


def alarms_of(station: FakeStation) -> tuple[Alarm, ...]:
    """Those of its channels, whose instruments all answer."""
    channels = station.channels()
    links = (InstrumentStatus(one.instrument, "", "", "connected", None, None, "", None) for one in channels)
    return derive(Facts(STARTED_UTC_S, channels, tuple(links)))


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    made = empty_lab(tmp_path_factory.mktemp("data"))
    furnish(made)
    return made


class FakeAmending:
    """Looks as the station does, at the run of Fig. S3 (a)."""

    async def amend(self, channel: str, wanted: Wanted, of: str | None) -> Any:
        del channel, of
        before = checked(library()["fig_s3_a"].read_text(encoding="utf-8"))
        program = checked(wanted.protocol.text)
        if not (changes := differences(before, program)):
            raise RefusedError("this protocol does nothing else than the one that is running")
        told = plan_json(plan_on(program, SETTINGS, "2400 (smu1)", RATINGS))
        prepared = SimpleNamespace(info=SimpleNamespace(plan=told))
        return SimpleNamespace(of="0" * 64, changes=changes, prepared=prepared)


def checked(text: str) -> Program:
    return checked_program(Order(Document("protocol.yaml", text)))[1]


WAITING = {
    "a1": (None, (("Formation, 3 cycles at C/20", "a", 3.1e5), ("Rate test, C/20 to 2C", "a", None))),
    "a4": (
        "stopped: stopped by M. Ito (http 127.0.0.1)",
        (
            ("Formation, 3 cycles at C/20", "MG-0143", 3.1e5),
            ("Cycling, 100 times at C/2", "MG-0143", 1.9e6),
            ("Self-discharge at 60 °C", "MG-0144", 6.1e5),
        ),
    ),
    "a6": (None, (("Formation, 3 cycles at C/20", "MG-0150", 3.1e5),)),
}


def let_wait(lab: Lab, folder: Path) -> None:
    """Entries on three channels, one of them held."""
    for channel, (held, waiting) in WAITING.items():
        entries = tuple(entry(f"{channel}{place}", *each) for place, each in enumerate(waiting))
        write_queue(folder, Queue(channel, entries, held))
    lab.queues = QueueKeeper(lab.station, folder, lambda: STARTED_UTC_S)
    lab.queues.open()
    for status in lab.station.channels():
        lab.station.put(replace(status, queue=lab.queues.told(status.channel)))


def entry(id: str, protocol: str, cell: str, at_most_s: float | None) -> Entry:  # noqa: A002
    order = Order(Document("formation.yaml", "protocol: 1\n"), by="K. Abe (http 127.0.0.1)")
    return entry_of(order, id=id, protocol=protocol, cell=cell, at_most_s=at_most_s, utc_s=STARTED_UTC_S)


@pytest.fixture
def busy_lab(lab: Lab, tmp_path: Path) -> Lab:
    """With queues, and a run that can be amended."""
    let_wait(lab, tmp_path)
    lab.amending = FakeAmending()
    return lab


@pytest.fixture
def lab(furnished: Lab) -> Lab:
    """Run files are shared, because nothing here writes them; the rest is the test's own."""
    made = empty_lab(furnished.data_dir)
    made.station.statuses |= furnished.station.statuses
    made.station.samples |= furnished.station.samples
    made.station.links = furnished.station.links
    return made


@contextlib.contextmanager
def _make_run(data_dir: Path, run: str) -> Iterator[tuple[RunWriter, list[Row]]]:
    writer = create_run(data_dir, info(run, "a1", "x", {"name": "a"}), on_durable=lambda _: None, options=OPTIONS)
    try:
        yield writer, recorded(1, 2e-3).rows
    finally:
        assert writer.close()


@pytest.fixture
def make_run() -> Callable[[Path, str], AbstractContextManager[tuple[RunWriter, list[Row]]]]:
    """A run under way and rows to append to it."""
    return _make_run


Speak = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@contextlib.asynccontextmanager
async def _speak(lab: Lab, *, reading_needs_token: bool = False) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        lab.serve(reading_needs_token=reading_needs_token) as address,
        httpx.AsyncClient(base_url=address, trust_env=False, timeout=20.0) as client,
    ):
        yield client


@pytest.fixture
def speak() -> Speak:
    return _speak


@pytest.fixture
async def client(lab: Lab) -> AsyncIterator[httpx.AsyncClient]:
    async with _speak(lab) as made:
        yield made


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """(driver's address, session): one browser for all tests, because starting one takes longer than a test."""
    connecting = httpx.HTTPTransport(retries=8)  # waits longer each time: the driver needs a moment
    with (
        driving() as address,
        httpx.Client(base_url=address, trust_env=False, timeout=60, transport=connecting) as driver,
    ):
        session = new_session(driver, tmp_path_factory.mktemp("profile"))
        yield address, session
        driver.delete(f"/session/{session}")


@pytest.fixture
async def browser(chromium: tuple[str, str]) -> AsyncIterator[Browser]:
    address, session = chromium
    async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=60) as driver:
        found = Browser(driver, session)
        await found.open("about:blank")
        await found.log("browser")
        await found.log("performance")
        yield found
        await found.emulate("Emulation.clearDeviceMetricsOverride")
        await found.emulate("Emulation.setEmulatedMedia", features=[])
        await found.open("about:blank")
