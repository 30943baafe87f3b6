"""The share beside a station that runs: a run that ends is there soon after, and one that goes on is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from rig import open_rig, until

from cycler_ctl.config import MqttSettings, ShareSettings
from cycler_ctl.reporting import open_reporting
from cycler_ctl.store.export.bundle import verify_bundle


async def test_a_run_is_on_the_share_after_it_ended_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = tmp_path / "share"
    share.mkdir()
    async with open_rig(tmp_path / "data", monkeypatch) as rig:
        monkeypatch.setattr("cycler_ctl.share.sharer.LOOK_EVERY_S", 0.5)
        rule = {"share": ShareSettings(folder=share), "mqtt": MqttSettings(enabled=False)}
        rig.station.config = rig.station.config.model_copy(update=rule)
        async with open_reporting(rig.station, None):
            run = await rig.flowing()
            assert list(share.iterdir()) == []
            await rig.station.stop("a1", "test")
            bundle = share / run / f"{run}.zip"
            await until(bundle.exists, 30)
    assert verify_bundle(bundle) == []
