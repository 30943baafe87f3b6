"""What needs a person: the same alarms as on MQTT and in notifications, and who has seen them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request

from cycler_ctl.alarms.board import AlarmBoard
from cycler_ctl.alarms.model import Alarm
from cycler_ctl.web.acting import ActRequest, who

AlarmId = Annotated[str, Path(pattern=r"^[a-z0-9_-]{1,120}$")]


def alarm_routes(board: AlarmBoard) -> APIRouter:
    routes = APIRouter(prefix="/api/v1/alarms", tags=["alarms"])

    async def alarms() -> tuple[Alarm, ...]:
        """The loudest first; with them what was over within the last day, which has ``cleared_utc_s``."""
        return board.everything()

    async def acknowledge(alarm: AlarmId, body: ActRequest, request: Request) -> Alarm:
        """Somebody has seen it: it is not repeated. It lasts as long as what it is about."""
        return board.acknowledge(alarm, who(body.by, request))

    routes.add_api_route("", alarms)
    routes.add_api_route("/{alarm}/acknowledge", acknowledge, methods=["POST"], name="acknowledge an alarm")
    return routes
