"""A skip ends what is under way and nothing of it goes on: neither its current, nor its counts, nor its conditions."""

from __future__ import annotations

from pathlib import Path

import pytest
from virtual import Virtual, open_virtual

from cycler_ctl.live import ChannelState

PASSES = "  - repeat:\n      times: 3\n      steps:\n        - "
STEPS = {
    "a current": "charge: {at: C/2, until: 4.2 V or 1 mAh}\n",
    "a train": "gitt: {charge: {at: C/2, for: 10 min}, rest: 5 min, until: 4.2 V or 1 mAh}\n",
}


@pytest.mark.parametrize("kind", STEPS)
async def test_a_pass_that_is_skipped_in_a_pause_leaves_the_next_its_whole_charge(kind: str, tmp_path: Path) -> None:
    """Of one pass to the next the step has the same name; the guard must not take it for the same step that goes on."""
    async with open_virtual(tmp_path, cell="battery") as lab:
        await lab.start(PASSES + STEPS[kind])
        await lab.at(9 * 60)
        await paused_skipped_and_resumed(lab)
        assert (await lab.ends()).state is ChannelState.FINISHED, lab.status().reason
        passes = {row.cycle: abs(row.cycle_total.oxidation_Ah) for row in lab.rows()}
        assert [round(1e3 * charge, 1) for charge in passes.values()] == [0.2, 1.0, 1.0]


async def paused_skipped_and_resumed(lab: Virtual) -> None:
    await lab.station.pause("a1", "K. Abe")
    await lab.station.skip("a1", "K. Abe")
    assert lab.is_off()
    assert lab.status().state is ChannelState.PAUSED
    await lab.at(lab.clock.now() + 60.0)
    await lab.acting(lab.station.resume("a1", "K. Abe"))
