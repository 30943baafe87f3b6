"""Many look at a channel, and often: its status is made anew where it is another, and only there."""

from __future__ import annotations

from pathlib import Path

from virtual import open_virtual

from cycler_ctl.live import ChannelState, QueueStatus

STEPS = """\
  - charge: {at: 1 mA, until: 300 s}
  - rest: 600 s
"""


async def test_a_status_is_made_anew_with_each_step_pause_and_row_that_waits_and_else_not(tmp_path: Path) -> None:
    waiting = {"rows": 1}
    async with open_virtual(tmp_path) as lab:
        lab.station.count_waiting(lambda _run: waiting["rows"])
        await lab.start(STEPS)
        await lab.until_step("1")
        charging = lab.status()
        assert (charging.what, charging.setpoint_A, charging.energised, charging.rows_waiting) == (
            "charge",
            1e-3,
            True,
            1,
        )
        await lab.at(lab.clock.now() + 100.0)
        assert lab.status() is charging  # some samples later
        waiting["rows"] = 2
        assert lab.status().rows_waiting == 2
        await lab.acting(lab.station.pause("a1", "K. Abe"))
        assert (lab.status().state, lab.status().energised) == (ChannelState.PAUSED, False)
        await lab.acting(lab.station.resume("a1", "K. Abe"))
        assert (lab.status().state, lab.status().energised) == (ChannelState.RUNNING, True)
        await lab.until_step("2")
        assert (lab.status().what, lab.status().setpoint_A, lab.status().energised) == ("rest", 0.0, True)
        queue = QueueStatus(1, "another", ready=True, held=None)
        lab.station.tell_queue(lambda _channel: queue, lambda _channel, _why: None)
        assert lab.status().queue == queue
        assert (await lab.ends()).state is ChannelState.FINISHED
        assert lab.status().energised is False
