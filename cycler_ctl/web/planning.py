"""POST /api/v1/check and .../plan: what a start would say, before anybody starts; and the protocols that ship."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from fastapi import APIRouter
from pydantic import BaseModel

from cycler_ctl.channels.readiness import Outlook
from cycler_ctl.errors import RefusedError
from cycler_ctl.live import StationView
from cycler_ctl.web.acting import StartRequest, must_exist
from cycler_ctl.web.actions import StationActions
from cycler_ctl.web.checker import Checker
from cycler_ctl.web.dryrun import Asked, DryRun, On
from cycler_ctl.web.hop import Hop
from protocols.shipped import library_files

MOST_WAITING = 4


class Shipped(BaseModel):
    """A file that ships with the program: a protocol, or a cell that protocols include."""

    name: str
    text: str


@dataclass(slots=True)
class Desk:
    """One file is read at a time, in ``pool``; who finds others waiting is told to come back."""

    checker: Checker
    pool: Executor
    waiting: int = 0

    async def ask(self, asked: Asked) -> DryRun:
        if self.waiting >= MOST_WAITING:
            raise RefusedError("other protocols are being checked: try again in a moment")
        self.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self.pool, self.checker.ask, asked)
        finally:
            self.waiting -= 1


def planning_routes(
    view: StationView, actions: StationActions, desk: Desk, hop: Hop, *, queues: bool = False
) -> APIRouter:
    """``queues``: what cannot start now may wait."""
    routes = APIRouter(prefix="/api/v1", tags=["planning"])

    async def check(body: StartRequest) -> DryRun:
        """As ``cycler-ctl check`` and ``plan``; nothing starts, and errors are part of the answer."""
        return await desk.ask(_asked(body, None))

    async def plan_there(channel: str, body: StartRequest) -> DryRun:
        """As ``plan --channel``, with all that a start would refuse now. The start itself, or the queue, looks once more."""
        must_exist(view, channel)

        async def outlook() -> Outlook:  # of one moment: it looks at the instrument more than once
            return actions.outlook(channel)

        seen = await hop.do(outlook)
        on = On(channel=channel, instrument=seen.instrument, settings=seen.settings, ratings=seen.ratings)
        found = await desk.ask(_asked(body, on))
        refused = [*seen.refused, *found.refused]
        may_wait = queues and found.ok and seen.ratings is not None  # then all that is refused is that it is busy
        return found.model_copy(update={"refused": refused, "ok": found.ok and not refused, "queueable": may_wait})

    routes.add_api_route("/check", check, methods=["POST"])
    routes.add_api_route("/channels/{channel}/plan", plan_there, methods=["POST"], name="plan on a channel")
    routes.add_api_route("/library", _library())
    return routes


def _asked(body: StartRequest, on: On | None) -> Asked:
    return Asked(
        protocol=body.protocol,
        file_name=body.file_name,
        cell=body.cell,
        cell_name=body.cell_name,
        include=body.include,
        set=body.set,
        on=on,
    )


def _library() -> Callable[[], Awaitable[list[Shipped]]]:
    files = (path for path in library_files() if path.suffix == ".yaml")
    shipped = [Shipped(name=path.name, text=path.read_text(encoding="utf-8")) for path in files]

    async def library() -> list[Shipped]:
        """The protocols that ship with the program, and the cells they include."""
        return shipped

    return library
