"""The fleet's page and ``/api/v1/fleet``: behind the same door as a station's own, and for reading only."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncGenerator
from dataclasses import asdict
from pathlib import Path

import psycopg
from fastapi import APIRouter, FastAPI, HTTPException
from fastapi.responses import FileResponse, Response

from cycler_ctl.fleet.status import read
from cycler_ctl.settings import HttpSettings
from cycler_ctl.web.gate import Gate, Rules
from cycler_ctl.web.pages import ASK_FIRST, STATIC, TYPES
from cycler_ctl.web.server import allowed_hosts_of, check_exposure, is_loopback, serve_http, split_address, token_of

OWN = Path(__file__).parent / "static"
OF_THE_STATION = ("style.css", "dom.js", "format.js", "api.js", "icon.svg")
"""Files that both pages share."""
FRESH_S = 2.0
PATIENCE_MS = 10_000


class Reader:
    """However many look, the database is asked once in ``FRESH_S``. ``conninfo`` may be a standby's."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._lock = asyncio.Lock()
        self._said = b""
        self._until_s = 0.0

    async def fleet(self) -> bytes:
        now_s = asyncio.get_running_loop().time
        async with self._lock:
            if not self._said or now_s() >= self._until_s:
                self._said = await asyncio.to_thread(self._read)
                self._until_s = now_s() + FRESH_S
            return self._said

    def _read(self) -> bytes:
        with psycopg.connect(self._conninfo, options=f"-c statement_timeout={PATIENCE_MS}") as connection:
            return json.dumps(asdict(read(connection)), allow_nan=False).encode()


def create_page(conninfo: str, rules: Rules) -> FastAPI:
    app = FastAPI(title="cycler-ctl fleet", docs_url=None, redoc_url=None)
    app.include_router(_routes(Reader(conninfo)))
    app.add_middleware(Gate, rules=rules)
    return app


@contextlib.asynccontextmanager
async def serving(conninfo: str, settings: HttpSettings, data_dir: Path) -> AsyncGenerator[str]:
    """Yield the address. Beyond this computer only with TLS and a token, which reading takes then too."""
    check_exposure(settings)
    host, _ = split_address(settings.listen)
    here = is_loopback(host)
    # Nothing can be done here, so on this computer there is nothing a token would protect: nobody is told this one.
    token = secrets.token_urlsafe() if here else token_of(settings, data_dir)
    rules = Rules(token, allowed_hosts_of(settings), reading_needs_token=not here)
    async with serve_http(create_page(conninfo, rules), settings, lambda _: None) as address:
        yield address if here else f"{address}/#token={token}"


def _routes(reader: Reader) -> APIRouter:
    routes = APIRouter()
    shipped = {path.name: path for path in (*(STATIC / name for name in OF_THE_STATION), *OWN.iterdir())}

    async def fleet() -> Response:
        try:
            return Response(await reader.fleet(), media_type="application/json")
        except psycopg.errors.UndefinedTable:
            raise HTTPException(503, "the database has no tables of a historian yet") from None
        except psycopg.Error:
            raise HTTPException(503, "the database does not answer") from None

    async def page() -> FileResponse:
        return _file(shipped["fleet.html"])

    async def static(name: str) -> FileResponse:
        if name not in shipped or Path(name).suffix not in TYPES:
            raise HTTPException(404, "there is no such file")
        return _file(shipped[name])

    routes.add_api_route("/api/v1/fleet", fleet)
    routes.add_api_route("/", page, include_in_schema=False)
    routes.add_api_route("/static/{name}", static, include_in_schema=False)
    return routes


def _file(path: Path) -> FileResponse:
    return FileResponse(path, media_type=TYPES[path.suffix], headers=ASK_FIRST)
