"""Every reading that was lost and asked for again is in the record, and a bad wire does not fill it."""

from __future__ import annotations

from pathlib import Path

from virtual import open_virtual

from cycler_ctl.live import ChannelState
from cycler_ctl.running.retries import ONE_BY_ONE, Retries
from protocols.record import EventKind
from sim_hardware.faults import LineFault

AT_S = (20.0, 120.0, 200.0)


async def test_each_lost_reading_is_told_with_its_time_and_step(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        await lab.start("  - rest: 1 min\n  - charge: {at: 1 mA, for: 5 min}\n")
        for at_s in AT_S:
            await lab.at(at_s)
            lab.smu.line.inject(LineFault("drop", 1, b"READ?"))
        ended = await lab.ends()
        assert ended.state is ChannelState.FINISHED, ended.reason
        told = [(event.data["step_count"], event.data["count"]) for event in lab.events(EventKind.RETRY)]
        late_s = [event.time_s - at_s for event, at_s in zip(lab.events(EventKind.RETRY), AT_S, strict=True)]
    assert told == [(1, 1), (2, 1), (2, 2)]
    assert all(0 < one_s < 15 for one_s in late_s)


def test_of_very_many_the_number_is_told_as_it_doubles_and_when_the_step_is_over() -> None:
    retries = Retries()
    told = [data["count"] for _ in range(1000) for _, data in retries.one_more(3, "no answer")]
    assert told == [*range(1, ONE_BY_ONE + 1), 40, 80, 160, 320, 640]
    assert [data["count"] for _, data in retries.over(3)] == []
    assert [(data["step_count"], data["count"]) for _, data in retries.over(4)] == [(3, 1000)]
    assert [(data["step_count"], data["count"]) for _, data in retries.one_more(4, "no answer")] == [(4, 1)]
