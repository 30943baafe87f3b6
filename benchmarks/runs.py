"""A run to write into, and rows to write."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.writer import RunWriter, create_run
from cycler_ctl.testing.rows import Shape, cycling_rows
from protocols.record import Row

RUN = "20260101-000000-a-b3nc"
EPOCH = 1


def some_rows(count: int) -> list[Row]:
    """Mostly under current: a rest and two cycles of three steps, all of one length."""
    rows = list(islice(cycling_rows(Shape(points=count // 7 + 1)), count))
    if len(rows) < count:
        raise ValueError(f"only {len(rows)} rows")
    return rows


def new_run(data_dir: Path) -> RunWriter:
    info = RunInfo(
        run=RUN,
        epoch=EPOCH,
        channel="a",
        station="bench",
        site="bench",
        started_utc_s=1_767_225_600.0,
        protocol_name="bench",
        protocol_text="",
        protocol_sha256="",
        cell={},
        plan={},
        settings={},
        instrument={},
        versions={},
        discharge_means=None,
        sample_every_s=1.0,
    )
    return create_run(data_dir, info, on_durable=lambda _: None)
