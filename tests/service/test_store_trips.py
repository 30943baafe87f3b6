"""A disk that does not answer, or refuses, changes nothing for the cell: readings go on, and a limit trips as on any day."""

from __future__ import annotations

import threading
from itertools import pairwise
from pathlib import Path

import pytest
from recorded_disk import FULL, IOERR_FSYNC, OK, Call, recorded
from rig import LIMITS, open_rig, protocol, until

from cycler_ctl.config import ChannelSettings
from cycler_ctl.live import ChannelState
from cycler_ctl.testing.stepclock import StepClock
from protocols.record import EventKind

CEILING_AH = 3e-7  # of 0.39 mA, less than three seconds
CHANNEL = ChannelSettings(
    instrument="smu1",
    sample_every_s=0.2,
    limits=LIMITS.model_copy(update={"step_charge_Ah": CEILING_AH}),
    temperature="unmonitored",
)


@pytest.mark.parametrize("trouble", ["none", "stuck", "error", "full"])
async def test_the_guard_trips_at_the_same_charge_whatever_the_disk_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    stuck, healed = threading.Event(), threading.Event()
    refused = {"error": IOERR_FSYNC, "full": FULL}.get(trouble, OK)

    def verdict(call: Call) -> int:
        if call.what != "sync" or trouble == "none" or healed.is_set():
            return OK
        stuck.set()
        if trouble == "stuck":
            assert healed.wait(60)
        return refused

    with recorded(tmp_path, monkeypatch) as disk:
        clock = StepClock(speed=2.0)  # of a busy machine's stalls it makes no run time, and none of a reading
        async with open_rig(tmp_path, monkeypatch, channel=CHANNEL, clock=clock) as rig:
            run = await rig.start(protocol("  - lithiate: {at: 0.5 mA/cm2, for: 1 h}\n"))
            await until(rig.flows)
            disk.verdict = verdict
            await until(rig.is_off)
            assert rig.guardian.lapsed == []
            assert stuck.is_set() == (trouble != "none")
            healed.set()
            status = await rig.ends()
    assert (status.state, status.energised) == (ChannelState.TRIPPED, False), status.reason
    rows = rig.rows(run)
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    passed_Ah = rows[-1].run_total.reduction_Ah
    assert passed_Ah == pytest.approx(CEILING_AH, rel=0.3), "within about two readings"
    assert max(b.time_s - a.time_s for a, b in pairwise(rows)) < 1.0, "readings went on"
    assert EventKind.TRIP in {event.kind for event in rig.events(run)}
