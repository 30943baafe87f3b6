"""POST /api/v1/channels/{channel}/...: each action is the station's own; the gate has checked the token before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field

from cycler_ctl.live import StationView
from cycler_ctl.web.actions import StationActions

NAME = r"^[a-z0-9-]+$"
Act = Callable[[str, str], Awaitable[None]]


class StartRequest(BaseModel):
    """``set`` overrides the protocol's variables; ``cell`` is a cell file's text."""

    model_config = ConfigDict(extra="forbid")
    protocol: str = Field(min_length=1)
    file_name: str = Field(default="protocol.yaml", max_length=255)
    cell: str | None = None
    set: dict[str, str] = {}
    by: str = Field(default="", max_length=64)


class ActRequest(BaseModel):
    """``by``: who asks, for the record."""

    model_config = ConfigDict(extra="forbid")
    by: str = Field(default="", max_length=64)


class Started(BaseModel):
    run: str


class Done(BaseModel):
    channel: str
    done: str


def acting_routes(view: StationView, actions: StationActions) -> APIRouter:
    routes = APIRouter(prefix="/api/v1/channels/{channel}", tags=["actions"])

    async def start(channel: str, body: StartRequest) -> Started:
        _must_exist(view, channel)
        return Started(run=await actions.start(channel, body.protocol, body.file_name, body.cell, body.set))

    routes.add_api_route("/start", start, methods=["POST"], status_code=201)
    acts: dict[str, Act] = {
        "pause": actions.pause,
        "resume": actions.resume,
        "skip": actions.skip,
        "stop": actions.stop,
        "acknowledge": actions.acknowledge,
    }
    for word, act in acts.items():
        routes.add_api_route(f"/{word}", _endpoint(view, word, act), methods=["POST"], name=word)
    return routes


def _endpoint(view: StationView, word: str, act: Act) -> Callable[..., Awaitable[Done]]:
    async def endpoint(channel: str, body: ActRequest, request: Request) -> Done:
        _must_exist(view, channel)
        await act(channel, _who(body, request))
        return Done(channel=channel, done=word)

    return endpoint


def _who(body: ActRequest, request: Request) -> str:
    """Control characters never reach the record."""
    where = "http" if request.client is None else f"http {request.client.host}"
    said = "".join(letter for letter in body.by if letter.isprintable()).strip()
    return f"{said} ({where})" if said else where


def _must_exist(view: StationView, channel: str) -> None:
    if all(status.channel != channel for status in view.channels()):
        raise HTTPException(404, f"there is no channel {channel[:64]!r}")
