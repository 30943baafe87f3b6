"""Whatever goes wrong, and whoever acts: a run ends once, for one reason, and who has looked at it is kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from rig import quick_links
from virtual import Virtual, open_virtual

from cycler_ctl.errors import CyclerError
from cycler_ctl.live import ChannelState
from cycler_ctl.running.pacing import Ahead
from cycler_ctl.store.reader import open_run
from protocols.record import EventKind
from sim_hardware.faults import LineFault

SEEDS, CAMPAIGN = 10, 150
STEPS = "  - charge: {at: 1 mA, for: 10 min, until: voltage >= 4.2 V}\n  - rest: 2 min\n  - discharge: {at: 1 mA, for: 5 min}\n"
LINES = ("drop", "garble", "truncate", "disconnect", "reboot", "lose")
Act = Callable[[Virtual, Random], Awaitable[None]]


async def the_line_fails(lab: Virtual, chance: Random) -> None:
    lab.smu.line.inject(LineFault(chance.choice(LINES), chance.randint(1, 8)))


async def a_lead_fails(lab: Virtual, chance: Random) -> None:
    lab.fault("lead", chance.choice(["open", "good"]))


async def a_person_acts(lab: Virtual, chance: Random) -> None:
    station = lab.station
    action = chance.choice([station.stop, station.pause, station.resume, station.skip])
    with suppress(CyclerError):  # it is as refused as it may be
        await lab.acting(action("a1", "K. Abe"))


ACTS: tuple[Act, ...] = (the_line_fails, a_lead_fails, a_person_acts)


async def over(lab: Virtual) -> None:
    lab.smu.line.clear_faults()
    lab.fault("lead", "good")
    if lab.status().state is ChannelState.PAUSED:
        await lab.acting(lab.station.stop("a1", "K. Abe"))
    await lab.ends()


def ended_once(lab: Virtual) -> None:
    (end,) = lab.events(EventKind.RUN_ENDED)
    with open_run(lab.data / "runs" / lab.run) as reader:
        kept = reader.state
    assert kept.outcome is not None
    assert kept.reason.startswith(str(end.data["reason"]))
    assert kept.outcome.value == end.data["outcome"] or "off could not be confirmed" in kept.reason
    assert (lab.status().state.value, lab.status().reason) == (kept.outcome.value, kept.reason)
    begun = [event.data["step_count"] for event in lab.events(EventKind.STEP_STARTED)]
    assert begun == [event.data["step_count"] for event in lab.events(EventKind.STEP_ENDED)]


async def looked_at(lab: Virtual) -> None:
    """By name and time in the record and in the status; the end stays as it was."""
    before = lab.status()
    if before.state not in {ChannelState.TRIPPED, ChannelState.FAULTED}:
        return
    await lab.acting(lab.station.acknowledge("a1", "K. Abe"))
    told = [event for event in lab.events(EventKind.OPERATOR) if event.data["action"] == "acknowledge"]
    assert [(event.data["by"], event.data["of"], event.data["reason"]) for event in told] == [
        ("K. Abe", before.state.value, before.reason)
    ]
    assert told[0].utc_s >= before.since_utc_s
    assert (lab.status().state, lab.status().reason) == (ChannelState.IDLE, "acknowledged by K. Abe")
    assert lab.status().since_utc_s >= before.since_utc_s
    assert len(lab.events(EventKind.RUN_ENDED)) == 1


@pytest.mark.timeout(1800)
async def test_random_faults_and_people_leave_exactly_one_end_with_one_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    quick_links(monkeypatch, 0.2)
    ways: set[str] = set()
    for seed in range(CAMPAIGN if request.config.getoption("--campaign") else SEEDS):
        chance = Random(seed)
        async with open_virtual(tmp_path / str(seed)) as lab:
            await lab.start(STEPS)
            for at_s in sorted(chance.uniform(1.0, 900.0) for _ in range(3)):
                await lab.at(at_s)
                await chance.choice(ACTS)(lab, chance)
            await over(lab)
            ended_once(lab)
            ways.add(lab.status().state.value)
            await looked_at(lab)
    assert {"finished", "stopped", "faulted"} <= ways


async def test_an_error_of_our_own_is_an_end_like_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_virtual(tmp_path) as lab:
        await lab.start(STEPS)
        await lab.at(100.0)

        def fails(*_: object) -> None:
            raise ValueError("nobody thought of this")

        monkeypatch.setattr(Ahead, "soon_s", fails)
        assert (await lab.ends()).state is ChannelState.FAULTED
        (end,) = lab.events(EventKind.RUN_ENDED)
        assert end.data["outcome"] == "faulted"
        assert "nobody thought of this" in str(end.data["reason"])
        assert lab.is_off()
