"""A resume by itself: an epoch of its own, and no other cell, however harmless it would be."""

from __future__ import annotations

from pathlib import Path

import pytest
from virtual import open_virtual

from cycler_ctl.errors import RefusedError
from cycler_ctl.live import ChannelState
from cycler_ctl.store.reader import open_run
from sim_hardware.loads import Battery

CHARGE = "  - charge: {at: 1 mA, for: 30 min}\n"


async def test_the_rows_after_a_resume_are_of_another_epoch(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "data") as lab:
        await lab.start(CHARGE)
        await lab.at(600.0)
        await lab.dies(60.0)
        await lab.acting(lab.station.resume("a1", "K. Abe"))
        await lab.ends()
        with open_run(tmp_path / "data" / "runs" / lab.run) as reader:
            before, after = reader.epochs
            assert before.epoch != after.epoch
            assert 1 < after.first["samples"] <= reader.last_seq


async def test_a_cell_inside_every_limit_that_is_not_the_one_that_was_there_gets_no_current(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "data") as lab:
        await lab.start(CHARGE)
        await lab.at(600.0)
        await lab.dies(60.0)
        lab.swap(Battery(4.2, 5.0))
        with pytest.raises(RefusedError, match="is it the same cell"):
            await lab.acting(lab.station.resume("a1", "K. Abe"))
        assert lab.is_off()
        assert lab.status().state is ChannelState.INTERRUPTED
