"""The finished days of runs are sealed behind control's back, and what goes wrong there touches no run."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest
from rig import open_rig, protocol, until
from virtual import open_virtual

from cycler_ctl.live import ChannelState
from cycler_ctl.records.sealing import Sealer
from cycler_ctl.store.export.seal import check_seals, read_manifest
from cycler_ctl.store.reader import open_run
from protocols.record import EventKind


async def test_days_are_sealed_while_the_run_goes_on_and_the_last_when_it_ends(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        sealer = Sealer(lab.data, every_s=0.01)
        lab.station.observe(sealer)
        sealer.start()
        try:
            await lab.start("  - rest: 50 h\n")
            folder = lab.data / "runs" / lab.run
            await lab.at(30 * 3600.0)  # noon of the second day
            await until(lambda: len(read_manifest(folder)) == 1)
            assert (await lab.ends()).state is ChannelState.FINISHED
            await until(lambda: len(read_manifest(folder)) == 3)
        finally:
            sealer.stop(5.0)
        assert check_seals(folder) == []
        with open_run(folder) as reader:
            assert read_manifest(folder)[-1].last_seq == reader.last_seq


async def test_a_seal_that_cannot_be_written_is_said_once_and_costs_the_run_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried = threading.Event()

    def full(*_: object) -> None:
        tried.set()
        raise OSError("no space left")

    monkeypatch.setattr("cycler_ctl.records.sealing.seal_days", full)
    monkeypatch.setattr("cycler_ctl.records.sealing.SOON_S", 0.01)
    with caplog.at_level(logging.WARNING, "cycler_ctl.records.sealing"):
        async with open_rig(tmp_path, monkeypatch) as rig:
            sealer = Sealer(rig.data, every_s=0.01)
            rig.station.observe(sealer)
            sealer.start()
            await rig.start(protocol("  - rest: 1 s\n"))
            assert (await rig.ends()).state is ChannelState.FINISHED
            await until(tried.is_set)
            sealer.stop(5.0)
    assert sum("no space left" in record.getMessage() for record in caplog.records) == 1


async def test_a_run_in_a_folder_that_a_cloud_client_copies_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_rig(tmp_path / "Nextcloud" / "data", monkeypatch) as rig:
        run = await rig.start(protocol("  - rest: 1 s\n"))
        await rig.ends()
        (warning,) = [event for event in rig.events(run) if event.kind is EventKind.WARNING]
        assert "Nextcloud copies" in str(warning.data["message"])
