"""What a run file says of a run of which nothing but its rows matters."""

from __future__ import annotations

from cycler_ctl.store.info import RunInfo


def plain_info(run: str, *, site: str, station: str, epoch: int = 1) -> RunInfo:
    """Of channel ``a``."""
    return RunInfo(
        run=run,
        epoch=epoch,
        channel="a",
        station=station,
        site=site,
        started_utc_s=1_767_225_600.0,
        protocol_name="p",
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
