"""GET: what is going on now, what was recorded, and the stream of news."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Response
from fastapi.responses import StreamingResponse

from cycler_ctl.live import ChannelStatus, InstrumentStatus, StationView
from cycler_ctl.web.hub import Hub, sample
from cycler_ctl.web.pieces import in_pieces
from cycler_ctl.web.recordings import NoSuchRunError, Recordings


@dataclass(frozen=True, slots=True)
class StationName:
    name: str
    site: str
    version: str


@dataclass(frozen=True, slots=True)
class Station:
    name: str
    site: str
    version: str
    channels: tuple[str, ...]
    instruments: tuple[InstrumentStatus, ...]
    mqtt: dict[str, object] | None
    """How the connection to the broker is, which rows it refused, which runs cannot be read; None without MQTT."""
    share: dict[str, object] | None
    """What of the ended runs waits to be copied to the group's folder, and why; None without one."""
    notify: list[dict[str, object]]
    """Of each rule whether its messages arrive, and since when not."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the services beside the station say of themselves."""

    mqtt: Callable[[], dict[str, object] | None]
    share: Callable[[], dict[str, object] | None]
    notify: Callable[[], list[dict[str, object]]]


@dataclass(frozen=True, slots=True)
class Readers:
    """What the routes read from; files are only ever read in ``pool``, never on the station's loop."""

    view: StationView
    hub: Hub
    recordings: Recordings
    pool: Executor
    said: Said

    async def off_loop(self, work: Callable[[], object]) -> Response:
        loop = asyncio.get_running_loop()
        try:
            body = await loop.run_in_executor(self.pool, lambda: in_pieces(work()))
        except NoSuchRunError as error:
            raise HTTPException(404, str(error)) from error
        return Response(body, media_type="application/json")


def reading_routes(readers: Readers, name: StationName) -> APIRouter:
    routes = APIRouter(prefix="/api/v1", tags=["reading"])
    _add_live(routes, readers, name)
    return routes


def _add_live(routes: APIRouter, readers: Readers, name: StationName) -> None:
    view = readers.view

    async def station() -> Station:
        names = tuple(status.channel for status in view.channels())
        said = readers.said
        own = (said.mqtt(), said.share(), said.notify())
        return Station(name.name, name.site, name.version, names, view.instruments(), *own)

    async def channels() -> Response:
        found = [_channel(view, status) for status in view.channels()]
        return Response(in_pieces(found), media_type="application/json")

    async def stream(last_event_id: Annotated[str, Header()] = "") -> StreamingResponse:
        """Events: channel, instrument, alarms, sample (at most one a second and channel), durable, beat (every 2 s)."""
        return StreamingResponse(readers.hub.stream(last_event_id), media_type="text/event-stream")

    routes.add_api_route("/station", station)
    routes.add_api_route("/channels", channels, response_model=list[dict[str, object]])
    routes.add_api_route("/stream", stream, response_class=StreamingResponse)


def _channel(view: StationView, status: ChannelStatus) -> dict[str, object]:
    latest = view.latest(status.channel)
    last = None if latest is None else {"run": latest[0], **sample(latest[1])}
    return {**asdict(status), "last": last}
