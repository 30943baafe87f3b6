"""A run to write into, and rows to write."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from cycler_ctl.store.writer import RunWriter, create_run
from cycler_ctl.testing.rows import Shape, cycling_rows
from protocols.record import Row
from tests.support.plain_runs import plain_info

RUN = "20260101-000000-a-b3nc"
EPOCH = 1


def some_rows(count: int) -> list[Row]:
    """Mostly under current: a rest and two cycles of three steps, all of one length."""
    rows = list(islice(cycling_rows(Shape(points=count // 7 + 1)), count))
    if len(rows) < count:
        raise ValueError(f"only {len(rows)} rows")
    return rows


def new_run(data_dir: Path) -> RunWriter:
    info = plain_info(RUN, site="bench", station="bench", epoch=EPOCH)
    return create_run(data_dir, info, on_durable=lambda _: None)
