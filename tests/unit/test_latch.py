"""What holds a station back, and what lets it go: a file that outlives every process."""

from __future__ import annotations

from pathlib import Path

import pytest

from cycler_ctl.errors import StoreError
from cycler_ctl.running.start import who
from cycler_ctl.watching.latch import LATCH_FILE, TOO_OFTEN, Restarts, acknowledge, hold_back, latched


def test_a_new_folder_holds_nothing_back(tmp_path: Path) -> None:
    assert latched(tmp_path) is None


def test_each_time_and_who_looked_is_kept(tmp_path: Path) -> None:
    hold_back(tmp_path, TOO_OFTEN, 0.0)
    assert latched(tmp_path) == "it failed after 3 restarts in 60 s, at 1970-01-01T00:00:00+00:00"
    acknowledge(tmp_path, "K. Abe", 60.0)
    assert latched(tmp_path) is None
    hold_back(tmp_path, TOO_OFTEN, 120.0)
    assert latched(tmp_path) is not None
    assert (tmp_path / LATCH_FILE).read_text(encoding="utf-8").count("\n") == 3


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[]", b"null", b'{"what": "latched"}', b"\n", b"3"])
def test_what_nobody_can_read_holds_back_and_can_be_acknowledged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / LATCH_FILE).write_bytes(content)
    assert "cannot be read" in str(latched(tmp_path))
    acknowledge(tmp_path, "K. Abe", 0.0)
    assert latched(tmp_path) is None


def test_an_acknowledgement_that_is_not_on_disk_is_none(tmp_path: Path) -> None:
    hold_back(tmp_path, TOO_OFTEN, 0.0)
    (tmp_path / "latch.new").mkdir()
    with pytest.raises(StoreError):
        acknowledge(tmp_path, "K. Abe", 1.0)
    assert latched(tmp_path) is not None


def test_what_was_there_before_is_never_written_over_unread(tmp_path: Path) -> None:
    (tmp_path / LATCH_FILE).mkdir()
    with pytest.raises(StoreError, match="cannot be read"):
        hold_back(tmp_path, TOO_OFTEN, 0.0)
    with pytest.raises(StoreError, match="cannot be read"):
        acknowledge(tmp_path, "K. Abe", 1.0)
    assert latched(tmp_path) is not None


def test_three_restarts_a_minute_and_not_one_more() -> None:
    restarts = Restarts()
    assert [restarts.one_more(at_s) for at_s in (0.0, 10.0, 20.0, 59.9)] == [True, True, True, False]
    assert restarts.one_more(60.0)
    assert not restarts.one_more(69.0)
    restarts.begin_anew()
    assert restarts.one_more(69.0)


def test_who_acts_as_the_services_user_is_named_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "cycler")
    monkeypatch.delenv("SUDO_USER", raising=False)
    assert who() == "cycler"
    monkeypatch.setenv("SUDO_USER", "abe")
    assert who() == "abe"
