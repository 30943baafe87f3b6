"""The share beside a station that runs: a run that ends is there soon after, and one that goes on is not."""

from __future__ import annotations

import asyncio
import json
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from rig import open_rig, until

from cycler_ctl.clock import real_sleep
from cycler_ctl.config import HttpSettings, MqttSettings, ShareSettings
from cycler_ctl.publish.backoff import Timing
from cycler_ctl.reporting import open_reporting
from cycler_ctl.share.sharer import Sharer, export_apart
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


async def test_a_share_that_is_away_is_shown_by_the_api_until_the_copy_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = tmp_path / "share"

    def station(page: str) -> dict[str, object]:
        connection = HTTPConnection(urlsplit(page).netloc)
        connection.request("GET", "/api/v1/station")
        found: dict[str, object] = json.load(connection.getresponse())["share"]
        connection.close()
        return found

    async with open_rig(tmp_path / "data", monkeypatch) as rig:
        monkeypatch.setattr("cycler_ctl.share.sharer.LOOK_EVERY_S", 0.2)
        monkeypatch.setattr(Sharer.__init__, "__defaults__", (export_apart, Timing(first_s=0.2, most_s=0.4)))
        settings = {"share": ShareSettings(folder=share), "mqtt": MqttSettings(enabled=False)}
        more = {**settings, "http": HttpSettings(listen="127.0.0.1:0")}
        rig.station.config = rig.station.config.model_copy(update=more)
        async with open_reporting(rig.station, None) as reporting:
            assert reporting.page is not None
            run = await rig.flowing()
            await rig.station.stop("a1", "test")
            async with asyncio.timeout(20):
                while (shown := await asyncio.to_thread(station, reporting.page))["trouble"] is None:
                    await real_sleep(0.05)
            assert (shown["waiting"], shown["folder"]) == (1, str(share))
            assert "is the share connected?" in str(shown["trouble"])
            share.mkdir()
            await until((share / run / f"{run}.zip").exists, 30)
            async with asyncio.timeout(20):
                while (await asyncio.to_thread(station, reporting.page))["trouble"] is not None:
                    await real_sleep(0.05)
