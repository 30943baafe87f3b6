"""The HTTP application: the live page, the reading API, the stream and the actions."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from cycler_ctl.alarms.board import AlarmBoard
from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import ConfigError, CyclerError, InstrumentError, RefusedError, StoreError
from cycler_ctl.live import StationView
from cycler_ctl.queueing.keeper import QueueKeeper
from cycler_ctl.web.access import SHORTEST
from cycler_ctl.web.acting import acting_routes
from cycler_ctl.web.actions import StationActions
from cycler_ctl.web.alarms import alarm_routes
from cycler_ctl.web.checker import Checker
from cycler_ctl.web.gate import Gate, Rules
from cycler_ctl.web.hop import Hop
from cycler_ctl.web.hub import Hub
from cycler_ctl.web.pages import page_routes
from cycler_ctl.web.planning import Desk, planning_routes
from cycler_ctl.web.queueing import Amending, amend_routes, queue_routes
from cycler_ctl.web.reading import Readers, Said, StationName, reading_routes
from cycler_ctl.web.recorded import recorded_routes
from cycler_ctl.web.recordings import Recordings, StoreRecordings

STATUS_OF = {RefusedError: 409, ConfigError: 422, InstrumentError: 502, StoreError: 503, CyclerError: 422}


@dataclass(frozen=True, slots=True)
class _Owned:
    """What ends with the server."""

    hub: Hub
    pool: ThreadPoolExecutor
    checking: ThreadPoolExecutor
    checker: Checker


def create_app(
    view: StationView,
    actions: StationActions,
    *,
    data_dir: Path,
    token: str,
    allowed_hosts: frozenset[str],
    name: str = "station",
    site: str = "lab",
    reading_needs_token: bool = False,
    hub: Hub | None = None,
    recordings: Recordings | None = None,
    mqtt: Callable[[], dict[str, object] | None] = lambda: None,
    share: Callable[[], dict[str, object] | None] = lambda: None,
    notify: Callable[[], list[dict[str, object]]] = list,
    alarms: AlarmBoard | None = None,
    queues: QueueKeeper | None = None,
    amending: Amending | None = None,
    hop: Hop | None = None,
) -> FastAPI:
    """``hub`` is an Observer: give the station the one given here, so that pages hear of durable rows at once.

    ``mqtt`` says how publishing goes, ``share`` how copying and ``notify`` how notifying, for ``/api/v1/station``.
    ``hop``: to the loop of the station, where another one serves.
    """
    if len(token) < SHORTEST:
        raise ConfigError(f"the HTTP token needs at least {SHORTEST} characters")
    app = FastAPI(title="cycler-ctl", version=version("cycler-ctl"), docs_url=None, redoc_url=None)
    owned = _Owned(hub or Hub(view), _one_thread("http-read"), _one_thread("http-check"), Checker())
    app.state.owned = owned
    hop = hop or Hop()
    said = Said(mqtt, share, notify)
    readers = Readers(view, owned.hub, recordings or StoreRecordings(data_dir), owned.pool, said)
    app.include_router(reading_routes(readers, StationName(name, site, app.version)))
    app.include_router(recorded_routes(readers))
    app.include_router(acting_routes(view, actions, hop))
    desk = Desk(owned.checker, owned.checking)
    app.include_router(planning_routes(view, actions, desk, hop, queues=queues is not None))
    app.include_router(queue_routes(queues, hop))
    app.include_router(amend_routes(amending, hop))
    app.include_router(alarm_routes(alarms or AlarmBoard(SystemClock().utc)))
    app.include_router(page_routes())
    _say_errors_plainly(app)
    app.add_middleware(Gate, rules=Rules(token, allowed_hosts, reading_needs_token))
    return app


def close_app(app: FastAPI) -> None:
    """End the streams and the reading threads."""
    owned: _Owned = app.state.owned
    owned.hub.close()
    for pool in (owned.pool, owned.checking):
        pool.shutdown(wait=False, cancel_futures=True)
    owned.checker.close()


def _one_thread(name: str) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)


def _say_errors_plainly(app: FastAPI) -> None:
    async def refused(_: Request, error: Exception) -> JSONResponse:
        status = next(code for kind, code in STATUS_OF.items() if isinstance(error, kind))
        return JSONResponse({"detail": str(error)}, status)

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": _first_fault(error)}, 422)

    app.add_exception_handler(CyclerError, refused)
    app.add_exception_handler(RequestValidationError, invalid)


def _first_fault(error: Exception) -> str:
    if not isinstance(error, RequestValidationError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
