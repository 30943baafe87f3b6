"""Who was told that a run is paused finds it so, whatever dies in that moment: what runs may go on by itself."""

from __future__ import annotations

from pathlib import Path

from virtual import open_virtual

from cycler_ctl.live import ChannelState
from cycler_ctl.store.reader import open_run
from protocols import engine
from protocols.running.state import Phase


async def test_a_pause_is_on_disk_before_anybody_is_told_of_it(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        await lab.start("  - charge: {at: 1 mA, for: 30 min}\n")
        for at_s in range(30, 60, 6):
            await lab.at(float(at_s))
            await lab.acting(lab.station.pause("a1", "K. Abe"), 0.001)
            with open_run(lab.data / "runs" / lab.run) as reader:
                state = engine.from_json(reader.checkpoint() or "")
            assert (lab.status().state, state.phase) == (ChannelState.PAUSED, Phase.PAUSED)
            await lab.at(lab.clock.now() + 60.0)
            await lab.acting(lab.station.resume("a1", "K. Abe"))
        await lab.acting(lab.station.stop("a1", "K. Abe"))
