"""GET of what was recorded: the list of runs, and of each its description, pictures, events and files."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, fields
from math import inf
from typing import Annotated

import numpy as np
from fastapi import APIRouter, HTTPException, Path, Query, Request, Response
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from cycler_ctl.web.curves import Columns, Curve, curves, samples
from cycler_ctl.web.differential import METHOD, Differential, differentials
from cycler_ctl.web.making import RECIPES, GoneError, Workshop
from cycler_ctl.web.reading import Readers
from cycler_ctl.web.recordings import WHOLE_RUN, Look, NoSuchRunError, Recordings, Times

RunId = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,80}$")]
After = Annotated[int, Query(ge=0, le=2**53, description="only rows with a greater seq")]
RunTime = Annotated[float | None, Query(ge=0, le=1e12, allow_inf_nan=False, description="run time in s")]
FileKind = Annotated[str, Path(pattern=f"^({'|'.join(RECIPES)})$")]
CLIENT_GONE = 499


@dataclass(frozen=True, slots=True)
class Window:
    """Rows after seq ``after`` between ``times``, with the last one before and the first one beyond."""

    after: int = 0
    times: Times = WHOLE_RUN

    def of(self, columns: Columns) -> Columns:
        time_s, (from_s, to_s) = columns["time_s"], self.times
        begin = int(np.searchsorted(time_s, from_s, side="left")) - 1
        begin = max(0, begin, int(np.searchsorted(columns["seq"], self.after, side="right")))
        end = int(np.searchsorted(time_s, to_s, side="right")) + 1
        return {name: values[begin : max(begin, end)] for name, values in columns.items()}


def recorded_routes(readers: Readers) -> APIRouter:
    routes = APIRouter(prefix="/api/v1/runs", tags=["reading"])
    _add_described(routes, readers)
    _add_drawn(routes, readers)
    _add_files(routes, readers)
    return routes


def _add_described(routes: APIRouter, readers: Readers) -> None:
    recordings = readers.recordings

    async def runs() -> Response:
        """Newest first."""
        return await readers.off_loop(recordings.runs)

    async def run(run: RunId) -> Response:
        return await readers.off_loop(lambda: recordings.describe(run))

    async def run_events(run: RunId) -> Response:
        """What happened, in words; beginnings and ends of steps are in the run's description."""
        return await readers.off_loop(lambda: recordings.events(run))

    routes.add_api_route("", runs)
    routes.add_api_route("/{run}", run)
    routes.add_api_route("/{run}/events", run_events)


def _add_drawn(routes: APIRouter, readers: Readers) -> None:
    recordings = readers.recordings

    async def run_samples(
        run: RunId,
        after: After = 0,
        points: Annotated[int, Query(ge=6, le=20_000)] = 2_000,
        from_s: RunTime = None,
        to_s: RunTime = None,
    ) -> Response:
        """Whole rows by column, at most ``points`` of them: the extremes of voltage and current are always kept.

        ``whole`` false: a long run is being read, this is a glimpse of it; ask again until ``read`` is all its rows.
        """
        window = Window(after, (-inf if from_s is None else from_s, inf if to_s is None else to_s))
        return await readers.off_loop(lambda: _samples(recordings, run, window, points))

    async def run_curves(
        run: RunId,
        after: After = 0,
        points: Annotated[int, Query(ge=4, le=5_000)] = 300,
        cycles: Annotated[int, Query(ge=1, le=200)] = 12,
    ) -> Response:
        """Voltage against capacity, a curve for each cycle and direction; rounded for drawing. ``whole``: see samples."""
        return await readers.off_loop(lambda: _curves(recordings, run, Window(after), points, cycles))

    async def run_dqdv(run: RunId, cycles: Annotated[int, Query(ge=1, le=60)] = 6) -> Response:
        """Differential capacity by cycle and direction; nothing before the run is read ``whole``."""
        return await readers.off_loop(lambda: _dqdv(recordings, run, cycles))

    routes.add_api_route("/{run}/samples", run_samples)
    routes.add_api_route("/{run}/curves", run_curves)
    routes.add_api_route("/{run}/dqdv", run_dqdv)


def _samples(recordings: Recordings, run: str, window: Window, points: int) -> dict[str, object]:
    look = recordings.look(run, window.times)
    columns = window.of(look.columns)
    return {**_head(run, look, columns, window), "rows": len(columns["seq"]), "columns": samples(columns, points)}


def _curves(recordings: Recordings, run: str, window: Window, points: int, cycles: int) -> dict[str, object]:
    look, basis = recordings.look(run), recordings.basis(run)
    columns = window.of(look.columns)
    drawn = [_plain(curve) for curve in curves(columns, basis, points, cycles)]
    return {**_head(run, look, columns, window), "basis": asdict(basis), "curves": drawn}


def _dqdv(recordings: Recordings, run: str, cycles: int) -> dict[str, object]:
    look, basis = recordings.look(run), recordings.basis(run)
    drawn = [_plain(each) for each in differentials(look.columns, basis, cycles)] if look.whole else []
    return {**_head(run, look, look.columns, Window()), "basis": asdict(basis), "method": METHOD, "curves": drawn}


def _plain(curve: Curve | Differential) -> dict[str, object]:
    """``asdict`` copies each number of the lists, which takes longer than all the rest."""
    return {field.name: getattr(curve, field.name) for field in fields(curve)}


def _head(run: str, look: Look, columns: Columns, window: Window) -> dict[str, object]:
    """``last_seq`` goes on with the rows, never with a glimpse of them."""
    seen = look.whole and len(columns["seq"]) > 0
    last_seq = int(columns["seq"][-1]) if seen else window.after
    return {"run": run, "last_seq": last_seq, "whole": look.whole, "read": look.read, "of": look.rows}


def _add_files(routes: APIRouter, readers: Readers) -> None:
    workshop = Workshop(readers.pool)

    async def run_file(run: RunId, kind: FileKind, request: Request) -> FileResponse:
        """The file is made now: BDF, bundle, report or figure. One at a time; the answer begins when it is there."""
        try:
            run_dir = readers.recordings.folder(run)
            path = await workshop.make(run_dir, kind, request.is_disconnected)
        except NoSuchRunError as error:
            raise HTTPException(404, str(error)) from error
        except GoneError as error:
            raise HTTPException(CLIENT_GONE, "whoever asked has gone") from error
        remove = BackgroundTask(shutil.rmtree, path.parent, ignore_errors=True)
        return FileResponse(path, filename=path.name, content_disposition_type="attachment", background=remove)

    routes.add_api_route("/{run}/files/{kind}", run_file, response_class=FileResponse)
