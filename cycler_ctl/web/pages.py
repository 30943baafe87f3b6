"""The live page's own files, and plotly from its installed package: nothing comes from anywhere else."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse

STATIC = Path(__file__).parent / "static"
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
A_DAY = {"cache-control": "private, max-age=86400"}
ASK_FIRST = {"cache-control": "no-cache"}


def page_routes() -> APIRouter:
    routes = APIRouter(include_in_schema=False)
    shipped = {path.name: path for path in STATIC.iterdir() if path.suffix in TYPES}

    async def page() -> FileResponse:
        return _file(shipped["index.html"])

    async def plotly() -> FileResponse:
        script = plotly_script()
        if script is None:
            raise HTTPException(404, "plotly is not installed: pip install 'cycler-ctl[web]'")
        return FileResponse(script, media_type="text/javascript", headers=A_DAY)

    async def static(name: str) -> FileResponse:
        """Only names that were there at the start: a path from outside never reaches the file system."""
        if name not in shipped:
            raise HTTPException(404, "there is no such file")
        return _file(shipped[name])

    routes.add_api_route("/", page)
    routes.add_api_route("/static/plotly.min.js", plotly)
    routes.add_api_route("/static/{name}", static)
    return routes


def plotly_script() -> Path | None:
    """Found without importing plotly, which takes longer than all the rest of the page."""
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        return None
    script = Path(spec.origin).parent / "package_data" / "plotly.min.js"
    return script if script.is_file() else None


def _file(path: Path) -> FileResponse:
    return FileResponse(path, media_type=TYPES[path.suffix], headers=ASK_FIRST)
