"""Safe-off in virtual time: how often, how long, and what is said of an instrument that does not go off."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import virtual_loop
from pydantic import BaseModel
from virtual_loop import LoopClock, leap

from cycler_ctl.clock import Clock, real_sleep
from cycler_ctl.errors import BadReply, DeviceFault
from cycler_ctl.instrument import Asking, DriverSpec, Identity, Instrument, Link, LinkDefaults
from cycler_ctl.watching import safeoff
from cycler_ctl.watching.register import SafeOffEntry
from cycler_ctl.watching.safeoff import SafeOffResult, safe_off_all

WIRE = LinkDefaults(dead_socket=5030)
ENTRY = SafeOffEntry("smu1", "good", "TCPIP0::127.0.0.1::5025::SOCKET", backend="socket", visa_backend="@ivi")
OTHER = SafeOffEntry("oven", "sensor", "nowhere")
ADVICE = "the output may be ON: turn it off at the front panel or take the cell off, then try again"


class Line:
    """An instrument's wire. ``told`` is when what was done; each try takes ``takes_s`` and ends with one of ``ends``."""

    def __init__(self, patch: pytest.MonkeyPatch, *ends: Exception | None, takes_s: float = 0.0) -> None:
        self.told: list[tuple[str, float]] = []
        self._ends = iter(ends)
        self._takes_s = takes_s
        self._began_s = 0.0
        for name in ("load_driver", "open_link", "free_socket"):
            patch.setattr(safeoff, name, getattr(self, name))
        patch.setattr(virtual_loop, "GRACE_S", 0.0)

    def load_driver(self, name: str) -> DriverSpec:
        def connect(_: Link, __: object) -> Instrument:
            raise NotImplementedError

        return DriverSpec("", BaseModel, WIRE, connect, safe_off=None if name == "sensor" else self.off)  # type: ignore[arg-type]

    @asynccontextmanager
    async def open_link(
        self, address: str, wire: LinkDefaults, _clock: Clock, *, backend: str, visa_backend: str
    ) -> AsyncGenerator[str]:
        assert (address, wire, backend, visa_backend) == (ENTRY.address, WIRE, "socket", "@ivi")
        self.note("opened")
        try:
            yield address
        finally:
            self.note("closed")

    async def off(self, link: str) -> None:
        assert link == ENTRY.address
        self.note("off")
        await real_sleep(self._takes_s)
        end = next(self._ends)
        if end is not None:
            raise end

    async def free_socket(self, address: str, wire: LinkDefaults) -> None:
        assert (address, wire) == (ENTRY.address, WIRE)
        self.note("freed")

    def note(self, what: str) -> None:
        self.told.append((what, round(LoopClock().now() - self._began_s, 2)))

    def acts(self) -> list[str]:
        return [what for what, _ in self.told]

    def tried_at_s(self) -> list[float]:
        return [at_s for what, at_s in self.told if what == "off"]

    def told_off(self, *entries: SafeOffEntry) -> list[SafeOffResult]:
        async def told() -> list[SafeOffResult]:
            self._began_s = LoopClock().now()
            results = await safe_off_all(entries or (ENTRY,), LoopClock())
            self.note("over")
            return results

        return leap(told())


Lines = Callable[..., Line]
ONCE = ["opened", "off", "closed"]
BUSY = DeviceFault("it answers 1")


def result(confirmed: bool, what: str) -> SafeOffResult:
    return SafeOffResult("smu1", ENTRY.address, confirmed, f"smu1 at {ENTRY.address}: {what}")


def test_what_goes_off_at_once_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, None)
    assert line.told_off() == [result(confirmed=True, what="off, read back")]
    assert line.acts() == [*ONCE, "over"]


def test_what_does_not_go_off_is_told_three_times_after_the_socket_of_a_client_that_is_gone_was_freed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = Line(monkeypatch, BUSY, BUSY, BUSY)
    assert line.told_off() == [result(confirmed=False, what=f"OFF NOT CONFIRMED (it answers 1); {ADVICE}")]
    assert line.acts() == [*ONCE, "freed", *ONCE, "freed", *ONCE, "over"]
    assert line.tried_at_s() == [0.0, 0.2, 0.4]


def test_off_at_the_last_try_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Line(monkeypatch, BUSY, BUSY, None).told_off() == [result(confirmed=True, what="off, read back")]


def test_a_silent_instrument_is_given_up_after_two_tries_of_4_s(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, takes_s=1e6)
    assert line.told_off() == [result(confirmed=False, what=f"OFF NOT CONFIRMED (nothing came of it in 4 s); {ADVICE}")]
    assert line.acts() == [*ONCE, "freed", *ONCE, "over"]
    assert line.told[-1] == ("over", 8.2)


@pytest.mark.parametrize(("takes_s", "tries_s"), [(2.125, [0.0, 2.38, 4.75]), (2.25, [0.0, 2.5])])
def test_no_try_begins_later_than_it_may_end_in_time(
    takes_s: float, tries_s: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(safeoff, "BETWEEN_S", 0.25)  # 4.5 s after the first to the last bit
    line = Line(monkeypatch, BUSY, BUSY, BUSY, takes_s=takes_s)
    line.told_off()
    assert line.tried_at_s() == tries_s


def test_a_drivers_own_mistake_is_a_result_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, *[ZeroDivisionError("by zero")] * 3)
    assert line.told_off() == [
        result(confirmed=False, what=f"OFF NOT CONFIRMED (ZeroDivisionError: by zero); {ADVICE}")
    ]


def test_what_has_no_output_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch)
    assert line.told_off(OTHER) == []
    assert line.acts() == ["over"]


def test_an_instrument_of_two_channels_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, None)
    assert line.told_off(ENTRY, OTHER, ENTRY) == [result(confirmed=True, what="off, read back")]
    assert line.acts() == [*ONCE, "over"]


def test_no_driver_of_that_name_keeps_no_other_from_being_told(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, None)

    def absent(name: str) -> DriverSpec:
        if name == "absent":
            raise DeviceFault("no driver is called 'absent'")
        return line.load_driver(name)

    monkeypatch.setattr(safeoff, "load_driver", absent)
    results = line.told_off(SafeOffEntry("smu2", "absent", "there"), ENTRY)
    assert [(one.instrument, one.address, one.confirmed) for one in results] == [
        ("smu2", "there", False),
        ("smu1", ENTRY.address, True),
    ]
    assert "no driver is called 'absent'" in results[0].message


NUMBERED = replace(ENTRY, serial="17")


def recognised(answer: str) -> Identity:
    if answer == "?":
        raise BadReply("WHO", answer.encode())
    return Identity("", "", answer, "")


class Asked(str):
    """An instrument's link that tells who is there, as one that was told off says."""

    __slots__ = ("line", "serial")
    line: Line
    serial: bytes

    async def query(self, message: bytes) -> bytes:
        self.line.note(message.decode())
        return self.serial


class Telling(Line):
    """Says that its serial number is this one."""

    def __init__(self, patch: pytest.MonkeyPatch, serial: bytes, *ends: Exception | None, tells: bool = True) -> None:
        super().__init__(patch, *ends)
        self._serial = serial
        self._asking = Asking(b"WHO", recognised) if tells else None

    def load_driver(self, name: str) -> DriverSpec:
        return replace(super().load_driver(name), asking=self._asking)

    @asynccontextmanager
    async def open_link(
        self, address: str, wire: LinkDefaults, clock: Clock, *, backend: str, visa_backend: str
    ) -> AsyncGenerator[str]:
        async with super().open_link(address, wire, clock, backend=backend, visa_backend=visa_backend) as found:
            link = Asked(found)
            link.line, link.serial = self, self._serial
            yield link


def test_the_instrument_that_was_on_is_asked_who_it_is_after_it_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Telling(monkeypatch, b"17\n", None)
    assert line.told_off(NUMBERED) == [result(confirmed=True, what="off, read back")]
    assert line.acts() == ["opened", "off", "WHO", "closed", "over"]


def test_another_instrument_in_its_place_is_off_and_the_one_that_was_on_may_be_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = Telling(monkeypatch, b"18", None)
    (found,) = line.told_off(NUMBERED)
    assert (found.instrument, found.address, found.confirmed) == ("smu1", ENTRY.address, False)
    assert "ANOTHER INSTRUMENT ANSWERED, serial number 18, and is off" in found.message
    assert "serial number 17, may still be ON" in found.message
    assert line.acts().count("off") == 1


def test_who_does_not_say_who_it_is_is_off_but_not_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Telling(monkeypatch, b"?", None, None, None)
    (found,) = line.told_off(NUMBERED)
    assert not found.confirmed
    assert "OFF NOT CONFIRMED (it is off, read back, but does not say who it is: 'WHO' answered b'?'" in found.message
    assert line.acts().count("off") == 3


@pytest.mark.parametrize(("entry", "tells"), [(ENTRY, True), (NUMBERED, False)])
def test_nobody_is_asked_where_no_number_is_known_or_none_is_told(
    entry: SafeOffEntry, *, tells: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Telling(monkeypatch, b"18", None, tells=tells)
    assert line.told_off(entry) == [result(confirmed=True, what="off, read back")]
    assert line.acts() == [*ONCE, "over"]


def test_an_instrument_without_a_number_is_taken_at_its_word_that_it_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Telling(monkeypatch, b" ", None).told_off(NUMBERED) == [result(confirmed=True, what="off, read back")]


def test_of_two_that_had_the_same_address_each_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Telling(monkeypatch, b"17", None, None)
    assert [one.confirmed for one in line.told_off(NUMBERED, replace(NUMBERED, serial="16"))] == [True, False]
