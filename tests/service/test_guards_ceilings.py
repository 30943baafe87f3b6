"""An engine that counts wrongly: the guard's own count of charge or time ends the step, once, and that stays until seen."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from virtual import LIMITS, Virtual, open_virtual

from cycler_ctl.errors import InstrumentError, RefusedError
from cycler_ctl.live import ChannelState
from protocols.conditions import Met, look
from protocols.model import Condition
from protocols.record import EventKind, Outcome
from protocols.running.state import Past, Seen, Streaks

HOUR_S = 3600.0
Blind = Callable[[Seen], Seen]


def no_charge(seen: Seen) -> Seen:
    return seen._replace(charge_Ah=0.0, energy_Wh=0.0)


def no_time(seen: Seen) -> Seen:
    return seen._replace(time_s=0.0)


def looking(blind: Blind) -> Callable[..., tuple[Met, Streaks]]:
    """As the engine looks at a sample, but for what it is blind to."""

    def looked(
        condition: Condition, streaks: Streaks, seen: Seen, before: Seen | None, past: Past, *, debounce: int
    ) -> tuple[Met, Streaks]:
        return look(condition, streaks, blind(seen), before, past, debounce=debounce)

    return looked


@dataclass(frozen=True, slots=True)
class Miscount:
    """``most_Ah``, ``most_s``: what the guard lets pass; ``words``: how it says so."""

    blind: Blind
    steps: str
    words: str
    most_Ah: float
    most_s: float


NEVER = "until: 4.2 V"
WRONG = {
    "charge": Miscount(
        no_charge,
        f"  - charge: {{at: C/2, {NEVER} or 1 mAh}}\n",
        "more than its ceiling of 1.05 mAh, and no cut-off has ended it",
        1.05e-3,
        0.7 * HOUR_S,
    ),
    "time": Miscount(
        no_time,
        f"  - charge: {{at: C/2, {NEVER}, for: 20 min}}\n",
        "longer than its ceiling of 1284 s",
        1.5e-3 * 1284 / HOUR_S,
        1284.0,
    ),
    "pulses": Miscount(
        no_charge,
        f"  - gitt: {{charge: {{at: C/2, for: 10 min}}, rest: 5 min, {NEVER} or 1 mAh}}\n",
        "in all its parts, above its ceiling of 1.05 mAh",
        1.05e-3,
        1.2 * HOUR_S,
    ),
}


@pytest.mark.parametrize("kind", WRONG)
async def test_a_step_whose_end_the_engine_never_sees_is_ended_by_the_guards_count_until_a_person_has_looked(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = WRONG[kind]
    monkeypatch.setattr("protocols.running.looking.look", looking(wrong.blind))
    async with open_virtual(tmp_path, cell="battery") as lab:
        await lab.start(wrong.steps + "  - rest: 1 h\n")
        status = await lab.ends()
        assert (status.state, status.energised) == (ChannelState.TRIPPED, False)
        assert wrong.words in status.reason
        assert lab.is_off()
        assert 0.9 * wrong.most_Ah < lab.truth()["charge_C"] / HOUR_S <= wrong.most_Ah * 1.03
        assert lab.clock.now() <= wrong.most_s + 3 * 30.0
        ended_for_one_reason(lab)
        await stays_until_seen(lab)


async def test_with_an_engine_that_counts_the_same_steps_end_by_themselves(tmp_path: Path) -> None:
    for kind, wrong in WRONG.items():
        async with open_virtual(tmp_path / kind, cell="battery") as lab:
            await lab.start(wrong.steps)
            assert (await lab.ends()).state is ChannelState.FINISHED


async def test_a_cut_off_that_never_comes_meets_the_channels_own_ceiling_of_time(tmp_path: Path) -> None:
    limits = LIMITS.model_copy(update={"step_time_s": 1800.0})
    async with open_virtual(tmp_path, cell="battery", limits=limits) as lab:
        await lab.start(f"  - charge: {{at: C/10, {NEVER}}}\n")
        status = await lab.ends()
        assert status.state is ChannelState.TRIPPED
        assert "longer than its ceiling of 1800 s" in status.reason
        assert lab.is_off()
        assert lab.clock.now() == pytest.approx(1800.0, abs=61.0)
        ended_for_one_reason(lab)


async def test_pauses_between_readings_hide_no_charge_from_the_guard(tmp_path: Path) -> None:
    """Whoever pauses before each reading, a script say, passes charge that the guard never reads."""
    limits = LIMITS.model_copy(update={"step_charge_Ah": 0.1e-3})
    async with open_virtual(tmp_path, cell="battery", limits=limits, sample_every_s=60.0) as lab:
        await lab.start(f"  - charge: {{at: C/2, {NEVER}}}\n")
        with suppress(InstrumentError):  # what is asked of a run that has just tripped
            for _ in range(9):
                await lab.at(lab.clock.now() + 50.0)
                await lab.station.pause("a1", "K. Abe")
                await lab.at(lab.clock.now() + 60.0)  # a relay that is switched more often has to wait
                await lab.acting(lab.station.resume("a1", "K. Abe"))
        status = await lab.ends()
        assert status.state is ChannelState.TRIPPED
        assert "more than its ceiling of 0.1 mAh" in status.reason
        assert lab.truth()["charge_C"] / HOUR_S == pytest.approx(0.1e-3, rel=0.25)


def ended_for_one_reason(lab: Virtual) -> None:
    (trip,), (end,) = lab.events(EventKind.TRIP), lab.events(EventKind.RUN_ENDED)
    assert trip.data["reason"] == end.data["reason"] == lab.status().reason == lab.steps()[-1].end_reason
    assert end.data["outcome"] == Outcome.TRIPPED
    assert lab.events(EventKind.FAULT) == []


async def stays_until_seen(lab: Virtual) -> None:
    reason = lab.status().reason
    with pytest.raises(RefusedError, match="acknowledge a1"):
        await lab.start("  - rest: 1 min\n")
    await lab.closes("another session")
    await lab.another_station()
    assert (lab.status().state, lab.status().reason) == (ChannelState.TRIPPED, reason)
    await lab.acting(lab.station.acknowledge("a1", "K. Abe"))
    assert lab.status().state is ChannelState.IDLE
    assert lab.is_off()
