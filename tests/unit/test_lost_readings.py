"""What one reading that does not come costs a run: nothing but itself, an exchange to be in step again, or the run."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import virtual_loop
from virtual_loop import leap

from cycler_ctl.clock import real_sleep
from cycler_ctl.errors import BadReply, DeviceFault, InstrumentError, LinkClosed, LinkTimeout, NotAsLeft, Overflow
from cycler_ctl.guarding.losses import RESYNC_S, Losses
from cycler_ctl.instrument import Reading
from protocols.model import ConstantCurrent, Rest, Setpoint

DRIVEN, AT_REST = ConstantCurrent(1e-3, (2.5, 4.3)), Rest((2.0, 5.0))
GOOD = Reading(3.7, 1e-3, output_on=True, flags=frozenset(), at_s=1.0)
LATE, GARBLED = LinkTimeout("no answer within 1 s"), BadReply("READ?", b"?")
TOO_MUCH = Overflow("READ?", b"+9.9E37")
RESET = NotAsLeft("it was reset")


@dataclass
class Bench:
    """Reads these in turn; each ``resync`` ends with one of ``resyncs``, in the end well, or takes ``takes_s``."""

    reads: list[Reading | InstrumentError]
    resyncs: list[InstrumentError] = field(default_factory=list[InstrumentError])
    takes_s: float = 0.0
    lost: str = ""
    late: str = ""
    told: list[str] = field(default_factory=list[str])
    missed: list[InstrumentError] = field(default_factory=list[InstrumentError])

    async def read(self) -> Reading:
        self.told.append("read")
        answer = self.reads.pop(0)
        if isinstance(answer, InstrumentError):
            raise answer
        return answer

    async def resync(self) -> None:
        self.told.append("resync")
        await real_sleep(self.takes_s)
        if self.resyncs:
            raise self.resyncs.pop(0)

    @asynccontextmanager
    async def patience(self) -> AsyncGenerator[None]:
        self.told.append("patience")
        yield

    def losses(self) -> Losses:
        @dataclass
        class Fit:
            channel: Bench
            instrument: Bench
            contact: Bench

        fit: Any = Fit(self, self, self)
        return Losses(fit, self.missed.append)

    async def outcomes(self, setpoint: Setpoint | None = DRIVEN) -> list[Reading | str | None]:
        losses = self.losses()
        return [await losses.read(setpoint, lambda: self.late) for _ in range(len(self.reads))]


async def test_a_reading_that_comes_is_given_on() -> None:
    bench = Bench([GOOD])
    assert await bench.outcomes() == [GOOD]
    assert (bench.told, bench.missed) == (["patience", "read"], [])


@pytest.mark.parametrize("error", [LATE, GARBLED])
async def test_a_reading_that_is_lost_costs_itself_and_proof_that_the_next_answer_is_the_next_questions(
    error: InstrumentError,
) -> None:
    bench = Bench([error, GOOD])
    assert await bench.outcomes() == [None, GOOD]
    assert bench.told == ["patience", "read", "patience", "resync", "patience", "read"]
    assert bench.missed == [error]


async def test_the_third_that_is_lost_of_the_last_five_ends_the_run_and_says_what_the_last_one_was() -> None:
    bench = Bench([LATE, GOOD, LATE, GOOD, GARBLED])
    *before, last = await bench.outcomes()
    assert before == [None, GOOD, None, GOOD]
    assert last == f"3 of the last 5 readings failed; last: {GARBLED}"
    assert bench.told.count("resync") == 2
    assert await Bench([LATE, GOOD, GOOD, LATE, GOOD, LATE]).outcomes() == [None, GOOD, GOOD, None, GOOD, None]
    assert await Bench([LATE] * 3).outcomes() == [None, None, f"3 readings in a row failed; last: {LATE}"]


async def test_what_the_instrument_cannot_measure_ends_a_run_whose_current_flows_and_no_rest() -> None:
    driven = Bench([TOO_MUCH])
    assert await driven.outcomes() == [f"the cell cannot be seen while current flows: {TOO_MUCH}"]
    assert (driven.told.count("resync"), driven.missed) == (0, [TOO_MUCH])
    assert await Bench([TOO_MUCH]).outcomes(None) == [f"the cell cannot be seen while current flows: {TOO_MUCH}"]
    assert await Bench([TOO_MUCH, GOOD]).outcomes(AT_REST) == [None, GOOD]


@pytest.mark.parametrize("why", ["contact lost", "no fresh reading for 4 s"])
async def test_where_contact_is_lost_or_the_guard_has_waited_too_long_nothing_more_is_asked(why: str) -> None:
    for bench in (Bench([LATE], lost=why), Bench([LATE], late=why)):
        assert await bench.outcomes() == [f"{why}; last: {LATE}"]
        assert "resync" not in bench.told


async def test_a_try_to_be_in_step_again_that_is_not_answered_counts_as_another_that_is_lost() -> None:
    bench = Bench([LATE, GOOD], resyncs=[LinkTimeout("no identity")])
    assert await bench.outcomes() == [None, GOOD]
    assert (bench.told.count("resync"), bench.missed) == (2, [LATE, LATE])
    hopeless = Bench([LATE], resyncs=[LinkTimeout("no identity")] * 2)
    assert await hopeless.outcomes() == [f"3 readings in a row failed; last: {LATE}"]


def test_a_try_to_be_in_step_again_may_take_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_loop, "GRACE_S", 0.0)  # nothing comes from anywhere else
    assert RESYNC_S == 2.0
    assert leap(Bench([LATE], takes_s=1.99).outcomes()) == [None]
    assert leap(Bench([LATE], takes_s=2.01).outcomes()) == [f"3 readings in a row failed; last: {LATE}"]


@pytest.mark.parametrize("error", [DeviceFault("no measurement"), LinkClosed("the port is gone")])
async def test_any_other_trouble_ends_the_run_at_once(error: InstrumentError) -> None:
    bench = Bench([error])
    assert await bench.outcomes() == [str(error)]
    assert (bench.told.count("resync"), bench.missed) == (0, [])
    assert await Bench([LATE], resyncs=[error]).outcomes() == [str(error)]
    assert await Bench([LATE], resyncs=[GARBLED]).outcomes() == [str(GARBLED)]


async def test_an_instrument_that_is_not_as_it_was_left_is_the_runners_to_pause_for() -> None:
    for bench in (Bench([RESET]), Bench([LATE], resyncs=[RESET])):
        with pytest.raises(NotAsLeft):
            await bench.outcomes()
