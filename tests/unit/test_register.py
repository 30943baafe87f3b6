"""The register on disk: whole or not there, and durable before anything relies on it."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from cycler_ctl.errors import StoreError
from cycler_ctl.watching.register import SafeOffEntry, read_register, write_register

SMU = SafeOffEntry("smu1", "keithley-2400", "nowhere", relay=("power-off", "3"))


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was synced, and the name the register had then."""
    told: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(handle: int) -> None:
        told.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else f"file of {os.fstat(handle).st_size} bytes")
        fsync(handle)

    def noted_replace(path: Path, target: Path) -> Path:
        told.append(f"{path.name} -> {target.name}")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    return told


@pytest.mark.skipif(sys.platform == "win32", reason="folders are not synced there")
def test_a_register_is_on_the_disk_before_it_takes_its_name(tmp_path: Path, synced: list[str]) -> None:
    folder, before = tmp_path / "quite" / "new", len(list(Path("/dev/fd").iterdir()))
    write_register(folder, {"a1": SMU})
    assert len(list(Path("/dev/fd").iterdir())) == before
    size = (folder / "energised.json").stat().st_size
    assert synced == [f"file of {size} bytes", "energised.new -> energised.json", "folder"]
    assert read_register(folder) == {"a1": SMU}
    assert json.loads((folder / "energised.json").read_text())["version"] == 1


def test_a_register_that_cannot_be_made_durable_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreError, match="cannot be written"):
        write_register(tmp_path, {"a1": SMU})


def test_windows_has_no_call_that_syncs_a_folder_and_needs_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synced: list[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delattr(os, "O_DIRECTORY")
    write_register(tmp_path, {"a1": SMU})
    assert "folder" not in synced
    assert read_register(tmp_path) == {"a1": SMU}
