"""A wrong collector, for the negative control: it acknowledges what it takes, and writes it afterwards."""

from __future__ import annotations

from cycler_ctl.cli import main
from cycler_ctl.fleet import command
from cycler_ctl.fleet.nats_source import NatsSource
from cycler_ctl.fleet.said import Delivery


class Eager(NatsSource):
    async def take(self, wait_s: float) -> list[Delivery]:
        taken = await super().take(wait_s)
        await self.settle(taken)
        return taken


if __name__ == "__main__":
    vars(command)["NatsSource"] = Eager
    main()
