"""POST /api/v1/channels/{channel}/...: each action is the station's own, on its loop; the gate has checked the token before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field

from cycler_ctl.errors import RefusedError
from cycler_ctl.live import StationView
from cycler_ctl.running.start import Order
from cycler_ctl.web.actions import StationActions
from cycler_ctl.web.hop import Hop
from protocols.reading.documents import Document

NAME = r"^[a-z0-9-]+$"
MOST_INCLUDED = 16  # there are four sections to include
Name = Annotated[str, Field(max_length=255)]
Text = Annotated[str, Field(max_length=1024 * 1024)]  # a bounded text is also checked to be text: no half characters
Act = Callable[[str, str], Awaitable[None]]


class StartRequest(BaseModel):
    """``set`` overrides the protocol's variables; ``cell`` is a cell file's text.

    ``include`` holds the texts of the files the protocol includes, by the names it includes them by: the service never
    reads a file for a request.
    """

    model_config = ConfigDict(extra="forbid")
    protocol: str = Field(min_length=1)
    file_name: Name = "protocol.yaml"
    cell: Text | None = None
    cell_name: Name = "cell"
    include: dict[Name, Text] = Field(default={}, max_length=MOST_INCLUDED)
    set: dict[Name, Name] = {}
    by: str = Field(default="", max_length=64)

    def order(self, by: str) -> Order:
        cell = None if self.cell is None else Document(self.cell_name, self.cell)
        return Order(Document(self.file_name, self.protocol), cell, self.set, sent=self.include, by=by)


class ActRequest(BaseModel):
    """``by``: who asks, for the record."""

    model_config = ConfigDict(extra="forbid")
    by: str = Field(default="", max_length=64)


class RunActRequest(ActRequest):
    """``run``: the one it is about; refused where another is the channel's by now."""

    run: str | None = Field(default=None, max_length=255)


class Started(BaseModel):
    run: str


class Done(BaseModel):
    channel: str
    done: str


def acting_routes(view: StationView, actions: StationActions, hop: Hop) -> APIRouter:
    routes = APIRouter(prefix="/api/v1/channels/{channel}", tags=["actions"])

    async def start(channel: str, body: StartRequest, request: Request) -> Started:
        must_exist(view, channel)
        order = body.order(who(body.by, request))
        return Started(run=await hop.do(lambda: actions.begin(channel, order)))

    routes.add_api_route("/start", start, methods=["POST"], status_code=201)
    acts: dict[str, Act] = {
        "pause": actions.pause,
        "resume": actions.resume,
        "skip": actions.skip,
        "acknowledge": actions.acknowledge,
    }
    for word, act in acts.items():
        routes.add_api_route(f"/{word}", _endpoint(view, word, act, hop), methods=["POST"], name=word)

    async def stop(channel: str, body: ActRequest, request: Request) -> Done:
        """Whatever runs there, off first."""
        must_exist(view, channel)
        await hop.do(lambda: actions.stop(channel, who(body.by, request)))
        return Done(channel=channel, done="stop")

    routes.add_api_route("/stop", stop, methods=["POST"], name="stop")
    return routes


def _endpoint(view: StationView, word: str, act: Act, hop: Hop) -> Callable[..., Awaitable[Done]]:
    async def endpoint(channel: str, body: RunActRequest, request: Request) -> Done:
        must_exist(view, channel)

        async def if_its_run() -> None:  # in the same turn: between the two no other run can begin
            _must_be_its_run(view, channel, body.run)
            await act(channel, who(body.by, request))

        await hop.do(if_its_run)
        return Done(channel=channel, done=word)

    return endpoint


def _must_be_its_run(view: StationView, channel: str, run: str | None) -> None:
    """What a person means for one run never meets the one that has begun since."""
    now = next(status.run for status in view.channels() if status.channel == channel)
    if run is not None and run != now:
        raise RefusedError(f"channel {channel}: its run is another one than you looked at: look again")


def who(by: str, request: Request) -> str:
    """Control characters never reach the record."""
    where = "http" if request.client is None else f"http {request.client.host}"
    said = "".join(letter for letter in by if letter.isprintable()).strip()
    return f"{said} ({where})" if said else where


def must_exist(view: StationView, channel: str) -> None:
    if all(status.channel != channel for status in view.channels()):
        raise HTTPException(404, f"there is no channel {channel[:64]!r}")
