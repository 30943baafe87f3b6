"""What exports and seals ask of the disk: whole or not at all, also after a power cut, and a full disk is told in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from recorded_disk import FULL, OK, Call, recorded

from cycler_ctl.errors import StoreError
from cycler_ctl.store.export.formats import FORMATS, export_run_as
from cycler_ctl.store.export.seal import DAY_S, read_manifest, seal_days
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.writer import create_run
from cycler_ctl.testing.rows import START_UTC_S, cycling_rows
from protocols.record import Outcome

INFO = RunInfo(
    "20261122-101500-a1-7f3k", 5, "a1", "lab", "site", START_UTC_S, "", "", "", {}, {}, {}, {}, {}, None, 60.0
)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    options = WriterOptions(commit_every_s=0.01, minimum_free_bytes=0, reserve_bytes=0)
    writer = create_run(tmp_path / "data", INFO, on_durable=lambda _: None, utc=lambda: START_UTC_S, options=options)
    writer.append(list(cycling_rows())[:60])
    writer.finish(Outcome.FINISHED, "")
    assert writer.close()
    return writer.run_dir


def not_durable(calls: list[Call]) -> Iterator[str]:
    """Files that got their name before they were synced, or in a folder that was not synced after."""
    for at, call in enumerate(calls):
        if call.what != "rename":
            continue
        if Call("sync", call.path) not in calls[:at]:
            yield f"{call.to}: not synced before"
        if Call("sync folder", str(Path(call.to).parent)) not in calls[at:]:
            yield f"{call.to}: its folder not synced after"


@pytest.mark.parametrize("kind", FORMATS)
def test_an_export_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    with recorded(tmp_path, monkeypatch) as disk:
        export_run_as(kind, run_dir)
    assert sum(call.what == "rename" for call in disk.calls) == (1 if kind == "bundle" else 3)
    assert list(not_durable(disk.calls)) == []


def test_a_seal_and_the_manifest_that_names_it_are_on_the_disk_before_they_have_their_names(
    tmp_path: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with recorded(tmp_path, monkeypatch) as disk:
        (seal,) = seal_days(run_dir, START_UTC_S + DAY_S)
    assert [Path(call.to).name for call in disk.calls if call.what == "rename"] == [seal.name, "manifest.json"]
    assert list(not_durable(disk.calls)) == []


@pytest.mark.parametrize("kind", FORMATS)
def test_a_disk_that_is_full_leaves_the_earlier_export_as_it_was_and_is_told_in_a_sentence(
    tmp_path: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = export_run_as(kind, run_dir)
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    with recorded(tmp_path, monkeypatch) as disk:
        disk.verdict = lambda call: FULL if call.what == "sync" else OK
        with pytest.raises(StoreError, match=r"20261122-101500-a1-7f3k cannot be written: .*what was there before"):
            export_run_as(kind, run_dir)
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(tmp_path: Path, run_dir: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written: "):
        export_run_as("bdf-csv", run_dir, tmp_path / "file" / "folder")


def test_a_day_that_the_full_disk_did_not_take_is_sealed_later(
    tmp_path: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with recorded(tmp_path, monkeypatch) as disk:
        disk.verdict = lambda call: FULL if call.what == "sync" else OK
        with pytest.raises(OSError, match="refused"):
            seal_days(run_dir, START_UTC_S + DAY_S)
    assert read_manifest(run_dir) == []
    assert len(seal_days(run_dir, START_UTC_S + DAY_S)) == 1
    assert len(list((run_dir / "sealed").iterdir())) == 2
