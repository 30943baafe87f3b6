"""Ended runs come to the share whole, once, and whatever the share does nothing there is harmed or half made."""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from cycler_ctl.config import check_config_text, load_config
from cycler_ctl.doctor import findings
from cycler_ctl.live import ChannelState, ChannelStatus
from cycler_ctl.publish.backoff import Timing
from cycler_ctl.settings import ShareSettings
from cycler_ctl.share import copying
from cycler_ctl.share.copying import OtherFileError, copy_verified
from cycler_ctl.share.ledger import FILE, FOLDER, read_ledger
from cycler_ctl.share.sharer import Sharer, ShareStatus, export_apart
from cycler_ctl.store.export.bundle import verify_bundle
from cycler_ctl.store.export.formats import export_run_as
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.writer import RunWriter, create_run
from cycler_ctl.terminal.status import share_trouble
from cycler_ctl.testing.rows import START_UTC_S, Shape, cycling_rows
from protocols.record import Outcome

INFO = RunInfo("", 5, "a1", "lab", "site", START_UTC_S, "Rate test", "", "", {"name": "MG-17"}, *({},) * 4, None, 1.0)
FIRST, SECOND = "20261120-101500-a1-0001", "20261121-101500-a1-0002"
QUICK = Timing(first_s=0.001, most_s=0.002)
STATION = """
[station]
name = "lab-3"
data_dir = "{data}"
[share]
{share}
[instruments.smu1]
driver = "keithley-2400"
address = "TCPIP0::127.0.0.1::5025::SOCKET"
[channels.a1]
instrument = "smu1"
limits = {{ voltage = "-0.5 V to 5 V", current = "10 mA" }}
"""


def begun(data: Path, run: str) -> RunWriter:
    options = WriterOptions(commit_every_s=0.01, minimum_free_bytes=0, reserve_bytes=0)
    writer = create_run(data, replace(INFO, run=run), on_durable=lambda _: None, options=options)
    writer.append(list(cycling_rows(Shape(points=3))))
    assert writer.flush(5)
    return writer


def ended(data: Path, run: str = FIRST) -> None:
    writer = begun(data, run)
    writer.finish(Outcome.FINISHED, "")
    assert writer.close()


def export_here(kind: str, run_dir: Path, out: Path) -> None:
    export_run_as(kind, run_dir, out)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    ended(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def share(tmp_path: Path) -> Path:
    folder = tmp_path / "share"
    folder.mkdir()
    return folder


def sharer(data: Path, share: Path, *formats: str) -> Sharer:
    settings = ShareSettings(folder=share, formats=formats or ("bundle",))
    return Sharer(data, settings, lambda: START_UTC_S, export_here, QUICK)


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_an_ended_run_is_copied_whole_and_only_once(data: Path, share: Path) -> None:
    assert sharer(data, share).share_all()
    assert files(share) == [f"{FIRST}/{FIRST}.zip"]
    assert verify_bundle(share / FIRST / f"{FIRST}.zip") == []
    (share / FIRST / f"{FIRST}.zip").unlink()  # tidied away by the group
    assert sharer(data, share).share_all()
    assert files(share) == []
    assert files(data / FOLDER) == [FILE]


def test_every_format_asked_for_is_there_with_its_metadata(data: Path, share: Path) -> None:
    assert sharer(data, share, "bundle", "bdf-csv").share_all()
    assert [name.split(".", 1)[1] for name in files(share)] == ["zip", "bdf.csv", "bdf.jsonld", "bdf.metadata.json"]


def test_a_run_that_goes_on_or_may_go_on_is_never_copied(data: Path, share: Path) -> None:
    live = begun(data, SECOND)
    assert sharer(data, share).share_all()
    live.interrupt("power cut")
    assert live.flush(5)
    assert sharer(data, share).share_all()
    assert files(share) == [f"{FIRST}/{FIRST}.zip"]
    assert live.close()


def test_another_file_of_that_name_is_left_as_it_is_and_other_runs_are_copied_all_the_same(
    data: Path, share: Path
) -> None:
    ended(data, SECOND)
    theirs = share / FIRST / f"{FIRST}.zip"
    theirs.parent.mkdir()
    theirs.write_text("somebody's work")
    assert not sharer(data, share).share_all()
    assert theirs.read_text() == "somebody's work"
    assert files(share) == [f"{FIRST}/{FIRST}.zip", f"{SECOND}/{SECOND}.zip"]
    ledger = read_ledger(data)
    assert (list(ledger.done), ledger.waiting) == ([SECOND], 1)
    assert "left as it is" in str(ledger.trouble)


def test_killed_between_the_name_and_the_note_the_same_file_is_recognised(
    data: Path, share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("cycler_ctl.share.sharer.write_ledger", killed)
        assert not sharer(data, share).share_all()
    before = (share / FIRST / f"{FIRST}.zip").stat()
    assert sharer(data, share).share_all()
    assert (share / FIRST / f"{FIRST}.zip").stat().st_mtime_ns == before.st_mtime_ns
    assert list(read_ledger(data).done) == [FIRST]


def test_a_share_that_gives_back_other_bytes_holds_no_file_of_ours(
    data: Path, share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = copying._copy

    def garbling(source: Path, target: Path, go_on: object) -> None:
        honest(source, target, lambda: True)
        content = bytearray(target.read_bytes())
        content[len(content) // 2] ^= 1
        target.write_bytes(content)

    with monkeypatch.context() as patch:
        patch.setattr(copying, "_copy", garbling)
        assert not sharer(data, share).share_all()
    assert files(share) == []
    assert "gives back" in str(read_ledger(data).trouble)
    assert sharer(data, share).share_all()


def test_a_share_that_is_away_is_told_once_nothing_is_made_in_its_place_and_it_is_told_when_it_is_back(
    data: Path, share: Path, caplog: pytest.LogCaptureFixture
) -> None:
    share.rmdir()
    one = sharer(data, share)
    with caplog.at_level(logging.INFO, "cycler_ctl.share"):
        assert [one.share_all() for _ in range(3)] == [False] * 3
        assert not share.exists()
        assert (read_ledger(data).waiting, read_ledger(data).trouble_since_utc_s) == (1, START_UTC_S)
        assert (one.status().waiting, one.status().trouble_since_utc_s) == (1, START_UTC_S)
        assert "is the share connected?" in str(one.status().trouble)
        share.mkdir()
        assert one.share_all()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert (read_ledger(data).trouble, read_ledger(data).trouble_since_utc_s) == (None, None)
    assert one.status() == ShareStatus(str(share))


def test_a_file_that_appears_while_ours_is_on_its_way_wins(share: Path, tmp_path: Path) -> None:
    ours, target = tmp_path / "x.zip", share / "x.zip"
    ours.write_bytes(b"ours")

    def meanwhile() -> bool:
        target.write_bytes(b"theirs")
        return True

    with pytest.raises(OtherFileError, match="meanwhile"):
        copy_verified(ours, target, meanwhile)
    assert (target.read_bytes(), files(share)) == (b"theirs", ["x.zip"])


def test_the_thread_tries_again_by_itself_and_ends_when_asked(data: Path, share: Path) -> None:
    tried, copied = [0], threading.Event()

    def flaky(kind: str, run_dir: Path, out: Path) -> None:
        tried[0] += 1
        if tried[0] < 4:
            raise OSError("not now")
        export_here(kind, run_dir, out)
        copied.set()

    one = Sharer(data, ShareSettings(folder=share), lambda: START_UTC_S, flaky, QUICK)
    one.start()
    assert copied.wait(10)
    one.channel_changed(ChannelStatus("a1", "smu1", ChannelState.FINISHED, "", START_UTC_S, energised=False))
    one.stop(10)
    assert files(share) in ([f"{FIRST}/{FIRST}.zip"], [])  # or stopped before the copy
    assert not any(thread.name == "share" for thread in threading.enumerate())
    assert sharer(data, share).share_all()
    assert files(share) == [f"{FIRST}/{FIRST}.zip"]


def test_the_export_is_made_in_a_process_of_its_own(data: Path, tmp_path: Path) -> None:
    export_apart("bundle", data / "runs" / FIRST, tmp_path / "out")
    assert verify_bundle(tmp_path / "out" / f"{FIRST}.zip") == []


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ('folder = "/mnt/g"\nformat = ["bundle"]', "share has no 'format'"),
        ('folder = "/mnt/g"\nformats = ["zip"]', 'not "bundle" or "bdf-csv" or "bdf-parquet"'),
        ('formats = ["bundle"]', "share needs 'folder'"),
        ('folder = "data/share"', "inside data_dir"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_an_error(tmp_path: Path, said: str, expected: str) -> None:
    text = STATION.format(data="data", share=said)
    found = check_config_text(text, str(tmp_path / "station.toml"))[1]
    assert len(found) == 1
    assert expected in found[0].message


def test_doctor_and_status_say_what_stands_in_the_way(data: Path, share: Path, tmp_path: Path) -> None:
    config = tmp_path / "station.toml"
    config.write_text(STATION.format(data=data.as_posix(), share=f'folder = "{share.as_posix()}"'))
    assert sharer(data, share).share_all()
    told = {one.what: one for one in findings(config)}["share"]
    assert (told.ok, "1 runs were copied" in told.message) == (True, True)
    assert list(share_trouble(load_config(config))) == []
    ended(data, SECOND)
    (share / SECOND).write_text("in the way")
    assert not sharer(data, share).share_all()
    told = {one.what: one for one in findings(config)}["share"]
    assert (told.ok, "1 ended runs are not in" in told.message) == (False, True)
    assert SECOND in " ".join(share_trouble(load_config(config)))
    assert json.loads((data / FOLDER / FILE).read_text())["waiting"] == 1
