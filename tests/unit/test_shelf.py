"""``cycler-ctl library``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cycler_ctl.errors import ConfigError
from cycler_ctl.terminal.shelf import copy_library, list_library
from protocols.check import load_protocol
from protocols.shipped import library


def test_every_shipped_protocol_is_listed_with_its_title(capsys: pytest.CaptureFixture[str]) -> None:
    assert list_library(as_json=True) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in listed] == list(library())
    assert all(each["title"] and Path(each["path"]).is_file() for each in listed)
    assert list_library(as_json=False) == 0
    assert "gitt               GITT" in capsys.readouterr().out


def test_copies_are_whole_protocols_beside_what_they_include(tmp_path: Path) -> None:
    assert copy_library(tmp_path / "mine") == 0
    copied = [path for path in (tmp_path / "mine").glob("*.yaml") if not path.name.startswith("cell_")]
    assert sorted(path.stem for path in copied) == list(library())
    assert all(load_protocol(path).program is not None for path in copied)
    assert (tmp_path / "mine" / "protocol.schema.json").is_file()


def test_a_copy_that_somebody_has_changed_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gitt.yaml").write_text("mine")
    assert copy_library(tmp_path) == 0
    assert (tmp_path / "gitt.yaml").read_text() == "mine"
    assert "gitt.yaml exists already" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot take the files"):
        copy_library(tmp_path / "file" / "under")
