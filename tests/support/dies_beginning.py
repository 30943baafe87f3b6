"""A station whose process is killed while an entry of its queue begins: ``dies_beginning.py DATA before|after``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from virtual import CELL, open_virtual

from cycler_ctl.live import ChannelState, ChannelStatus
from cycler_ctl.queueing.opening import open_queueing
from cycler_ctl.running.start import Order
from protocols.reading.documents import Document

NAMES = ("First", "Second")


def text(name: str) -> str:
    return f"{CELL.replace('Trial', name)}steps:\n  - charge: {{at: 1 mA, for: 5 min}}\n"


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DiesWithTheRun:
    """An observer that hears of the begin after the queue has: then only the disk does not know that it left it."""

    def channel_changed(self, status: ChannelStatus) -> None:
        if status.state is ChannelState.RUNNING:
            die()

    def durable(self, run: str) -> None:
        """Rows are nothing to it."""


async def main(data: Path, when: str) -> None:
    async with open_virtual(data) as lab, open_queueing(lab.station, lab.clock) as keeper:
        assert keeper is not None
        if when == "before":
            lab.station.before_start(die)
        else:
            lab.station.observe(DiesWithTheRun())
        orders = [Order(Document("trial.yaml", text(name))) for name in NAMES]
        first, _ = [await keeper.add("a1", order) for order in orders]
        await lab.acting(keeper.ready("a1", first.id, "K. Abe"))
        await lab.acting(asyncio.Event().wait())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
