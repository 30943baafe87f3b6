"""/api/v1/channels/{channel}/queue and …/amend: what waits, and other text for what has not begun; the gate checked the token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Protocol

from fastapi import APIRouter, HTTPException, Request
from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict, Field

from cycler_ctl.errors import RefusedError
from cycler_ctl.queueing.keeper import QueueKeeper
from cycler_ctl.running.amending import Looked, Wanted
from cycler_ctl.web.acting import MOST_INCLUDED, ActRequest, Name, StartRequest, Text, who
from cycler_ctl.web.hop import Hop
from protocols.reading.documents import Document

EntryId = Annotated[str, InPath(pattern=r"^[0-9a-f]{1,32}$")]


class Amending(Protocol):
    """The station's own."""

    async def amend(self, channel: str, wanted: Wanted, of: str | None) -> Looked: ...


class AmendRequest(BaseModel):
    """The protocol's whole new text. ``set`` null: as the run was begun with; its cell stays.

    Without ``of`` it is looked at only, and the answer's ``of`` is what to send to have just that done. ``run``: the one
    it is about; refused where another is the channel's by now.
    """

    model_config = ConfigDict(extra="forbid")
    protocol: Text = Field(min_length=1)
    file_name: Name = "protocol.yaml"
    include: dict[Name, Text] = Field(default={}, max_length=MOST_INCLUDED)
    set: dict[Name, Name] | None = None
    of: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    run: str | None = Field(default=None, max_length=255)
    by: str = Field(default="", max_length=64)


class Amended(BaseModel):
    """``changes``: sentences for people; ``plan``: of the whole protocol as it would be, or is, now."""

    channel: str
    done: bool
    of: str
    changes: list[str]
    plan: dict[str, object]


class QueueEntry(BaseModel):
    id: str
    protocol: str
    cell: str
    file_name: str
    by: str
    added_utc_s: float
    at_most_s: float | None


class QueueAnswer(BaseModel):
    """``waits``: why the first entry does not begin now."""

    channel: str
    held: str | None
    ready: str | None
    waits: str | None
    entries: list[QueueEntry]


class Added(BaseModel):
    id: str
    at_most_s: float | None
    queue: QueueAnswer


class MoveRequest(ActRequest):
    to: int = Field(ge=1, le=1000)


class HoldRequest(ActRequest):
    why: str = Field(default="", max_length=200)


def amend_routes(station: Amending | None, hop: Hop) -> APIRouter:
    """``station`` None: the description of one."""
    routes = APIRouter(prefix="/api/v1/channels/{channel}", tags=["actions"])

    async def amend(channel: str, body: AmendRequest, request: Request) -> Amended:
        if station is None:
            raise RefusedError("nothing runs here that could be amended")
        there = station
        document = Document(body.file_name, body.protocol)
        wanted = Wanted(document, body.include, body.set, who(body.by, request), body.run)
        found = await hop.do(lambda: there.amend(channel, wanted, body.of))
        plan: dict[str, object] = {**found.prepared.info.plan}
        return Amended(channel=channel, done=body.of is not None, of=found.of, changes=list(found.changes), plan=plan)

    routes.add_api_route("/amend", amend, methods=["POST"])
    return routes


def queue_routes(keeper: QueueKeeper | None, hop: Hop) -> APIRouter:
    """``keeper`` None: this service keeps no queues."""
    routes = APIRouter(prefix="/api/v1/channels/{channel}/queue", tags=["queue"])
    door = _Door(keeper, hop)
    routes.add_api_route("", door.show, methods=["GET"])
    routes.add_api_route("", door.add, methods=["POST"], status_code=201)
    routes.add_api_route("/hold", door.hold, methods=["POST"])
    routes.add_api_route("/release", door.release, methods=["POST"])
    routes.add_api_route("/{entry}", door.remove, methods=["DELETE"])
    routes.add_api_route("/{entry}/move", door.move, methods=["POST"])
    routes.add_api_route("/{entry}/ready", door.ready, methods=["POST"])
    routes.add_api_route("/{entry}/unready", door.unready, methods=["POST"])
    return routes


class _Door:
    def __init__(self, keeper: QueueKeeper | None, hop: Hop) -> None:
        self._keeper = keeper
        self._hop = hop

    def _of(self, channel: str) -> QueueKeeper:
        if self._keeper is None:
            raise RefusedError("this service keeps no queues")
        if channel not in self._keeper.names:
            raise HTTPException(404, f"there is no channel {channel[:64]!r}")
        return self._keeper

    async def show(self, channel: str) -> QueueAnswer:
        return QueueAnswer.model_validate(self._of(channel).of(channel))

    async def _then(self, channel: str, act: Callable[[QueueKeeper], Awaitable[object]]) -> QueueAnswer:
        keeper = self._of(channel)
        await self._hop.do(lambda: act(keeper))
        return await self.show(channel)

    async def add(self, channel: str, body: StartRequest, request: Request) -> Added:
        keeper, order = self._of(channel), body.order(who(body.by, request))
        entry = await self._hop.do(lambda: keeper.add(channel, order))
        return Added(id=entry.id, at_most_s=entry.at_most_s, queue=await self.show(channel))

    async def remove(self, channel: str, entry: EntryId, body: ActRequest) -> QueueAnswer:
        del body
        return await self._then(channel, lambda keeper: keeper.remove(channel, entry))

    async def move(self, channel: str, entry: EntryId, body: MoveRequest) -> QueueAnswer:
        return await self._then(channel, lambda keeper: keeper.move(channel, entry, body.to))

    async def ready(self, channel: str, entry: EntryId, body: ActRequest, request: Request) -> QueueAnswer:
        return await self._then(channel, lambda keeper: keeper.ready(channel, entry, who(body.by, request)))

    async def unready(self, channel: str, entry: EntryId, body: ActRequest) -> QueueAnswer:
        del body
        return await self._then(channel, lambda keeper: keeper.unready(channel, entry))

    async def hold(self, channel: str, body: HoldRequest, request: Request) -> QueueAnswer:
        return await self._then(channel, lambda keeper: keeper.hold(channel, body.why, who(body.by, request)))

    async def release(self, channel: str, body: ActRequest, request: Request) -> QueueAnswer:
        return await self._then(channel, lambda keeper: keeper.release(channel, who(body.by, request)))
