"""Who is there: one question to each place that may be asked, its answer shown to every driver."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

from pydantic import ValidationError

from cycler_ctl.channels.owning import address_key, owned
from cycler_ctl.clock import Clock, real_sleep
from cycler_ctl.errors import BadReply, CyclerError, InstrumentError, LinkTimeout, RefusedError
from cycler_ctl.instrument import DriverSpec, Identity, LinkDefaults
from cycler_ctl.link.opening import open_link
from cycler_ctl.scan.places import Place, is_serial

IDN = b"*IDN?"
AT_ONCE = 8
BETWEEN_S = 0.1  # who was asked in a foreign language may be deaf for a moment (an EmStat4: 50 ms)
LATEST = 12.0  # a port that takes longer than this many time-outs is given up


class State(StrEnum):
    IDENTIFIED = "identified"
    UNKNOWN = "unknown"
    NOT_ASKED = "not asked"
    HELD = "held"
    SILENT = "silent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Found:
    """``message``: what to do next, or why nothing is known. ``fits``: the drivers that know this instrument."""

    place: Place
    state: State
    message: str
    identity: Identity | None = None
    fits: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        return {
            "address": self.place.address,
            "what": self.place.what,
            "instrument": self.place.name,
            "state": self.state.value,
            "identity": None if self.identity is None else asdict(self.identity),
            "drivers": list(self.fits),
            "message": self.message,
        }


@dataclass(frozen=True, slots=True)
class Way:
    """One manner of asking, and the drivers that would understand the answer."""

    question: bytes
    link: LinkDefaults
    drivers: tuple[str, ...]


class Enquiry:
    """All places, several at a time; one GPIB bus answers one question at a time."""

    def __init__(self, specs: Mapping[str, DriverSpec], clock: Clock, timeout_s: float) -> None:
        self._specs = specs
        self._clock = clock
        self._timeout_s = timeout_s
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._bus = asyncio.Lock()

    async def all(self, places: Sequence[Place], told: Callable[[Found], None]) -> list[Found]:
        async def one(place: Place) -> Found:
            async with self._bus if place.address.upper().startswith("GPIB") else self._turns:
                found = await self.look(place)
            told(found)
            return found

        return list(await asyncio.gather(*(one(place) for place in places)))

    async def look(self, place: Place) -> Found:
        """Never a port that another program here has, the service among them."""
        if place.trouble is not None:
            return Found(place, State.FAILED, place.trouble)
        try:
            with owned(address_key(place.address), place.address, "cycler-ctl scan"):
                if not place.ask:
                    return Found(place, State.NOT_ASKED, not_asked(place))
                async with asyncio.timeout(LATEST * self._timeout_s):
                    return await self._ask(place)
        except RefusedError as error:
            return Found(place, State.HELD, str(error))
        except TimeoutError:
            return Found(place, State.FAILED, "it takes too long: is its cable or its network sound?")
        except InstrumentError as error:
            return Found(place, State.FAILED, str(error))

    async def _ask(self, place: Place) -> Found:
        spec = self._specs.get(place.driver or "")
        if spec is not None and spec.asking is None:
            return await self._by_driver(place, spec)
        found = Found(place, State.SILENT, "no driver here can ask it")
        for number, way in enumerate(self._ways(place)):
            if number:
                await real_sleep(BETWEEN_S)
            found = await self._one_way(place, way, found)
            if found.state is State.IDENTIFIED:
                break
        return found

    async def _one_way(self, place: Place, way: Way, before: Found) -> Found:
        """A place that said something to another question is not silent."""
        try:
            return self._recognised(place, way, await self._answer(place, way))
        except LinkTimeout as error:
            hint = "is it switched on, and are baud rate and terminator as the driver's notes say?"
            return before if before.state is State.UNKNOWN else Found(place, State.SILENT, f"{error}: {hint}")

    async def _answer(self, place: Place, way: Way) -> str:
        link = open_link(place.address, way.link, self._clock, backend=place.backend, visa_backend=place.visa_backend)
        async with link as wire:
            return (await wire.query(way.question)).decode("latin-1").strip()

    def _recognised(self, place: Place, way: Way, answer: str) -> Found:
        known = {name: self._identity(name, answer) for name in way.drivers}
        fits = tuple(name for name, identity in known.items() if identity is not None)
        if fits:
            return Found(place, State.IDENTIFIED, "", known[fits[0]], fits)
        return Found(place, State.UNKNOWN, f"it answers {answer[:80]!r}: no driver here knows it")

    def _identity(self, name: str, answer: str) -> Identity | None:
        asking = self._specs[name].asking
        try:
            return None if asking is None else asking.recognise(answer)
        except InstrumentError:
            return None

    def _ways(self, place: Place) -> list[Way]:
        """What station.toml says of it; else *IDN?, and on a serial port every driver's manner of asking in turn."""
        askable = {name: spec for name, spec in self._specs.items() if spec.asking is not None}
        if place.driver in askable:
            return self._distinct({place.driver: askable[place.driver]})
        if is_serial(place.address):
            return self._distinct(askable)
        names = tuple(name for name, spec in askable.items() if spec.asking is not None and spec.asking.question == IDN)
        return [Way(IDN, LinkDefaults(timeout_s=self._timeout_s), names)]

    def _distinct(self, specs: Mapping[str, DriverSpec]) -> list[Way]:
        found: dict[tuple[object, ...], Way] = {}
        for name, spec in specs.items():
            if spec.asking is None:
                continue
            link = replace(spec.link, timeout_s=self._timeout_s)
            key = spec.asking.question, link.baudrate, link.parity, link.stopbits
            way = found.get(key, Way(spec.asking.question, link, ()))
            found[key] = replace(way, drivers=(*way.drivers, name))
        return sorted(found.values(), key=lambda way: way.question != IDN)

    async def _by_driver(self, place: Place, spec: DriverSpec) -> Found:
        """A sensor has no output, so its driver may connect to it."""
        if spec.safe_off is not None:
            return Found(place, State.NOT_ASKED, f"the driver {place.driver} cannot ask without touching the output")
        try:
            link = open_link(
                place.address, spec.link, self._clock, backend=place.backend, visa_backend=place.visa_backend
            )
            async with link as wire, spec.connect(wire, spec.options(**place.options)) as instrument:
                for sensor in instrument.sensors.values():
                    await sensor.read()
                return Found(place, State.IDENTIFIED, "", instrument.identity, (place.driver or "",))
        except LinkTimeout as error:
            return Found(place, State.SILENT, str(error))
        except (BadReply, ValidationError, CyclerError) as error:
            return Found(place, State.FAILED, str(error))


def not_asked(place: Place) -> str:
    return f"not asked: any device may be behind a serial port; 'cycler-ctl scan --ask {place.address}' asks"
